"""Benchmark of readers: AlphaPose against a plain reader, the native format against NumPy."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gepc_geo.bench.measure import milliseconds
from gepc_geo.bench.processes import resident, run_in_process
from gepc_geo.io import read as read_poses
from gepc_geo.poses.tracks import PoseTracks

_CPU = torch.device("cpu")
_PEOPLE = 10


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Measures 200,000 AlphaPose poses and 10 million native person-frames; a tenth if quick."""
    poses, rows = (20_000, 1_000_000) if quick else (200_000, 10_000_000)
    with tempfile.TemporaryDirectory() as name:
        return [*measure_alphapose(poses, Path(name)), *measure_native(rows, Path(name))]


def plain_results(path: Path) -> tuple[np.ndarray, ...]:
    """Plain reader of a result list: frame, person, and x, y, score of each joint."""
    with path.open(encoding="utf-8") as stream:
        content = json.load(stream)
    frames, people, points = [], [], []
    for pose in content:
        frames.append(int(pose["image_id"].split(".")[0]))
        people.append(pose["idx"])
        points.append(np.array(pose["keypoints"]).reshape(-1, 3))
    return np.array(frames), np.array(people), np.stack(points)


def plain_tracks(path: Path) -> tuple[np.ndarray, ...]:
    """Plain reader of a tracked-person file, with the same result."""
    with path.open(encoding="utf-8") as stream:
        content = json.load(stream)
    frames, people, points = [], [], []
    for person, poses in content.items():
        for frame, pose in poses.items():
            frames.append(int(frame))
            people.append(int(person))
            points.append(np.array(pose["keypoints"]).reshape(-1, 3))
    return np.array(frames), np.array(people), np.stack(points)


def write_alphapose_pair(count: int, folder: Path) -> tuple[Path, Path]:
    """Writes ``count`` poses of one clip as a result list and as a tracked-person file."""
    rng = np.random.default_rng(0)
    points = np.round(rng.uniform(1, 1000, (count, 17, 3)), 3)
    points[..., 2] = np.round(rng.uniform(0.05, 1, (count, 17)), 4)
    results, people = [], {str(person): {} for person in range(_PEOPLE)}  # type: ignore[var-annotated]
    for i, pose in enumerate(points.reshape(count, -1).tolist()):
        frame, person = divmod(i, _PEOPLE)
        entry = {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": pose, "score": 2.5}
        results.append({**entry, "box": pose[:4], "idx": person})
        people[str(person)][f"{frame:04d}"] = {"keypoints": pose, "scores": 2.5}
    paths = folder / "alphapose-results.json", folder / "a_alphapose_tracked_person.json"
    for path, content in zip(paths, (results, people), strict=True):
        path.write_text(json.dumps(content))
    return paths


def measure_alphapose(count: int, folder: Path) -> list[dict[str, Any]]:
    """AlphaPose files of ``count`` poses; ``theirs`` is the plain reader."""
    results, tracks = write_alphapose_pair(count, folder)
    rows = []
    for name, path, read, plain in (
        ("result list", results, read_poses, plain_results),
        ("tracked persons", tracks, read_poses, plain_tracks),
    ):
        ours, theirs = milliseconds(
            lambda read=read, path=path: read(path),  # type: ignore[misc]
            lambda plain=plain, path=path: plain(path),  # type: ignore[misc]
            seconds=1.0,
            device=_CPU,
        )
        rows.append(
            {
                "suite": "readers",
                "where": f"{count:,} poses",
                "name": f"AlphaPose {name} over json + numpy",
                "ours": ours / 1e3,
                "theirs": theirs / 1e3,
                "unit": "s",
                "ratio": theirs / ours,
                "goal": ">= 3",
            }
        )
        path.unlink()
    return rows


def measure_native(count: int, folder: Path) -> list[dict[str, Any]]:
    """Native format; ``theirs`` is ``np.load`` without checks, or the file size for memory."""
    path = folder / "poses.npz"
    _person_frames(count).save(path)
    size = path.stat().st_size / 2**20
    rows = []
    for name, mmap in (("load", False), ("load, mapped", True)):
        ours, theirs = milliseconds(
            lambda mmap=mmap: PoseTracks.load(path, mmap=mmap),  # type: ignore[misc]
            lambda: _plain_native(path),
            seconds=1.0,
            device=_CPU,
        )
        base = {"suite": "readers", "where": f"{count:,} person-frames"}
        rows.append(
            base
            | {"name": f"native {name}", "ours": ours / 1e3, "theirs": theirs / 1e3, "unit": "s"}
            | {"ratio": theirs / ours, "goal": "seconds"}
        )
        memory = run_in_process("gepc_geo.bench.readers", path, int(mmap))
        for kind, value in memory.items():
            rows.append(
                base
                | {"name": f"native {name}: memory {kind}", "ours": value, "theirs": size}
                | {"unit": "MB", "ratio": value / size, "goal": "<= 1.2"}
            )
    return rows


def _plain_native(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return dict(archive)


def _person_frames(count: int) -> PoseTracks:
    """Random boxes: 1,000 frames of each person, a hundred people in a clip."""
    rng = np.random.default_rng(0)
    people, frames = -(-count // 1000), 1000
    track = np.repeat(np.arange(people), frames)[:count]
    return PoseTracks.build(
        rng.random((count, 5, 2), dtype=np.float32),
        0.5 + rng.random((count, 5), dtype=np.float32) / 2,
        np.tile(np.arange(frames), people)[:count],
        track % 100,
        track // 100,
        "box5",
        [str(clip) for clip in range(-(-people // 100))],
    )


def measure(path: Path, mmap: bool) -> dict[str, float]:
    """MB that loading a file adds to this process: held and at most."""
    before = resident()
    tracks = PoseTracks.load(path, mmap=mmap)
    held, most = (after - first for after, first in zip(resident(), before, strict=True))
    del tracks
    return {"held": held, "at most": most}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2] == "1")))
