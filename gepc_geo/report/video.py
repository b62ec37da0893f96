"""Video of skeletons coloured by score, on blank or given frames (needs the extra ``video``)."""

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
# Largest side of a video, frame rate if unknown, and height of the strip below the picture.
_SIDE, _FPS, _STRIP = 1280, 25.0, 40
# Drawing scale; frames are reduced afterwards, for smooth lines.
_FINER = 2
_NUMBERS = ("frame", "person", "first_frame", "score", "mean", "padded", "label")


def read_scores(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a table of ``gepc-geo score``, of any level except ``joint``.

    Args:
        path: ``.csv`` or ``.npz`` file.

    Returns:
        Columns by name.

    Raises:
        InputError: The file does not exist, has another suffix, is not a table of scores, or has
            values that are not numbers.
    """
    path = Path(path)
    if path.suffix == ".npz":
        columns = read_npz(path, "table of scores")
    elif path.suffix == ".csv":
        columns = _read_csv(path)
    else:
        raise InputError(f"{path} must end with .csv or .npz, got {path.suffix!r}")
    missing = {"clip", "score", "person"} - set(columns)
    if missing:
        raise InputError(
            f"{path} must have column {sorted(missing)[0]!r} (a table of scores of level window, "
            f"person, frame or clip), got {', '.join(columns) or 'no columns'}"
        )
    for name, column in columns.items():
        if name in _NUMBERS and column.dtype.kind not in "iuf":
            raise InputError(f"column {name!r} of {path} must hold numbers, got {column.dtype}")
        if name in ("frame", "person", "first_frame") and not np.isfinite(column).all():
            raise InputError(
                f"column {name!r} of {path} must be finite in each row, got NaN or infinity"
            )
    if len({column.shape for column in columns.values() if column.ndim}) > 1:
        raise InputError(f"columns of {path} must have equal lengths, got several lengths")
    return columns


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"could not read {path}: {error}") from None
    for number, row in enumerate(rows, start=2):
        if len(row) < len(header):
            raise InputError(
                f"row {number} of {path} must have {len(header)} values, got {len(row)}"
            )
    columns = {}
    for index, name in enumerate(header):
        values = [row[index] for row in rows]
        if name not in _NUMBERS:
            columns[name] = np.array(values, dtype=np.str_)
            continue
        numbers: list[float] = []
        try:
            for text in values:
                numbers.append(float(text))
        except ValueError:
            raise InputError(
                f"{name!r} in row {len(numbers) + 2} of {path} must be a number, got {text!r:.40}"
            ) from None
        columns[name] = np.array(numbers, dtype=np.float64)
    return columns


def person_scores(tracks: PoseTracks, table: Mapping[str, np.ndarray]) -> np.ndarray:
    r"""Score of each person-frame; NaN without a score in the table.

    In a table of frames or clips, only the person with the score has one. In a table of windows, a
    person has the score of the window with the latest start, or of the longest of these.

    Args:
        tracks: The scored poses.
        table: Table from :func:`read_scores`.

    Returns:
        Scores, :math:`[F]` float64.

    Raises:
        InputError: The table has no clip of the poses.
    """
    # Tables store names as text.
    number = {as_text(name): i for i, name in enumerate(tracks.clip_names)}
    clip = np.array([number.get(as_text(str(name)), -1) for name in table["clip"]], dtype=np.int64)
    known = clip >= 0
    if not known.any():
        raise InputError(
            "scores must be of clips of the poses, such as "
            f"{next(iter(tracks.clip_names), '(no clips)')!r}, got other clips"
        )
    moment = table.get("frame", table.get("first_frame", np.zeros(len(clip))))
    score, person = table["score"][known], table["person"][known].astype(np.int64)
    clip, moment = clip[known], moment[known].astype(np.int64)
    order = np.lexsort((moment, person, clip))
    # One sort key of (clip, person, frame), for scores and poses.
    columns = [
        np.concatenate(pair)
        for pair in ((clip, tracks.clip), (person, tracks.track), (moment, tracks.frame))
    ]
    ranks = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in columns]
    sizes = [int(rank.max(initial=0)) + 1 for rank in ranks]
    key = (ranks[0] * sizes[1] + ranks[1]) * sizes[2] + ranks[2]
    own, wanted = key[: len(clip)][order], key[len(clip) :]
    position = np.searchsorted(own, wanted, side="right") - 1
    before = np.maximum(position, 0)
    same = own[before] == wanted
    if "frame" not in table:
        same = (position >= 0) & (own[before] // sizes[2] == wanted // sizes[2])
    return np.where(same, score[order][before], np.nan)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A clip in pixels of the video, with amounts of red."""

    points: np.ndarray  # [R, V, 2]
    seen: np.ndarray  # [R, V]
    amount: np.ndarray  # [R], of red
    frame: np.ndarray  # [R]
    track: np.ndarray  # [R]
    line: np.ndarray  # [frames], largest amount
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
    """Writes a video of one clip with skeletons coloured by score.

    Colours go from grey, up to the median of the scores in the table, to full red, from their 99 %
    quantile. People without a score are grey. The strip below the picture shows the highest score
    of each frame.

    Args:
        tracks: Poses.
        table: Scores of the poses, from :func:`read_scores`.
        out: ``.mp4`` or ``.gif`` file to write.
        clip: Name of the clip. (default: the clip with the highest score)
        frames_dir: Folder of pictures to draw on, one for each frame, in natural order of their
            names. (default: blank pictures)
        quiet: Whether to hide the progress. (default: ``True``)

    Returns:
        Name of the clip.

    Raises:
        InputError: The suffix is unknown, the clip does not exist, there are too few pictures, or a
            package of the extra ``video`` is not installed.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out} must end with {' or '.join(SUFFIXES)}, got {out.suffix!r}")
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
            f"clip must be a clip of the poses, such as {tracks.clip_names[0]!r}, got {clip!r}"
        )
    count = int(tracks.clip_length[number])
    if not count:
        raise InputError(f"clip {tracks.clip_names[number]!r} must have at least one frame, got 0")
    pictures = None if frames_dir is None else _pictures(Path(frames_dir), count)
    scene = _scene(tracks, number, score, table["score"], pictures)
    fps = float(tracks.fps[number])
    fps = _FPS if np.isnan(fps) else fps
    with (
        atomic_path(out) as temporary,
        progress_bar("rendering", count, "frames", quiet=quiet) as bar,
    ):
        _write(_images(scene, pictures, bar), temporary, fps)
    return tracks.clip_names[number]


def _check_installed(suffix: str) -> None:
    """Raises :class:`~gepc_geo.errors.InputError` if a package is missing."""
    for module in ("PIL", "imageio", "imageio_ffmpeg") if suffix == ".mp4" else ("PIL",):
        if find_spec(module) is None:
            raise InputError(
                f"{module} must be installed for {suffix}: pip install 'gepc_geo[video]'"
            )


def _pictures(folder: Path, count: int) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} must be a folder of pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in _PICTURES]
    if len(found) < count:
        raise InputError(
            f"{folder} must have {count} pictures, one for each frame of the clip, got {len(found)}"
        )

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", path.name)]

    return sorted(found, key=natural)


def _scene(
    tracks: PoseTracks,
    number: int,
    score: np.ndarray,
    all_scores: np.ndarray,
    pictures: list[Path] | None,
) -> _Scene:
    """Converts a clip to pixels of the video and amounts of red."""
    rows = np.flatnonzero(tracks.clip == number)
    seen = tracks.confidence[rows] > 0
    points = to_plane(tracks.keypoints[rows], tracks.skeleton).astype(np.float64)
    width, height = tracks.image_size[number].tolist() if tracks.dims == 2 else (np.nan, np.nan)
    if pictures is not None:
        with _opened(pictures[0]) as first:
            target = first.size
        # Poses may come from pictures of another size.
        if np.isnan(width):
            width, height = target
        points *= [target[0] / width, target[1] / height]
        width, height = target
    elif np.isnan(width):
        detected = points[seen] if seen.any() else np.zeros((1, 2))
        low, extent = detected.min(0), np.maximum(np.ptp(detected, axis=0), 1e-9)
        edge = 0.08 * extent.max()
        scale = 0.6 * _SIDE / (extent.max() + 2 * edge)
        points = (points - low + edge) * scale
        width, height = ((extent + 2 * edge) * scale).tolist()
    scale = min(1.0, _SIDE / max(width, height))
    # Video codecs need even sizes.
    size = tuple(max(2, round(side * scale) // 2 * 2) for side in (width, height))
    finite = all_scores[np.isfinite(all_scores)]
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
    """Opens a picture; the file may be invalid."""
    from PIL import Image

    try:
        return Image.open(path)
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"could not read picture {path}: {error}") from None


def _images(scene: _Scene, pictures: list[Path] | None, bar: tqdm[Any]) -> Iterator[Any]:
    """Yields the frames of the video as pictures."""
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
                        f"could not read picture {pictures[number]}: {error}"
                    ) from None
        draw = ImageDraw.Draw(image)
        # The most abnormal person is drawn last, on top.
        for row in order[starts[number] : starts[number + 1]]:
            colour = tuple(paint[row].tolist())
            joints = [(x * _FINER, y * _FINER) for x, y in scene.points[row].tolist()]
            for a, b in scene.bones:
                if scene.seen[row, a] and scene.seen[row, b]:
                    draw.line([joints[a], joints[b]], fill=colour, width=thick)
            visible = [joint for joint, seen in zip(joints, scene.seen[row], strict=True) if seen]
            for x, y in visible:
                draw.ellipse([x - thick, y - thick, x + thick, y + thick], fill=colour)
            if visible:
                x, y = min(visible, key=lambda joint: joint[1])
                text = str(int(scene.track[row]))
                draw.text((x, y - 2 * thick), text, fill=colour, font=font, anchor="mb")
        _draw_strip(draw, scene.line, strip, number, total)
        bar.update(1)
        yield image.resize(total, Image.Resampling.LANCZOS)


def _draw_strip(
    draw: Any, line: np.ndarray, paint: np.ndarray, now: int, total: tuple[int, int]
) -> None:
    """Draws the highest score of each frame as bars, and the position of the video."""
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
    """Writes a video, picture by picture."""
    if path.suffix == ".gif":
        first = next(images)
        # The time unit of GIF is a hundredth of a second.
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
        # FFmpeg is a separate process and does not report a full disk.
        written, _ = count_frames_and_secs(str(path))
    except (OSError, RuntimeError):
        # The error text is the whole output of FFmpeg, so it is left out.
        written = -1
    if written < count:
        raise OSError("FFmpeg did not write all frames")
