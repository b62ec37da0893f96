"""Faults of pose trackers, put into poses at known places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks

# A fault is put into tracks of this many frames or more.
_LEAST = 48


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: One of :data:`FAULTS`.
        clip: Position of the clip.
        track: Id of the person.
        first: First frame with the fault.
        last: Last frame with the fault.
    """

    kind: str
    clip: int
    track: int
    first: int
    last: int


def inject_faults(
    tracks: PoseTracks,
    count: int,
    *,
    kinds: Sequence[str] | None = None,
    random_state: int = 0,
) -> tuple[PoseTracks, list[Fault]]:
    """Puts faults of a pose tracker into 2D poses.

    The kinds alternate. At most one fault is put into a track:

    - ``switch``: two people exchange their ids from one frame on;
    - ``duplicate``: a person is found a second time, shifted and with folded legs, for 0.5 to 3 s
      at 24 frames a second;
    - ``stretch``: the legs are those of the nearest other person, for 0.25 to 1.5 s;
    - ``swap``: left and right joints are exchanged, for 3 to 24 frames.

    Args:
        tracks: The poses, with knees and ankles.
        count: Number of faults; an exchange of ids counts once.
        kinds: Some of :data:`FAULTS`. (default: ``None``, all)
        random_state: The same seed gives the same faults. (default: ``0``)

    Returns:
        Poses without frame labels, and the faults in them; an exchange of ids is a fault of both
        people.

    Raises:
        InputError: A kind is unknown, the poses are 3D or have no knees or ankles, or there are too
            few people.
    """
    kinds = tuple(FAULTS) if kinds is None else tuple(kinds)
    for kind in kinds:
        if kind not in FAULTS:
            raise InputError(f"kind must be {' or '.join(FAULTS)}, got {kind!r}")
    if tracks.dims != 2 or not len(_legs(tracks)):
        raise InputError(
            "poses must be 2D with knees and ankles for faults, got "
            f"{tracks.dims}D poses of skeleton {tracks.skeleton.name!r}"
        )
    rng = np.random.default_rng(random_state)
    poses = _Poses(tracks, rng)
    faults = [FAULTS[kinds[number % len(kinds)]](poses) for number in range(count)]
    return poses.tracks(), [fault for group in faults for fault in group]


class _Poses:
    """Poses that change fault by fault."""

    def __init__(self, tracks: PoseTracks, rng: np.random.Generator) -> None:
        self.source, self.rng = tracks, rng
        self.keypoints, self.confidence = tracks.keypoints.copy(), tracks.confidence.copy()
        self.track = tracks.track.copy()
        self.legs, self.new_id = _legs(tracks), int(tracks.track.max(initial=0)) + 1
        ends = np.append(tracks.track_starts, tracks.num_frames)
        self.people = [np.arange(first, end) for first, end in pairwise(ends.tolist())]
        self.left = [at for at in range(len(self.people)) if len(self.people[at]) >= _LEAST]
        self.added: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def tracks(self) -> PoseTracks:
        """The changed poses."""
        source = self.source
        rows = [np.arange(source.num_frames), *(added[0] for added in self.added)]
        row = np.concatenate(rows)
        changed = {
            name: np.concatenate([own, *(added[at] for added in self.added)])
            for at, (name, own) in enumerate(
                (
                    ("keypoints", self.keypoints),
                    ("confidence", self.confidence),
                    ("track", self.track),
                ),
                start=1,
            )
        }
        features = None if source.features is None else source.features[row]
        return replace(source, frame_labels=None).with_(
            frame=source.frame[row], clip=source.clip[row], features=features, **changed
        )

    def person(self, duration: tuple[int, int]) -> np.ndarray:
        """Consecutive rows of a person without a fault, ``duration`` of them."""
        self._check()
        rows = self.people[self.left.pop(int(self.rng.integers(len(self.left))))]
        length = min(int(self.rng.integers(duration[0], duration[1] + 1)), len(rows) - 2)
        start = int(self.rng.integers(1, len(rows) - length))
        return rows[start : start + length]

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of two people without a fault, each from a frame on in which both are seen."""
        source = self.source
        for first in self.rng.permutation(len(self.left)).tolist():
            rows = self.people[self.left[first]]
            for second in self.rng.permutation(len(self.left)).tolist():
                other = self.people[self.left[second]]
                if second == first or source.clip[rows[0]] != source.clip[other[0]]:
                    continue
                common = np.intersect1d(source.frame[rows], source.frame[other])
                if len(common) < _LEAST // 2:
                    continue
                frame = common[len(common) // 4 + int(self.rng.integers(len(common) // 2))]
                for at in sorted((first, second), reverse=True):
                    self.left.pop(at)
                return rows[source.frame[rows] >= frame], other[source.frame[other] >= frame]
        raise InputError("poses must have more people for this many faults, got too few")

    def fault(self, kind: str, rows: np.ndarray, track: int | None = None) -> Fault:
        """The fault of given rows."""
        source = self.source
        return Fault(
            kind,
            int(source.clip[rows[0]]),
            int(self.track[rows[0]]) if track is None else track,
            int(source.frame[rows[0]]),
            int(source.frame[rows[-1]]),
        )

    def _check(self) -> None:
        if not self.left:
            raise InputError("poses must have more people for this many faults, got too few")


def _switch(poses: _Poses) -> list[Fault]:
    rows, other = poses.pair()
    # The ids exchange, so each id jumps to the place of the other person.
    poses.track[rows], poses.track[other] = poses.track[other[0]], poses.track[rows[0]]
    frame = int(poses.source.frame[rows[0]])
    return [
        replace(poses.fault("switch", own[:1]), first=frame - 1, last=frame)
        for own in (rows, other)
    ]


def _duplicate(poses: _Poses) -> list[Fault]:
    rows = poses.person((12, 72))
    size = _size(poses, rows)
    noise = poses.rng.normal(size=poses.keypoints[rows].shape)
    shift = 0.05 * size * poses.rng.normal(size=2)
    keypoints = poses.keypoints[rows] + (0.02 * size * noise + shift).astype(np.float32)
    for hip, knee, ankle in poses.legs:
        # Shanks folded back to the hips.
        keypoints[:, knee] = keypoints[:, hip] + 0.5 * (keypoints[:, knee] - keypoints[:, hip])
        keypoints[:, ankle] = 0.7 * keypoints[:, hip] + 0.3 * keypoints[:, knee]
    confidence = 0.8 * poses.confidence[rows]
    track = np.full(len(rows), poses.new_id)
    poses.new_id += 1
    poses.added.append((rows, keypoints, confidence, track))
    return [poses.fault("duplicate", rows, int(track[0]))]


def _stretch(poses: _Poses) -> list[Fault]:
    source = poses.source
    while True:
        rows = poses.person((6, 36))
        clip, frame = source.clip[rows[0]], source.frame[rows]
        best: tuple[float, np.ndarray] | None = None
        for other in poses.people:
            if source.clip[other[0]] != clip or source.track[other[0]] == source.track[rows[0]]:
                continue
            at = np.searchsorted(source.frame[other], frame)
            at = other[np.minimum(at, len(other) - 1)]
            if (source.frame[at] != frame).any():
                continue
            distance = float(np.abs(_centre(poses, at) - _centre(poses, rows)).mean())
            if best is None or distance < best[0]:
                best = (distance, at)
        if best is not None:
            break
    joints = np.array([joint for _, knee, ankle in poses.legs for joint in (knee, ankle)])
    other = best[1][:, None]
    poses.keypoints[rows[:, None], joints] = poses.keypoints[other, joints]
    poses.confidence[rows[:, None], joints] = poses.confidence[other, joints]
    return [poses.fault("stretch", rows)]


def _swap(poses: _Poses) -> list[Fault]:
    rows = poses.person((3, 24))
    order = np.arange(poses.source.num_joints)
    for left, right in poses.source.skeleton.pairs:
        order[[left, right]] = right, left
    poses.keypoints[rows] = poses.keypoints[rows][:, order]
    poses.confidence[rows] = poses.confidence[rows][:, order]
    return [poses.fault("swap", rows)]


#: Functions that put a fault of each kind into poses, by the kind's name.
FAULTS: dict[str, Callable[[_Poses], list[Fault]]] = {
    "switch": _switch,
    "duplicate": _duplicate,
    "stretch": _stretch,
    "swap": _swap,
}


def _legs(tracks: PoseTracks) -> list[tuple[int, int, int]]:
    """Hip, knee and ankle of each leg."""
    joints = tracks.skeleton.joints
    legs = []
    for side in ("left", "right"):
        hip, knee, ankle = (f"{side}_{part}" for part in ("hip", "knee", "ankle"))
        if not {hip, knee, ankle} <= set(joints):
            return []
        legs.append((joints.index(hip), joints.index(knee), joints.index(ankle)))
    return legs


def _centre(poses: _Poses, rows: np.ndarray) -> np.ndarray:
    seen = poses.confidence[rows] > 0
    total = (poses.keypoints[rows] * seen[..., None]).sum(1)
    centre: np.ndarray = total / np.maximum(seen.sum(1), 1)[:, None]
    return centre


def _size(poses: _Poses, rows: np.ndarray) -> float:
    """Median height of a person in some rows."""
    seen = poses.confidence[rows] > 0
    y = poses.keypoints[rows, :, 1]
    high = np.where(seen, y, -np.inf).max(1)
    low = np.where(seen, y, np.inf).min(1)
    return float(np.median(high - low))
