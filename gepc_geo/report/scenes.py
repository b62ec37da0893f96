"""Scenes of a report: peaks of scores, the people at a peak, and similar normal windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import signal
from scipy.spatial.distance import cdist

from gepc_geo.density.kmeans import kmeans
from gepc_geo.detector.gepc import GEPC
from gepc_geo.report.encode import evenly_spaced, pack_poses
from gepc_geo.report.plane import to_plane
from gepc_geo.scoring.joint_shares import input_shares
from gepc_geo.windows.dataset import PoseWindows

#: Frames of a scene (of longer windows, their length), people, and normal sequences.
_FRAMES, _PEOPLE, _NEAREST = 60, 8, 3
# Peaks of one block of distances to all training windows.
_BLOCK = 64
# Largest number of windows for action words and neighbours.
_WINDOWS = 20_000


@dataclass(frozen=True)
class Peak:
    """Frame with a high score, and the person with this score.

    Attributes:
        clip: Index of the clip.
        frame: Frame number in the clip.
        score: Score of the frame or the clip.
        person: Track of the person; -1 without a person.
        fault: Sign of the tracking fault that gives the score; "" for a judged person.
            (default: ``""``)
    """

    clip: int
    frame: int
    score: float
    person: int
    fault: str = ""


@dataclass(frozen=True, eq=False)
class PlacedWindows:
    r"""Windows of one length with their assignments and coordinates.

    Attributes:
        windows: :math:`W` windows.
        assignment: Assignments of windows to action words, :math:`[W, K]`: soft assignments, or,
            without a network, minus the distance to each centre.
        places: Coordinates of windows in the space of neighbours, :math:`[W, d]`.
        plane: Projected poses of the rows of the table, :math:`[R, V, 2]`.
        centers: k-means centres of ``places``, :math:`[K, d]`; ``None`` with a network.
    """

    windows: PoseWindows
    assignment: np.ndarray
    places: np.ndarray
    plane: np.ndarray
    centers: np.ndarray | None

    @classmethod
    def of(
        cls, detector: GEPC, windows: PoseWindows, reference: PlacedWindows | None = None
    ) -> PlacedWindows:
        """Places windows with a detector.

        Args:
            detector: A fitted detector.
            windows: Windows of one length.
            reference: Windows with the k-means centres to use. (default: centres of ``windows``)
        """
        plane = to_plane(windows.table.keypoints, windows.skeleton)
        assignment, places = detector.scorer_.coordinates(windows)
        centers = None
        if assignment is None:
            count = min(detector.options_.clusters, len(places))
            centers = _centers(places, count) if reference is None else reference.centers
            assignment = -cdist(places, centers)
        return cls(windows, assignment, places, plane, centers)

    def sequences(self, index: np.ndarray) -> dict[str, Any]:
        """Encodes the windows of some indices as sequences of one person each."""
        rows = self.windows.rows(index)
        seen = self.windows.table.confidence[rows] > 0
        return pack_poses(centred(self.plane[rows]), seen, np.ones(rows.shape, dtype=bool))

    def person(self) -> np.ndarray:
        """Person index of each window, :math:`[W]`."""
        return np.unique(self.windows.person, return_inverse=True)[1].reshape(-1)


def _centers(places: np.ndarray, count: int) -> np.ndarray:
    """Centres of ``count`` clusters of rows."""
    return kmeans(torch.from_numpy(places), count).centers.numpy() if count else places


def scene_length(detector: GEPC) -> int:
    """Window length of scenes and words: the middle length of the detector."""
    return detector.lengths_[(len(detector.lengths_) - 1) // 2]


def whole_windows(windows: PoseWindows, length: int) -> PoseWindows:
    """Full windows of one length; of more than 20,000, evenly spaced ones."""
    whole = windows.of_length(length).without_padded()
    return whole.subset(evenly_spaced(len(whole), _WINDOWS))


def centred(plane: np.ndarray) -> np.ndarray:
    r"""Centres each sequence of :math:`[N, T, V, 2]` and scales it to a larger extent of 1.

    People near to a camera and far from it then have the same size.
    """
    low, high = plane.min((1, 2), keepdims=True), plane.max((1, 2), keepdims=True)
    extent = np.maximum((high - low).max(-1, keepdims=True), 1e-9)
    scaled: np.ndarray = (plane - (low + high) / 2) / extent
    return scaled


def find_peaks(
    score: np.ndarray, person: np.ndarray, clip: int, apart: int, most: int, threshold: float | None
) -> list[Peak]:
    r"""Finds the peaks of the frame scores of a clip, highest first.

    A peak has a prominence of at least a twentieth of the range of scores in the clip.

    Args:
        score: Frame scores, :math:`(N)`; frames without a person may have NaN.
        person: Track of the person with each score, :math:`(N)`; -1 without a person. Frames
            without a person are no peaks.
        clip: Index of the clip.
        apart: Least number of frames between two peaks.
        most: Largest number of peaks.
        threshold: Alarm threshold; lower peaks do not count, except the highest one. With
            ``None``, all peaks count.
    """
    occupied = np.flatnonzero(person >= 0)
    if not len(occupied):
        return []
    line = np.where(person >= 0, score, score[occupied].min())
    # With lower values at both ends, the first and the last frame can be peaks.
    edge = [line.min() - 1]
    frames, _ = signal.find_peaks(
        np.concatenate([edge, line, edge]), distance=apart, prominence=max(np.ptp(line) / 20, 1e-9)
    )
    highest = occupied[line[occupied].argmax()]
    frames = np.unique(np.append(frames - 1, highest))
    frames = frames[person[frames] >= 0]
    frames = frames[np.argsort(-line[frames], kind="stable")]
    # A plateau has its peak in the middle, which may differ from the first highest frame.
    far = (np.abs(frames - frames[0]) >= apart) & (frames != highest)
    others = frames[far & (line[frames] >= (-np.inf if threshold is None else threshold))]
    chosen = np.append(frames[:1], others[: most - 1])
    return [Peak(clip, int(f), float(score[f]), int(person[f])) for f in chosen]


class SceneBuilder:
    """Builds scenes of scored poses: the people around a peak and their most abnormal windows.

    With several lengths, scenes use windows of the middle length, or of the shortest length for
    tracks without windows of the middle length.

    Args:
        detector: A fitted detector.
        windows: Scored windows.
        scores: Scores of windows, :math:`[W]`.
        mode: Scoring mode.
        fault: Windows that are not judged because of tracking faults, :math:`[W]` bool.
            (default: ``None``, none)

    Attributes:
        windows: Windows of the lengths in use, sorted by clip.
        scores: Scores of these windows.
        fault: Whether these windows have tracking faults.
    """

    def __init__(
        self,
        detector: GEPC,
        windows: PoseWindows,
        scores: np.ndarray,
        mode: str,
        fault: np.ndarray | None = None,
    ) -> None:
        middle = windows.size == scene_length(detector)
        short = ~np.isin(windows.piece, windows.piece[middle])
        index = np.flatnonzero(middle | (short & (windows.size == detector.lengths_[0])))
        index = index[np.argsort(windows.piece[index], kind="stable")]
        self.windows, self.scores = windows.subset(index), scores[index]
        self.fault = np.zeros(len(index), dtype=bool) if fault is None else fault[index]
        self.detector, self.mode = detector, mode
        windows, table = self.windows, windows.table
        self.plane = to_plane(table.keypoints, windows.skeleton)
        self._clip, self._start = windows.clip, windows.frame
        self._end = table.frame[np.minimum(windows.first + windows.size - 1, windows.high)]
        clips = np.arange(table.source.num_clips + 1)
        self._window_offset = np.searchsorted(self._clip, clips)
        self._row_offset = np.searchsorted(table.clip, clips)

    def windows_at(self, peak: Peak) -> np.ndarray:
        """Indices [P] of the most abnormal window of each person at a peak, most abnormal first.

        The first window is that of the person with the score of the peak. Windows with tracking
        faults come last, and only of people without other windows.
        """
        first, last = self._window_offset[peak.clip : peak.clip + 2]
        index = np.arange(first, last)
        index = index[(self._start[index] <= peak.frame) & (self._end[index] >= peak.frame)]
        index = index[np.lexsort((-self.scores[index], self.fault[index]))]
        _, best = np.unique(self.windows.track[index], return_index=True)
        chosen = index[np.sort(best)]
        # The score of a frame is a mean over windows, so another person may have a higher window.
        own = self.windows.track[chosen] == peak.person
        return np.concatenate([chosen[own], chosen[~own]])[:_PEOPLE]

    def shares(self, index: np.ndarray) -> np.ndarray:
        r"""Share of each joint in the scores of the windows of some indices, :math:`[N, V]`."""
        windows = self.windows.subset(index)
        shares = np.zeros((len(index), windows.skeleton.num_joints), np.float32)
        for position, share in input_shares(self.detector.scorer_, windows, self.mode):
            shares[position.cpu().numpy()] = share.sum(1).cpu().numpy()
        return shares

    def nearest(
        self, index: np.ndarray, references: dict[int, PlacedWindows]
    ) -> list[dict[str, Any] | None]:
        """Nearest normal sequences of the windows of some indices, of the same length.

        Args:
            index: Indices into :attr:`windows`.
            references: Training windows by length; the result is ``None`` for other lengths.
        """
        sequences: list[dict[str, Any] | None] = [None] * len(index)
        for length, reference in references.items():
            own = np.flatnonzero(self.windows.size[index] == length)
            if len(own) and len(reference.windows):
                windows = self.windows.subset(index[own]).of_length(length)
                places = self.detector.scorer_.coordinates(windows)[1]
                nearest = nearest_normal(reference, places)
                for position, chosen in zip(own.tolist(), nearest, strict=True):
                    sequences[position] = reference.sequences(chosen)
        return sequences

    def scene(self, peak: Peak, index: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
        """Makes the scene of a peak, with the sequences of its people.

        Args:
            peak: The peak.
            index: Indices of at least one window, from :meth:`windows_at`.
            shares: Shares of joints in the scores of these windows, from :meth:`shares`.
        """
        windows, table = self.windows, self.windows.table
        length = int(windows.size[index[0]])
        margin = max(0, min(length, (_FRAMES - length) // 2))
        start = max(int(self._start[index[0]]) - margin, 0)
        frames = int(self._end[index[0]]) + margin + 1 - start
        rows = np.arange(*self._row_offset[peak.clip : peak.clip + 2])
        time = table.frame[rows] - start
        tracks = windows.track[index]
        order = np.argsort(tracks)
        rank = np.minimum(np.searchsorted(tracks[order], table.track[rows]), len(tracks) - 1)
        person = order[rank]
        keep = (tracks[person] == table.track[rows]) & (time >= 0) & (time < frames)
        rows, time, person = rows[keep], time[keep], person[keep]
        shape = (len(index), frames, windows.skeleton.num_joints)
        plane, seen = np.zeros((*shape, 2)), np.zeros(shape, dtype=bool)
        present = np.zeros(shape[:2], dtype=bool)
        plane[person, time] = self.plane[rows]
        seen[person, time] = table.confidence[rows] > 0
        present[person, time] = True
        # Frames after the last person would be empty.
        used = int(np.flatnonzero(present.any(0)).max()) + 1
        return {
            "start": start,
            "people": [
                {
                    "id": int(windows.track[w]),
                    "score": round(float(self.scores[w]), 4),
                    "fault": bool(self.fault[w]),
                    "from": int(self._start[w]) - start,
                    "to": int(self._end[w]) - start,
                    "shares": [round(float(s), 4) for s in share],
                }
                for w, share in zip(index, shares, strict=True)
            ],
            "poses": pack_poses(plane[:, :used], seen[:, :used], present[:, :used]),
        }


def nearest_normal(reference: PlacedWindows, places: np.ndarray) -> np.ndarray:
    r"""Finds the nearest training windows, each of another person.

    Args:
        reference: Training windows.
        places: Coordinates, :math:`[N, d]`, from
            :meth:`gepc_geo.scoring.scorer.WindowScorer.coordinates`.

    Returns:
        Indices into ``reference``, :math:`[N, 3]`, nearest first; fewer than 3 columns for fewer
        people.
    """
    person = reference.person()
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    norm = np.square(reference.places).sum(1)
    nearest = []
    for block in np.array_split(places, max(1, -(-len(places) // _BLOCK))):
        square = np.square(block).sum(1)[:, None] + norm - 2 * block @ reference.places.T
        # The nearest window of each person, then the nearest people.
        best = np.minimum.reduceat(square[:, order], starts, axis=1)
        close = np.argsort(best, axis=1, kind="stable")[:, :_NEAREST]
        nearest.append(
            np.stack(
                [
                    np.where(person == p, row, np.inf).argmin()
                    for row, people in zip(square, close, strict=True)
                    for p in people
                ]
            ).reshape(len(block), -1)
            if len(block)
            else np.zeros((0, close.shape[1]), dtype=np.int64)
        )
    return np.concatenate(nearest)
