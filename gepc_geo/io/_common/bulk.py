"""Fast decoding of poses in JSON: batches of a declared shape.

The functions return ``None`` for anything but well-formed poses; the format's careful reader then
reads the file or reports the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np

#: The numbers of a batch this small stay in the processor's cache.
BATCH = 64


class Pose(msgspec.Struct, gc=False):
    """A pose (x, y, score of each joint); other entries of its object are skipped."""

    keypoints: list[float]


_NO_KEYPOINTS: list[float] = []
P = TypeVar("P", bound=Pose)
T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], text: str | bytes) -> T | None:
    """Decodes JSON; ``None`` for invalid JSON or another shape."""
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def decode_poses(
    pieces: Sequence[msgspec.Raw], decoder: msgspec.json.Decoder[list[P]]
) -> tuple[list[P], np.ndarray] | None:
    """Decodes poses and returns their key points as an array.

    Args:
        pieces: :math:`F` poses in JSON.
        decoder: Decoder of a list of poses.

    Returns:
        The poses without key points, and the key points as :math:`[F, 3 V]` float32 (infinite
        beyond its range); ``None`` without poses, or for poses of another form or of different
        numbers of joints.
    """
    poses: list[P] = []
    values = np.empty((len(pieces), 0), dtype=np.float32)
    for start in range(0, len(pieces), BATCH):
        batch = decode(decoder, b"[" + b",".join(pieces[start : start + BATCH]) + b"]")
        if batch is None:
            return None
        width = len(batch[0].keypoints)
        if start == 0:
            values = np.empty((len(pieces), width), dtype=np.float32)
        if width % 3 or {len(pose.keypoints) for pose in batch} != {values.shape[1]}:
            return None
        with np.errstate(over="ignore"):
            values[start : start + BATCH] = [pose.keypoints for pose in batch]
        for pose in batch:
            pose.keypoints = _NO_KEYPOINTS
        poses += batch
    return (poses, values) if values.size else None
