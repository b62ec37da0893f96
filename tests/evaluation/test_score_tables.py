"""Levels of scores: what each of them uses, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import NETWORK

from gepc_geo import GEPC, InputError
from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.evaluation.events import sort_events
from gepc_geo.evaluation.score_options import LEVELS, ScoreOptions
from gepc_geo.evaluation.tables import clip_level, frame_level, score_table


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    small = {
        **NETWORK,
        "budget": 64,
        "batch_size": 32,
        "augment": "none",
        "score_stride": 4,
        "lengths": ["12", "18"],
        "mode": "assignment",
    }
    return GEPC(**small).fit(walkers, device="cpu")


@pytest.fixture(scope="module")
def plain(walkers) -> GEPC:
    """Without a network."""
    return GEPC(lengths=["8", "12", "20"], score_stride=4).fit(walkers, device="cpu")


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "frame"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "reference"}, "protocol reference"),
        ({"smooth": 5.0}, "smooth 5.0"),
        ({"people_correction": True}, "people correction True"),
    ],
)
def test_options_that_a_level_does_not_use_are_refused(detector, walkers, level, change, message):
    with pytest.raises(InputError, match=f"level must be frame for {message}, got {level}"):
        score_table(detector, walkers, level, ScoreOptions(**change))


@pytest.mark.parametrize("level", LEVELS)
def test_unknown_modes_are_refused(detector, walkers, level):
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered or assignment or max or latent or "
        "reconstruction, got 'foo'",
    ):
        score_table(detector, walkers, level, ScoreOptions(mode="foo"))


def test_tables_of_joints_have_the_windows_and_scores_of_tables_of_windows(plain, walkers):
    expected = score_table(plain, walkers, "window", ScoreOptions())
    columns = score_table(plain, walkers, "joint", ScoreOptions(padded=False))
    keep = expected["padded"] == 0
    for name in ("clip", "person", "first_frame", "length", "score", "time"):
        np.testing.assert_array_equal(columns[name], expected[name][keep])
    assert list(columns)[-2:] == ["score", "time"]
    shares = np.stack([columns[joint] for joint in walkers.skeleton.joints])
    np.testing.assert_allclose(shares.sum(0), 1, rtol=1e-5)


def test_scoring_does_not_move_the_calibrators_of_the_detector(detector, walkers, monkeypatch):
    """Moving one to the CPU moves it for good: a detector on a GPU could not score again."""
    moved = []
    move = TailCalibrator.to
    monkeypatch.setattr(
        TailCalibrator, "to", lambda self, device: moved.append(self) or move(self, device)
    )
    scored = detector.window_scores(walkers)
    frame_level(detector, scored, walkers, ScoreOptions(people_correction=True))
    assert moved
    own = detector.calibration_.person.values()
    assert not any(one is other for one in moved for other in own)


def test_a_table_has_the_scores_of_its_mode(detector, walkers):
    scored = detector.window_scores(walkers)
    for mode in ("max", None):
        name = detector.mode if mode is None else mode
        options = ScoreOptions(mode=mode)
        table = score_table(detector, walkers, "window", options, scored=scored)
        order = np.argsort(scored.windows.piece, kind="stable")
        np.testing.assert_array_equal(table["score"], scored.scores[name][order])
        np.testing.assert_array_equal(table["length"], scored.windows.size[order])
        people = score_table(detector, walkers, "person", options, scored=scored)
        assert people["score"].max() == scored.scores[name].max()
        clips, _ = clip_level(detector, scored, walkers, options)
        assert clips.max() == pytest.approx(people["mean"].max())


@pytest.mark.parametrize("level", LEVELS)
def test_modes_that_need_a_network_are_refused_without_one(plain, walkers, level, monkeypatch):
    monkeypatch.setattr(GEPC, "window_scores", None)
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered, got 'latent', which needs a network",
    ):
        score_table(plain, walkers, level, ScoreOptions(mode="latent"))


def test_only_the_mode_asked_for_is_computed(detector, walkers, monkeypatch):
    asked = []
    score = GEPC.window_scores

    def remember(self, tracks, modes=None, **more):
        asked.append(modes)
        return score(self, tracks, modes, **more)

    monkeypatch.setattr(GEPC, "window_scores", remember)
    for mode in (None, "nearest"):
        score_table(detector, walkers, "frame", ScoreOptions(mode=mode))
    assert asked == [("assignment",), ("nearest",)]


def test_people_and_clips_are_means_of_lengths_as_frames_are(plain, walkers):
    """A plain loop: the mean over the windows of each length, then over the lengths."""
    windows = score_table(plain, walkers, "window", ScoreOptions())
    people = score_table(plain, walkers, "person", ScoreOptions())
    clips = score_table(plain, walkers, "clip", ScoreOptions())
    several = 0
    means: dict[str, list[float]] = {}
    own = (people[name] for name in ("clip", "person", "score", "mean"))
    for clip, person, score, mean in zip(*own, strict=True):
        own = (windows["clip"] == clip) & (windows["person"] == person)
        lengths = np.unique(windows["length"][own])
        several += len(lengths) == 3
        each = [windows["score"][own & (windows["length"] == one)].mean() for one in lengths]
        assert mean == pytest.approx(np.mean(each))
        assert score == windows["score"][own].max()
        means.setdefault(clip, []).append(mean)
    assert several > 10
    np.testing.assert_array_equal(clips["score"], [max(means[clip]) for clip in clips["clip"]])


@pytest.mark.parametrize("level", LEVELS)
def test_rows_of_a_clip_do_not_depend_on_other_clips(plain, walkers, level):
    whole = score_table(plain, walkers, level, ScoreOptions())
    parts = [
        score_table(plain, walkers.select(clips=clips), level, ScoreOptions())
        for clips in (np.arange(5), np.arange(5, 12))
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in whole}
    if level == "event":
        joined = sort_events(joined)
    for name, column in whole.items():
        np.testing.assert_array_equal(column, joined[name])
