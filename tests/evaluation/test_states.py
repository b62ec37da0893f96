"""Tests of gepc_geo.evaluation.states: what was judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gepc_geo import GEPC
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.evaluation import evaluate
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import (
    clip_states,
    count_states,
    describe_states,
    person_states,
    usable_windows,
)
from gepc_geo.evaluation.tables import frame_level, score_table
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import FAULT, JUDGED, NOBODY, SHORT, STATES

OPTIONS = {"lengths": ["12", "24"], "score_stride": 4, "stride": 4}


@pytest.fixture(scope="module")
def detector() -> GEPC:
    train = simulate_crowd("train", num_clips=12, frames_per_clip=72, random_state=1)
    return GEPC(**OPTIONS).fit(train, device="cpu")


@pytest.fixture(scope="module")
def mixed() -> tuple[PoseTracks, dict[str, int]]:
    """Clips of sound people, of a person of 6 frames, of a stretched person, and of nobody."""
    crowd = simulate_crowd("train", num_clips=3, frames_per_clip=72, random_state=9)
    longest = [
        max(
            np.unique(crowd.track[crowd.clip == clip]),
            key=lambda track, clip=clip: ((crowd.clip == clip) & (crowd.track == track)).sum(),
        )
        for clip in range(3)
    ]
    keep = crowd.track == np.array(longest)[crowd.clip]
    one = crowd.rows(keep)
    short = (one.clip == 1) & (one.frame >= one.frame[one.clip == 1][0] + 6)
    one = one.rows(~short)
    keypoints = one.keypoints.copy()
    ankle = one.skeleton.joints.index("left_ankle")
    keypoints[one.clip == 2, ankle] += 900
    names = ["sound", "short", "stretched", "empty"]
    return one.with_(
        keypoints=keypoints,
        clip_names=names,
        clip_length=[72] * 4,
        image_size=None,
        fps=None,
        camera=None,
        clip_label=None,
        clip_split=None,
        frame_labels=np.tile([0, 1] * 36, 4),
    ), {name: at for at, name in enumerate(names)}


def test_tables_of_frames_and_clips_say_what_was_judged(detector, mixed):
    tracks, _ = mixed
    clips = score_table(detector, tracks, "clip", ScoreOptions(padded=False))
    assert clips["state"].tolist() == ["judged", "too short", "tracking fault", "nobody"]
    assert np.isnan(clips["score"]).tolist() == [False, True, True, True]
    assert clips["person"].tolist()[1:] == [-1, -1, -1]
    frames = score_table(detector, tracks, "frame", ScoreOptions())
    for name, state in zip(clips["clip"], clips["state"], strict=True):
        own = frames["state"][frames["clip"] == name]
        seen = tracks.frame[tracks.clip == tracks.clip_names.index(name)]
        # Missing frames of a person may be filled.
        assert set(own[seen]) == ({state} if len(seen) else set())
        outside = np.setdiff1d(
            np.arange(72), np.arange(seen.min(initial=72), seen.max(initial=-1) + 1)
        )
        assert set(own[outside]) <= {"nobody"}
    assert (np.isnan(frames["score"]) == (frames["state"] != "judged")).all()
    people = score_table(detector, tracks, "person", ScoreOptions(padded=False))
    assert people["state"].tolist() == ["judged", "too short", "tracking fault"]
    # By default, padded windows judge people and clips.
    assert score_table(detector, tracks, "person", ScoreOptions())["state"][1] == "judged"


def test_tables_of_windows_have_quality_and_fault(detector, mixed):
    tracks, _ = mixed
    windows = score_table(detector, tracks, "window", ScoreOptions(padded=False))
    stretched = windows["clip"] == "stretched"
    assert (
        set(windows["fault"][stretched]) == {"bones"} and (windows["quality"][stretched] < 1).all()
    )
    assert set(windows["fault"][~stretched]) == {""} and (windows["quality"][~stretched] == 1).all()
    assert not np.isnan(windows["score"]).any()


def test_faults_are_judged_if_asked_for(detector, mixed):
    tracks, _ = mixed
    clips = score_table(detector, tracks, "clip", ScoreOptions(padded=False, faults=True))
    assert clips["state"].tolist() == ["judged", "too short", "judged", "nobody"]
    # A stretched skeleton is the most abnormal clip then.
    assert np.nanargmax(clips["score"]) == 2


def test_a_detector_that_does_not_skip_faults_judges_them(mixed):
    train = simulate_crowd("train", num_clips=12, frames_per_clip=72, random_state=1)
    detector = GEPC(**OPTIONS, skip_faults=False).fit(train, device="cpu")
    assert detector.pipeline_.quality is None
    tracks, _ = mixed
    found = score_table(detector, tracks, "clip", ScoreOptions(padded=False))
    assert found["state"].tolist() == ["judged", "too short", "judged", "nobody"]
    assert "quality" not in score_table(detector, tracks, "window", ScoreOptions())


def test_states_of_frames_are_those_of_a_plain_loop(detector, mixed):
    tracks, _ = mixed
    options = ScoreOptions()
    scored = detector.window_scores(tracks)
    found = frame_level(detector, scored, tracks, options).state.numpy()
    windows = scored.windows
    state = np.zeros(int(tracks.clip_length.sum()), dtype=int)
    offset = tracks.frame_offset
    table = windows.table
    for row in range(len(table.frame)):
        inside = (windows.first <= row) & (row < windows.first + windows.size) & ~windows.padded
        fault = scored.quality.fault
        own = JUDGED if (inside & ~fault).any() else FAULT if (inside & fault).any() else SHORT
        slot = offset[table.clip[row]] + table.frame[row]
        state[slot] = max(state[slot], own)
    np.testing.assert_array_equal(found, state)
    assert set(state) == {NOBODY, SHORT, FAULT, JUDGED}


def test_states_of_people_and_clips_are_the_largest(detector, mixed):
    tracks, _ = mixed
    scored = detector.window_scores(tracks)
    used, fault = usable_windows(scored.windows, scored.quality, ScoreOptions(), False)
    people = person_states(tracks, scored.windows, used, fault)
    assert people.tolist() == [JUDGED, SHORT, FAULT]
    assert clip_states(tracks, people).tolist() == [JUDGED, SHORT, FAULT, NOBODY]


def test_evaluation_counts_states(detector, mixed):
    tracks, _ = mixed
    found = evaluate(detector, tracks).metrics["states"]
    assert list(found) == list(STATES) and sum(found.values()) == 4 * 72
    expected = score_table(detector, tracks, "frame", ScoreOptions())["state"]
    assert found == count_states(expected)
    # Metrics take the most normal score where nobody was judged.
    assert np.isfinite(evaluate(detector, tracks).scores).all()


def test_what_was_not_judged_is_told_with_what_helps():
    counts = count_states(np.array([0, 1, 1, 2, 3, 3, 3]))
    assert counts == {"nobody": 1, "too short": 2, "tracking fault": 1, "judged": 3}
    assert describe_states(counts, "frames") == [
        "2 of 7 frames have people, but none was judged (too short): use a tracker that keeps ids "
        "longer, or train with shorter --lengths",
        "1 of 7 frames have people, but none was judged (tracking fault): use a better tracker, or "
        "judge them with --judge-faults",
    ]
    assert describe_states(count_states(np.array([0, 3])), "frames") == []


def test_training_windows_with_faults_are_left_out_with_a_count():
    train = simulate_crowd("train", num_clips=12, frames_per_clip=72, random_state=1)
    faulty, _ = inject_faults(train, 8)
    with pytest.warns(
        UserWarning, match=r"^training windows must have no tracking faults, got "
    ) as caught:
        detector = GEPC(**OPTIONS).fit(faulty, device="cpu")
    count, total = (
        int(text.replace(",", ""))
        for text in str(caught[0].message).split(" got ")[1].split(" with ")[0].split(" of ")
    )
    windows = detector.training_windows(faulty)
    assert len(windows) == total - count
    assert not detector.pipeline_.quality.windows(windows).fault.any()
    assert detector.was_trained_on(faulty)


def test_a_saved_detector_keeps_the_quality(detector, mixed, tmp_path):
    detector.save(tmp_path / "model.pt")
    again = GEPC.load(tmp_path / "model.pt", device="cpu")
    tracks, _ = mixed
    for level in ("window", "frame"):
        tables = [score_table(one, tracks, level, ScoreOptions()) for one in (detector, again)]
        for name in tables[0]:
            np.testing.assert_array_equal(tables[0][name], tables[1][name])


def test_a_model_of_before_has_no_quality(detector, mixed, tmp_path):
    detector.save(tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    del state["quality"], state["options"]["skip_faults"]
    torch.save(state, tmp_path / "old.pt")
    old = GEPC.load(tmp_path / "old.pt", device="cpu")
    assert old.pipeline_.quality is None
    tracks, _ = mixed
    np.testing.assert_array_equal(old.decision_function(tracks), detector.decision_function(tracks))
