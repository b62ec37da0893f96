"""Which of Kinect's bodies are one person."""

from __future__ import annotations

import numpy as np

# How fast a person may have moved while Kinect lost it, and how far a new body may be off, in metres (a
# second) at 30 frames a second.
_SPEED, _OFF = 3.0 / 30, 0.8


def people_of(
    keypoints: np.ndarray, confidence: np.ndarray, frame: np.ndarray, body: np.ndarray
) -> tuple[np.ndarray, int]:
    """The person of each body in each frame, and how many people there are.

    A body that appears after another one has gone, near to where that was, is the same person. People
    are numbered by how much they move, most first.

    Args:
        keypoints: :math:`[F, V, 3]` in metres.
        confidence: :math:`[F, V]`; a body without any joint is not there, and of person -1.
        frame: :math:`[F]`.
        body: :math:`[F]` Kinect's ids.

    Returns:
        :math:`[F]` int64, and the number of people.
    """
    there = (confidence > 0).any(-1)
    number = np.maximum((confidence > 0).sum(-1), 1)[:, None]
    center = (keypoints * (confidence > 0)[..., None]).sum(1) / number
    rows_of = {
        one: np.flatnonzero(there & (body == one)) for one in dict.fromkeys(body[there].tolist())
    }
    people: list[np.ndarray] = []
    for rows in sorted(rows_of.values(), key=lambda rows: (frame[rows[0]], -len(rows))):
        before = [i for i, known in enumerate(people) if frame[known[-1]] < frame[rows[0]]]
        away = {i: np.linalg.norm(center[rows[0]] - center[people[i][-1]]) for i in before}
        nearest = min(away, key=away.__getitem__, default=-1)
        if nearest >= 0:
            lost = int(frame[rows[0]] - frame[people[nearest][-1]])
            if away[nearest] <= _OFF + _SPEED * lost:
                people[nearest] = np.concatenate([people[nearest], rows])
                continue
        people.append(rows)
    motion = [keypoints[rows].std(axis=(0, 1)).sum() for rows in people]
    track = np.full(len(body), -1, dtype=np.int64)
    for person, i in enumerate(np.argsort(-np.array(motion), kind="stable")):
        track[people[i]] = person
    return track, len(people)
