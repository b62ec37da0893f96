"""Values of single poses that measures of windows are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from gepc_geo.windows.filling import FilledTracks, fill_joints
from gepc_geo.windows.quality import neighbours

# Rows that are processed at once, and those that give proportions.
_BLOCK = 1 << 14
# Names of a head in layouts; the first that a skeleton has counts.
_HEADS = ("nose", "head", "head_top")
# Parts of the body height: head, torso, thigh, shank.
_NUM_PARTS = 4
# Rows of whole tracks that are searched at once for the begin of a stay.
_SEARCHED = 1 << 16
# In a picture, the smaller of two people who may be near each other has this share of the height of
# the other.
_SAME_SIZE = 0.8


@dataclass(frozen=True)
class BodyShape:
    r"""Proportions of people.

    Attributes:
        up: :math:`[C]`, unit vector upwards. In 2D, against ``y``; in 3D, the mean direction from
            hips to shoulders; zeros in 3D without these joints.
        share: :math:`[4]`, shares of head, torso, thigh and shank in the body height; 0 for parts
            without joints.
        width: Distance of the shoulders of a person who faces the camera, in body heights; 1
            without shoulders.
    """

    up: np.ndarray
    share: np.ndarray
    width: float

    @classmethod
    def of(cls, table: FilledTracks) -> BodyShape:
        """Measures at most 16,384 poses of a table, evenly spaced."""
        count = len(table.frame)
        joints = Joints(table, np.linspace(0, count - 1, min(count, _BLOCK)).astype(np.int64))
        length = joints.parts()
        used = ~np.isnan(length).all(0)
        # Shares come from the frames with all parts.
        full = np.nan_to_num(length[~np.isnan(length[:, used]).any(1)])
        full = full[full.sum(1) > 0]
        share = (
            np.median(full / full.sum(1, keepdims=True), 0) if len(full) else np.zeros(_NUM_PARTS)
        )
        up = np.nan_to_num(joints.torso()).sum(0)
        if table.source.dims == 2:
            up = np.array([0.0, -1.0])
        shape = cls(up / (np.linalg.norm(up) or 1.0), share / (share.sum() or 1.0), 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            width = _length(joints.shoulder_line()) / joints.height(shape.share)
        width = width[np.isfinite(width)]
        return replace(shape, width=float(np.quantile(width, 0.95)) if len(width) else 1.0)

    def state_dict(self) -> dict[str, Tensor]:
        """The state as tensors."""
        return {
            "up": torch.from_numpy(self.up),
            "share": torch.from_numpy(self.share),
            "width": torch.tensor(self.width, dtype=torch.float64),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> BodyShape:
        """Restores the state of :meth:`state_dict`."""
        return cls(state["up"].numpy(), state["share"].numpy(), float(state["width"]))


@dataclass
class BodyFrames:
    r"""Values of the :math:`R` rows of a table; NaN where a joint that is needed is not seen.

    Lengths are in the units of the poses, angles in degrees.

    Attributes:
        centre: :math:`[R, C]`, middle of shoulders and hips, or the mean of all joints for
            skeletons without them; interpolated if not seen.
        height: :math:`[R]`, length from head to ankle along the bones; interpolated if not seen,
            NaN for people who are never seen.
        shoulders: :math:`[R, C]`, from the left to the right shoulder.
        upright: :math:`[R]`, height of the head above the lower ankle.
        arms_up: :math:`[R]`, 1 if a wrist is above the head, upwards and in the direction of the
            torso (of people who lie), else 0.
        knees: :math:`[R, 2]`, bend of the left and of the right knee; 0 is straight.
        elbows: :math:`[R, 2]`, the same of the elbows.
        stride: :math:`[R]`, distance of the ankles.
        distance: :math:`[R]`, distance of the centre to that of the nearest person in the frame; in
            2D, among people of nearly the same height, as others are in front or behind.
    """

    centre: np.ndarray
    height: np.ndarray
    shoulders: np.ndarray
    upright: np.ndarray
    arms_up: np.ndarray
    knees: np.ndarray
    elbows: np.ndarray
    stride: np.ndarray
    distance: np.ndarray

    @classmethod
    def of(cls, table: FilledTracks, shape: BodyShape) -> BodyFrames:
        """Measures the rows of a table."""
        blocks = [Joints(table, rows) for rows in blocks_of(len(table.frame))]
        blocks = blocks or [Joints(table, slice(0))]

        def rows(value: Callable[[Joints], np.ndarray]) -> np.ndarray:
            return np.concatenate([value(block) for block in blocks])

        centre = rows(Joints.centre)
        height = _filled(table, rows(lambda block: block.height(shape.share)))
        return cls(
            centre=centre,
            height=height,
            shoulders=rows(Joints.shoulder_line),
            upright=rows(lambda block: block.upright(shape.up)),
            arms_up=rows(lambda block: block.arms_up(shape.up)),
            knees=rows(lambda block: block.bend("hip", "knee", "ankle")),
            elbows=rows(lambda block: block.bend("shoulder", "elbow", "wrist")),
            stride=rows(Joints.stride),
            distance=_distance(table, centre, height),
        )


class Joints:
    """The joints of some rows of a table by their names; NaN where they are not seen."""

    def __init__(self, table: FilledTracks, rows: slice | np.ndarray) -> None:
        self.skeleton = table.source.skeleton
        self.points = table.keypoints[rows].astype(np.float64)
        self.seen = table.confidence[rows] > 0

    def centre(self) -> np.ndarray:
        """Place of the body [R, C]."""
        torso = [*(self.skeleton.shoulders or ()), *(self.skeleton.hips or ())]
        return self.points[:, torso if len(torso) == 4 else slice(None)].mean(1)

    def parts(self) -> np.ndarray:
        """Lengths of head, torso, thigh and shank [R, 4]; the longer of both legs."""
        knees, ankles = self._sides("knee"), self._sides("ankle")
        head = _length(self._head() - self._sides("shoulder").mean(1))
        thigh = np.fmax(*_length(self._sides("hip") - knees).T)
        shank = np.fmax(*_length(knees - ankles).T)
        return np.stack([head, _length(self.torso()), thigh, shank], 1)

    def height(self, share: np.ndarray) -> np.ndarray:
        """Body height [R]: the length of the parts that are seen, divided by their share.

        Without a torso in training: the largest side of the pose.
        """
        if not share[1]:
            points = np.where(self.seen[..., None], self.points, np.nan)
            low, high = np.fmin.reduce(points, axis=1), np.fmax.reduce(points, axis=1)
            side: np.ndarray = (high - low).max(1)
            return side
        length = self.parts()
        # Without the torso, hidden legs or a turned head would change the height.
        known = ~np.isnan(length) & ~np.isnan(length[:, 1:2]) & (share > 0)
        part = (known * share).sum(1)
        return np.nan_to_num(length * known).sum(1) / np.where(part, part, np.nan)

    def torso(self) -> np.ndarray:
        """From the hips to the shoulders [R, C]."""
        return self._sides("shoulder").mean(1) - self._sides("hip").mean(1)

    def shoulder_line(self) -> np.ndarray:
        """From the left to the right shoulder [R, C]; a box has none."""
        return self._joint("right_shoulder") - self._joint("left_shoulder")

    def upright(self, up: np.ndarray) -> np.ndarray:
        """Height of the head above the lower ankle [R]."""
        value = _along(self._head(), up) - np.fmin(*_along(self._sides("ankle"), up).T)
        return value if up.any() else np.full_like(value, np.nan)

    def arms_up(self, up: np.ndarray) -> np.ndarray:
        """Whether a wrist is above the head, upwards and along the torso [R]."""
        reach = self._sides("wrist") - self._head()[:, None]
        above = np.minimum(_along(reach, up), _along(reach, self.torso()[:, None]))
        highest = np.fmax(*above.T)
        known = ~np.isnan(highest) & up.any()
        return np.where(known, highest > 0, np.nan)

    def bend(self, *names: str) -> np.ndarray:
        """Bend at the second of three joints on both sides [R, 2] in degrees."""
        first, middle, last = (self._sides(name) for name in names)
        a, b = middle - first, last - middle
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = (a * b).sum(-1) / (_length(a) * _length(b))
        angle: np.ndarray = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        return angle

    def stride(self) -> np.ndarray:
        """Distance of the ankles [R]."""
        sides = self._sides("ankle")
        return _length(sides[:, 1] - sides[:, 0])

    def _head(self) -> np.ndarray:
        """Place of the head [R, C]."""
        return self._joint(*_HEADS)

    def _joint(self, *names: str) -> np.ndarray:
        """Place of the first of the joints that the skeleton has [R, C]."""
        for name in names:
            if name in self.skeleton.joints:
                number = self.skeleton.joints.index(name)
                return np.where(self.seen[:, number, None], self.points[:, number], np.nan)
        return np.full_like(self.points[:, 0], np.nan)

    def _sides(self, name: str) -> np.ndarray:
        """Places of a left and a right joint [R, 2, C]."""
        # Boxes have shoulders and hips by other names. Human3.6M calls the ankles feet.
        pair = {"shoulder": self.skeleton.shoulders, "hip": self.skeleton.hips}.get(name)
        if pair is not None:
            return np.stack([self._joint(self.skeleton.joints[joint]) for joint in pair], 1)
        names = ("ankle", "foot") if name == "ankle" else (name,)
        return np.stack(
            [self._joint(*(f"{side}_{joint}" for joint in names)) for side in ("left", "right")], 1
        )


def stay(table: FilledTracks, centre: np.ndarray, row: np.ndarray, reach: np.ndarray) -> np.ndarray:
    r"""Frames for which people, up to some rows, were never farther away in any coordinate.

    Args:
        table: The poses.
        centre: Places of the rows, :math:`[R, C]`.
        row: Rows, :math:`[N]`.
        reach: Largest distance to the place in the row, :math:`[N]`.

    Returns:
        :math:`[N]` float64; NaN where ``reach`` is NaN.
    """
    number = np.arange(len(centre))
    # Nobody knows where a person is in a gap.
    new = np.zeros(len(centre), dtype=bool)
    new[table.piece[:-1]] = True
    start = np.maximum.accumulate(np.where(new, number, 0))
    found = np.full(len(row), np.nan)
    order = np.argsort(row, kind="stable")
    order = order[~np.isnan(reach[order])]
    starts = np.flatnonzero(new)
    ends = starts[np.flatnonzero(np.diff(starts // _SEARCHED, prepend=-1))].tolist()
    for low, high in pairwise([*ends, len(centre)]):
        at = order[np.searchsorted(row[order], low) : np.searchsorted(row[order], high)]
        if len(at):
            begin = _begin(centre[low:high], row[at] - low, start[row[at]] - low, reach[at])
            found[at] = table.frame[row[at]] - table.frame[begin + low]
    return found


def _begin(centre: np.ndarray, row: np.ndarray, start: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """First row of the stay that lasts until ``row``, not before ``start``."""
    # Bounds of the 2 ** k rows that end at a row, for each k.
    bounds, size = [(centre, centre)], 1
    while 2 * size <= int((row - start).max()):
        least, most = bounds[-1]
        wider = least.copy(), most.copy()
        np.minimum(least[size:], least[:-size], out=wider[0][size:])
        np.maximum(most[size:], most[:-size], out=wider[1][size:])
        bounds.append(wider)
        size *= 2
    low, high = centre[row] - reach[:, None], centre[row] + reach[:, None]
    found = row.copy()
    for power, (least, most) in reversed(list(enumerate(bounds))):
        before = np.maximum(found - 1, 0)
        near = (least[before] >= low).all(1) & (most[before] <= high).all(1)
        found -= np.where(near & (found - 2**power >= start), 2**power, 0)
    return found


def _filled(table: FilledTracks, value: np.ndarray) -> np.ndarray:
    """Values [R] with those that are unknown interpolated within their piece."""
    known = ~np.isnan(value)
    filled = np.where(known, value, 0.0)[:, None, None]
    fill_joints(filled, known[:, None], table.frame, table.piece)
    any_known = np.logical_or.reduceat(known, table.piece[:-1]) if len(known) else known
    return np.where(np.repeat(any_known, np.diff(table.piece)), filled[:, 0, 0], np.nan)


def _distance(table: FilledTracks, centre: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Distance of the centres to the nearest other person in the frame [R]."""
    flat = centre.shape[1] == 2
    found = np.full(len(centre), np.inf)
    real = np.asarray((table.confidence > 0).any(axis=1))
    for left, right in neighbours(table, real):
        distance = _length(centre[left] - centre[right])
        if flat:
            tall = height[left], height[right]
            same = np.fmin(*tall) >= _SAME_SIZE * np.fmax(*tall)
            left, right, distance = left[same], right[same], distance[same]
        np.minimum.at(found, left, distance)
        np.minimum.at(found, right, distance)
    return np.where(np.isinf(found), np.nan, found)


def blocks_of(count: int) -> Iterator[slice]:
    """Slices of the rows that are processed at once."""
    return (slice(first, first + _BLOCK) for first in range(0, count, _BLOCK))


def _along(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Components along an axis; unlike those of ``@``, their rounding depends on nothing else."""
    component: np.ndarray = (vectors * axis).sum(-1)
    return component


def _length(vectors: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.linalg.norm(vectors, axis=-1)
    return length
