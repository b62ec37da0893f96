"""Skeletons over blank or given frames, coloured by score, as a film (needs the extra ``video``)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.paint import colours
from gepc_geo.report.plane import to_plane
from gepc_geo.utils.files import as_text, atomic_path, check_destination, read_npz
from gepc_geo.utils.progress import progress_bar

SUFFIXES = (".mp4", ".gif")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# The longer side of a film at most, its frame rate where nothing is known, and the strip below it.
_SIDE, _FPS, _STRIP = 1280, 25.0, 40
# Drawn so many times larger and then reduced: smooth lines.
_FINER = 2
_NUMBERS = ("frame", "person", "first_frame", "score", "mean", "padded", "label")


def read_scores(path: str | Path) -> dict[str, np.ndarray]:
    """A table that ``gepc-geo score`` wrote, of any level but ``joint``: columns by name.

    Raises:
        InputError: No such file, another suffix, no table of scores, a score that is no number.
    """
    path = Path(path)
    if path.suffix == ".npz":
        columns = read_npz(path, "table of scores")
    elif path.suffix == ".csv":
        columns = _read_csv(path)
    else:
        raise InputError(f"{path} has suffix {path.suffix!r}, expected .csv or .npz")
    missing = {"clip", "score", "person"} - set(columns)
    if missing:
        raise InputError(
            f"{path} has no column {sorted(missing)[0]!r}, expected a table of scores of level "
            "window, person, frame or clip"
        )
    for name, column in columns.items():
        if name in _NUMBERS and column.dtype.kind not in "iuf":
            raise InputError(f"{path} has column {name!r} of {column.dtype}, expected numbers")
        if name in ("frame", "person", "first_frame") and not np.isfinite(column).all():
            raise InputError(f"{path} has no number in column {name!r}, expected one in each row")
    if len({column.shape for column in columns.values() if column.ndim}) > 1:
        raise InputError(f"{path} has columns of several lengths, expected one row for each score")
    return columns


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected a table of scores") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read, expected a table of scores: {error}") from None
    columns = {}
    for place, name in enumerate(header):
        try:
            values = [row[place] for row in rows]
            columns[name] = np.array(
                [float(v) for v in values] if name in _NUMBERS else values,
                dtype=np.float64 if name in _NUMBERS else np.str_,
            )
        except (IndexError, ValueError) as error:
            raise InputError(
                f"{path} has a damaged column {name!r}, expected a value in each row: {error}"
            ) from None
    return columns


def person_scores(tracks: PoseTracks, table: Mapping[str, np.ndarray]) -> np.ndarray:
    r"""The score of every person-frame, :math:`[F]`; NaN where the table says nothing.

    Of a table of frames (or clips) only the person who decided has one. Of a table of windows a
    person has the score of the window that began last, of those that began together the longest.

    Args:
        tracks: The poses that were scored.
        table: From :func:`read_scores`.

    Raises:
        InputError: No clip of the table is one of the poses'.
    """
    # Files of tables hold names as text.
    number = {as_text(name): i for i, name in enumerate(tracks.clip_names)}
    clip = np.array([number.get(as_text(str(one)), -1) for one in table["clip"]], dtype=np.int64)
    known = clip >= 0
    if not known.any():
        raise InputError(
            f"no clip of the scores is one of the poses', expected scores of "
            f"{next(iter(tracks.clip_names), 'these poses')!r} and others"
        )
    moment = table.get("frame", table.get("first_frame", np.zeros(len(clip))))
    score, person = table["score"][known], table["person"][known].astype(np.int64)
    clip, moment = clip[known], moment[known].astype(np.int64)
    order = np.lexsort((moment, person, clip))
    # One number that rises as (clip, person, frame) do, for scores and poses alike.
    every = [
        np.concatenate(pair)
        for pair in ((clip, tracks.clip), (person, tracks.track), (moment, tracks.frame))
    ]
    ranks = [np.unique(one, return_inverse=True)[1].reshape(-1) for one in every]
    sizes = [int(rank.max(initial=0)) + 1 for rank in ranks]
    key = (ranks[0] * sizes[1] + ranks[1]) * sizes[2] + ranks[2]
    own, wanted = key[: len(clip)][order], key[len(clip) :]
    place = np.searchsorted(own, wanted, side="right") - 1
    before = np.maximum(place, 0)
    same = own[before] == wanted
    if "frame" not in table:
        same = (place >= 0) & (own[before] // sizes[2] == wanted // sizes[2])
    return np.where(same, score[order][before], np.nan)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A clip as it is drawn: pixels of the film, colours, and the line below."""

    points: np.ndarray  # [R, V, 2]
    seen: np.ndarray  # [R, V]
    amount: np.ndarray  # [R], how red
    frame: np.ndarray  # [R]
    track: np.ndarray  # [R]
    line: np.ndarray  # [frames], the highest amount of each
    bones: tuple[tuple[int, int], ...]
    size: tuple[int, int]


def render(
    tracks: PoseTracks,
    table: Mapping[str, np.ndarray],
    out: str | Path,
    *,
    clip: str | None = None,
    frames_dir: str | Path | None = None,
    quiet: bool = True,
) -> str:
    """Writes a film of one clip: everybody's skeleton, the redder the higher the score.

    Grey is up to the median of the table's scores, full red from their 99 % quantile on; people
    without a score are grey. The strip below shows the highest score of each frame.

    Args:
        tracks: The poses.
        table: Their scores, from :func:`read_scores`.
        out: ``.mp4`` or ``.gif``.
        clip: Which; default: the one with the highest score.
        frames_dir: Pictures to draw over, one a frame, in the order of their names (numbers count as
            numbers); default: blank ones.
        quiet: Show no progress.

    Returns:
        The clip's name.

    Raises:
        InputError: Another suffix, no such clip, too few pictures, what writes the film not installed.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out} has suffix {out.suffix!r}, expected {' or '.join(SUFFIXES)}")
    check_destination(out)
    _check_installed(out.suffix)
    score = person_scores(tracks, table)
    names = [as_text(name) for name in tracks.clip_names]
    if clip is None:
        best = np.argmax(np.where(np.isnan(score), -np.inf, score))
        number = int(tracks.clip[best])
    elif as_text(clip) in names:
        number = names.index(as_text(clip))
    else:
        raise InputError(
            f"clip {clip!r} is not among the poses, expected {tracks.clip_names[0]!r} or another"
        )
    count = int(tracks.clip_length[number])
    if not count:
        raise InputError(f"clip {tracks.clip_names[number]!r} has no frames, expected some")
    pictures = None if frames_dir is None else _pictures(Path(frames_dir), count)
    scene = _stage(tracks, number, score, table["score"], pictures)
    fps = float(tracks.fps[number])
    fps = _FPS if np.isnan(fps) else fps
    with (
        atomic_path(out) as temporary,
        progress_bar("rendering", count, "frames", quiet=quiet) as bar,
    ):
        _write(_images(scene, pictures, bar), temporary, fps)
    return tracks.clip_names[number]


def _check_installed(suffix: str) -> None:
    """Makes sure, before anything is drawn, that what draws and writes films is there."""
    for module in ("PIL", "imageio", "imageio_ffmpeg") if suffix == ".mp4" else ("PIL",):
        if find_spec(module) is None:
            raise InputError(
                f"{module} is not installed, expected it for {suffix} "
                "(pip install 'gepc_geo[video]')"
            )


def _pictures(folder: Path, count: int) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, expected one of pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in _PICTURES]
    if len(found) < count:
        raise InputError(
            f"{folder} has {len(found)} pictures, expected {count}, one for each frame of the clip"
        )

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", path.name)]

    return sorted(found, key=natural)


def _stage(
    tracks: PoseTracks,
    number: int,
    score: np.ndarray,
    every: np.ndarray,
    pictures: list[Path] | None,
) -> _Scene:
    """Where everybody is in the film's pixels, and how red."""
    rows = np.flatnonzero(tracks.clip == number)
    seen = tracks.confidence[rows] > 0
    points = to_plane(tracks.keypoints[rows], tracks.skeleton).astype(np.float64)
    width, height = tracks.image_size[number].tolist() if tracks.dims == 2 else (np.nan, np.nan)
    if pictures is not None:
        with _opened(pictures[0]) as first:
            target = first.size
        # Poses found in pictures of another size.
        if np.isnan(width):
            width, height = target
        points *= [target[0] / width, target[1] / height]
        width, height = target
    elif np.isnan(width):
        known = points[seen] if seen.any() else np.zeros((1, 2))
        low, extent = known.min(0), np.maximum(np.ptp(known, axis=0), 1e-9)
        edge = 0.08 * extent.max()
        scale = 0.6 * _SIDE / (extent.max() + 2 * edge)
        points = (points - low + edge) * scale
        width, height = ((extent + 2 * edge) * scale).tolist()
    scale = min(1.0, _SIDE / max(width, height))
    # Video codecs want even sizes.
    size = tuple(max(2, round(side * scale) // 2 * 2) for side in (width, height))
    finite = every[np.isfinite(every)]
    low, high = np.quantile(finite, [0.5, 0.99]) if len(finite) else (0.0, 1.0)
    amount = (score[rows] - low) / max(high - low, 1e-9)
    line = np.zeros(int(tracks.clip_length[number]))
    np.maximum.at(line, tracks.frame[rows], np.clip(np.nan_to_num(amount), 0, 1))
    return _Scene(
        points * scale,
        seen,
        amount,
        tracks.frame[rows],
        tracks.track[rows],
        line,
        tracks.skeleton.bones,
        (size[0], size[1]),
    )


def _opened(path: Path) -> Any:
    """A picture, from a file that may be anything."""
    from PIL import Image

    try:
        return Image.open(path)
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read, expected a picture: {error}") from None


def _images(scene: _Scene, pictures: list[Path] | None, bar: tqdm) -> Iterator[Any]:
    """The film's frames as pictures."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = scene.size
    total = (width, height + _STRIP)
    paint = colours(scene.amount).round().astype(int)
    thick = max(2, round(max(scene.size) / 260)) * _FINER
    font = ImageFont.load_default(size=14 * _FINER)
    order = np.lexsort((np.nan_to_num(scene.amount, nan=-1), scene.frame))
    starts = np.searchsorted(scene.frame[order], np.arange(len(scene.line) + 1))
    strip = colours(scene.line).round().astype(int)
    for number in range(len(scene.line)):
        image = Image.new("RGB", (total[0] * _FINER, total[1] * _FINER), (247, 249, 250))
        if pictures is not None:
            with _opened(pictures[number]) as picture:
                try:
                    image.paste(
                        picture.convert("RGB").resize((width * _FINER, height * _FINER)), (0, 0)
                    )
                except (OSError, SyntaxError) as error:
                    raise InputError(
                        f"{pictures[number]} cannot be read, expected a picture: {error}"
                    ) from None
        draw = ImageDraw.Draw(image)
        # The most abnormal person last, over all others.
        for row in order[starts[number] : starts[number + 1]]:
            colour = tuple(paint[row].tolist())
            spots = [(x * _FINER, y * _FINER) for x, y in scene.points[row].tolist()]
            for a, b in scene.bones:
                if scene.seen[row, a] and scene.seen[row, b]:
                    draw.line([spots[a], spots[b]], fill=colour, width=thick)
            there = [spot for spot, seen in zip(spots, scene.seen[row], strict=True) if seen]
            for x, y in there:
                draw.ellipse([x - thick, y - thick, x + thick, y + thick], fill=colour)
            if there:
                x, y = min(there, key=lambda spot: spot[1])
                text = str(int(scene.track[row]))
                draw.text((x, y - 2 * thick), text, fill=colour, font=font, anchor="mb")
        _draw_strip(draw, scene.line, strip, number, total)
        bar.update(1)
        yield image.resize(total, Image.Resampling.LANCZOS)


def _draw_strip(
    draw: Any, line: np.ndarray, paint: np.ndarray, now: int, total: tuple[int, int]
) -> None:
    """The highest score of each frame as bars, and where the film is."""
    low, high = (total[1] - 6) * _FINER, (total[1] - _STRIP + 6) * _FINER
    draw.rectangle(
        [0, (total[1] - _STRIP) * _FINER, total[0] * _FINER, total[1] * _FINER],
        fill=(255, 255, 255),
    )
    edges = np.linspace(8, total[0] - 8, len(line) + 1) * _FINER
    for i, value in enumerate(line.tolist()):
        top = low - max(2.0, value * (low - high))
        draw.rectangle([edges[i], top, edges[i + 1], low], fill=tuple(paint[i].tolist()))
    middle = (edges[now] + edges[now + 1]) / 2
    draw.line([middle, high - 6, middle, low + 4], fill=(28, 39, 51), width=2 * _FINER)


def _write(images: Iterator[Any], path: Path, fps: float) -> None:
    """A film from pictures that are made one after the other."""
    if path.suffix == ".gif":
        first = next(images)
        # GIFs count in hundredths of a second.
        first.save(
            path,
            format="GIF",
            save_all=True,
            append_images=images,
            duration=max(20, round(100 / fps) * 10),
            loop=0,
        )
        return
    import imageio.v2 as imageio
    from imageio_ffmpeg import count_frames_and_secs

    writer: Any
    count = 0
    try:
        with imageio.get_writer(
            path, format="FFMPEG", fps=fps, codec="libx264", macro_block_size=2
        ) as writer:
            for image in images:
                writer.append_data(np.asarray(image))
                count += 1
        # FFmpeg is a process of its own, and does not tell of a full disk.
        written, _ = count_frames_and_secs(str(path))
    except (OSError, RuntimeError):
        # Their own words are the whole of what FFmpeg printed.
        written = -1
    if written < count:
        raise OSError("FFmpeg did not write the whole film")
