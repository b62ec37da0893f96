"""Real pictures behind the people of a report's peaks."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.faces import Heads, blur_heads
from gepc_geo.report.footage import Footage, pixels_of
from gepc_geo.report.scenes import Peak
from gepc_geo.utils.progress import progress_bar

#: Limits of a page: characters of one picture and of all.
MOST_CHARACTERS, _ALL_CHARACTERS = 90_000, 4_000_000
# Larger sides of a picture in pixels, tried until its text is short enough.
_SIDES = (800, 640, 480, 360, 240, 160)
_JPEG_QUALITY = 75
# The part of a frame that is shown: its size relative to the people, and width by height.
_LARGER, _ASPECT = 1.3, 1.4


def check_pictures(detector: GEPC, tracks: PoseTracks, footage: Footage) -> None:
    """Checks before any pose is scored that clips have frames for their pictures.

    Args:
        detector: A fitted detector.
        tracks: Poses.
        footage: Real frames.

    Raises:
        InputError: No clip has frames, a clip has too few, the poses are in 3D, or the detector
            scores whole clips, whose frames have no numbers of their own.
    """
    if detector.frames is not None:
        raise InputError(
            "the detector must score windows for pictures behind people, got one that stretches "
            f"clips to {detector.frames} frames"
        )
    for clip, frames in footage.of_clips(tracks.clip_names).items():
        frames.check_count(int(tracks.clip_length[clip]))
        pixels_of(tracks, clip, frames.size)


def add_pictures(
    scenes: Sequence[tuple[Peak, dict[str, Any]]],
    tracks: PoseTracks,
    footage: Footage,
    *,
    blur_faces: bool,
    quiet: bool = True,
) -> None:
    """Adds the real picture of the peak to each scene of a clip with frames.

    A scene gets ``picture`` with ``src``, the data URI of a JPEG file, its place ``x`` and ``y``
    and its ``width`` and ``height`` in the steps of the scene's poses, and ``frame``, its frame in
    the scene.

    Args:
        scenes: Peaks and their scenes.
        tracks: Poses of the scenes.
        footage: Real frames.
        blur_faces: Whether to blur the heads of all people with poses.
        quiet: Whether to hide the progress. (default: ``True``)

    Raises:
        InputError: A frame cannot be read, or as :func:`check_pictures`.
    """
    if not scenes:
        return
    most = min(MOST_CHARACTERS, _ALL_CHARACTERS // len(scenes))
    by_clip: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for peak, scene in scenes:
        by_clip[peak.clip].append((peak.frame, scene))
    found = footage.of_clips(tracks.clip_names)
    clips = [clip for clip in by_clip if clip in found]
    total = sum(len(by_clip[clip]) for clip in clips)
    with progress_bar("pictures", total, "peaks", quiet=quiet) as bar:
        for clip in clips:
            factors = np.array(pixels_of(tracks, clip, found[clip].size))
            heads = _heads(tracks, clip, factors) if blur_faces else None
            numbers = sorted({frame for frame, _ in by_clip[clip]})
            for number, picture in zip(numbers, found[clip].read(numbers), strict=True):
                if heads is not None:
                    blur_heads(picture, heads.at(number))
                for frame, scene in by_clip[clip]:
                    if frame == number:
                        scene["picture"] = _picture(picture, frame, scene, factors, most)
                        bar.update(1)


def _heads(tracks: PoseTracks, clip: int, factors: np.ndarray) -> Heads:
    rows = np.flatnonzero(tracks.clip == clip)
    return Heads(
        tracks.keypoints[rows] * factors,
        tracks.confidence[rows] > 0,
        tracks.frame[rows],
        tracks.track[rows],
        tracks.skeleton,
        float(tracks.fps[clip]),
    )


def _picture(
    picture: Any, frame: int, scene: dict[str, Any], factors: np.ndarray, most: int
) -> dict[str, Any]:
    """The part of a frame around the people of a scene."""
    poses = scene["poses"]
    origin, step = np.array(poses["origin"]), poses["step"]
    size = np.array([poses["width"], poses["height"]]) * step
    middle = (origin + size / 2) * factors
    shown = size * factors * _LARGER
    # Not narrower or lower than the place on the page.
    shown = np.maximum(shown, shown[::-1] * [_ASPECT, 1 / _ASPECT])
    whole = np.array(picture.size)
    low = np.clip(np.floor(middle - shown / 2), 0, whole - 1).astype(int)
    high = np.clip(np.ceil(middle + shown / 2), low + 1, whole).astype(int)
    place = (low / factors - origin) / step
    extent = (high - low) / factors / step
    return {
        "src": _encoded(picture.crop((*low.tolist(), *high.tolist())), most),
        "x": round(float(place[0]), 1),
        "y": round(float(place[1]), 1),
        "width": round(float(extent[0]), 1),
        "height": round(float(extent[1]), 1),
        "frame": frame - scene["start"],
    }


def _encoded(picture: Any, most: int) -> str:
    """Data URI of a JPEG file, of the largest size with at most ``most`` characters."""
    text = ""
    for side in _SIDES:
        small = picture.copy()
        small.thumbnail((side, side))
        stream = io.BytesIO()
        small.save(stream, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
        text = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
        if len(text) <= most:
            break
    return text
