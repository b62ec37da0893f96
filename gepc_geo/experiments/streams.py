"""Recordings composed of clips of actions: a stand-in for long recordings with poses and frame labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.experiments.protocol import FRAMES, ClassProtocol, Task
from gepc_geo.experiments.results import Condition
from gepc_geo.poses.tracks import PoseTracks

#: Streams that the clips of the test half are dealt to.
STREAMS = 40
#: Width and height, in pixels, of the picture that every clip is fitted into.
PICTURE = (640, 480)


@dataclass
class Streams(ClassProtocol):
    """Trained on normal clips of the training half, tested on streams composed of the test half.

    Every test clip of a known class is in one stream, once. Training clips are not joined; they are
    fitted into the same picture.

    Args:
        streams: How many streams.
        random_state: Seed of the composition.

    Raises:
        InputError: Poses in 3D or without image sizes, fewer clips of a kind than streams.
    """

    name, level, base = "streams", "frame", FRAMES
    about = "frames of streams composed of test clips: a stand-in, no recordings"
    streams: int = STREAMS
    random_state: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tracks.dims != 2 or np.isnan(self.tracks.image_size).any():
            raise InputError("streams need clips in 2D with image sizes, the data has others")
        for condition in self.conditions():
            for clips in (self.normal(condition), self.abnormal(condition)):
                count = int((self.half("test") & clips).sum())
                if count < self.streams:
                    raise InputError(
                        f"split {condition.split!r} ({condition.direction}) has {count} test clips "
                        f"of one kind, expected at least {self.streams}, one for each stream"
                    )

    def settings(self) -> dict[str, Any]:
        """Those of every protocol over classes, and the composition."""
        return super().settings() | {"streams": self.streams, "composition_seed": self.random_state}

    def task(self, condition: Condition, random_state: int) -> Task:
        """Normal training clips and composed streams, the same for every training seed."""
        test, normal = self.half("test"), self.normal(condition)
        parts = [np.flatnonzero(test & clips) for clips in (normal, self.abnormal(condition))]
        dealt = deal(parts, self.streams, self.random_state)
        streams = compose(self.tracks, dealt, ~normal)
        assert streams.frame_labels is not None
        train = self.tracks.select(clips=self.half("train") & normal)
        return Task(fit_into_picture(train), streams, streams.frame_labels)


def deal(kinds: list[np.ndarray], streams: int, random_state: int) -> list[np.ndarray]:
    """Deals clips of several kinds out to streams: of each kind as many to each, give or take one.

    Args:
        kinds: Positions of the clips of each kind.
        streams: How many streams.
        random_state: Seed of who gets which, and of the order within a stream.
    """
    generator = np.random.default_rng(random_state)
    shuffled = [generator.permutation(clips) for clips in kinds]
    return [
        generator.permutation(np.concatenate([clips[number::streams] for clips in shuffled]))
        for number in range(streams)
    ]


def compose(tracks: PoseTracks, streams: list[np.ndarray], abnormal: np.ndarray) -> PoseTracks:
    """Clips one after the other in streams, each fitted into the same picture.

    People of different clips are different people: no window reaches from one clip into the next.

    Args:
        tracks: Clips in 2D with image sizes.
        streams: Positions of the clips of each stream in their order; no clip twice.
        abnormal: Which clips are abnormal, :math:`[N]`: so are all their frames.
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
    # A person of a clip by a number of its own in the stream.
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
    """Each clip's image scaled, and centred, to just fit into :data:`PICTURE`; shapes stay as they are."""
    picture = np.array(PICTURE, dtype=np.float32)
    scale = (picture / tracks.image_size).min(axis=1)
    margin = (picture - scale[:, None] * tracks.image_size) / 2
    clip = tracks.clip
    keypoints = scale[clip, None, None] * tracks.keypoints + margin[clip, None]
    return tracks.with_(keypoints=keypoints, image_size=np.tile(picture, (tracks.num_clips, 1)))
