"""Tracking faults of streams: those of whole clips, window by window."""

from __future__ import annotations

import numpy as np
import pytest
from streams import SEVERAL, all_joints

from gepc_geo import GEPC, Frame, OnlineScorer, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.streaming.scorer import OnlineScores
from gepc_geo.windows.quality import SIGNS


@pytest.fixture(scope="module")
def detector() -> GEPC:
    train = simulate_crowd("train", num_clips=6, frames_per_clip=60, random_state=1)
    return GEPC(**SEVERAL).fit(train, device="cpu")


@pytest.fixture(scope="module")
def crowd() -> PoseTracks:
    """Faults of every kind, gaps that are filled and gaps that split tracks."""
    tracks = simulate_crowd("test", num_clips=3, frames_per_clip=90, random_state=4)
    tracks, _ = inject_faults(all_joints(tracks), 8, random_state=2)
    rng = np.random.default_rng(0)
    missing = np.zeros(tracks.num_frames, dtype=bool)
    for row in rng.integers(0, tracks.num_frames, 40):
        missing[row : row + rng.integers(1, 8)] = True
    return tracks.rows(~missing)


def frames_of(tracks: PoseTracks) -> list[Frame]:
    frames = []
    for number in range(int(tracks.clip_length.max())):
        for clip, name in enumerate(tracks.clip_names):
            at = np.flatnonzero((tracks.clip == clip) & (tracks.frame == number))
            poses = (tracks.track[at], tracks.keypoints[at], tracks.confidence[at])
            frames.append(Frame(name, number, *poses, image_size=tuple(tracks.image_size[clip])))
    return frames


def faults_of(parts: list[OnlineScores]) -> dict[tuple, tuple[str, float]]:
    """Sign and quality by camera, person, first frame and length."""
    return {
        (camera, person, first, length): (["", *SIGNS][sign + 1], quality)
        for part in parts
        for camera, person, first, length, sign, quality in zip(
            part.camera,
            *(one.tolist() for one in (part.person, part.first, part.length, part.fault)),
            part.quality.tolist(),
            strict=True,
        )
    }


def assert_same(found: dict, detector: GEPC, tracks: PoseTracks) -> None:
    table = score_table(detector, tracks, "window", ScoreOptions(padded=False))
    names = ("clip", "person", "first_frame", "length")
    keys = zip(*(table[name].tolist() for name in names), strict=True)
    expected = dict(
        zip(keys, zip(table["fault"].tolist(), table["quality"].tolist(), strict=True), strict=True)
    )
    assert found.keys() == expected.keys()
    assert {key: sign for key, (sign, _) in found.items()} == {
        key: sign for key, (sign, _) in expected.items()
    }
    np.testing.assert_allclose(
        [found[key][1] for key in expected], [value for _, value in expected.values()], rtol=1e-6
    )
    signs = [sign for sign, _ in expected.values()]
    assert {"overlap", "jump", "swap", "bones", ""} <= set(signs)


@pytest.mark.parametrize("wait", [0, 3, 60])
def test_faults_are_those_of_whole_clips(wait, detector, crowd):
    scorer = OnlineScorer(detector, wait=wait)
    parts = [scorer.push(frame) for frame in frames_of(crowd)]
    assert_same(faults_of([*parts, scorer.close()]), detector, crowd)


def test_faults_do_not_depend_on_the_order_of_frames(detector, crowd):
    """Frames are late by up to five; one frame comes in two parts, each with other people."""
    frames = frames_of(crowd)
    order = np.argsort(
        [f.frame for f in frames] + np.random.default_rng(1).uniform(0, 5, len(frames))
    )
    scorer = OnlineScorer(detector, wait=5)
    parts = []
    for at in order:
        frame = frames[at]
        half = len(frame.ids) // 2
        for part in (slice(half), slice(half, None)):
            poses = (frame.ids[part], frame.keypoints[part], frame.confidence[part])
            parts.append(
                scorer.push(Frame(frame.camera, frame.frame, *poses, image_size=frame.image_size))
            )
    assert not any(scorer.dropped.values())
    assert_same(faults_of([*parts, scorer.close()]), detector, crowd)


def test_only_who_is_found_later_overlaps(detector):
    """The second of two people in one place, who have the same pose and confidence."""
    tracks = all_joints(simulate_crowd("test", num_clips=1, frames_per_clip=60, random_state=4))
    first = np.flatnonzero(tracks.track == tracks.track[0])
    assert len(first) > 40
    later = first[10:]
    both = np.concatenate([first, later])
    # The smaller id is the later one: neither ids nor confidence decide.
    ids = np.repeat([9, 4], [len(first), len(later)])
    doubled = tracks.rows(both).with_(track=ids)
    scorer = OnlineScorer(detector)
    parts = [*(scorer.push(frame) for frame in frames_of(doubled)), scorer.close()]
    signs = {person: set() for person in (4, 9)}
    for (_, person, *_), (sign, _) in faults_of(parts).items():
        signs[person].add(sign)
    assert signs[4] == {"overlap"} and "overlap" not in signs[9]


def test_detectors_that_do_not_skip_faults_have_no_quality(crowd):
    train = simulate_crowd("train", num_clips=4, frames_per_clip=40, random_state=1)
    detector = GEPC(**SEVERAL, skip_faults=False).fit(train, device="cpu")
    scorer = OnlineScorer(detector)
    part = scorer.push(*frames_of(crowd))
    assert np.isnan(part.quality).all() and (part.fault == -1).all()
    assert len(part) == len(part.quality) > 100


def test_people_who_leave_too_early_are_counted(detector, crowd):
    table = score_table(detector, crowd, "window", ScoreOptions())
    windows = detector.windows(crowd)
    padded = windows.subset(windows.padded)
    expected = int((padded.high - padded.low + 1).sum())
    assert expected > 0 and table["padded"].sum() == len(padded)
    scorer = OnlineScorer(detector)
    parts = [*(scorer.push(frame) for frame in frames_of(crowd)), scorer.close()]
    assert sum(part.short for part in parts) == expected
