"""Films of people with their scores, on blank or real frames (needs the extra ``video``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from gepc_geo.errors import InputError
from gepc_geo.evaluation.alarms import Series, alarm_runs
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.faces import Heads
from gepc_geo.report.film import FilmedClip, Painter, amounts
from gepc_geo.report.footage import Footage, Frames, check_installed, pixels_of
from gepc_geo.report.plane import to_plane
from gepc_geo.report.table import PersonScores, person_scores
from gepc_geo.report.times import frame_of
from gepc_geo.scoring.metrics import runs
from gepc_geo.utils.files import as_text, atomic_path, check_destination
from gepc_geo.utils.progress import progress_bar

SUFFIXES = (".mp4", ".gif")
# Largest side of a video, and frame rate if unknown.
_SIDE, _FPS = 1280, 25.0
# Seconds before and after an alarm.
_AROUND = 2.0


def render(
    tracks: PoseTracks,
    table: Mapping[str, np.ndarray],
    out: str | Path,
    *,
    clip: str | None = None,
    footage: Footage | None = None,
    start: str | None = None,
    end: str | None = None,
    threshold: float | None = None,
    only_alarms: bool = False,
    blur_faces: bool = False,
    quiet: bool = True,
) -> str:
    """Writes a video of one clip with people coloured by score.

    Colours go from grey, up to the median of the scores in the table, over amber, at the threshold,
    to full red, from their 99 % quantile. People without a score are grey, people with a tracking
    fault violet and dashed. The strip below the picture shows the time, the highest score of the
    frame, the threshold, and the highest score of all frames.

    Args:
        tracks: Poses.
        table: Scores of the poses, from :func:`~gepc_geo.report.table.read_scores`.
        out: ``.mp4`` or ``.gif`` file to write.
        clip: Name of the clip. (default: the clip with the highest score)
        footage: Real frames to draw on. (default: blank pictures)
        start: First moment: seconds (``12.5``), minutes and seconds (``1:16.9``), or a frame
            (``300f``). (default: the start of the clip)
        end: Moment to stop before. (default: the end of the clip)
        threshold: Alarm threshold of frame scores. (default: ``None``, unknown)
        only_alarms: Whether to leave out what is more than two seconds away from an alarm.
            (default: ``False``)
        blur_faces: Whether to blur the heads of all people with poses. (default: ``False``)
        quiet: Whether to hide the progress. (default: ``True``)

    Returns:
        Name of the clip.

    Raises:
        InputError: The suffix is unknown, the clip does not exist, there are too few real frames,
            no frame is left, or a package of the extra ``video`` is not installed.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out} must end with {' or '.join(SUFFIXES)}, got {out.suffix!r}")
    check_destination(out)
    for module in ("PIL", "imageio", "imageio_ffmpeg") if out.suffix == ".mp4" else ("PIL",):
        check_installed(module, f"for {out.suffix}")
    scores = person_scores(tracks, table)
    number, frames = _chosen(tracks, scores.score, clip, footage)
    name, count = tracks.clip_names[number], int(tracks.clip_length[number])
    if not count:
        raise InputError(f"clip {name!r} must have at least one frame, got 0")
    if frames is not None:
        frames.check_count(count)
    rate = float(tracks.fps[number])
    if np.isnan(rate) and frames is not None:
        rate = frames.fps
    shown = _filmed_clip(tracks, number, scores, frames, threshold, rate, blur_faces)
    first = 0 if start is None else frame_of(start, rate, "--from")
    last = count if end is None else min(frame_of(end, rate, "--to"), count)
    if first >= last:
        raise InputError(
            f"--from must be before --to and the end of the clip, frame {count}, got frames "
            f"{first} to {last}"
        )
    numbers = list(range(first, last))
    if only_alarms:
        numbers = _alarmed(shown, first, last, name)
    painter = Painter(shown, first, last)
    with (
        atomic_path(out) as temporary,
        progress_bar("rendering", len(numbers), "frames", quiet=quiet) as bar,
    ):
        _write(_images(painter, numbers, frames, bar), temporary, _FPS if np.isnan(rate) else rate)
    return name


def _chosen(
    tracks: PoseTracks, score: np.ndarray, clip: str | None, footage: Footage | None
) -> tuple[int, Frames | None]:
    """The clip to draw and its real frames."""
    names = [as_text(name) for name in tracks.clip_names]
    if clip is not None:
        if as_text(clip) not in names:
            raise InputError(
                f"clip must be a clip of the poses, such as {tracks.clip_names[0]!r}, got {clip!r}"
            )
        number = names.index(as_text(clip))
        only = [tracks.clip_names[number]]
        return number, None if footage is None else footage.of_clips(only)[0]
    value = np.where(np.isnan(score), -np.inf, score)
    if footage is None:
        return int(tracks.clip[value.argmax()]), None
    found = footage.of_clips(tracks.clip_names)
    highest = np.full(tracks.num_clips, -np.inf)
    np.maximum.at(highest, tracks.clip, value)
    number = max(found, key=lambda one: highest[one])
    return number, found[number]


def _filmed_clip(
    tracks: PoseTracks,
    number: int,
    scores: PersonScores,
    frames: Frames | None,
    threshold: float | None,
    fps: float,
    blur_faces: bool,
) -> FilmedClip:
    """Converts a clip to pixels of the film and amounts of red."""
    rows = np.flatnonzero(tracks.clip == number)
    seen = tracks.confidence[rows] > 0
    points = to_plane(tracks.keypoints[rows], tracks.skeleton).astype(np.float64)
    width, height = tracks.image_size[number].tolist() if tracks.dims == 2 else (np.nan, np.nan)
    if frames is not None:
        points *= pixels_of(tracks, number, frames.size)
        width, height = frames.size
    elif np.isnan(width):
        detected = points[seen] if seen.any() else np.zeros((1, 2))
        low, extent = detected.min(0), np.maximum(np.ptp(detected, axis=0), 1e-9)
        edge = 0.08 * extent.max()
        scale = 0.6 * _SIDE / (extent.max() + 2 * edge)
        points = (points - low + edge) * scale
        width, height = ((extent + 2 * edge) * scale).tolist()
    scale = min(1.0, _SIDE / max(width, height))
    # Video codecs need even sizes.
    size = (max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2))
    points *= [size[0] / width, size[1] / height]
    frame, track = tracks.frame[rows], tracks.track[rows]
    score, fault = scores.score[rows], scores.fault[rows]
    line, state = scores.of_frames(tracks, number)
    return FilmedClip(
        points=points,
        seen=seen,
        score=score,
        fault=fault,
        amount=amounts(score, scores.score, threshold),
        frame=frame,
        track=track,
        bones=tracks.skeleton.bones,
        line=line,
        line_amount=amounts(line, scores.score, threshold),
        state=state,
        threshold=threshold,
        fps=fps,
        size=size,
        heads=Heads(points, seen, frame, track, tracks.skeleton, fps) if blur_faces else None,
    )


def _alarmed(clip: FilmedClip, first: int, last: int, name: str) -> list[int]:
    """Numbers of the frames of the alarms between two moments, and around them."""
    if clip.threshold is None:
        raise InputError("threshold must be given to film only alarms, got none")
    # Frames without a score are no alarms.
    line = np.nan_to_num(clip.line, nan=-np.inf)
    unknown = np.isnan(clip.fps)
    alarms = (
        runs(line >= clip.threshold)
        if unknown
        else alarm_runs(Series(line, clip.fps), clip.threshold)
    )
    around = round(_AROUND * (_FPS if unknown else clip.fps))
    kept = np.zeros(len(line), dtype=bool)
    for begin, end in alarms.tolist():
        if begin < last and end > first:
            kept[max(begin - around, first) : min(end + around, last)] = True
    if not kept.any():
        highest = line[first:last].max()
        raise InputError(
            f"scores of clip {name!r} must reach the threshold {clip.threshold:.4g} for a film of "
            f"its alarms, got {f'at most {highest:.4g}' if np.isfinite(highest) else 'none'}"
        )
    return np.flatnonzero(kept).tolist()


def _images(
    painter: Painter, numbers: list[int], frames: Frames | None, bar: tqdm[Any]
) -> Iterator[Any]:
    """Yields the frames of the video as pictures."""
    pictures: Iterator[Any] = (
        iter([None] * len(numbers)) if frames is None else frames.read(numbers)
    )
    for number, picture in zip(numbers, pictures, strict=True):
        image = painter.draw(number, picture)
        bar.update(1)
        yield image


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
