"""Northwestern-UCLA skeleton files (Wang et al., CVPR 2014): JSON of Kinect v1, one clip a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips
from gepc_geo.io._common.people import no_number
from gepc_geo.io._common.text import head, read_json
from gepc_geo.poses.tracks import PoseTracks

_SPLIT = {1: "train", 2: "train", 3: "test"}
_NAME = re.compile(r"a(\d+)_s(\d+)_e(\d+)_v(\d+)")


def detect(path: Path) -> bool:
    """Whether a file is a JSON object that begins with its file name or skeletons."""
    return bool(re.match(r'\s*\{\s*"(file_name|skeletons)"', head(path)))


def read_nw_ucla(path: Path) -> Clips:
    """Reads one clip: 20 joints in metres.

    The class is the action's number as text (``"4"``), the camera ``"v1"`` to ``"v3"``; views 1 and
    2 are the training half, view 3 the test half. They come from the clip's name, as the files'
    ``label`` numbers the actions without gaps.

    Args:
        path: The file.

    Raises:
        InputError: Another kind of file, or another name.
    """
    content = read_json(path, "a Northwestern-UCLA skeleton file")
    if not isinstance(content, dict) or "skeletons" not in content:
        raise InputError(f"{path} must be a Northwestern-UCLA skeleton file, got no skeletons")
    name = str(content.get("file_name", path.stem))
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{path}: file_name must be aAA_sSS_eEE_vVV, got {name!r:.60}")
    try:
        keypoints = np.array(content["skeletons"], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = no_number(content["skeletons"])
        raise InputError(f"{path}: skeletons must be an array of numbers, got {found}") from None
    if keypoints.ndim != 3 or keypoints.shape[1:] != (20, 3):
        raise InputError(
            f"{path}: skeletons must be frames by 20 joints by 3 coordinates, "
            f"got {list(keypoints.shape)}"
        )
    with np.errstate(over="ignore"):
        keypoints = keypoints.astype(np.float32)
    frames = len(keypoints)
    action, view = int(match[1]), int(match[4])
    if view not in _SPLIT:
        raise InputError(f"{path}: view in file_name must be 1, 2 or 3, got {view}")
    tracks = PoseTracks.build(
        keypoints,
        # A lost joint is exactly at the camera.
        (keypoints != 0).any(-1),
        np.arange(frames),
        np.zeros(frames, dtype=np.int64),
        np.zeros(frames, dtype=np.int64),
        "kinect20",
        [name],
        clip_length=[frames],
        camera=[f"v{view}"],
        clip_label=[str(action)],
        clip_split=[_SPLIT[view]],
        origin=str(path),
    )
    return Clips(tracks, [(name,)])
