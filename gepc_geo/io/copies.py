"""People who are in a frame more than once: one id twice, or one body twice."""

from __future__ import annotations

import numpy as np

from gepc_geo.tracking import pose_similarity

# Object key point similarity from which on two poses of a frame are one body: joints differ by about
# a twentieth of its size. Two people never stand so.
_SAME = 0.96
# Of the joints of the pose with fewer, the share that both must have.
_SHARED = 0.5


def better_of_one_person(
    frame: np.ndarray, track: np.ndarray, unnamed: np.ndarray, better: np.ndarray
) -> np.ndarray:
    """The rows that stay where a person has one pose a frame: the best, the first of equal ones.

    Args:
        frame: :math:`[F]` frame numbers.
        track: :math:`[F]` ids.
        unnamed: :math:`[F]` bool: rows without an id, which all stay.
        better: :math:`[F]`: the larger, the better the pose.

    Returns:
        Row numbers, ascending.
    """
    order = np.lexsort((np.arange(len(frame)), -better, track, frame))
    order = order[~unnamed[order]]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(frame[order]) != 0) | (np.diff(track[order]) != 0)
    return np.sort(np.concatenate([order[first], np.flatnonzero(unnamed)]))


def first_of_one_person(frame: np.ndarray, track: np.ndarray) -> np.ndarray:
    """:func:`better_of_one_person` where no pose is better: the first row of each person and frame."""
    alike = np.zeros(len(frame))
    return better_of_one_person(frame, track, alike.astype(bool), alike)


def better_of_one_pose(
    keypoints: np.ndarray,
    confidence: np.ndarray,
    frame: np.ndarray,
    track: np.ndarray,
    unnamed: np.ndarray,
    better: np.ndarray,
) -> np.ndarray:
    """The rows that stay where a body has one pose a frame.

    Poses of one frame are one body where they are the same in every joint, or, in 2D, nearly so and at
    least one of them has no id. Of these a pose with an id stays before one without, then the longer track's,
    then the better pose.

    Args:
        keypoints: :math:`[F, V, C]`.
        confidence: :math:`[F, V]`; joints of confidence 0 are not looked at.
        frame: :math:`[F]` frame numbers.
        track: :math:`[F]` ids.
        unnamed: :math:`[F]` bool: rows without an id.
        better: :math:`[F]`: the larger, the better the pose.

    Returns:
        Row numbers, ascending.
    """
    pairs = _pairs(keypoints, confidence, frame, unnamed)
    if not len(pairs):
        return np.arange(len(frame))
    people, inverse = np.unique(track, return_inverse=True)
    length = np.bincount(inverse[~unnamed], minlength=len(people))[inverse]
    length[unnamed] = 0
    gone = np.zeros(len(frame), dtype=bool)
    for a, b in pairs.tolist():
        if not gone[a] and not gone[b]:
            gone[a if (length[a], better[a]) < (length[b], better[b]) else b] = True
    return np.flatnonzero(~gone)


# -- inner -----------------------------------------------------------------------------------------


def _pairs(
    keypoints: np.ndarray, confidence: np.ndarray, frame: np.ndarray, unnamed: np.ndarray
) -> np.ndarray:
    """:math:`[N, 2]`: the rows of one frame that are one body, the earlier one first."""
    seen = confidence > 0
    number = np.maximum(seen.sum(1), 1)[:, None]
    there = seen[..., None]
    center = (keypoints * there).sum(1) / number
    size = np.sqrt(np.square((keypoints - center[:, None]) * there).sum((1, 2)) / number[:, 0])
    order = np.argsort(frame, kind="stable")
    found = []
    for step in range(1, len(order)):
        one, other = order[:-step], order[step:]
        same = frame[one] == frame[other]
        if not same.any():
            break
        one, other = one[same], other[same]
        # Bodies further apart than their size are different ones, without a look at their joints.
        near = np.linalg.norm(center[one] - center[other], axis=-1) <= np.maximum(
            size[one], size[other]
        )
        for a, b in zip(one[near].tolist(), other[near].tolist(), strict=True):
            # 3D estimators put everybody at the origin, where poses alone tell nobody apart.
            nearly = keypoints.shape[-1] == 2 and bool(unnamed[a] or unnamed[b])
            if _is_one_body(keypoints, seen, a, b, nearly):
                found.append((a, b))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _is_one_body(keypoints: np.ndarray, seen: np.ndarray, a: int, b: int, nearly: bool) -> bool:
    if not nearly:
        return bool((seen[a] == seen[b]).all() and (keypoints[a] == keypoints[b]).all())
    shared, fewer = (seen[a] & seen[b]).sum(), min(seen[a].sum(), seen[b].sum())
    if shared < _SHARED * fewer:
        return False
    rows = [keypoints[[i]].astype(np.float64) for i in (a, b)]
    return bool(pose_similarity(rows[0], seen[[a]], rows[1], seen[[b]])[0, 0] >= _SAME)
