"""The files to read, their formats, and their grouping into clips."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.io._common.clip import FrameFiles
from gepc_geo.io._common.file_names import is_passed_over
from gepc_geo.io._common.media import media_kind
from gepc_geo.io._common.pictures import refuse_copies, series_of
from gepc_geo.io._common.text import head, json_keys
from gepc_geo.io.formats.mmpose import is_nested
from gepc_geo.io.registry import FORMATS, REGISTRY, Format

# Where the formats are listed.
_LISTED = "gepc-geo convert --help and docs/formats.md list the formats"


@dataclass(frozen=True)
class Planned:
    """Files of one format that are read together.

    Attributes:
        form: The format.
        path: The first file.
        folders: Its folders below the given one, outermost first.
        frames: The files of a clip's frames; ``None`` for a single file.
    """

    form: Format
    path: Path
    folders: tuple[str, ...]
    frames: FrameFiles | None = None

    @property
    def files(self) -> int:
        """The number of files."""
        return 1 if self.frames is None else len(self.frames.paths)


def plan(path: Path, format: str) -> list[Planned]:
    """The files to read at ``path``, in the order of the clips' first files.

    Args:
        path: A file or folder.
        format: Name of the format, or ``"auto"``.

    Raises:
        InputError: A path that does not exist, no readable file, names without frame numbers.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format must be auto or {', '.join(FORMATS)}, got {format!r}")
    if not path.is_dir():
        return _planned(_form_of(path, format), [path], ())
    found: dict[tuple[str, Path], tuple[Format, list[Path]]] = {}
    planned: list[Planned] = []
    chosen = _forms_in(path, format)
    _refuse_copies([file for file, _ in chosen])
    for file, form in chosen:
        if form.per_frame:
            found.setdefault((form.name, file.parent), (form, []))[1].append(file)
        else:
            planned += _planned(form, [file], file.parent.relative_to(path).parts)
    for (_, folder), (form, files) in found.items():
        planned += _planned(form, files, folder.relative_to(path).parts)
    return sorted(planned, key=lambda planned_files: planned_files.path)


# -- inner -----------------------------------------------------------------------------------------


def _planned(form: Format, files: list[Path], folders: tuple[str, ...]) -> list[Planned]:
    if not form.per_frame:
        return [Planned(form, file, folders) for file in files]
    series = series_of([file.name for file in files], lambda i: str(files[i]))
    planned = []
    for one in series:
        paths = [files[i] for i in one.members]
        frames = FrameFiles(paths, one.frames, one.parts, one.fps, one.timed)
        planned.append(Planned(form, min(paths), folders, frames))
    return planned


def _refuse_copies(files: Sequence[Path]) -> None:
    folders: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in files:
        folders[file.parent, file.suffix.lower()].append(file)
    for own in folders.values():
        refuse_copies([file.name for file in own], lambda i, own=own: str(own[i]))  # type: ignore[misc]


def _files_in(folder: Path) -> list[Path]:
    """All files, through links too, each folder once; warns of broken links."""
    files: list[Path] = []
    broken: list[Path] = []
    known: set[str] = set()
    # Folders precede links to them, so that files are found at their own place.
    waiting = [folder]
    while waiting:
        later: list[Path] = []
        for start in waiting:
            if os.path.realpath(start) in known:
                continue
            for place, folders, names in os.walk(start):
                known.add(os.path.realpath(place))
                folders[:] = [f for f in folders if os.path.realpath(Path(place, f)) not in known]
                paths = [Path(place, name) for name in folders]
                later += [path for path in paths if path.is_symlink() and _is_shown(path, folder)]
                for path in (Path(place, name) for name in names):
                    if path.is_file():
                        files.append(path)
                    elif path.is_symlink() and not path.exists() and _is_shown(path, folder):
                        broken.append(path)
        waiting = sorted(later)
    if broken:
        broken.sort()
        more = len(broken) - 1
        others = f" (and {more} other{'s'[: more > 1]})" if more else ""
        warn_of_input(f"{broken[0]}{others} is a broken link and is left out")
    # A file that is also linked is read once, at its own place.
    links = [file for file in files if file.is_symlink()]
    if links:
        files = [file for file in files if not file.is_symlink()]
        own = {os.path.realpath(file) for file in files}
        linked = {os.path.realpath(file): file for file in sorted(links, reverse=True)}
        files += [file for target, file in linked.items() if target not in own]
    return sorted(files)


def _is_shown(path: Path, folder: Path) -> bool:
    return not is_passed_over(path.relative_to(folder))


def _forms_in(folder: Path, format: str) -> list[tuple[Path, Format]]:
    """The files of poses in a folder, and their formats."""
    forms = [form for form in REGISTRY if format in ("auto", form.name)]
    suffixes = {suffix for form in forms for suffix in form.suffixes}
    found = _files_in(folder)
    files = [file for file in found if file.suffix.lower() in suffixes and _is_shown(file, folder)]
    if not files:
        media = next((file for file in found if media_kind(file)), None)
        if media is not None:
            raise _unknown(media)
        there = f"other files, such as {found[0].name}" if found else "the folder is empty"
        raise InputError(
            f"{folder} must have files of poses ({', '.join(sorted(suffixes))}), got none: {there} "
            f"({_LISTED})"
        )
    if format != "auto":
        return [(file, forms[0]) for file in files]
    known = {
        file: _detect(file, [form for form in forms if file.suffix.lower() in form.suffixes])
        for file in files
    }
    # A file without a format gets the first known format of its suffix: it is damaged, or a frame
    # without people, and that format's reader gives the best error. An empty list tells least.
    usual: dict[str, Format] = {}
    for file in sorted(files, key=_is_empty_list):
        form = known[file]
        if form is not None:
            usual.setdefault(file.suffix.lower(), form)
    if not usual:
        raise _unknown(files[0])
    chosen = []
    for file, form in known.items():
        other = usual.get(file.suffix.lower())
        if form is None or (other is not None and other.per_frame and _is_empty_list(file)):
            form = other
        if form is not None:
            chosen.append((file, form))
    chosen = _with_short_videos(chosen)
    unread = sorted(set(files) - {file for file, _ in chosen})
    if unread:
        warn_of_input(
            f"{len(unread)} of {len(files)} files have no known format and are left out "
            f"(the first is {unread[0]})"
        )
    names = {(form.name, file.with_suffix("")) for file, form in chosen}
    # AlphaPose also writes the pictures of this folder into one file beside it.
    separate = {file.parent.parent for file, form in chosen if file.parent.name == "sep-json"}
    return [
        (file, form)
        for file, form in chosen
        if (form.twin, file.with_suffix("")) not in names
        and not (file.name == "alphapose-results.json" and file.parent in separate)
    ]


def _with_short_videos(chosen: list[tuple[Path, Format]]) -> list[tuple[Path, Format]]:
    """Reads MMPose's lists of one frame as videos if their folder has videos."""
    videos = {
        file.parent: form for file, form in chosen if form.name == "mmpose" and is_nested(file)
    }
    return [
        (file, videos[file.parent])
        if form.name == "mmpose-images" and file.parent in videos and is_nested(file)
        else (file, form)
        for file, form in chosen
    ]


def _unknown(path: Path) -> InputError:
    wanted = f"{path} must be a file of poses"
    kind = media_kind(path)
    if kind:
        return InputError(
            f"{wanted}, got {kind}: its poses must be estimated first (docs/formats.md lists pose "
            "estimators)"
        )
    if path.is_file() and not path.stat().st_size:
        return InputError(f"{wanted}, got one that is empty ({_LISTED})")
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        wanted += " or a table with a header as in clip, person, frame, nose_x, nose_y"
    return InputError(f"{wanted}, got no known format ({_LISTED})")


def _form_of(path: Path, format: str) -> Format:
    known = [form for form in REGISTRY if form.name == format]
    form = known[0] if known else _detect(path, REGISTRY)
    if form is None:
        raise _unknown(path)
    return form


def _detect(file: Path, forms: Sequence[Format]) -> Format | None:
    """The first matching format: by the file's beginning, else by names in its JSON."""
    known = next((form for form in forms if form.detect(file)), None)
    if known is not None or not any(form.keys for form in forms):
        return known
    keys = json_keys(file)
    return next((form for form in forms if form.keys and keys.issuperset(form.keys)), None)


def _is_empty_list(file: Path) -> bool:
    """Whether a file is JSON without people, which does not determine the format."""
    return head(file, 64).strip() == "[]"
