"""What there is to read: the files of a folder, their formats, and which of them are one clip."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.io._common.clip import FrameFiles
from gepc_geo.io._common.media import media_kind
from gepc_geo.io._common.names import is_passed_over
from gepc_geo.io._common.pictures import refuse_copies, series_of
from gepc_geo.io._common.text import head, json_keys
from gepc_geo.io.formats.mmpose import is_nested
from gepc_geo.io.registry import FORMATS, REGISTRY, Format


@dataclass(frozen=True)
class Planned:
    """Files that are read together.

    Attributes:
        form: Their format.
        path: The first of them.
        folders: The folders that it lies in, below the one that was given.
        frames: The files of a clip's frames; ``None``: one file.
    """

    form: Format
    path: Path
    folders: tuple[str, ...]
    frames: FrameFiles | None = None

    @property
    def files(self) -> int:
        """How many files there are."""
        return 1 if self.frames is None else len(self.frames.paths)


def plan(path: Path, format: str) -> list[Planned]:
    """What there is to read below a path, in the order of the clips' first files.

    Raises:
        InputError: No such path, nothing readable in it, names that say nothing of the frames.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist, expected a file or folder of poses")
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format is {format!r}, expected auto or {', '.join(FORMATS)}")
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
    return sorted(planned, key=lambda one: one.path)


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
    """All files, behind links too, each folder once; links that lead nowhere are warned of."""
    files: list[Path] = []
    lost: list[Path] = []
    known: set[str] = set()
    # Folders before the links to them, so that their files are found in their own place.
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
                        lost.append(path)
        waiting = sorted(later)
    if lost:
        lost.sort()
        more = len(lost) - 1
        others = f" (and {more} other{'s'[: more > 1]})" if more else ""
        warn_of_input(f"{lost[0]}{others} is a link that leads nowhere, and is left out")
    # A file that is also there under a link is read once, in its own place.
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
    """The files of a folder that hold poses, and their formats."""
    forms = [form for form in REGISTRY if format in ("auto", form.name)]
    suffixes = {suffix for form in forms for suffix in form.suffixes}
    found = _files_in(folder)
    files = [file for file in found if file.suffix.lower() in suffixes and _is_shown(file, folder)]
    if not files:
        media = next((file for file in found if media_kind(file)), None)
        if media is not None:
            raise _unknown(media)
        raise InputError(
            f"{folder} has no file of poses, expected some ending in {', '.join(sorted(suffixes))}"
        )
    if format != "auto":
        return [(file, forms[0]) for file in files]
    known = {
        file: _detect(file, [form for form in forms if file.suffix.lower() in form.suffixes])
        for file in files
    }
    # A file that no format knows is read as the first known one of its ending is: it is damaged (or
    # a frame with nobody), and that format's reader says best how. An empty list tells least.
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
    left = sorted(set(files) - {file for file, _ in chosen})
    if left:
        warn_of_input(
            f"{len(left)} of {len(files)} files are of no known format and left out ({left[0]} is the first)"
        )
    names = {(form.name, file.with_suffix("")) for file, form in chosen}
    # AlphaPose writes the pictures of this folder into one file beside it, too.
    separate = {file.parent.parent for file, form in chosen if file.parent.name == "sep-json"}
    return [
        (file, form)
        for file, form in chosen
        if (form.twin, file.with_suffix("")) not in names
        and not (file.name == "alphapose-results.json" and file.parent in separate)
    ]


def _with_short_videos(chosen: list[tuple[Path, Format]]) -> list[tuple[Path, Format]]:
    """Takes MMPose's lists of one frame for videos where videos lie beside them, not for images."""
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
    kind = media_kind(path)
    if kind:
        return InputError(
            f"{path} is {kind}, expected poses: a pose estimator makes them of it (docs/formats.md names some)"
        )
    table = (
        "a table with a header as in clip, person, frame, nose_x, nose_y, or "
        if path.suffix.lower() in (".csv", ".tsv", ".txt")
        else ""
    )
    return InputError(f"{path} is of no known format, expected {table}one of {', '.join(FORMATS)}")


def _form_of(path: Path, format: str) -> Format:
    known = [form for form in REGISTRY if form.name == format]
    form = known[0] if known else _detect(path, REGISTRY)
    if form is None:
        raise _unknown(path)
    return form


def _detect(file: Path, forms: Sequence[Format]) -> Format | None:
    """The first of the formats that the file is of: by its beginning, else by names in its JSON."""
    known = next((form for form in forms if form.detect(file)), None)
    if known is not None or not any(form.keys for form in forms):
        return known
    keys = json_keys(file)
    return next((form for form in forms if form.keys and keys.issuperset(form.keys)), None)


def _is_empty_list(file: Path) -> bool:
    """Whether it is JSON of nobody, which says nothing about the format."""
    return head(file, 64).strip() == "[]"
