"""Poses out of JSON in bulk: decoded to a declared shape, a batch at a time.

Only well-formed files take this way. For anything else the functions give ``None``, and the format's
careful reader reads the file or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np

# Small enough that a batch's numbers stay in the processor's cache from the text to the array.
_BATCH = 64


class Pose(msgspec.Struct, gc=False):
    """What is read of a pose (x, y, score of each joint); the rest of its object is passed over."""

    keypoints: list[float]


_TAKEN: list[float] = []
P = TypeVar("P", bound=Pose)
T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], text: str | bytes) -> T | None:
    """What the decoder makes of JSON; ``None`` where it is no JSON or of another shape."""
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def decode_poses(
    pieces: Sequence[msgspec.Raw], decoder: msgspec.json.Decoder[list[P]]
) -> tuple[list[P], np.ndarray] | None:
    """Poses, and their key points as an array.

    Args:
        pieces: :math:`F` poses, still JSON.
        decoder: Decodes a list of them.

    Returns:
        The poses, their key points taken away, and these as :math:`[F, 3 V]` float32 (infinite
        beyond its range); ``None`` where there is no pose, or one of another kind or of no or
        another number of joints.
    """
    poses: list[P] = []
    values = np.empty((len(pieces), 0), dtype=np.float32)
    for start in range(0, len(pieces), _BATCH):
        batch = decode(decoder, b"[" + b",".join(pieces[start : start + _BATCH]) + b"]")
        if batch is None:
            return None
        width = len(batch[0].keypoints)
        if start == 0:
            values = np.empty((len(pieces), width), dtype=np.float32)
        if width % 3 or {len(pose.keypoints) for pose in batch} != {values.shape[1]}:
            return None
        with np.errstate(over="ignore"):
            values[start : start + _BATCH] = [pose.keypoints for pose in batch]
        for pose in batch:
            pose.keypoints = _TAKEN
        poses += batch
    return (poses, values) if values.size else None
