"""People who are in a frame more than once: one id twice, or one body twice."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.tracker import matched_similarity

# Object key point similarity from which on two poses of a frame are one body: joints differ by about
# a twentieth of its size. Two people never stand so.
_SAME = 0.96
# Of the joints of the pose with fewer, the share that both must have.
_SHARED = 0.5
# How wide a body is, in root mean square distances of its joints from their mean.
_WIDE = 3.0
# Pairs that are looked at together.
_BATCH = 4096


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
    if len(frame) < 2:
        return np.arange(len(frame))
    people, inverse = np.unique(track, return_inverse=True)
    length = np.bincount(inverse[~unnamed], minlength=len(people))[inverse]
    length[unnamed] = 0
    order = np.lexsort((np.arange(len(frame)), -better, -length))
    rows = order[_first_copies(keypoints[order], confidence[order], frame[order])]
    # 3D estimators put everybody at the origin, where poses alone tell nobody apart.
    if keypoints.shape[-1] != 2 or not unnamed.any():
        return np.sort(rows)
    seen = confidence[rows] > 0
    gone = np.zeros(len(rows), dtype=bool)
    # The better one of each pair comes first.
    for better_one, other in _near_pairs(keypoints[rows], seen, frame[rows], unnamed[rows]):
        gone[other] |= not gone[better_one]
    return np.sort(rows[~gone])


# -- inner -----------------------------------------------------------------------------------------


def _first_copies(keypoints: np.ndarray, confidence: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The rows that no earlier row of their frame has every joint in common with, ascending."""
    there = (confidence > 0)[..., None]
    place = np.where(there, keypoints, 0)
    sums = place.sum(1)
    order = np.lexsort((*sums.T, frame))
    one, other = order[:-1], order[1:]
    same = (frame[one] == frame[other]) & (sums[one] == sums[other]).all(1)
    # Few are left to be compared joint by joint. People of whom nothing is seen are no copies.
    likely = np.flatnonzero(same)
    a, b = one[likely], other[likely]
    seen = there[a] == there[b]
    same[likely] = ((place[a] == place[b]) & seen).all((1, 2)) & there[a].any((1, 2))
    # Copies stand one after the other: each run is one body.
    run = np.concatenate([[0], np.cumsum(~same)]) if len(order) else order
    _, first = np.unique(run[np.argsort(order, kind="stable")], return_index=True)
    return np.sort(first)


def _near_pairs(
    keypoints: np.ndarray, seen: np.ndarray, frame: np.ndarray, unnamed: np.ndarray
) -> list[tuple[int, int]]:
    """The rows of one frame, at least one of them without an id, that are nearly the same pose; sorted."""
    number = np.maximum(seen.sum(1), 1)[:, None]
    there = seen[..., None]
    center = (keypoints * there).sum(1) / number
    size = np.sqrt(np.square((keypoints - center[:, None]) * there).sum((1, 2)) / number[:, 0])
    order = np.argsort(frame, kind="stable")
    found: list[tuple[int, int]] = []
    for step in range(1, len(order)):
        one, other = order[:-step], order[step:]
        same = frame[one] == frame[other]
        if not same.any():
            break
        same &= unnamed[one] | unnamed[other]
        # The means of the joints that are seen lie within a body: further apart than it is wide, two are
        # different ones, without a look at their joints.
        apart = np.linalg.norm(center[one] - center[other], axis=-1)
        same &= apart <= _WIDE * np.maximum(size[one], size[other])
        for start in range(0, int(same.sum()), _BATCH):
            a = one[same][start : start + _BATCH]
            b = other[same][start : start + _BATCH]
            enough = (seen[a] & seen[b]).sum(1) >= _SHARED * np.minimum(number[a, 0], number[b, 0])
            alike = matched_similarity(keypoints[a], seen[a], keypoints[b], seen[b]) >= _SAME
            pairs = np.sort(np.stack([a, b], axis=1)[enough & alike], axis=1)
            found += [(int(first), int(second)) for first, second in pairs]
    return sorted(found)
