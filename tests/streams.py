"""A run on a small crowd, and crowds as lines of frames: what tests of streams share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from helpers import NETWORK

from gepc_geo import GEPC, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.io import read
from gepc_geo.streaming.alerts import Alert

#: Options of a detector of windows of one length.
SMALL = dict(lengths=["12"], augment="none", stride=4, holdout=0.2)
#: The same of several lengths, as the default has.
SEVERAL = {**SMALL, "lengths": ["8", "16", "30"]}
#: The same with a network.
TRAINED = {**NETWORK, **SMALL, "budget": 320, "batch_size": 32}


def small_run(folder: Path, options: dict = SMALL) -> GEPC:
    """A detector in ``folder/run/model.pt``."""
    train = simulate_crowd("train", num_clips=10, frames_per_clip=40, random_state=1)
    detector = GEPC(**options).fit(train, device="cpu")
    detector.save(folder / "run" / "model.pt")
    return detector


def all_joints(tracks: PoseTracks) -> PoseTracks:
    """Every joint seen of whoever is there: nothing that a stream would have to wait for."""
    there = tracks.rows(tracks.confidence.any(1))
    seen = there.confidence[..., None] > 0
    mean = np.where(seen, there.keypoints, 0).sum(1, keepdims=True) / seen.sum(1, keepdims=True)
    return there.with_(
        keypoints=np.where(seen, there.keypoints, mean), confidence=np.ones_like(there.confidence)
    )


def line(camera: str, frame: int, ids, keypoints, confidence) -> str:
    people = [
        {"id": int(i), "keypoints": np.column_stack([points, seen]).tolist()}
        for i, points, seen in zip(ids, keypoints, confidence, strict=True)
    ]
    return json.dumps({"camera": camera, "frame": frame, "people": people})


def write_another_day(folder: Path) -> None:
    """Writes poses of other days, a stream of them and a false alarm beside ``poses/test``."""
    for name in ("normal", "today"):
        shutil.copytree(folder / "poses" / "test", folder / "poses" / name)
    today = read(folder / "poses" / "today")
    (folder / "frames.jsonl").write_text("".join(f"{line}\n" for line in lines_of(today)))
    false = Alert(today.clip_names[0], "closed", 10, 15, 20, int(today.track[0]), 1.0)
    (folder / "false.jsonl").write_text(false.to_json() + "\n")


def lines_of(tracks: PoseTracks) -> list[str]:
    """All clips as cameras, a frame of each in turn."""
    found = []
    for number in range(int(tracks.clip_length.max())):
        for clip in np.flatnonzero(tracks.clip_length > number):
            at = np.flatnonzero((tracks.clip == clip) & (tracks.frame == number))
            found.append(
                line(
                    tracks.clip_names[clip],
                    number,
                    tracks.track[at],
                    tracks.keypoints[at],
                    tracks.confidence[at],
                )
            )
    return found
