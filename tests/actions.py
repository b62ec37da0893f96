"""Clips of four simulated actions with classes, official halves and images of two sizes."""

from __future__ import annotations

import numpy as np

from gepc_geo.datasets.gait import Motion, joints_3d, walk
from gepc_geo.poses.tracks import PoseTracks

FPS, TRAIN, TEST = 24.0, 6, 4
CLASSES = ("bow", "run", "stand", "walk")


def motion(kind: str, rng: np.random.Generator, frames: int) -> Motion:
    if kind in ("walk", "run"):
        speed = rng.uniform(1.1, 1.5) * (2.5 if kind == "run" else 1)
        way = np.zeros((frames, 2))
        way[:, 0] = np.arange(frames) * speed / FPS
        return walk(rng, way, np.zeros(frames), 1.7, FPS, running=kind == "run")
    still = Motion.still(frames)
    if kind == "bow":
        still.lean = np.sin(np.linspace(0, np.pi, frames)) * rng.uniform(0.8, 1.2)
    return still


def simulate_actions() -> PoseTracks:
    """10 clips of each of :data:`CLASSES`, one person each: 6 for training, 4 for testing."""
    rng = np.random.default_rng(0)
    keypoints, frames, clips, sizes, labels, splits = [], [], [], [], [], []
    for number in range(TRAIN + TEST):
        for kind in CLASSES:
            length = int(rng.integers(20, 30))
            width, height = ((480, 270), (320, 400))[number % 2]
            body = joints_3d(motion(kind, rng, length), 1.7)[..., [0, 2]]
            seen = body * (1, -1) * 80 + (100, height - 20)
            keypoints.append(seen + rng.normal(0, 0.5, seen.shape))
            frames.append(np.arange(length))
            clips.append(np.full(length, len(labels)))
            sizes.append((width, height))
            labels.append(kind)
            splits.append("train" if number < TRAIN else "test")
    points = np.concatenate(keypoints)
    return PoseTracks.build(
        points,
        np.ones(points.shape[:2]),
        np.concatenate(frames),
        np.zeros(len(points), dtype=int),
        np.concatenate(clips),
        "coco17",
        [f"clip_{i}" for i in range(len(labels))],
        image_size=sizes,
        clip_label=labels,
        clip_split=splits,
    )
