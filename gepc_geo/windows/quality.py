r"""Quality of poses: signs of tracking faults, with limits learned from training poses.

The signs of a person-frame are, each larger for worse poses:

- ``confidence``: odds of missing confidence, :math:`(1 - \bar c + 1/V) / (\bar c + 1/V)`;
- ``bones``: how much the longest bone exceeds its typical length, relative to the other bones;
- ``size``: how much the median bone changes from one frame to the next, as the log of the ratio;
- ``jump``: acceleration of the centre, in bone lengths per squared frame; people who run at a
  constant speed do not accelerate, identities that jump do;
- ``overlap``: one bone length divided by the distance to a person who was found earlier: the median
  distance of joints after a shift, or a quarter of the shift if that is more;
- ``outside``: odds of joints outside of the image, with :math:`1/V` added as above;
- ``swap``: distance to the previous pose, divided by the distance with left and right exchanged.

The limit of a sign is a multiple of its median in training; for ``overlap``, of one bone length
divided by the median distance of the centres to the nearest other person. The median does not
depend on faults in training poses, as long as they are rare. A sign without values in training has
no limit: poses of one person at a time have none for ``overlap``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import FilledTracks
from gepc_geo.windows.statistics import FEWEST, greater, maxima, median, quantile

# Limit of each sign divided by its median in training, chosen on simulated crowds with faults
# (benchmarks/tracking_faults.py). A sign is at least this large at its limit: the distance to the
# previous pose is no sign of exchanged sides below 1.
_FACTOR = {
    "confidence": 10.0,
    "bones": 8.0,
    "size": 20.0,
    "jump": 25.0,
    "overlap": 30.0,
    "outside": 10.0,
    "swap": 10.0,
}
_LEAST = {"swap": 1.0}
#: Names of the signs.
SIGNS = tuple(_FACTOR)
# Earlier rows that a sign needs.
_BEFORE = {"size": 1, "jump": 2, "swap": 1}
# Noise of joints in bone lengths, which bounds the ratio of two distances.
_NOISE = 0.05
# Weight of the offset between two poses, beside the difference of their shapes: the second
# detection of a person is often shifted.
_OFFSET = 0.25
# Two people overlap only if their centres are this near, in bone lengths.
_NEAR = 2.0
# Rows that are processed at once.
_BLOCK = 1 << 16


@dataclass
class Quality:
    r"""Quality of :math:`N` person-frames or windows.

    Attributes:
        value: :math:`[N]` float64 in (0, 1]: the limit of the worst sign divided by the sign; 1 if
            no sign exceeds its limit.
        sign: :math:`[N]` int64, the worst sign as a position in :data:`SIGNS`; -1 where ``value``
            is 1.
    """

    value: np.ndarray
    sign: np.ndarray

    @property
    def fault(self) -> np.ndarray:
        """:math:`[N]` bool: whether a sign exceeds its limit."""
        return self.value < 1

    @property
    def counts(self) -> str:
        """The number of faults by sign, in words."""
        number = np.bincount(self.sign + 1, minlength=len(SIGNS) + 1)[1:]
        return ", ".join(
            f"{name} {count:,}" for name, count in zip(SIGNS, number, strict=True) if count
        )


class PoseQuality:
    r"""Judges the quality of poses.

    Args:
        bones: Typical length of each bone, in median bone lengths of a pose, :math:`[B]`.
        limits: Limit of each sign, :math:`[M]`; infinite where training has no such sign.
    """

    def __init__(self, bones: np.ndarray, limits: np.ndarray) -> None:
        self.bones, self.limits = bones, limits

    @classmethod
    def of(cls, table: FilledTracks) -> PoseQuality:
        """Learns typical bones and limits from training poses.

        Args:
            table: The poses.
        """
        length = _bone_lengths(table)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = length / median(length, 1)[:, None]
        bones = np.nan_to_num(quantile(ratio, 0.9, 0), nan=1.0)
        body = Bodies.of(table, bones)
        signs = _own_signs(table, body, bones)
        signs["overlap"] = _nearness(table, body)
        limits = np.full(len(SIGNS), np.inf)
        for number, name in enumerate(SIGNS):
            known = signs[name][body.real]
            known = known[known > 0]
            if len(known):
                limits[number] = max(_FACTOR[name] * np.median(known), _LEAST.get(name, 0.0))
        return cls(bones, limits)

    def person_frames(self, table: FilledTracks) -> Quality:
        """Quality of the rows of a table; inserted rows have quality 1."""
        signs = self._signs(table, None)
        return self._worst(np.stack([signs[name] for name in SIGNS]))

    def windows(self, windows: PoseWindows, overlap: np.ndarray | None = None) -> Quality:
        r"""Quality of windows: that of their worst sign.

        Args:
            windows: :math:`W` windows.
            overlap: Sign ``overlap`` of each row of the table, for tables without the other people
                of a frame. (default: ``None``, measured)
        """
        table = windows.table
        signs = self._signs(table, overlap)
        first = np.maximum(windows.first, windows.low)
        end = np.minimum(windows.first + windows.size - 1, windows.high) + 1
        return self._worst(
            np.stack([maxima(signs[name], first + _BEFORE.get(name, 0), end) for name in SIGNS])
        )

    def overlap(self, table: FilledTracks) -> np.ndarray:
        """The sign ``overlap`` of the rows of a table with all people of its clips."""
        return overlaps(table, Bodies.of(table, self.bones))

    def _signs(self, table: FilledTracks, overlap: np.ndarray | None) -> dict[str, np.ndarray]:
        body = Bodies.of(table, self.bones)
        signs = _own_signs(table, body, self.bones)
        signs["overlap"] = overlaps(table, body) if overlap is None else overlap
        return signs

    def _worst(self, signs: np.ndarray) -> Quality:
        if not signs.shape[1]:
            return Quality(np.ones(0), np.zeros(0, dtype=np.int64))
        with np.errstate(divide="ignore"):
            value = np.minimum(self.limits[:, None] / signs, 1.0)
        sign, least = value.argmin(0), value.min(0)
        return Quality(least, np.where(least < 1, sign, -1))

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors and numbers."""
        return {
            "bones": torch.from_numpy(self.bones),
            "limits": dict(zip(SIGNS, self.limits.tolist(), strict=True)),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> PoseQuality:
        """Restores the state of :meth:`state_dict`; signs that it does not have get no limit."""
        limits = [float(state["limits"].get(name, np.inf)) for name in SIGNS]
        return cls(state["bones"].numpy(), np.array(limits))


@dataclass
class Bodies:
    r"""Place and size of the :math:`R` poses of a table.

    Attributes:
        real: :math:`[R]` bool: the row has a seen joint; inserted rows have none.
        centre: :math:`[R, C]`, mean of the seen joints; NaN for inserted rows.
        scale: :math:`[R]`, median length of the bones; NaN with fewer than three seen bones.
        start: :math:`[R]`, first frame of the piece.
    """

    real: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, table: FilledTracks, bones: np.ndarray) -> Bodies:
        """Measures the poses of a table."""
        seen = table.confidence > 0
        count = seen.sum(1)
        total = (table.keypoints * seen[..., None]).sum(1, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            centre = total / np.where(count, count, np.nan)[:, None]
        start = np.repeat(table.frame[table.piece[:-1]], np.diff(table.piece))
        return cls(count > 0, centre, median(_bone_lengths(table) / bones, 1), start)


def overlaps(table: FilledTracks, body: Bodies) -> np.ndarray:
    """The sign ``overlap`` of each row: only the person who was found later has it.

    Of two people who are found in the same frame, it is the one with less confidence, then the one
    with the larger id.
    """
    found = np.zeros(len(body.real))
    confidence = table.confidence.mean(1)
    for left, right in neighbours(table, body.real):
        scale = np.minimum(body.scale[left], body.scale[right])
        with np.errstate(invalid="ignore"):
            distance = np.linalg.norm(body.centre[left] - body.centre[right], axis=1)
            near = distance < _NEAR * scale
        left, right, scale = left[near], right[near], scale[near]
        order = [(body.start[row], -confidence[row], table.track[row]) for row in (left, right)]
        first = greater(order[0], order[1])
        later, earlier = np.where(first, left, right), np.where(first, right, left)
        both = (table.confidence[left] > 0) & (table.confidence[right] > 0)
        apart = table.keypoints[later].astype(np.float64) - table.keypoints[earlier]
        apart = np.where(both[..., None], apart, np.nan)
        offset = median(np.moveaxis(apart, 1, -1), -1)
        shape = median(np.linalg.norm(apart - offset[:, None], axis=-1), 1)
        distance = np.fmax(shape, _OFFSET * np.linalg.norm(offset, axis=1))
        value = scale / np.maximum(distance, 1e-6 * scale)
        np.maximum.at(found, later, np.nan_to_num(value))
    return found


# -- inner -----------------------------------------------------------------------------------------


def _own_signs(table: FilledTracks, body: Bodies, bones: np.ndarray) -> dict[str, np.ndarray]:
    """The signs that need no other people, 0 where a sign is unknown."""
    blocks = [_block_signs(table, body, bones, slice(first, end)) for first, end in _blocks(table)]
    names = [name for name in SIGNS if name != "overlap"]
    return {
        name: np.concatenate([np.zeros(0), *(block[name] for block in blocks)]) for name in names
    }


def _block_signs(
    table: FilledTracks, body: Bodies, bones: np.ndarray, rows: slice
) -> dict[str, np.ndarray]:
    """:func:`_own_signs` of whole pieces."""
    skeleton, source = table.source.skeleton, table.source
    joints, real = skeleton.num_joints, body.real[rows]
    points, confidence = table.keypoints[rows].astype(np.float64), table.confidence[rows]
    seen = confidence > 0
    # Places of joints in inserted rows are interpolated, those of unseen joints in others too, but
    # over any time.
    known = seen | ~real[:, None]
    piece = table.piece[(table.piece >= rows.start) & (table.piece < rows.stop)] - rows.start
    number = np.arange(len(points))
    before = number - 1
    before[piece] = piece
    scale = np.fmax(body.scale[rows], body.scale[rows][before])
    with np.errstate(invalid="ignore", divide="ignore"):
        length = _lengths(points, seen, skeleton) / bones
        longest = np.nanmax(np.where(np.isnan(length), -np.inf, length), axis=1, initial=-np.inf)
        size = source.image_size[table.clip[rows]][:, None]
        beyond = ((points[..., :2] < 0) | (points[..., :2] > size)) & ~np.isnan(size)
        outside = (beyond.any(-1) & seen).sum(1) / joints if source.dims == 2 else 0.0 * number
        moved = points - points[before]
        both = known & known[before]
        step = (moved * both[..., None]).sum(1) / both.sum(1)[:, None]
        jump = np.linalg.norm(step - step[before], axis=1) / scale
        # The first step of a piece has no step before it.
        jump[np.isin(before, piece)] = 0
        mean = confidence.mean(1)
        signs = {
            "confidence": (1 - mean + 1 / joints) / (mean + 1 / joints),
            "bones": longest / body.scale[rows] - 1,
            "size": np.abs(np.log(body.scale[rows] / body.scale[rows][before])),
            "jump": jump,
            "outside": (outside + 1 / joints) / (1 - outside + 1 / joints),
            "swap": _swapped(points, known, before, scale, skeleton),
        }
    signs["swap"][piece] = 0
    return {
        name: np.where(real, np.nan_to_num(value, posinf=0, neginf=0), 0)
        for name, value in signs.items()
    }


def _swapped(
    points: np.ndarray,
    known: np.ndarray,
    before: np.ndarray,
    scale: np.ndarray,
    skeleton: Skeleton,
) -> np.ndarray:
    """The sign ``swap``."""
    order = np.arange(skeleton.num_joints)
    for left, right in skeleton.pairs:
        order[[left, right]] = right, left
    paired = np.flatnonzero(order != np.arange(len(order)))
    if not len(paired):
        return np.zeros(len(points))
    usable = (known & known[:, order] & known[before])[:, paired]
    old = points[before][:, paired]
    means = []
    for new in (points[:, paired], points[:, order[paired]]):
        distance = np.linalg.norm(new - old, axis=-1)
        means.append((distance * usable).sum(1) / usable.sum(1) / scale)
    ratio: np.ndarray = (means[0] + _NOISE) / (means[1] + _NOISE)
    return np.where(usable.sum(1) >= FEWEST, ratio, 0)


def _nearness(table: FilledTracks, body: Bodies) -> np.ndarray:
    """One bone length divided by the distance of the centres to the nearest other person."""
    found = np.zeros(len(body.real))
    for left, right in neighbours(table, body.real):
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.linalg.norm(body.centre[left] - body.centre[right], axis=1)
            value = np.nan_to_num(
                np.minimum(body.scale[left], body.scale[right]) / distance, posinf=0
            )
        np.maximum.at(found, left, value)
        np.maximum.at(found, right, value)
    return found


def neighbours(table: FilledTracks, real: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows of different people in one frame, each pair once, many pairs at a time.

    Args:
        table: The poses.
        real: Whether each row counts, :math:`[R]`; inserted rows may not.
    """
    rows = np.flatnonzero(real)
    rows = rows[np.lexsort((table.frame[rows], table.clip[rows]))]
    place = np.stack([table.clip[rows], table.frame[rows]])
    group = np.cumsum((np.diff(place, axis=1, prepend=-1) != 0).any(0))
    for distance in range(1, int(np.bincount(group).max(initial=1))):
        for part in range(0, len(rows) - distance, _BLOCK):
            left = np.arange(part, min(part + _BLOCK, len(rows) - distance))
            left = left[group[left] == group[left + distance]]
            if len(left):
                yield rows[left], rows[left + distance]


def _blocks(table: FilledTracks) -> Iterator[tuple[int, int]]:
    """First row and end of blocks of whole pieces."""
    ends = np.flatnonzero(np.diff(table.piece // _BLOCK, append=-1))
    yield from pairwise([0, *table.piece[ends].tolist()] if len(table.frame) else [])


def _bone_lengths(table: FilledTracks) -> np.ndarray:
    """Lengths of the bones with two seen ends :math:`[R, B]`, else NaN."""
    return _lengths(table.keypoints, table.confidence > 0, table.source.skeleton)


def _lengths(points: np.ndarray, seen: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    a, b = np.array(skeleton.bones, dtype=np.int64).reshape(-1, 2).T
    length = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return np.where(seen[:, a] & seen[:, b] & (length > 0), length, np.nan)
