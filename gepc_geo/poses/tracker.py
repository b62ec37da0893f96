"""Person ids for poses without them, by similarity from frame to frame.

A person's last pose is moved on at constant velocity. The assignment of persons to poses has the
highest sum of object key point similarities (``linear_sum_assignment``). A person without a pose
stays active until the gap is too long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

# Standard deviation of a joint about its predicted position, in sizes of the person. The constants
# of the COCO evaluation (0.05 to 0.2) measure the noise of annotations; arms and legs also swing
# between two frames.
_SPREAD = 0.2
# Weight of the last step in a person's velocity; the rest is the previous velocity.
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
        confidence: :math:`[F, V]`; joints of confidence 0 are ignored.
        frame: :math:`[F]` frame numbers, in any order.
        max_gap: Longest absence of a person, in frames.
        min_similarity: Lowest similarity, in [0, 1], between a pose and its person.

    Returns:
        :math:`[F]` int64: ids from 0, in order of appearance; a person has at most one pose in a
        frame.
    """
    ids = np.full(len(frame), -1, dtype=np.int64)
    keypoints = np.asarray(keypoints, dtype=np.float64)
    seen = np.asarray(confidence) > 0
    active = _ActivePeople(keypoints.shape[1:])
    order = np.argsort(frame, kind="stable")
    _, starts = np.unique(np.asarray(frame)[order], return_index=True)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        now = int(frame[rows[0]])
        active.forget(now - max_gap - 1)
        similarity = active.similarity(keypoints[rows], seen[rows], now)
        people, poses = linear_sum_assignment(similarity, maximize=True)
        good = similarity[people, poses] >= min_similarity
        people, poses = people[good], poses[good]
        ids[rows[poses]] = active.move(people, keypoints[rows[poses]], seen[rows[poses]], now)
        new = rows[ids[rows] < 0]
        ids[new] = active.add(keypoints[new], seen[new], now)
    return ids


def pose_similarity(
    first: np.ndarray, first_seen: np.ndarray, second: np.ndarray, second_seen: np.ndarray
) -> np.ndarray:
    r"""Object key point similarity of each first pose with each second pose, in [0, 1].

    .. math::
        \frac{1}{|J|} \sum_{j \in J} \exp\left(-\frac{d_j^2}{2 k^2 s^2}\right)

    over the joints :math:`J` seen in both, with the distance :math:`d_j` of a joint, the size
    :math:`s` of the larger pose (quadratic mean of its extents) and :math:`k = 0.2`; 0 where no
    joint is seen in both.

    Args:
        first: :math:`[N, V, C]` key points.
        first_seen: :math:`[N, V]` bool.
        second: :math:`[M, V, C]` key points.
        second_seen: :math:`[M, V]` bool.

    Returns:
        :math:`[N, M]`.
    """
    return matched_similarity(first[:, None], first_seen[:, None], second[None], second_seen[None])


def matched_similarity(
    first: np.ndarray, first_seen: np.ndarray, second: np.ndarray, second_seen: np.ndarray
) -> np.ndarray:
    """:func:`pose_similarity` of each first pose with the second pose at the same position.

    Args:
        first: :math:`[N, V, C]` key points.
        first_seen: :math:`[N, V]` bool.
        second: :math:`[N, V, C]` key points.
        second_seen: :math:`[N, V]` bool.
    """
    distance = np.square(first - second).sum(-1)
    size = np.maximum(_squared_size(first, first_seen), _squared_size(second, second_seen))
    # A person with one seen joint has size 0 and is similar only to a pose at the same position.
    size = np.maximum(size, np.finfo(np.float64).tiny)
    shared = first_seen & second_seen
    with np.errstate(over="ignore"):
        near = np.exp(-distance / (2 * _SPREAD**2 * size[..., None]))
    return np.asarray((near * shared).sum(-1) / np.maximum(shared.sum(-1), 1))


def idf1(true: Any, found: Any) -> float:
    """The identification F1 score of found ids, from 0 to 1.

    A one-to-one match of ids maximises the number of poses with their true id (Ristani et al.,
    ECCV Workshops 2016). True and found ids belong to the same poses, so that the score is the
    share of poses with the matched id.

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
    """The mean squared extent of each pose's seen joints."""
    low = np.where(seen[..., None], keypoints, np.inf).min(-2, initial=np.inf)
    high = np.where(seen[..., None], keypoints, -np.inf).max(-2, initial=-np.inf)
    extent = np.where(seen.any(axis=-1, keepdims=True), high - low, 0.0)
    return np.asarray(np.square(extent).mean(-1))


class _ActivePeople:
    """Last pose, velocity and frame of each active person."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.keypoints = np.zeros((0, *shape))
        self.seen = np.zeros((0, shape[0]), dtype=bool)
        self.velocity = np.zeros((0, shape[1]))
        self.steps = np.zeros(0, dtype=np.int64)
        self.frame = np.zeros(0, dtype=np.int64)
        self.id = np.zeros(0, dtype=np.int64)
        self.count = 0

    def forget(self, first: int) -> None:
        """Drops the persons whose last frame is before ``first``."""
        keep = self.frame >= first
        for name in ("keypoints", "seen", "velocity", "steps", "frame", "id"):
            setattr(self, name, getattr(self, name)[keep])

    def similarity(self, keypoints: np.ndarray, seen: np.ndarray, now: int) -> np.ndarray:
        """:func:`pose_similarity` of each person's predicted pose with each pose."""
        step = self.velocity * (now - self.frame)[:, None]
        return pose_similarity(self.keypoints + step[:, None], self.seen, keypoints, seen)

    def move(self, people: np.ndarray, keypoints: np.ndarray, seen: np.ndarray, now: int) -> Any:
        """Assigns poses of frame ``now`` to persons and returns the persons' ids."""
        shared = seen & self.seen[people]
        moved = ((keypoints - self.keypoints[people]) * shared[..., None]).sum(1)
        velocity = moved / np.maximum(shared.sum(1), 1)[:, None]
        velocity /= (now - self.frame[people])[:, None]
        # The first step alone determines the velocity.
        share = np.where(self.steps[people] == 0, 1.0, _LAST_STEP)[:, None]
        self.velocity[people] += share * (velocity - self.velocity[people])
        # A joint that is not seen moves with the mean of the others.
        moved_on = (
            self.keypoints[people] + moved[:, None] / np.maximum(shared.sum(1), 1)[:, None, None]
        )
        self.keypoints[people] = np.where(seen[..., None], keypoints, moved_on)
        self.seen[people] |= seen
        self.steps[people] += 1
        self.frame[people] = now
        return self.id[people]

    def add(self, keypoints: np.ndarray, seen: np.ndarray, now: int) -> np.ndarray:
        """Makes each pose a new person and returns the ids."""
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
