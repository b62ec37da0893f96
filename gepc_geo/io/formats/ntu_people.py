"""People from Kinect's bodies."""

from __future__ import annotations

import numpy as np

# Largest speed of a lost person, in metres a frame at 30 frames a second, and largest offset of its
# new body, in metres.
_SPEED, _OFF = 3.0 / 30, 0.8


def people_of(
    keypoints: np.ndarray, confidence: np.ndarray, frame: np.ndarray, body: np.ndarray
) -> tuple[np.ndarray, int]:
    """The person of each body in each frame, and the number of people.

    A body that appears near the place of an earlier body, after its end, is the same person. People
    are numbered by their motion, most first.

    Args:
        keypoints: :math:`[F, V, 3]` in metres.
        confidence: :math:`[F, V]`; a body without any joint gets person -1.
        frame: :math:`[F]` frame numbers.
        body: :math:`[F]` Kinect's ids.

    Returns:
        :math:`[F]` int64 person numbers, and the number of people.
    """
    visible = (confidence > 0).any(-1)
    joints = np.maximum((confidence > 0).sum(-1), 1)[:, None]
    center = (keypoints * (confidence > 0)[..., None]).sum(1) / joints
    rows_of = {
        number: np.flatnonzero(visible & (body == number))
        for number in dict.fromkeys(body[visible].tolist())
    }
    people: list[np.ndarray] = []
    for rows in sorted(rows_of.values(), key=lambda rows: (frame[rows[0]], -len(rows))):
        before = [i for i, known in enumerate(people) if frame[known[-1]] < frame[rows[0]]]
        distance = {i: np.linalg.norm(center[rows[0]] - center[people[i][-1]]) for i in before}
        nearest = min(distance, key=distance.__getitem__, default=-1)
        if nearest >= 0:
            gap = int(frame[rows[0]] - frame[people[nearest][-1]])
            if distance[nearest] <= _OFF + _SPEED * gap:
                people[nearest] = np.concatenate([people[nearest], rows])
                continue
        people.append(rows)
    motion = [keypoints[rows].std(axis=(0, 1)).sum() for rows in people]
    track = np.full(len(body), -1, dtype=np.int64)
    for person, i in enumerate(np.argsort(-np.array(motion), kind="stable")):
        track[people[i]] = person
    return track, len(people)
