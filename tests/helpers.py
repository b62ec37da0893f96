"""What several test modules use: a network that trains in a moment, scripts as modules."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pytest import MonkeyPatch
from torch.utils._python_dispatch import TorchDispatchMode

from gepc_geo.cli.jobs import demo
from gepc_geo.density import alterations
from gepc_geo.poses.skeleton import SKELETONS, coco17_to_coco18
from gepc_geo.poses.tracks import PoseTracks

#: Steps of a classifier of altered windows outside of tests, and in processes that tests start.
STEPS = alterations.STEPS
ROOT = Path(__file__).parent.parent
#: Options of a detector whose network trains in a moment, on windows of one length.
NETWORK = dict(
    mode="assignment",
    lengths=["12"],
    encoder_channels=[2, 2, 2],
    strides=[1, 2, 3],
    decoder_channels=[2, 2],
    hidden=1,
    clusters=3,
    components=2,
    stride=4,
    augment="flip",
    precision="fp32",
)


def script(path: str) -> ModuleType:
    """A script of the project as a module, without running it."""
    spec = importlib.util.spec_from_file_location(Path(path).stem + "_script", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Inside, no file of this process or of its children grows over so many bytes."""
    resource = pytest.importorskip("resource", reason="no limits of files here")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def shrink_demo(monkeypatch: MonkeyPatch) -> None:
    """The command ``demo`` on a crowd of few short clips, every kind of anomaly among them."""
    crowd = {"train_clips": 12, "test_clips": 9, "frames_per_clip": 48}
    monkeypatch.setattr(demo, "run_demo", partial(demo.run_demo, crowd=crowd))


def poses_for(form: str, tracks: PoseTracks) -> PoseTracks:
    """Poses of 17 COCO joints with joints that a format is written with; whole clips stay.

    NTU's files hold two people a clip, in metres.
    """
    if form not in ("ntu", "mediapipe"):
        keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
        return tracks.with_(keypoints=keypoints, confidence=confidence, skeleton="coco18")
    skeleton = SKELETONS["ntu25" if form == "ntu" else "mediapipe33"]
    joints = np.arange(skeleton.num_joints)
    keypoints = tracks.keypoints[:, joints % 17] + joints[:, None].astype(np.float32)
    tracks = tracks.with_(
        keypoints=keypoints, confidence=tracks.confidence[:, joints % 17], skeleton=skeleton
    )
    if form == "mediapipe":
        return tracks
    first = {clip: np.unique(tracks.track[tracks.clip == clip])[:2] for clip in set(tracks.clip)}
    pairs = zip(tracks.clip, tracks.track, strict=True)
    two = tracks.rows(np.array([track in first[clip] for clip, track in pairs], dtype=bool))
    solid = np.concatenate([two.keypoints / 100, np.full_like(two.keypoints[..., :1], 3)], axis=2)
    return two.with_(keypoints=solid, fps=[30] * two.num_clips)


def in_3d(tracks: PoseTracks) -> PoseTracks:
    """The same poses in metres, three of them from the camera and a little apart in depth."""
    flat = tracks.keypoints / 100
    depth = 3 + 0.2 * np.sin(flat.sum(-1, keepdims=True))
    solid = np.concatenate([flat, depth], axis=2).astype(np.float32)
    return tracks.with_(keypoints=solid, image_size=None)


class NoReading(TorchDispatchMode):
    """Fails where a value would be read back from the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "is_nonzero"), name
        return func(*args, **(kwargs or {}))


def only_clip(**columns: Any) -> dict[str, np.ndarray]:
    """A table of scores of the clip ``only``."""
    count = len(columns["score"])
    return {"clip": np.array(["only"] * count), **{k: np.array(v) for k, v in columns.items()}}
