"""Heads of people in pictures, and blurring of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gepc_geo.poses.skeleton import Skeleton

_HEAD = re.compile(r"nose|eye|head|face|mouth|chin|jaw|(^|[^a-z])[lr]?ears?([^a-z]|$)", re.I)
# Radius of a head: shares of the pose's larger side, of the torso, and of the shoulders' width, and
# the multiple of the distance of the head's joints. The largest counts.
_OF_POSE, _OF_TORSO, _OF_SHOULDERS, _OF_JOINTS = 0.11, 0.32, 0.45, 2.0
# From the middle of the shoulders to the middle of the head, in torsos and in widths of shoulders.
_NECK, _NECK_OF_WIDTH = 0.5, 0.65
# A head whose joints were not detected is larger by this factor.
_GUESSED = 1.3
# A pose without head and shoulders: part of its height, from the top, that is the head, and least
# radius as a share of its width, as the head may be anywhere along the top.
_TOP, _WIDTH = 0.16, 0.4
# Least radius in pixels.
_LEAST = 2.0
# Sides of the mosaic of a head, in tiles.
_TILES = 3


class Heads:
    r"""Heads of the people of a clip.

    A head is a circle around the nose, eyes and ears; without these, above the shoulders; without
    shoulders, at the top of the pose. It is at least as large as is usual for the person. Where a
    track has a gap of at most a second, the head moves in a straight line.

    Args:
        points: Joints in pixels, :math:`[R, V, 2]`.
        seen: Whether each joint was detected, :math:`[R, V]`.
        frame: Frame of each row, :math:`[R]`.
        track: Person of each row, :math:`[R]`.
        skeleton: Skeleton of the joints.
        fps: Frames a second; NaN: 25.
    """

    def __init__(
        self,
        points: np.ndarray,
        seen: np.ndarray,
        frame: np.ndarray,
        track: np.ndarray,
        skeleton: Skeleton,
        fps: float,
    ) -> None:
        circles = head_circles(points, seen, skeleton)
        known = ~np.isnan(circles[:, 0])
        circles, frame, track = circles[known], frame[known], track[known]
        parts, frames = [circles], [frame]
        for person in np.unique(track):
            own = np.flatnonzero(track == person)
            own = own[np.argsort(frame[own], kind="stable")]
            circles[own, 2] = np.maximum(circles[own, 2], np.median(circles[own, 2]))
            gap = np.diff(frame[own])
            for i in np.flatnonzero((gap > 1) & (gap <= (25 if np.isnan(fps) else fps) + 1)):
                share = (np.arange(1, gap[i]) / gap[i])[:, None]
                parts.append((1 - share) * circles[own[i]] + share * circles[own[i + 1]])
                frames.append(np.arange(frame[own[i]] + 1, frame[own[i + 1]]))
        self._circles, self._frame = np.concatenate(parts), np.concatenate(frames)

    def at(self, frame: int) -> np.ndarray:
        """Circles of the heads in a frame: middle across and down, and radius, :math:`[H, 3]`."""
        return self._circles[self._frame == frame]


def head_circles(points: np.ndarray, seen: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    r"""Circles around heads.

    Args:
        points: Joints in pixels, :math:`[R, V, 2]`.
        seen: Whether each joint was detected, :math:`[R, V]`.
        skeleton: Skeleton of the joints.

    Returns:
        Middle across and down, and radius, :math:`[R, 3]`; NaN for poses without a detected joint.
    """
    points = np.where(seen[..., None], points, np.nan).astype(np.float64)
    head = points[:, [v for v, name in enumerate(skeleton.joints) if _HEAD.search(name)]]
    middle = _mean(head)
    low, high = np.fmin.reduce(points, axis=1), np.fmax.reduce(points, axis=1)
    # The upper corners of a box are no shoulders.
    corners = skeleton.shoulders and "top" in skeleton.joints[skeleton.shoulders[0]]
    shoulders = _joints(points, None if corners else skeleton.shoulders)
    hips = _joints(points, skeleton.hips)
    torso = _mean(shoulders) - _mean(hips)
    width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=1)
    spread = np.linalg.norm(head - middle[:, None], axis=2)
    radius = np.fmax.reduce(
        [
            _OF_POSE * (high - low).max(1),
            _OF_TORSO * np.linalg.norm(torso, axis=1),
            _OF_SHOULDERS * width,
            _OF_JOINTS * np.fmax.reduce(spread, axis=1, initial=0.0),
        ]
    )
    upright = np.stack([np.zeros(len(points)), -_NECK_OF_WIDTH * width], axis=1)
    above = _mean(shoulders) + np.where(np.isnan(torso), upright, _NECK * torso)
    top = np.stack([(low + high)[:, 0] / 2, low[:, 1] + _TOP / 2 * (high - low)[:, 1]], axis=1)
    for guess, least in ((above, _GUESSED * radius), (top, _WIDTH * (high - low)[:, 0])):
        missing = np.isnan(middle[:, 0])
        middle[missing] = guess[missing]
        radius[missing] = np.fmax(radius, least)[missing]
    return np.concatenate([middle, np.maximum(radius, _LEAST)[:, None]], axis=1)


def _joints(points: np.ndarray, pair: tuple[int, int] | None) -> np.ndarray:
    """Two joints of each pose, [R, 2, 2]; NaN without such joints."""
    return np.full((len(points), 2, 2), np.nan) if pair is None else points[:, list(pair)]


def _mean(points: np.ndarray) -> np.ndarray:
    """Mean of the known ones of some joints, [R, 2]; NaN without any."""
    count = (~np.isnan(points)).sum(1)
    mean: np.ndarray = np.nansum(points, axis=1) / np.where(count > 0, count, np.nan)
    return mean


def blur_heads(picture: Any, circles: np.ndarray) -> None:
    """Replaces heads in a picture by a few colours that flow into each other.

    The colours are means of parts of the picture: faces cannot be computed from them.

    Args:
        picture: Picture of Pillow, which changes.
        circles: Heads, from :class:`Heads`.
    """
    from PIL import Image, ImageDraw

    for x, y, radius in circles.tolist():
        box = [
            max(int(x - radius), 0),
            max(int(y - radius), 0),
            min(int(x + radius) + 1, picture.width),
            min(int(y + radius) + 1, picture.height),
        ]
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        size = (box[2] - box[0], box[3] - box[1])
        few = picture.crop(box).resize((_TILES, _TILES), Image.Resampling.BOX)
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).ellipse(
            [x - radius - box[0], y - radius - box[1], x + radius - box[0], y + radius - box[1]],
            fill=255,
        )
        picture.paste(few.resize(size, Image.Resampling.BILINEAR), box[:2], mask)
