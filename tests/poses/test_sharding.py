"""Shards of whole clips: even, in order, and scored to the bit as all clips together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import NETWORK
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo import GEPC, PoseTracks
from gepc_geo.density.normality import combine_views
from gepc_geo.evaluation import tables as levels
from gepc_geo.evaluation.score_options import LEVELS, ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.poses.sharding import Shard, clip_range, split_clips
from gepc_geo.scoring.scorer import scoring_loader


def tracks_of(sizes: list[int]) -> PoseTracks:
    """Clips with as many person-frames as given, one person each."""
    rows = sum(sizes)
    return PoseTracks.build(
        keypoints=np.zeros((rows, 5, 2)),
        confidence=np.ones((rows, 5)),
        frame=np.concatenate([np.arange(0), *map(np.arange, sizes)]),
        track=np.zeros(rows),
        clip=np.repeat(np.arange(len(sizes)), sizes),
        skeleton="box5",
        clip_names=[f"c{i}" for i in range(len(sizes))],
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 15))
def test_every_clip_is_in_one_shard_and_no_shard_is_much_larger(sizes, count):
    borders = split_clips(tracks_of(sizes), count)
    assert len(borders) == count + 1
    assert borders[0] == 0 and borders[-1] == len(sizes) and (np.diff(borders) >= 0).all()
    parts = [sum(sizes[a:b]) for a, b in pairwise(borders)]
    assert max(parts) <= sum(sizes) / count + max(sizes, default=0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 5), st.integers(1, 5))
def test_a_divided_shard_keeps_its_clips(sizes, count, parts):
    tracks = tracks_of(sizes)
    for number in range(1, count + 1):
        shard = Shard(number, count)
        ranges = [shard.part(i, parts).clips(tracks) for i in range(1, parts + 1)]
        assert (ranges[0][0], ranges[-1][1]) == shard.clips(tracks)
        assert all(one[1] == other[0] for one, other in pairwise(ranges))


def test_a_range_of_clips_equals_their_selection(walkers):
    part, chosen = clip_range(walkers, 3, 7), walkers.select(clips=np.arange(3, 7))
    assert part.keypoints.base is not None
    for name in ("keypoints", "confidence", "frame", "track", "clip", "clip_length", "fps"):
        np.testing.assert_array_equal(getattr(part, name), getattr(chosen, name))
    assert (part.clip_names, part.camera) == (chosen.clip_names, chosen.camera)
    assert (part.frame_labels is None) == (chosen.frame_labels is None)
    assert clip_range(walkers, 12, 12).num_clips == 0
    assert Shard.parse("12/12").clips(walkers)[1] == 12


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    # With latents of a multiple of 4 numbers, MKL's products do not depend on the row's position.
    return GEPC(
        **{
            **NETWORK,
            "encoder_channels": [2, 2, 4],
            "budget": 64,
            "batch_size": 32,
            "score_stride": 4,
        }
    ).fit(walkers, device="cpu")


@pytest.mark.parametrize("count", [2, 5])
def test_a_windows_score_does_not_depend_on_its_batch(detector, walkers, count):
    whole = detector.window_scores(walkers)
    assert len(whole.windows) > 512
    borders = split_clips(walkers, count)
    parts = [clip_range(walkers, *borders[i : i + 2]) for i in range(count)]
    scored = [detector.window_scores(part).scores for part in parts]
    for mode, expected in whole.scores.items():
        np.testing.assert_array_equal(np.concatenate([one[mode] for one in scored]), expected)


def test_filled_batches_give_the_scores_of_unfilled_ones(detector, walkers):
    windows = detector.windows(walkers).subset(slice(5, 12))
    expected, normality = detector.scorer_.raw(windows), detector.scorer_.normality[12]
    batch = next(iter(scoring_loader(windows, torch.device("cpu"))))
    with torch.no_grad():
        passes = [
            normality.scores(
                normality.project(
                    detector.scorer_.encoder(batch, choice, detector.scorer_.own_modes)
                )
            )
            for choice in range(detector.pipeline_.augment.num_scored)
        ]
    for mode, score in expected.items():
        assert score.shape == (7,)
        torch.testing.assert_close(
            score,
            combine_views(mode, torch.stack([one[mode] for one in passes])),
            rtol=1e-4,
            atol=1e-4,
        )


def test_tables_do_not_depend_on_how_many_clips_are_scored_at_once(detector, walkers, monkeypatch):
    some = clip_range(walkers, 0, 5)
    # Of frames those that are smoothed, across clips.
    across = {"frame": ScoreOptions(protocol="reference", smooth=4.0)}
    cases = [(level, across.get(level, ScoreOptions())) for level in LEVELS]
    whole = [score_table(detector, some, *case) for case in cases]
    held = []
    inner = GEPC.windows
    monkeypatch.setattr(
        GEPC, "windows", lambda self, t: held.append(t.num_frames) or inner(self, t)
    )
    monkeypatch.setattr(levels, "BLOCK", 500)
    for case, expected in zip(cases, whole, strict=True):
        table = score_table(detector, some, *case)
        for name, column in expected.items():
            np.testing.assert_array_equal(table[name], column)
            assert table[name].dtype == column.dtype
    assert len(held) > 2 * len(cases) and max(held) < some.num_frames / 2
