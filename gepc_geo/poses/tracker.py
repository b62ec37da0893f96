"""Person ids for poses that have none: frame after frame, each pose goes to the nearest known person.

Every person is expected where constant velocity takes its last pose. What is assigned is the pairs of
persons and poses whose summed object key point similarity is highest (``linear_sum_assignment``); a
person that is not found for some frames is looked for until the gap is too long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

# A joint this far from where it was expected, in sizes of the person, is one standard deviation off.
# The key point constants of the COCO evaluation (0.05 to 0.2) measure how well people annotate a
# joint; between two frames arms and legs also swing.
_SPREAD = 0.2
# How much of a person's velocity is that of its last step; the rest is what it was before.
_LAST_STEP = 0.5


def track_poses(
    keypoints: np.ndarray,
    confidence: np.ndarray,
    frame: np.ndarray,
    *,
    max_gap: int = 15,
    min_similarity: float = 0.1,
) -> np.ndarray:
    r"""Person ids for the poses of one clip.

    Args:
        keypoints: :math:`[F, V, C]`, in any unit.
        confidence: :math:`[F, V]`; joints of confidence 0 are not looked at.
        frame: :math:`[F]` frame numbers, in any order.
        max_gap: Frames for which a person may be missing and still be known again.
        min_similarity: The least similarity, in [0, 1], at which a pose is a known person's.

    Returns:
        :math:`[F]` int64: ids from 0 on, in the order in which the persons appear; no person has
        two poses in a frame.
    """
    ids = np.full(len(frame), -1, dtype=np.int64)
    keypoints = np.asarray(keypoints, dtype=np.float64)
    seen = np.asarray(confidence) > 0
    known = _People(keypoints.shape[1:])
    order = np.argsort(frame, kind="stable")
    _, starts = np.unique(np.asarray(frame)[order], return_index=True)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        now = int(frame[rows[0]])
        known.forget(now - max_gap - 1)
        similarity = known.similarity(keypoints[rows], seen[rows], now)
        people, poses = linear_sum_assignment(similarity, maximize=True)
        good = similarity[people, poses] >= min_similarity
        people, poses = people[good], poses[good]
        ids[rows[poses]] = known.move(people, keypoints[rows[poses]], seen[rows[poses]], now)
        new = rows[ids[rows] < 0]
        ids[new] = known.add(keypoints[new], seen[new], now)
    return ids


def pose_similarity(
    one: np.ndarray, one_seen: np.ndarray, other: np.ndarray, other_seen: np.ndarray
) -> np.ndarray:
    r"""Object key point similarity of every pose with every other, in [0, 1].

    .. math::
        \frac{1}{|J|} \sum_{j \in J} \exp\left(-\frac{d_j^2}{2 k^2 s^2}\right)

    over the joints :math:`J` seen in both, with their distance :math:`d_j`, the size :math:`s` of the
    larger pose (its extents' quadratic mean) and :math:`k = 0.2`; 0 where no joint is seen in both.

    Args:
        one: :math:`[N, V, C]` key points.
        one_seen: :math:`[N, V]` bool.
        other: :math:`[M, V, C]` key points.
        other_seen: :math:`[M, V]` bool.

    Returns:
        :math:`[N, M]`.
    """
    return matched_similarity(one[:, None], one_seen[:, None], other[None], other_seen[None])


def matched_similarity(
    one: np.ndarray, one_seen: np.ndarray, other: np.ndarray, other_seen: np.ndarray
) -> np.ndarray:
    """:func:`pose_similarity` of every pose with the one in its place, :math:`[N]`.

    Args:
        one: :math:`[N, V, C]` key points.
        one_seen: :math:`[N, V]` bool.
        other: :math:`[N, V, C]` key points.
        other_seen: :math:`[N, V]` bool.
    """
    distance = np.square(one - other).sum(-1)
    size = np.maximum(_squared_size(one, one_seen), _squared_size(other, other_seen))
    # A person of whom one joint is seen has no size; only the same place is similar then.
    size = np.maximum(size, np.finfo(np.float64).tiny)
    both = one_seen & other_seen
    with np.errstate(over="ignore"):
        near = np.exp(-distance / (2 * _SPREAD**2 * size[..., None]))
    return np.asarray((near * both).sum(-1) / np.maximum(both.sum(-1), 1))


def idf1(true: Any, found: Any) -> float:
    """How well found ids agree with true ones, from 0 to 1: the identification F1 score.

    Ids are matched one to one so that as many poses as possible have their true id (Ristani et al.,
    ECCV Workshops 2016). The poses themselves are given, so that the score is the share of poses
    whose found id is the one matched to their true id.

    Args:
        true: True ids of the poses, :math:`[F]`.
        found: Found ids of the same poses, :math:`[F]`.
    """
    _, rows = np.unique(np.asarray(true), return_inverse=True)
    _, columns = np.unique(np.asarray(found), return_inverse=True)
    if not len(rows):
        return 1.0
    together = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(together, (rows, columns), 1)
    return float(together[linear_sum_assignment(together, maximize=True)].sum() / len(rows))


# -- inner -----------------------------------------------------------------------------------------


def _squared_size(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The mean of the squared extents of each pose's seen joints."""
    low = np.where(seen[..., None], keypoints, np.inf).min(-2, initial=np.inf)
    high = np.where(seen[..., None], keypoints, -np.inf).max(-2, initial=-np.inf)
    extent = np.where(seen.any(axis=-1, keepdims=True), high - low, 0.0)
    return np.asarray(np.square(extent).mean(-1))


class _People:
    """The persons that may come again: last pose, velocity and frame of each."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.keypoints = np.zeros((0, *shape))
        self.seen = np.zeros((0, shape[0]), dtype=bool)
        self.velocity = np.zeros((0, shape[1]))
        self.steps = np.zeros(0, dtype=np.int64)
        self.frame = np.zeros(0, dtype=np.int64)
        self.id = np.zeros(0, dtype=np.int64)
        self.count = 0

    def forget(self, first: int) -> None:
        """Drops the persons that were not seen since frame ``first``."""
        keep = self.frame >= first
        for name in ("keypoints", "seen", "velocity", "steps", "frame", "id"):
            setattr(self, name, getattr(self, name)[keep])

    def similarity(self, keypoints: np.ndarray, seen: np.ndarray, now: int) -> np.ndarray:
        """Of every person, where it should be now, with every pose."""
        step = self.velocity * (now - self.frame)[:, None]
        return pose_similarity(self.keypoints + step[:, None], self.seen, keypoints, seen)

    def move(self, people: np.ndarray, keypoints: np.ndarray, seen: np.ndarray, now: int) -> Any:
        """Gives persons their poses of now; returns their ids."""
        both = seen & self.seen[people]
        moved = ((keypoints - self.keypoints[people]) * both[..., None]).sum(1)
        velocity = moved / np.maximum(both.sum(1), 1)[:, None]
        velocity /= (now - self.frame[people])[:, None]
        # The first step is all that is known of a velocity.
        share = np.where(self.steps[people] == 0, 1.0, _LAST_STEP)[:, None]
        self.velocity[people] += share * (velocity - self.velocity[people])
        # A joint that is lost now stays where it was among the others.
        kept = self.keypoints[people] + moved[:, None] / np.maximum(both.sum(1), 1)[:, None, None]
        self.keypoints[people] = np.where(seen[..., None], keypoints, kept)
        self.seen[people] |= seen
        self.steps[people] += 1
        self.frame[people] = now
        return self.id[people]

    def add(self, keypoints: np.ndarray, seen: np.ndarray, now: int) -> np.ndarray:
        """Makes persons of poses that nobody known has; returns their ids."""
        number = len(keypoints)
        ids = np.arange(self.count, self.count + number)
        self.count += number
        self.keypoints = np.concatenate([self.keypoints, keypoints])
        self.seen = np.concatenate([self.seen, seen])
        self.velocity = np.concatenate([self.velocity, np.zeros((number, keypoints.shape[-1]))])
        self.steps = np.concatenate([self.steps, np.zeros(number, dtype=np.int64)])
        self.frame = np.concatenate([self.frame, np.full(number, now)])
        self.id = np.concatenate([self.id, ids])
        return ids
