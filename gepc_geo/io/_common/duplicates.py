"""Duplicates within a frame: several poses of one id or of one body."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.tracker import matched_similarity

# Object key point similarity above which two poses of a frame are one body: joints differ by about
# a twentieth of its size. Two people are never that close.
_MIN_SIMILARITY = 0.96
# Share of the joints of the pose with fewer joints that both poses must have.
_MIN_SHARED = 0.5
# Width of a body, in root mean square distances of its joints from their mean.
_MAX_WIDTH = 3.0
# Pairs that are compared at once.
_BATCH = 4096


def better_of_one_person(
    frame: np.ndarray, track: np.ndarray, without_id: np.ndarray, quality: np.ndarray
) -> np.ndarray:
    """The rows that remain with one pose a person and frame: the best, the first of equal ones.

    Args:
        frame: :math:`[F]` frame numbers.
        track: :math:`[F]` ids.
        without_id: :math:`[F]` bool: rows without an id, which all remain.
        quality: :math:`[F]`; higher is better.

    Returns:
        Row numbers, ascending.
    """
    order = np.lexsort((np.arange(len(frame)), -quality, track, frame))
    order = order[~without_id[order]]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(frame[order]) != 0) | (np.diff(track[order]) != 0)
    return np.sort(np.concatenate([order[first], np.flatnonzero(without_id)]))


def first_of_one_person(frame: np.ndarray, track: np.ndarray) -> np.ndarray:
    """:func:`better_of_one_person` for poses of equal quality: the first row remains."""
    equal = np.zeros(len(frame))
    return better_of_one_person(frame, track, equal.astype(bool), equal)


def better_of_one_pose(
    keypoints: np.ndarray,
    confidence: np.ndarray,
    frame: np.ndarray,
    track: np.ndarray,
    without_id: np.ndarray,
    quality: np.ndarray,
) -> np.ndarray:
    """The rows that remain with one pose a body and frame.

    Two poses of a frame are one body if all joints are equal, or, in 2D, if they are nearly equal
    and at least one has no id. The order of preference is: with an id, of the longer track, of the
    higher quality.

    Args:
        keypoints: :math:`[F, V, C]`.
        confidence: :math:`[F, V]`; joints of confidence 0 are ignored.
        frame: :math:`[F]` frame numbers.
        track: :math:`[F]` ids.
        without_id: :math:`[F]` bool: rows without an id.
        quality: :math:`[F]`; higher is better.

    Returns:
        Row numbers, ascending.
    """
    if len(frame) < 2:
        return np.arange(len(frame))
    people, inverse = np.unique(track, return_inverse=True)
    length = np.bincount(inverse[~without_id], minlength=len(people))[inverse]
    length[without_id] = 0
    order = np.lexsort((np.arange(len(frame)), -quality, -length))
    rows = order[_first_copies(keypoints[order], confidence[order], frame[order])]
    # 3D estimators put each person at the origin, so that near poses may be different people.
    if keypoints.shape[-1] != 2 or not without_id.any():
        return np.sort(rows)
    seen = confidence[rows] > 0
    removed = np.zeros(len(rows), dtype=bool)
    # Rows are in order of preference, so the first of each pair remains.
    for first, second in _near_pairs(keypoints[rows], seen, frame[rows], without_id[rows]):
        removed[second] |= not removed[first]
    return np.sort(rows[~removed])


# -- inner -----------------------------------------------------------------------------------------


def _first_copies(keypoints: np.ndarray, confidence: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The rows that do not repeat all joints of an earlier row of their frame, ascending."""
    visible = (confidence > 0)[..., None]
    place = np.where(visible, keypoints, 0)
    sums = place.sum(1)
    order = np.lexsort((*sums.T, frame))
    earlier, later = order[:-1], order[1:]
    same = (frame[earlier] == frame[later]) & (sums[earlier] == sums[later]).all(1)
    # Only rows with equal sums are compared joint by joint. Poses without joints are no copies.
    likely = np.flatnonzero(same)
    a, b = earlier[likely], later[likely]
    seen = visible[a] == visible[b]
    same[likely] = ((place[a] == place[b]) & seen).all((1, 2)) & visible[a].any((1, 2))
    # Copies are consecutive: each run is one body.
    run = np.concatenate([[0], np.cumsum(~same)]) if len(order) else order
    _, first = np.unique(run[np.argsort(order, kind="stable")], return_index=True)
    return np.sort(first)


def _near_pairs(
    keypoints: np.ndarray, seen: np.ndarray, frame: np.ndarray, without_id: np.ndarray
) -> list[tuple[int, int]]:
    """Sorted pairs of nearly equal poses in one frame, at least one of them without an id."""
    number = np.maximum(seen.sum(1), 1)[:, None]
    visible = seen[..., None]
    center = (keypoints * visible).sum(1) / number
    size = np.sqrt(np.square((keypoints - center[:, None]) * visible).sum((1, 2)) / number[:, 0])
    order = np.argsort(frame, kind="stable")
    found: list[tuple[int, int]] = []
    for step in range(1, len(order)):
        earlier, later = order[:-step], order[step:]
        same = frame[earlier] == frame[later]
        if not same.any():
            break
        same &= without_id[earlier] | without_id[later]
        # Poses with centres farther apart than a body is wide are different bodies, without a
        # comparison of joints.
        distance = np.linalg.norm(center[earlier] - center[later], axis=-1)
        same &= distance <= _MAX_WIDTH * np.maximum(size[earlier], size[later])
        for start in range(0, int(same.sum()), _BATCH):
            a = earlier[same][start : start + _BATCH]
            b = later[same][start : start + _BATCH]
            joints = np.minimum(number[a, 0], number[b, 0])
            enough = (seen[a] & seen[b]).sum(1) >= _MIN_SHARED * joints
            similarity = matched_similarity(keypoints[a], seen[a], keypoints[b], seen[b])
            alike = similarity >= _MIN_SIMILARITY
            pairs = np.sort(np.stack([a, b], axis=1)[enough & alike], axis=1)
            found += [(int(first), int(second)) for first, second in pairs]
    return sorted(found)
