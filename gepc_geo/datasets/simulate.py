"""A seeded crowd before a camera: normal people, and one kind of anomaly a clip.

People walk, stroll, stand and turn in a ground plane seen by a pinhole camera; key points come with
noise, occlusions, missed frames and switched ids, as a pose tracker would give them. It is written
for plausibility; nothing in it is tuned to a detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gepc_geo.datasets.gait import Motion, joints_3d, smooth_noise, walk
from gepc_geo.errors import InputError
from gepc_geo.io.formats.alphapose import write_alphapose
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

FPS, WIDTH, HEIGHT = 24.0, 856, 480
#: The anomalies; a clip's name begins with its kind (or ``normal``).
KINDS = ("running", "falling", "jumping", "cycling", "waving", "fighting", "loitering")


@dataclass
class _Camera:
    """A pinhole camera over the origin that looks along y and a little down."""

    height: float
    pitch: float
    focal: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points ``[..., 3]`` to pixels and depth ``[..., 3]``."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2] - self.height
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        depth = np.maximum(cos * y - sin * z, 0.1)
        below = -(sin * y + cos * z)
        u = WIDTH / 2 + self.focal * x / depth
        v = HEIGHT / 2 + self.focal * below / depth
        return np.stack([u, v, depth], -1)


@dataclass
class _Person:
    """Joints in 3D ``[T, 17, 3]``, height, and in which frames the behaviour is abnormal."""

    joints: np.ndarray
    height: float
    abnormal: np.ndarray


def _height(rng: np.random.Generator) -> float:
    child = rng.uniform() < 0.12
    return float(rng.uniform(1.1, 1.4) if child else np.clip(rng.normal(1.7, 0.09), 1.5, 1.98))


def _path(
    rng: np.random.Generator, frames: int, speed: np.ndarray, turn: float
) -> tuple[np.ndarray, np.ndarray]:
    """A way through the scene ``[T, 2]`` and its heading, at ``speed`` [T] metres a second."""
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
    way = np.cumsum(step, axis=0)
    # In view at some moment of the clip.
    at = rng.integers(0, frames)
    middle = np.array([rng.uniform(-4, 4), rng.uniform(8, 18)])
    return way - way[at] + middle, heading


def _stander(rng: np.random.Generator, frames: int, height: float) -> Motion:
    """Somebody who stands, shifts weight, turns and moves the arms a little."""
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


def _arm_busy(rng: np.random.Generator, motion: Motion) -> None:
    """One arm that does not swing: a phone, a bag."""
    side = int(rng.integers(0, 2))
    phone = rng.uniform() < 0.5
    motion.shoulder[:, side] = (0.5 if phone else 0.0) + 0.1 * motion.shoulder[:, side]
    motion.elbow[:, side] = (2.0 if phone else 0.1) + 0.05 * smooth_noise(rng, len(motion.lean), 30)


def _normal(rng: np.random.Generator, frames: int) -> _Person:
    height = _height(rng)
    kind = rng.uniform()
    if kind < 0.12:
        motion = _stander(rng, frames, height)
    else:
        # Strollers, most people, people in a hurry; children walk as fast as they are led.
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
        way, heading = _path(rng, frames, speed, turn=rng.choice([0.1, 0.5], p=[0.75, 0.25]))
        motion = walk(rng, way, heading, height, FPS)
        if rng.uniform() < 0.25:
            _arm_busy(rng, motion)
    return _Person(joints_3d(motion, height), height, np.zeros(frames, dtype=bool))


def _running(rng: np.random.Generator, frames: int) -> list[_Person]:
    height = _height(rng)
    speed = rng.uniform(2.8, 4.5) * (1 + 0.05 * smooth_noise(rng, frames, 30))
    way, heading = _path(rng, frames, speed, turn=0.1)
    motion = walk(rng, way, heading, height, FPS, running=True)
    return [_Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


def _cycling(rng: np.random.Generator, frames: int) -> list[_Person]:
    height = _height(rng)
    speed = rng.uniform(2.8, 5.0) * (1 + 0.05 * smooth_noise(rng, frames, 60))
    way, heading = _path(rng, frames, speed, turn=0.1)
    motion = Motion.still(frames)
    motion.position, motion.heading = way, heading
    pedal = 2 * np.pi * (np.cumsum(rng.uniform(0.8, 1.4) + np.zeros(frames)) / FPS)
    legs = np.stack([pedal, pedal + np.pi], 1)
    motion.hip = 0.95 + 0.38 * np.sin(legs)
    motion.knee = 1.25 + 0.55 * np.sin(legs - 0.6)
    motion.lean = np.full(frames, rng.uniform(0.35, 0.6))
    motion.shoulder = np.full((frames, 2), 0.9) + motion.lean[:, None] * 0.4
    motion.elbow = np.full((frames, 2), rng.uniform(0.1, 0.35))
    # The lower foot is on its pedal, not on the ground.
    motion.lift = np.full(frames, 0.12)
    return [_Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


def _falling(rng: np.random.Generator, frames: int) -> list[_Person]:
    height = _height(rng)
    start = int(rng.integers(frames // 4, frames // 2))
    time = np.arange(frames) - start
    # Comes to a halt within the fall, lies for the rest.
    speed = rng.uniform(0.9, 1.5) * np.clip(1 - time / (0.6 * FPS), 0, 1)
    way, heading = _path(rng, frames, speed, turn=0.1)
    way = way - way[start] + np.array([rng.uniform(-3, 3), rng.uniform(8, 15)])
    motion = walk(rng, way, heading, height, FPS)
    duration = rng.uniform(0.5, 0.9) * FPS
    share = np.clip(time / duration, 0, 1) ** 2
    angle = share * rng.uniform(1.35, 1.55)
    towards = rng.choice(3, p=[0.5, 0.2, 0.3])
    if towards == 2:
        motion.roll = angle * rng.choice([-1, 1])
    else:
        motion.pitch = angle * (1 if towards == 0 else -1)
    # Arms reach out, legs give way.
    motion.shoulder = motion.shoulder * (1 - share[:, None]) + 1.2 * share[:, None] * rng.uniform(
        0.3, 1, size=2
    )
    motion.knee = motion.knee + share[:, None] * rng.uniform(0.1, 1.0, size=2)
    motion.hip = motion.hip + share[:, None] * rng.uniform(0.0, 0.6, size=2)
    return [_Person(joints_3d(motion, height), height, time >= 0)]


def _episode(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """When it happens: a mask, and how fully (rises and falls within a third of a second)."""
    length = int(rng.uniform(0.4, 0.7) * frames)
    start = int(rng.integers(0, frames - length))
    time = np.arange(frames)
    inside = np.minimum(time - start, start + length - time) / (FPS / 3)
    return (time >= start) & (time < start + length), np.clip(inside, 0, 1)


def _waving(rng: np.random.Generator, frames: int) -> list[_Person]:
    height = _height(rng)
    motion = _stander(rng, frames, height)
    mask, amount = _episode(rng, frames)
    beat = 2 * np.pi * rng.uniform(1.0, 1.8) * np.arange(frames) / FPS
    for side in range(2) if rng.uniform() < 0.6 else (int(rng.integers(0, 2)),):
        up = rng.uniform(2.5, 2.9)
        motion.shoulder[:, side] += amount * (up - motion.shoulder[:, side])
        motion.spread[:, side] += amount * (0.25 + 0.35 * np.sin(beat))
        motion.elbow[:, side] += amount * (0.1 - motion.elbow[:, side])
    return [_Person(joints_3d(motion, height), height, mask)]


def _jumping(rng: np.random.Generator, frames: int) -> list[_Person]:
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
    return [_Person(joints_3d(motion, height), height, mask)]


def _fighting(rng: np.random.Generator, frames: int) -> list[_Person]:
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
        pair.append(_Person(joints_3d(motion, height), height, mask))
    return pair


def _loitering(rng: np.random.Generator, frames: int) -> list[_Person]:
    height = _height(rng)
    # To and fro with standing between, the whole clip in a few square metres.
    reach, period = rng.uniform(0.8, 2.0), rng.uniform(5, 9) * FPS
    time = np.arange(frames) / period * 2 * np.pi + rng.uniform(0, 2 * np.pi)
    triangle = np.clip(1.4 * np.sin(time), -1, 1) * reach
    direction = rng.uniform(-np.pi, np.pi)
    axis = np.array([np.cos(direction), np.sin(direction)])
    middle = np.array([rng.uniform(-3, 3), rng.uniform(8, 15)])
    drift = 0.15 * np.stack([smooth_noise(rng, frames, 50), smooth_noise(rng, frames, 50)], 1)
    way = middle + triangle[:, None] * axis + drift
    # Turns round, over a second, at the ends.
    back = 1 / (1 + np.exp(np.clip(6 * np.cos(time), -30, 30)))
    motion = walk(rng, way, direction + np.pi * back, height, FPS)
    return [_Person(joints_3d(motion, height), height, np.ones(frames, dtype=bool))]


_ABNORMAL: dict[str, Callable[[np.random.Generator, int], list[_Person]]] = {
    "running": _running,
    "falling": _falling,
    "jumping": _jumping,
    "cycling": _cycling,
    "waving": _waving,
    "fighting": _fighting,
    "loitering": _loitering,
}


@dataclass
class _Seen:
    """What a tracker gives of one person, and which frames are abnormal while in view."""

    keypoints: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    abnormal_frames: np.ndarray


def _observe(
    rng: np.random.Generator, person: _Person, camera: _Camera, track: int, spare_track: int
) -> _Seen:
    """Projects a person and adds what goes wrong in pose tracking."""
    projected = camera.project(person.joints)
    pixels, depth = projected[..., :2], projected[:, 0, 2]
    size = camera.focal * person.height / depth  # pixels a standing body is high
    frames = len(pixels)
    inside = (pixels >= 0).all(-1) & (pixels[..., 0] < WIDTH) & (pixels[..., 1] < HEIGHT)
    # In view: most joints within the image, and near enough to be detected.
    view = (inside.mean(1) > 0.7) & (size > 45) & (person.joints[:, 0, 1] > 3)
    noise = rng.normal(size=pixels.shape) + 0.6 * np.stack(
        [[smooth_noise(rng, frames, 6) for _ in range(pixels.shape[1])] for _ in range(2)]
    ).transpose(2, 1, 0)
    pixels = pixels + 0.008 * size[:, None, None] * noise
    confidence = np.clip(rng.normal(0.88, 0.06, size=pixels.shape[:2]), 0.3, 1.0)
    confidence[~inside] = 0
    for _ in range(rng.poisson(frames / 120)):
        # Something stands before the legs, an arm, or a single joint for a while.
        first, length = int(rng.integers(0, frames)), int(rng.integers(4, 36))
        part = (range(11, 17), (7, 9), (8, 10), (int(rng.integers(0, 17)),))[rng.integers(0, 4)]
        confidence[first : first + length, list(part)] = 0
    missed = rng.uniform(size=frames) < 0.02
    if rng.uniform() < 0.3:
        first = int(rng.integers(0, frames))
        missed[first : first + int(rng.integers(4, 14))] = True
    ids = np.full(frames, track)
    if rng.uniform() < 0.1:
        ids[int(rng.integers(0, frames)) :] = spare_track
    keep = view & ~missed & (confidence > 0).any(1)
    return _Seen(
        np.where(confidence[..., None] > 0, pixels, 0)[keep],
        confidence[keep],
        np.flatnonzero(keep),
        ids[keep],
        view & person.abnormal,
    )


def _clip(
    rng: np.random.Generator, kind: str, frames: int, people: int
) -> tuple[list[_Seen], np.ndarray]:
    camera = _Camera(
        height=rng.uniform(3.0, 4.5), pitch=rng.uniform(0.14, 0.24), focal=rng.uniform(620, 760)
    )
    crowd = [_normal(rng, frames) for _ in range(people)]
    if kind != "normal":
        crowd = [*_ABNORMAL[kind](rng, frames), *crowd]
    seen = [
        _observe(rng, person, camera, track, len(crowd) + track)
        for track, person in enumerate(crowd)
    ]
    labels = np.zeros(frames, dtype=np.int8)
    for one in seen:
        labels |= one.abnormal_frames
    return seen, labels


def simulate_crowd(
    split: str = "train",
    *,
    num_clips: int | None = None,
    frames_per_clip: int = 240,
    random_state: int = 0,
) -> PoseTracks:
    """Simulates clips of tracked people, 856 x 480 pixels at 24 frames a second, ``coco17``.

    Args:
        split: ``"train"``: normal clips; ``"test"``: a quarter normal, the others one anomaly each,
            kinds in turn.
        num_clips: Default: 36 for training, 36 for testing (8 normal, 4 of each kind).
        frames_per_clip: Frames in each clip.
        random_state: The same seed gives the same crowd; the two splits never share people.

    Returns:
        Tracks with frame labels, class labels (the kind) and the split.
    """
    if random_state < 0:
        raise InputError(f"random_state must be at least 0, got {random_state}")
    if split not in ("train", "test"):
        raise InputError(f"split is {split!r}, expected train or test")
    if num_clips is not None and num_clips < 1:
        raise InputError(f"num_clips is {num_clips}, expected at least 1")
    if frames_per_clip < 24:
        raise InputError(f"frames_per_clip is {frames_per_clip}, expected at least 24")
    rng = np.random.default_rng([random_state, ("train", "test").index(split)])
    count = 36 if num_clips is None else num_clips
    normal = count if split == "train" else max(1, round(count * 2 / 9))
    kinds = ["normal"] * normal + [KINDS[i % len(KINDS)] for i in range(count - normal)]
    parts, labels, names = [], [], []
    number: dict[str, int] = {}
    for clip, kind in enumerate(kinds):
        seen, label = _clip(rng, kind, frames_per_clip, int(rng.integers(4, 9)))
        number[kind] = number.get(kind, -1) + 1
        names.append(f"{kind}_{number[kind]:02d}" if split == "test" else f"train_{clip:02d}")
        labels.append(label)
        parts += [(clip, one) for one in seen]
    return PoseTracks.build(
        np.concatenate([one.keypoints for _, one in parts]),
        np.concatenate([one.confidence for _, one in parts]),
        np.concatenate([one.frame for _, one in parts]),
        np.concatenate([one.track for _, one in parts]),
        np.concatenate([np.full(len(one.frame), clip) for clip, one in parts]),
        "coco17",
        names,
        clip_length=[frames_per_clip] * count,
        image_size=[[WIDTH, HEIGHT]] * count,
        fps=[FPS] * count,
        camera=["simulated"] * count,
        clip_label=kinds,
        clip_split=[split] * count,
        frame_labels=np.concatenate(labels),
        origin="simulated crowd",
    )


def write_crowd(
    folder: str | Path,
    *,
    random_state: int = 0,
    train_clips: int | None = None,
    test_clips: int | None = None,
    frames_per_clip: int = 240,
) -> None:
    """Writes a crowd as a pose tracker would: ``train/`` and ``test/`` in the AlphaPose format.

    Frame masks of the test clips go to ``test_masks/<clip>.npy`` (1 = abnormal).
    """
    folder = Path(folder)
    for split, count in (("train", train_clips), ("test", test_clips)):
        tracks = simulate_crowd(
            split, num_clips=count, frames_per_clip=frames_per_clip, random_state=random_state
        )
        write_alphapose(tracks, folder / split)
        if split == "test":
            assert tracks.frame_labels is not None
            for name, mask in zip(
                tracks.clip_names, tracks.frame_labels.reshape(tracks.num_clips, -1), strict=True
            ):
                path = folder / "test_masks" / f"{name}.npy"
                with atomic_path(path) as temporary, temporary.open("wb") as stream:
                    np.save(stream, mask.astype(np.uint8))
