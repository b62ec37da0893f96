"""The moments a report shows: peaks of the scores, who was there, and what is normal beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import signal
from scipy.spatial.distance import cdist

from gepc_geo.density.kmeans import kmeans
from gepc_geo.detector.gepc import GEPC
from gepc_geo.report.encode import evenly, pack_poses
from gepc_geo.report.plane import to_plane
from gepc_geo.scoring.joint_shares import input_shares
from gepc_geo.windows.dataset import PoseWindows

#: Frames of a scene that a window of fewer is shown within, people, and normal sequences beside it.
_FRAMES, _PEOPLE, _NEAREST = 60, 8, 3
# Peaks that are compared with all training windows at once.
_BLOCK = 64
# Windows that are looked at for action words and neighbours.
_WINDOWS = 20_000


@dataclass(frozen=True)
class Peak:
    """A moment: a clip, a frame in it, and the person whose window decided.

    Attributes:
        clip: Position in the clips' names.
        frame: Frame of the clip.
        score: The frame's (or clip's) score.
        person: Track, -1 for nobody.
    """

    clip: int
    frame: int
    score: float
    person: int


@dataclass(frozen=True, eq=False)
class Normal:
    r"""Training windows of one length, where they lie.

    Attributes:
        windows: :math:`W` of them.
        assignment: How much each belongs to each of the action words, :math:`[W, K]`: soft assignments;
            without a network minus the distance to the centre of each of its clusters.
        places: In the coordinates of their neighbours, :math:`[W, d]`.
        plane: The table's rows as drawn, :math:`[R, V, 2]`.
        centers: Of k-means of ``places``, :math:`[K, d]`; ``None`` with a network.
    """

    windows: PoseWindows
    assignment: np.ndarray
    places: np.ndarray
    plane: np.ndarray
    centers: np.ndarray | None

    @classmethod
    def of(cls, detector: GEPC, windows: PoseWindows, words: Normal | None = None) -> Normal:
        """Places windows by a detector.

        Args:
            detector: A fitted one.
            windows: All of one length.
            words: Windows whose clusters are the words. (default: these windows' own)
        """
        plane = to_plane(windows.table.keypoints, windows.skeleton)
        assignment, places = detector.scorer_.coordinates(windows)
        centers = None
        if assignment is None:
            count = min(detector.options_.clusters, len(places))
            centers = _centers(places, count) if words is None else words.centers
            assignment = -cdist(places, centers)
        return cls(windows, assignment, places, plane, centers)

    def sequences(self, index: np.ndarray) -> dict[str, Any]:
        """Some windows as moving poses of one person each."""
        rows = self.windows.rows(index)
        seen = self.windows.table.confidence[rows] > 0
        return pack_poses(centred(self.plane[rows]), seen, np.ones(rows.shape, dtype=bool))

    def person(self) -> np.ndarray:
        """A number for each person of each clip, :math:`[W]`."""
        return np.unique(self.windows.person, return_inverse=True)[1].reshape(-1)


def _centers(places: np.ndarray, count: int) -> np.ndarray:
    """The centres of so many clusters of rows."""
    return kmeans(torch.from_numpy(places), count).centers.numpy() if count else places


def scene_length(detector: GEPC) -> int:
    """Frames of the windows that scenes and words are shown by: the middle one of the lengths."""
    return detector.lengths_[(len(detector.lengths_) - 1) // 2]


def whole_windows(windows: PoseWindows, length: int) -> PoseWindows:
    """The windows of a length without the padded ones, evenly chosen where there are many."""
    whole = windows.of_length(length).without_padded()
    return whole.subset(evenly(len(whole), _WINDOWS))


def centred(plane: np.ndarray) -> np.ndarray:
    r"""Sequences :math:`[N, T, V, 2]`, each moved to the middle and scaled to one height.

    People near a camera and far from it then are of one size beside one another.
    """
    low, high = plane.min((1, 2), keepdims=True), plane.max((1, 2), keepdims=True)
    return (plane - (low + high) / 2) / np.maximum((high - low).max(-1, keepdims=True), 1e-9)


def find_peaks(
    score: np.ndarray, person: np.ndarray, clip: int, apart: int, most: int, threshold: float | None
) -> list[Peak]:
    r"""The highest moments of a clip, highest first.

    A peak stands out from its surroundings by a twentieth of the clip's range of scores.

    Args:
        score: The clip's frame scores, :math:`(N)`.
        person: Who decided each, -1 for nobody; frames of nobody are no peaks.
        clip: The clip's number.
        apart: Frames between any two, at least.
        most: Peaks at most.
        threshold: Below it only a clip's highest moment counts; ``None``: all do.
    """
    somebody = np.flatnonzero(person >= 0)
    if not len(somebody):
        return []
    line = np.where(person >= 0, score, score.min())
    # The ends are peaks too where the line rises to them: a clip may begin in the middle of it.
    edge = [line.min() - 1]
    places, _ = signal.find_peaks(
        np.concatenate([edge, line, edge]), distance=apart, prominence=max(np.ptp(line) / 20, 1e-9)
    )
    highest = somebody[line[somebody].argmax()]
    places = np.unique(np.append(places - 1, highest))
    places = places[person[places] >= 0]
    places = places[np.argsort(-line[places], kind="stable")]
    # A flat top has one peak, in its middle, and nothing says which frame of it is the highest.
    far = (np.abs(places - places[0]) >= apart) & (places != highest)
    rest = places[far & (line[places] >= (-np.inf if threshold is None else threshold))]
    chosen = np.append(places[:1], rest[: most - 1])
    return [Peak(clip, int(f), float(score[f]), int(person[f])) for f in chosen]


class Stage:
    """Scenes of scored poses: who was there around a peak, and each person's most abnormal window.

    Of several lengths windows of the middle one are shown, of the shortest where a track has no such.

    Args:
        detector: The detector.
        windows: The windows that were scored.
        scores: Their scores in ``mode``, :math:`[W]`.
        mode: The scoring mode.

    Attributes:
        windows: Those of them that are shown, sorted by clip as the table's rows are.
        scores: Their scores.
    """

    def __init__(self, detector: GEPC, windows: PoseWindows, scores: np.ndarray, mode: str) -> None:
        middle = windows.size == scene_length(detector)
        without = ~np.isin(windows.piece, windows.piece[middle])
        shown = np.flatnonzero(middle | (without & (windows.size == detector.lengths_[0])))
        shown = shown[np.argsort(windows.piece[shown], kind="stable")]
        self.windows, self.scores = windows.subset(shown), scores[shown]
        self.detector, self.mode = detector, mode
        windows, table = self.windows, windows.table
        self.plane = to_plane(table.keypoints, windows.skeleton)
        self._clip, self._start = windows.clip, windows.frame
        self._end = table.frame[np.minimum(windows.first + windows.size - 1, windows.high)]
        clips = np.arange(table.source.num_clips + 1)
        self._windows_of = np.searchsorted(self._clip, clips)
        self._rows_of = np.searchsorted(table.clip, clips)

    def cast(self, peak: Peak) -> np.ndarray:
        """Each person's most abnormal window at the moment, the most abnormal people first: [P]."""
        first, last = self._windows_of[peak.clip : peak.clip + 2]
        here = np.arange(first, last)
        here = here[(self._start[here] <= peak.frame) & (self._end[here] >= peak.frame)]
        here = here[np.argsort(-self.scores[here], kind="stable")]
        _, where = np.unique(self.windows.track[here], return_index=True)
        chosen = here[np.sort(where)]
        own = self.windows.track[chosen] == peak.person
        # Who decided the frame (by a mean over windows) comes first, whoever's window is highest.
        return np.concatenate([chosen[own], chosen[~own]])[:_PEOPLE]

    def shares(self, index: np.ndarray) -> np.ndarray:
        r"""Each joint's share in the scores of some windows, :math:`[N, V]`."""
        windows = self.windows.subset(index)
        shares = np.zeros((len(index), windows.skeleton.num_joints), np.float32)
        for at, share in input_shares(self.detector.scorer_, windows, self.mode):
            shares[at.cpu().numpy()] = share.sum(1).cpu().numpy()
        return shares

    def nearest(self, index: np.ndarray, normal: dict[int, Normal]) -> list[dict[str, Any] | None]:
        """The normal sequences nearest to some windows, each among those of its own length.

        Args:
            index: Positions in :attr:`windows`.
            normal: Training windows by length; windows of other lengths get ``None``.
        """
        found: list[dict[str, Any] | None] = [None] * len(index)
        for length, one in normal.items():
            own = np.flatnonzero(self.windows.size[index] == length)
            if len(own) and len(one.windows):
                windows = self.windows.subset(index[own]).of_length(length)
                places = self.detector.scorer_.coordinates(windows)[1]
                for at, chosen in zip(own.tolist(), nearest_normal(one, places), strict=True):
                    found[at] = one.sequences(chosen)
        return found

    def scene(self, peak: Peak, cast: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
        """The people of a moment, moving.

        Args:
            peak: The moment.
            cast: From :meth:`cast`, at least one.
            shares: Of those windows.
        """
        windows, table = self.windows, self.windows.table
        length = int(windows.size[cast[0]])
        margin = max(0, min(length, (_FRAMES - length) // 2))
        start = max(int(self._start[cast[0]]) - margin, 0)
        frames = int(self._end[cast[0]]) + margin + 1 - start
        rows = np.arange(*self._rows_of[peak.clip : peak.clip + 2])
        time = table.frame[rows] - start
        people = windows.track[cast]
        order = np.argsort(people)
        spot = np.minimum(np.searchsorted(people[order], table.track[rows]), len(people) - 1)
        who = order[spot]
        keep = (people[who] == table.track[rows]) & (time >= 0) & (time < frames)
        rows, time, who = rows[keep], time[keep], who[keep]
        shape = (len(cast), frames, windows.skeleton.num_joints)
        plane, seen = np.zeros((*shape, 2)), np.zeros(shape, dtype=bool)
        present = np.zeros(shape[:2], dtype=bool)
        plane[who, time] = self.plane[rows]
        seen[who, time] = table.confidence[rows] > 0
        present[who, time] = True
        # Nobody comes or goes in the last frames of a clip: they would only show an empty picture.
        used = int(np.flatnonzero(present.any(0)).max()) + 1
        return {
            "start": start,
            "people": [
                {
                    "id": int(windows.track[w]),
                    "score": round(float(self.scores[w]), 4),
                    "from": int(self._start[w]) - start,
                    "to": int(self._end[w]) - start,
                    "shares": [round(float(s), 4) for s in share],
                }
                for w, share in zip(cast, shares, strict=True)
            ],
            "poses": pack_poses(plane[:, :used], seen[:, :used], present[:, :used]),
        }


def nearest_normal(normal: Normal, places: np.ndarray) -> np.ndarray:
    r"""The nearest training windows, each of another person.

    Args:
        normal: Training windows.
        places: :math:`[N, d]`, from :meth:`gepc_geo.scoring.scorer.WindowScorer.places`.

    Returns:
        Positions in ``normal``, :math:`[N, 3]` (fewer where there are fewer people), nearest first.
    """
    person = normal.person()
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    norm = np.square(normal.places).sum(1)
    parts = []
    for some in np.array_split(places, max(1, -(-len(places) // _BLOCK))):
        square = np.square(some).sum(1)[:, None] + norm - 2 * some @ normal.places.T
        # The nearest window of each person, then the nearest persons.
        best = np.minimum.reduceat(square[:, order], starts, axis=1)
        close = np.argsort(best, axis=1, kind="stable")[:, :_NEAREST]
        parts.append(
            np.stack(
                [
                    np.where(person == p, row, np.inf).argmin()
                    for row, line in zip(square, close, strict=True)
                    for p in line
                ]
            ).reshape(len(some), -1)
            if len(some)
            else np.zeros((0, close.shape[1]), dtype=np.int64)
        )
    return np.concatenate(parts)
