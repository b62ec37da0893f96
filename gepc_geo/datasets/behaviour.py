"""Movements of simulated people: walking, standing, and each kind of anomaly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gepc_geo.datasets.gait import Motion, joints_3d, smooth_noise, walk

#: Frames per second.
FPS = 24.0


@dataclass
class Person:
    """A simulated person over ``T`` frames.

    Attributes:
        joints: Positions in metres, ``[T, 17, 3]``.
        height: Body height in metres.
        abnormal: Whether the behaviour is abnormal in each frame, ``[T]`` bool.
    """

    joints: np.ndarray
    height: float
    abnormal: np.ndarray


def _height(rng: np.random.Generator) -> float:
    child = rng.uniform() < 0.12
    return float(rng.uniform(1.1, 1.4) if child else np.clip(rng.normal(1.7, 0.09), 1.5, 1.98))


def _path(
    rng: np.random.Generator, frames: int, speed: np.ndarray, turn: float
) -> tuple[np.ndarray, np.ndarray]:
    """A path on the ground ``[T, 2]`` and its heading ``[T]``; ``speed`` in metres per second."""
    wander = turn * smooth_noise(rng, frames, 60)
    kind = rng.uniform()
    if kind < 0.6:  # across
        base = rng.choice([0.0, np.pi]) + rng.normal(0, 0.15)
    elif kind < 0.8:  # along
        base = rng.choice([0.5, -0.5]) * np.pi + rng.normal(0, 0.2)
    else:  # anywhere
        base = rng.uniform(-np.pi, np.pi)
    heading = base + wander
    step = np.stack([np.cos(heading), np.sin(heading)], 1) * (speed / FPS)[:, None]
    path = np.cumsum(step, axis=0)
    # The person is in view in at least one frame.
    visible = rng.integers(0, frames)
    middle = np.array([rng.uniform(-4, 4), rng.uniform(8, 18)])
    return path - path[visible] + middle, heading


def _stander(rng: np.random.Generator, frames: int, height: float) -> Motion:
    """A person who stands, shifts weight, turns and moves the arms a little."""
    motion = Motion.still(frames)
    place = np.array([rng.uniform(-5, 5), rng.uniform(8, 18)])
    sway = np.stack([smooth_noise(rng, frames, 40), smooth_noise(rng, frames, 40)], 1)
    motion.position = place + 0.04 * sway
    motion.heading = rng.uniform(-np.pi, np.pi) + 0.4 * smooth_noise(rng, frames, 90)
    for side in range(2):
        gesture = np.clip(smooth_noise(rng, frames, 30), 0, None)
        motion.shoulder[:, side] = 0.25 * gesture + 0.05 * smooth_noise(rng, frames, 20)
        motion.elbow[:, side] += 0.7 * gesture
        motion.hip[:, side] = 0.04 * smooth_noise(rng, frames, 50)
    motion.lean = 0.05 * smooth_noise(rng, frames, 60)
    return motion


def _hold_arm_still(rng: np.random.Generator, motion: Motion) -> None:
    """Stops the swing of one arm, which holds a phone or a bag."""
    side = int(rng.integers(0, 2))
    phone = rng.uniform() < 0.5
    motion.shoulder[:, side] = (0.5 if phone else 0.0) + 0.1 * motion.shoulder[:, side]
    motion.elbow[:, side] = (2.0 if phone else 0.1) + 0.05 * smooth_noise(rng, len(motion.lean), 30)


def normal_person(rng: np.random.Generator, frames: int) -> Person:
    """A person who walks or stands for ``frames`` frames."""
    height = _height(rng)
    kind = rng.uniform()
    if kind < 0.12:
        motion = _stander(rng, frames, height)
    else:
        # Mean speed of strollers, of most people, and of people in a hurry.
        mean = rng.choice(
            [rng.uniform(0.5, 0.9), rng.uniform(1.0, 1.5), rng.uniform(1.5, 1.9)],
            p=[0.2, 0.62, 0.18],
        )
        mean *= np.sqrt(height / 1.7)
        speed = np.clip(mean * (1 + 0.08 * smooth_noise(rng, frames, 30)), 0, None)
        if rng.uniform() < 0.12:  # stops on the way
            stop = rng.integers(0, frames)
            away = np.abs(np.arange(frames) - stop) / FPS
            speed = speed * np.clip((away - rng.uniform(0.5, 1.5)) / 0.8, 0, 1)
        path, heading = _path(rng, frames, speed, turn=rng.choice([0.1, 0.5], p=[0.75, 0.25]))
        motion = walk(rng, path, heading, height, FPS)
        if rng.uniform() < 0.25:
            _hold_arm_still(rng, motion)
    return Person(joints_3d(motion, height), height, np.zeros(frames, dtype=bool))


def _running(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    speed = rng.uniform(2.8, 4.5) * (1 + 0.05 * smooth_noise(rng, frames, 30))
    path, heading = _path(rng, frames, speed, turn=0.1)
    motion = walk(rng, path, heading, height, FPS, running=True)
    return [Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


def _cycling(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    speed = rng.uniform(2.8, 5.0) * (1 + 0.05 * smooth_noise(rng, frames, 60))
    path, heading = _path(rng, frames, speed, turn=0.1)
    motion = Motion.still(frames)
    motion.position, motion.heading = path, heading
    pedal = 2 * np.pi * (np.cumsum(rng.uniform(0.8, 1.4) + np.zeros(frames)) / FPS)
    legs = np.stack([pedal, pedal + np.pi], 1)
    motion.hip = 0.95 + 0.38 * np.sin(legs)
    motion.knee = 1.25 + 0.55 * np.sin(legs - 0.6)
    motion.lean = np.full(frames, rng.uniform(0.35, 0.6))
    motion.shoulder = np.full((frames, 2), 0.9) + motion.lean[:, None] * 0.4
    motion.elbow = np.full((frames, 2), rng.uniform(0.1, 0.35))
    # The lower foot is on its pedal, above the ground.
    motion.lift = np.full(frames, 0.12)
    return [Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


def _falling(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    start = int(rng.integers(frames // 4, frames // 2))
    time = np.arange(frames) - start
    # The person stops while falling, and then lies.
    speed = rng.uniform(0.9, 1.5) * np.clip(1 - time / (0.6 * FPS), 0, 1)
    path, heading = _path(rng, frames, speed, turn=0.1)
    path = path - path[start] + np.array([rng.uniform(-3, 3), rng.uniform(8, 15)])
    motion = walk(rng, path, heading, height, FPS)
    duration = rng.uniform(0.5, 0.9) * FPS
    share = np.clip(time / duration, 0, 1) ** 2
    angle = share * rng.uniform(1.35, 1.55)
    towards = rng.choice(3, p=[0.5, 0.2, 0.3])
    if towards == 2:
        motion.roll = angle * rng.choice([-1, 1])
    else:
        motion.pitch = angle * (1 if towards == 0 else -1)
    # The arms reach out and the legs bend.
    motion.shoulder = motion.shoulder * (1 - share[:, None]) + 1.2 * share[:, None] * rng.uniform(
        0.3, 1, size=2
    )
    motion.knee = motion.knee + share[:, None] * rng.uniform(0.1, 1.0, size=2)
    motion.hip = motion.hip + share[:, None] * rng.uniform(0.0, 0.6, size=2)
    return [Person(joints_3d(motion, height), height, time >= 0)]


def _episode(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the anomaly: a mask, and a strength that rises and falls in 1/3 second."""
    length = int(rng.uniform(0.4, 0.7) * frames)
    start = int(rng.integers(0, frames - length))
    time = np.arange(frames)
    inside = np.minimum(time - start, start + length - time) / (FPS / 3)
    return (time >= start) & (time < start + length), np.clip(inside, 0, 1)


def _waving(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    motion = _stander(rng, frames, height)
    mask, amount = _episode(rng, frames)
    beat = 2 * np.pi * rng.uniform(1.0, 1.8) * np.arange(frames) / FPS
    for side in range(2) if rng.uniform() < 0.6 else (int(rng.integers(0, 2)),):
        up = rng.uniform(2.5, 2.9)
        motion.shoulder[:, side] += amount * (up - motion.shoulder[:, side])
        motion.spread[:, side] += amount * (0.25 + 0.35 * np.sin(beat))
        motion.elbow[:, side] += amount * (0.1 - motion.elbow[:, side])
    return [Person(joints_3d(motion, height), height, mask)]


def _jumping(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    motion = _stander(rng, frames, height)
    mask, amount = _episode(rng, frames)
    cycle = (rng.uniform(0.9, 1.3) * np.arange(frames) / FPS) % 1
    crouch = np.clip(np.sin(2 * np.pi * cycle), 0, None)  # first half: down and up again
    flight = np.clip(-np.sin(2 * np.pi * cycle), 0, None)  # second half: in the air
    motion.lift = amount * flight * rng.uniform(0.2, 0.4)
    motion.hip += (amount * 0.9 * crouch)[:, None]
    motion.knee += (amount * 1.5 * crouch)[:, None]
    motion.lean = motion.lean + amount * 0.5 * crouch
    motion.shoulder += (amount * (1.8 * flight - 0.6 * crouch))[:, None]
    return [Person(joints_3d(motion, height), height, mask)]


def _fighting(rng: np.random.Generator, frames: int) -> list[Person]:
    middle = np.array([rng.uniform(-3, 3), rng.uniform(8, 14)])
    mask, amount = _episode(rng, frames)
    direction = rng.uniform(-np.pi, np.pi)
    pair = []
    for sign in (1, -1):
        height = _height(rng)
        motion = _stander(rng, frames, height)
        gap = 0.45 + 0.12 * smooth_noise(rng, frames, 12) * amount
        axis = np.array([np.cos(direction), np.sin(direction)])
        motion.position = middle - sign * gap[:, None] * axis
        turned = direction + (0 if sign > 0 else np.pi)
        motion.heading = turned + 0.25 * smooth_noise(rng, frames, 15)
        for side in range(2):
            strike = np.clip(smooth_noise(rng, frames, 5), 0, 2) * amount
            motion.shoulder[:, side] += 0.5 * amount + 0.8 * strike
            motion.elbow[:, side] += amount * 1.4 - 0.8 * strike
            motion.hip[:, side] += 0.25 * amount * smooth_noise(rng, frames, 10)
            motion.knee[:, side] += 0.2 * amount
        motion.lean = motion.lean + amount * (0.15 + 0.15 * smooth_noise(rng, frames, 8))
        pair.append(Person(joints_3d(motion, height), height, mask))
    return pair


def _loitering(rng: np.random.Generator, frames: int) -> list[Person]:
    height = _height(rng)
    # The person walks to and fro over a few square metres, with pauses.
    reach, period = rng.uniform(0.8, 2.0), rng.uniform(5, 9) * FPS
    time = np.arange(frames) / period * 2 * np.pi + rng.uniform(0, 2 * np.pi)
    triangle = np.clip(1.4 * np.sin(time), -1, 1) * reach
    direction = rng.uniform(-np.pi, np.pi)
    axis = np.array([np.cos(direction), np.sin(direction)])
    middle = np.array([rng.uniform(-3, 3), rng.uniform(8, 15)])
    drift = 0.15 * np.stack([smooth_noise(rng, frames, 50), smooth_noise(rng, frames, 50)], 1)
    path = middle + triangle[:, None] * axis + drift
    # The person turns round at the ends, within a second.
    back = 1 / (1 + np.exp(np.clip(6 * np.cos(time), -30, 30)))
    motion = walk(rng, path, direction + np.pi * back, height, FPS)
    return [Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


#: Functions that simulate the people of each kind of anomaly, by the kind's name.
ABNORMAL: dict[str, Callable[[np.random.Generator, int], list[Person]]] = {
    "running": _running,
    "falling": _falling,
    "jumping": _jumping,
    "cycling": _cycling,
    "waving": _waving,
    "fighting": _fighting,
    "loitering": _loitering,
}
