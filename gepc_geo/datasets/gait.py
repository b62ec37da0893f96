"""A simple articulated walker: 17 COCO joints in 3D from joint angles over time.

Lengths are in metres, angles in radians. The world has x to the right, y away from the camera and z
up. Segment lengths are fractions of body height from anthropometric tables (Winter, Biomechanics
and Motor Control of Human Movement, 2009, figure 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.poses.skeleton import SKELETONS

THIGH, SHANK, TORSO, UPPER_ARM, FOREARM = 0.245, 0.246, 0.288, 0.186, 0.146
HIP_HALF, SHOULDER_HALF, ANKLE_HEIGHT = 0.052, 0.115, 0.039
_JOINTS = SKELETONS["coco17"].joints


@dataclass
class Motion:
    """Joint angles of one person over ``T`` frames; left and right in the last dimension.

    Attributes:
        position: Ground position below the pelvis, ``[T, 2]``.
        heading: Direction of walking in the ground plane, ``[T]``; 0 is along x.
        hip: Flexion of the thighs, ``[T, 2]``; forward is positive.
        knee: Flexion of the knees, ``[T, 2]``.
        shoulder: Flexion of the upper arms, ``[T, 2]``; forward and up is positive.
        spread: Abduction of the arms, ``[T, 2]``; sideways is positive.
        elbow: Flexion of the elbows, ``[T, 2]``.
        lean: Forward lean of the torso, ``[T]``.
        lift: Height of the lower foot above the ground, ``[T]``.
        pitch: Rotation of the whole body about its feet, ``[T]``; forward is positive.
        roll: Rotation of the whole body to the side, ``[T]``.
    """

    position: np.ndarray
    heading: np.ndarray
    hip: np.ndarray
    knee: np.ndarray
    shoulder: np.ndarray
    spread: np.ndarray
    elbow: np.ndarray
    lean: np.ndarray
    lift: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray

    @classmethod
    def still(cls, frames: int) -> Motion:
        """Standing upright at the origin with hanging arms, for ``frames`` frames."""

        def zeros(*shape: int) -> np.ndarray:
            return np.zeros((frames, *shape))

        return cls(
            position=zeros(2),
            heading=zeros(),
            hip=zeros(2),
            knee=zeros(2) + 0.05,
            shoulder=zeros(2),
            spread=zeros(2) + 0.08,
            elbow=zeros(2) + 0.2,
            lean=zeros(),
            lift=zeros(),
            pitch=zeros(),
            roll=zeros(),
        )


def joints_3d(motion: Motion, height: float) -> np.ndarray:
    """The joints of a person, by forward kinematics.

    Args:
        motion: Joint angles over :math:`T` frames.
        height: Body height in metres.

    Returns:
        ``[T, 17, 3]``.
    """
    forward = np.stack(
        [np.cos(motion.heading), np.sin(motion.heading), np.zeros_like(motion.heading)], -1
    )
    left = np.stack([-forward[:, 1], forward[:, 0], forward[:, 2]], -1)
    up = np.broadcast_to([0.0, 0.0, 1.0], forward.shape)

    def along(angle: np.ndarray, axis: np.ndarray, other: np.ndarray) -> np.ndarray:
        """A unit vector turned from ``other`` towards ``axis``."""
        turned: np.ndarray = np.sin(angle)[:, None] * axis + np.cos(angle)[:, None] * other
        return turned

    place: dict[str, np.ndarray] = {}
    origin = np.zeros_like(forward)
    torso = along(motion.lean, forward, up)
    chest = along(motion.lean, -up, forward)  # the torso's forward direction
    neck = origin + TORSO * height * torso
    for side, (name, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        hip = origin + sign * HIP_HALF * height * left
        knee = hip + THIGH * height * along(motion.hip[:, side], forward, -up)
        shin = along(motion.hip[:, side] - motion.knee[:, side], forward, -up)
        place[f"{name}_hip"], place[f"{name}_knee"] = hip, knee
        place[f"{name}_ankle"] = knee + SHANK * height * shin
        shoulder = neck + sign * SHOULDER_HALF * height * left
        spread = motion.spread[:, side]
        upper = along(spread, sign * left, along(motion.shoulder[:, side], chest, -torso))
        bent = motion.shoulder[:, side] + motion.elbow[:, side]
        lower = along(spread, sign * left, along(bent, chest, -torso))
        elbow = shoulder + UPPER_ARM * height * upper
        place[f"{name}_shoulder"], place[f"{name}_elbow"] = shoulder, elbow
        place[f"{name}_wrist"] = elbow + FOREARM * height * lower
        place[f"{name}_eye"] = neck + height * (0.125 * torso + 0.045 * chest + sign * 0.018 * left)
        place[f"{name}_ear"] = neck + height * (0.118 * torso + sign * 0.045 * left)
    place["nose"] = neck + height * (0.105 * torso + 0.06 * chest)
    body = np.stack([place[name] for name in _JOINTS], axis=1)
    # The lower foot is on the ground, which moves a walker's hips up and down.
    feet = np.minimum(place["left_ankle"][:, 2], place["right_ankle"][:, 2])
    body[..., 2] += (ANKLE_HEIGHT * height - feet)[:, None]
    body = _turn(body, forward, up, motion.pitch)
    body = _turn(body, left, up, motion.roll)
    # A lying body stays above the ground.
    body[..., 2] += (np.maximum(0.03 * height - body[..., 2].min(1), 0) + motion.lift)[:, None]
    body[..., :2] += motion.position[:, None]
    return body


def _turn(body: np.ndarray, axis: np.ndarray, up: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotates points about the origin, from ``up`` towards ``axis``."""
    a = np.einsum("tjc,tc->tj", body, axis)
    b = np.einsum("tjc,tc->tj", body, up)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    by_axis, by_up = cos * a + sin * b - a, cos * b - sin * a - b
    return np.asarray(body + by_axis[..., None] * axis[:, None] + by_up[..., None] * up[:, None])


def smooth_noise(rng: np.random.Generator, frames: int, period: float) -> np.ndarray:
    """Smooth noise of unit variance, ``[T]``.

    Args:
        rng: Random numbers.
        frames: Number of frames, :math:`T`.
        period: Frames between independent values.
    """
    knots = rng.normal(size=int(frames / period) + 4)
    at = np.arange(frames) / period + rng.uniform(0, 1)
    i = at.astype(int)
    # Cosine interpolation is smooth at the knots.
    share = (1 - np.cos(np.pi * (at - i))) / 2
    return np.asarray(knots[i] * (1 - share) + knots[i + 1] * share)


def walk(
    rng: np.random.Generator,
    path: np.ndarray,
    heading: np.ndarray,
    height: float,
    fps: float,
    *,
    running: bool = False,
) -> Motion:
    """Walking or running along a path; standing where the path stands still.

    Args:
        rng: Random numbers.
        path: Ground positions, ``[T, 2]``.
        heading: Direction of walking in the ground plane, ``[T]``.
        height: Body height in metres.
        fps: Frames a second.
        running: Whether the person runs.

    Returns:
        Joint angles over :math:`T` frames.
    """
    frames = len(path)
    motion = Motion.still(frames)
    motion.position, motion.heading = path, heading
    speed = np.linalg.norm(np.gradient(path, axis=0), axis=1) * fps
    # The stride (two steps) grows with the root of speed; the cadence follows.
    stride = height * (1.35 if running else 0.78) * np.sqrt(np.maximum(speed, 0.1) / 1.35)
    phase = 2 * np.pi * (np.cumsum(speed / stride) / fps + rng.uniform(0, 1))
    # With this amplitude the standing foot does not slide; standing legs move little.
    reach = np.clip(stride / 4 / (height * (THIGH + SHANK)), 0, 0.75) * np.minimum(speed / 0.4, 1)
    if running:
        reach = np.clip(reach, 0.45, 0.8)
    legs = np.stack([phase, phase + np.pi], axis=1)
    style = rng.normal(1, 0.1, size=4)
    motion.hip = style[0] * np.arcsin(reach)[:, None] * np.sin(legs) + (0.12 if running else 0.06)
    swing = np.clip(np.cos(legs - 0.3), 0, None) ** 1.5
    motion.knee = (
        0.1 + style[1] * (1.6 if running else 0.95) * swing * np.minimum(speed / 0.8, 1)[:, None]
    )
    arms = np.stack([phase + np.pi, phase], axis=1)
    amount = (0.7 if running else 0.4) * style[2] * np.minimum(speed / 1.2, 1.3)
    motion.shoulder = amount[:, None] * np.sin(arms)
    bend = 1.5 if running else 0.25 + 0.15 * rng.uniform()
    motion.elbow = bend * style[3] + 0.25 * amount[:, None] * np.sin(arms)
    motion.lean = np.full(frames, (0.18 if running else 0.03) + rng.normal(0, 0.03))
    motion.spread = 0.08 + np.abs(rng.normal(0, 0.05, size=2)) + np.zeros((frames, 2))
    if running:
        motion.lift = 0.05 * height * np.abs(np.sin(phase)) ** 2
    return motion
