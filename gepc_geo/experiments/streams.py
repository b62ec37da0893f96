"""Streams composed of clips of actions, in place of recordings with frame labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.experiments.protocol import FRAMES, ClassProtocol, Task
from gepc_geo.experiments.results import Condition
from gepc_geo.poses.tracks import PoseTracks

#: Number of streams that the test clips are distributed over.
STREAMS = 40
#: Width and height in pixels of the picture that every clip is scaled to.
PICTURE = (640, 480)


@dataclass
class Streams(ClassProtocol):
    """Trains on normal clips of the training half, tests on streams of clips of the test half.

    Each test clip of a known class is in one stream. Training clips are not joined, but scaled to
    the same picture.

    Args:
        streams: Number of streams. (default: :data:`STREAMS`)
        random_state: Seed of the composition. (default: :obj:`0`)

    Raises:
        InputError: Poses are in 3D or have no image size, or there are fewer normal or abnormal
            clips than streams.
    """

    name, level, base = "streams", "frame", FRAMES
    about = "frames of streams composed of test clips, no recordings"
    streams: int = STREAMS
    random_state: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        unsized = int(np.isnan(self.tracks.image_size).any(axis=1).sum())
        if self.tracks.dims != 2 or unsized:
            raise InputError(
                "clips of streams must be 2D poses with image sizes, got "
                f"{self.tracks.dims}D poses and {unsized} clips without image size"
            )
        for condition in self.conditions():
            for kind, clips in (
                ("normal", self.normal(condition)),
                ("abnormal", self.abnormal(condition)),
            ):
                count = int((self.half("test") & clips).sum())
                if count < self.streams:
                    raise InputError(
                        f"split {condition.split!r} ({condition.direction}) must have at least "
                        f"{self.streams} {kind} test clips, one per stream, got {count}"
                    )

    def settings(self) -> dict[str, Any]:
        """Settings of every protocol over classes, and the composition of streams."""
        return super().settings() | {"streams": self.streams, "composition_seed": self.random_state}

    def task(self, condition: Condition, random_state: int) -> Task:
        """Normal training clips, and streams that do not depend on the training seed."""
        test, normal = self.half("test"), self.normal(condition)
        parts = [np.flatnonzero(test & clips) for clips in (normal, self.abnormal(condition))]
        members = deal(parts, self.streams, self.random_state)
        streams = compose(self.tracks, members, ~normal)
        assert streams.frame_labels is not None
        train = self.tracks.select(clips=self.half("train") & normal)
        return Task(fit_into_picture(train), streams, streams.frame_labels)


def deal(kinds: list[np.ndarray], streams: int, random_state: int) -> list[np.ndarray]:
    """Distributes clips over streams; numbers of clips of a kind differ by at most one.

    Args:
        kinds: Positions of the clips of each kind.
        streams: Number of streams.
        random_state: Seed of the distribution, and of the order within a stream.

    Returns:
        Positions of the clips of each stream.
    """
    generator = np.random.default_rng(random_state)
    shuffled = [generator.permutation(clips) for clips in kinds]
    return [
        generator.permutation(np.concatenate([clips[number::streams] for clips in shuffled]))
        for number in range(streams)
    ]


def compose(tracks: PoseTracks, streams: list[np.ndarray], abnormal: np.ndarray) -> PoseTracks:
    """Joins clips to streams, each clip scaled to the same picture.

    People of different clips have different ids, so that no window spans two clips.

    Args:
        tracks: Clips in 2D with image sizes.
        streams: Positions of the clips of each stream in their order; no clip twice.
        abnormal: Mask of the abnormal clips, :math:`[N]`; all their frames are abnormal.
    """
    order = np.concatenate(streams)
    stream_of_clip = np.full(tracks.num_clips, -1)
    start = np.zeros(tracks.num_clips, dtype=np.int64)
    for number, clips in enumerate(streams):
        stream_of_clip[clips] = number
        start[clips] = np.cumsum(tracks.clip_length[clips]) - tracks.clip_length[clips]
    fitted = fit_into_picture(tracks)
    rows = np.flatnonzero(stream_of_clip[tracks.clip] >= 0)
    clip = tracks.clip[rows]
    # Ids of people differ between the clips of a stream.
    _, person = np.unique(np.stack([clip, tracks.track[rows]]), axis=1, return_inverse=True)
    return PoseTracks.build(
        fitted.keypoints[rows],
        fitted.confidence[rows],
        frame=tracks.frame[rows] + start[clip],
        track=person.reshape(-1),
        clip=stream_of_clip[clip],
        skeleton=tracks.skeleton,
        clip_names=[f"stream_{number:03d}" for number in range(len(streams))],
        clip_length=[int(tracks.clip_length[clips].sum()) for clips in streams],
        features=None if tracks.features is None else tracks.features[rows],
        image_size=np.tile(PICTURE, (len(streams), 1)),
        frame_labels=np.repeat(abnormal[order], tracks.clip_length[order]),
        origin="composed streams",
    )


def fit_into_picture(tracks: PoseTracks) -> PoseTracks:
    """Scales and centres each clip's image to fit into :data:`PICTURE`, at its aspect ratio."""
    picture = np.array(PICTURE, dtype=np.float32)
    scale = (picture / tracks.image_size).min(axis=1)
    margin = (picture - scale[:, None] * tracks.image_size) / 2
    clip = tracks.clip
    keypoints = scale[clip, None, None] * tracks.keypoints + margin[clip, None]
    return tracks.with_(keypoints=keypoints, image_size=np.tile(picture, (tracks.num_clips, 1)))
