"""Streams that are composed of clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.experiments import Split, Streams
from gepc_geo.experiments.streams import PICTURE, compose, deal, fit_into_picture
from gepc_geo.options import Options
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

UPRIGHT = Split("upright", ("stand", "walk"))


def streams(actions, seed=0, count=3) -> Streams:
    directions = ["few-vs-many", "many-vs-few"]
    return Streams(actions, [UPRIGHT], directions, Options(), streams=count, random_state=seed)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_every_clip_is_in_one_stream_and_streams_have_equal_shares(count, normal, abnormal, seed):
    kinds = [np.arange(normal), normal + np.arange(abnormal)]
    dealt = deal(kinds, count, seed)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(normal + abnormal))
    for kind in kinds:
        sizes = [int(np.isin(clips, kind).sum()) for clips in dealt]
        assert max(sizes) - min(sizes) <= 1


def test_a_stream_is_its_clips_one_after_the_other(actions):
    order = [np.array([5, 0, 8]), np.array([3])]
    abnormal = np.zeros(actions.num_clips, dtype=bool)
    abnormal[[0, 3]] = True
    composed = compose(actions, order, abnormal)
    lengths = actions.clip_length
    assert composed.clip_length.tolist() == [lengths[[5, 0, 8]].sum(), lengths[3]]
    flags = [np.full(lengths[c], c in (0, 3)) for c in (5, 0, 8, 3)]
    np.testing.assert_array_equal(composed.frame_labels, np.concatenate(flags))
    fitted = fit_into_picture(actions)
    # One person a clip: the rows of a stream, by frame, are its clips' rows.
    for number, clips in enumerate(order):
        rows = np.flatnonzero(composed.clip == number)
        rows = rows[np.argsort(composed.frame[rows])]
        sources = np.concatenate([np.flatnonzero(actions.clip == c) for c in clips])
        np.testing.assert_array_equal(composed.keypoints[rows], fitted.keypoints[sources])
        np.testing.assert_array_equal(composed.frame[rows], np.arange(len(rows)))
        assert len(np.unique(composed.track[rows])) == len(clips)


def test_no_window_reaches_from_one_clip_into_the_next(actions):
    task = streams(actions).task(streams(actions).conditions()[0], 0)
    windows = PoseWindows(task.test, length=12, stride=1)
    inside = PoseWindows(actions.select(split="test"), length=12, stride=1)
    assert len(windows) == len(inside)
    # A window's frames all have one label.
    offset = task.test.frame_offset
    frames = windows.table.frame[windows.rows()] + offset[windows.clip][:, None]
    labels = task.labels[frames]
    assert (labels == labels[:, :1]).all()


def test_all_clips_of_the_test_half_are_in_the_streams(actions):
    for condition in streams(actions).conditions():
        train, test, labels = streams(actions).task(condition, 0)
        half = actions.select(split="test")
        assert test.num_clips == 3
        assert int(test.clip_length.sum()) == int(half.clip_length.sum()) == len(labels)
        few = condition.direction == "few-vs-many"
        normal = np.array([(name in UPRIGHT.classes) == few for name in half.clip_label])
        assert labels.sum() == half.clip_length[~normal].sum()
        assert set(train.clip_split) == {"train"}
        assert {name in UPRIGHT.classes for name in train.clip_label} == {few}
        for one in np.split(labels, test.frame_offset[1:-1]):
            assert 0 < one.sum() < len(one)


def test_the_seed_decides_the_composition_of_streams(actions):
    def names(seed: int, training: int) -> list[float]:
        protocol = streams(actions, seed)
        return protocol.task(protocol.conditions()[0], training).test.keypoints.sum((1, 2)).tolist()

    assert names(0, 0) == names(0, 1)
    assert names(0, 0) != names(1, 0)


def test_clips_are_fitted_into_one_picture_and_keep_their_shape(actions):
    fitted = fit_into_picture(actions)
    assert (fitted.image_size == PICTURE).all()
    # 480 x 270 grows by 640 / 480, with bars above and below; 320 x 400 by 480 / 400, side bars.
    corners = np.array([[0, 0], [480, 270]]), np.array([[0, 0], [320, 400]])
    wanted = np.array([[0, 60], [640, 420]]), np.array([[128, 0], [512, 480]])
    for clip, (corner, place) in enumerate(zip(corners, wanted, strict=True)):
        clip = clip * 4  # clips come four by four with one image size
        assert tuple(actions.image_size[clip]) == tuple(corner[1])
        points = np.tile(corner, (actions.num_joints, 1))[: actions.num_joints]
        one = actions.select(clips=[clip])
        moved = fit_into_picture(one.with_(keypoints=np.tile(points, (one.num_frames, 1, 1))))
        np.testing.assert_allclose(moved.keypoints[0, :2], place, atol=1e-4)
    inputs = [normalized(one) for one in (actions, fitted)]
    np.testing.assert_allclose(*inputs, atol=2e-3)


def normalized(tracks):
    """Windows as the network gets them, but for the standardisation."""
    pipeline = InputPipeline(tracks.skeleton, 2, 0, Options(), (12,))
    windows = pipeline.windows(tracks, 4)
    batch = next(iter(WindowLoader(windows, len(windows))))
    return pipeline.normalize(batch).x.numpy()


def test_clips_that_make_no_streams_are_refused(actions):
    with pytest.raises(
        InputError,
        match=r"must be 2D poses with image sizes, got 2D poses and \d+ clips without image size",
    ):
        streams(actions.with_(image_size=None))
    with pytest.raises(
        InputError, match="must have at least 9 (ab)?normal test clips, one per stream, got 8"
    ):
        streams(actions, count=9)
