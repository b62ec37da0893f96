"""What a report tells of people who were not judged, compared with tables and hand-worked cases."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gepc_geo import GEPC, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.report import gather
from gepc_geo.report.content import count_alarms
from gepc_geo.report.encode import state_spans, thin
from gepc_geo.report.unjudged import fault_peaks, state_summary
from gepc_geo.scoring.aggregation import FAULT, JUDGED, NOBODY, SHORT
from gepc_geo.windows.quality import SIGNS


def unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture(scope="module")
def strict(walkers) -> GEPC:
    """A detector of windows of 12 and 24 frames."""
    return GEPC(lengths=["12", "24"], stride=4, score_stride=1).fit(walkers)


@pytest.fixture(scope="module")
def faulty() -> PoseTracks:
    """Four normal clips with faults of the tracker."""
    crowd = simulate_crowd("train", num_clips=4, frames_per_clip=96, random_state=7)
    return inject_faults(crowd, 8, kinds=("switch", "duplicate"), random_state=0)[0]


@pytest.fixture(scope="module")
def gaps(walkers) -> PoseTracks:
    """Of two clips, the first has one person up to frame 29 and again in frames 40 to 44."""
    one = walkers.select(clips=[0])
    people, count = np.unique(one.track, return_counts=True)
    one = one.rows(one.track == people[count.argmax()])
    one = one.rows((one.frame < 30) | ((one.frame >= 40) & (one.frame < 45)))
    return PoseTracks.concat(
        [one.with_(clip_names=["gap"]), one.rows(one.frame < 5).with_(clip_names=["short"])]
    )


# -- series ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_thinned_line_with_gaps_keeps_its_extremes_and_gaps(seed):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=9_999)
    for start in rng.integers(0, 9_000, 6):
        score[start : start + 400] = np.nan
    keep = thin(score, 100)
    assert len(keep) <= 100 and (np.diff(keep) > 0).all()
    assert {int(np.nanargmax(score)), int(np.nanargmin(score))} <= set(keep.tolist())
    # No line joins the frames before and after a gap.
    gap = np.isnan(score)
    for start in np.flatnonzero(gap[1:] & ~gap[:-1]) + 1:
        end = start + int((~gap[start:]).argmax()) if (~gap[start:]).any() else len(score)
        inside = keep[(keep >= start) & (keep < end)]
        assert len(inside) and gap[inside].all()
    assert len(thin(np.full(500, np.nan), 100)) <= 100


def test_runs_of_states_equal_hand_worked_ones():
    state = np.array([NOBODY, SHORT, SHORT, JUDGED, FAULT, FAULT, FAULT, SHORT])
    assert state_spans(state, (SHORT, FAULT), 800) == [[1, 3, 1], [4, 7, 2], [7, 8, 1]]
    assert state_spans(state, (NOBODY,), 800) == [[0, 1, 0]]
    # Two frames in a part have the larger state.
    assert state_spans(state, (SHORT, FAULT), 4) == [[0, 2, 1], [4, 8, 2]]
    assert state_spans(state[:0], (SHORT,), 4) == []


# -- states of frames ------------------------------------------------------------------------------


def test_frames_that_were_not_judged_have_no_score(strict, gaps):
    content = gather(strict, gaps)
    table = score_table(strict, gaps, "frame", ScoreOptions())
    by_name = {clip["name"]: clip for clip in content["clips"]}
    clip, short = by_name["gap"], by_name["short"]
    own = table["clip"] == "gap"
    np.testing.assert_allclose(unpack(clip["y"]), table["score"][own], rtol=1e-6)
    line, length = unpack(clip["y"]), clip["length"]
    assert np.isfinite(line[:30]).all() and np.isnan(line[30:]).all()
    assert clip["unjudged"] == [[40, 45, SHORT]]
    assert (clip["judged"], clip["nobody"], clip["state"]) == (30, length - 35, "judged")
    assert clip["top"] == pytest.approx(np.nanmax(line), abs=1e-4)
    assert (short["top"], short["state"], short["peaks"]) == (None, "too short", [])
    assert content["clips"][0] is clip
    total = int(gaps.clip_length.sum())
    assert content["states"]["counts"] == {
        "nobody": total - 40,
        "too short": 10,
        "tracking fault": 0,
        "judged": 30,
    }
    assert content["states"]["sentence"] == (
        f"30 of {total} frames were judged; {total - 40} have nobody in them; 10 have people of "
        "whom none was judged; 1 of 2 people were judged."
    )
    frames, people = content["states"]["help"]
    assert frames.startswith(f"10 of {total} frames have people, but none was judged (too short): ")
    assert people.startswith("1 of 2 people were not judged (too short): use a tracker")
    # The histogram has the judged frames alone.
    assert sum(map(sum, content["histogram"]["counts"].values())) == 30
    if content["threshold"] is not None:
        assert clip["alarmed"] == (line[:30] >= content["threshold"]).sum()


def test_the_reference_protocol_draws_no_line_without_a_score(strict, gaps):
    content = gather(strict, gaps, options=ScoreOptions(protocol="reference"))
    line = unpack(content["clips"][0]["y"])
    # The centre of the first window of 12 frames is frame 6, of the last one frame 24.
    assert np.flatnonzero(np.isfinite(line)).tolist() == list(range(6, 25))
    assert content["clips"][0]["judged"] == 19


def test_when_all_were_judged_the_sentence_is_short(strict, walkers):
    one = walkers.select(clips=[0])
    scored = strict.window_scores(one)
    state = np.full(int(one.clip_length.sum()), JUDGED)
    found = state_summary(scored, one, ScoreOptions(faults=True), "frame", state)
    judged = found["people"]["judged"]
    assert found["sentence"] == (
        f"All {len(state)} frames were judged; {judged} of {one.num_tracks} people were judged."
    )


def test_clips_that_were_not_judged_have_no_score(strict, gaps):
    named = gaps.with_(clip_label=["walk", "walk"])
    content = gather(strict, named, normal=["walk"], options=ScoreOptions(padded=False))
    assert [(clip["name"], clip["state"]) for clip in content["clips"]] == [
        ("gap", "judged"),
        ("short", "too short"),
    ]
    assert content["clips"][1]["top"] is None and content["clips"][0]["top"] is not None
    assert len(content["scenes"]) == 1


def test_no_alarm_is_where_nobody_was_judged(crowd):
    score = np.full(int(crowd.clip_length.sum()), np.nan)
    score[[5, 6]] = 3.0
    assert count_alarms(crowd, score, 1.0) == 1
    assert count_alarms(crowd, np.full_like(score, np.nan), 1.0) == 0


# -- tracking faults -------------------------------------------------------------------------------


def test_peaks_of_tracking_faults_are_apart_and_equal_the_window_table(strict, faulty):
    content = gather(strict, faulty)
    table = score_table(strict, faulty, "window", ScoreOptions(padded=False))
    faults = [scene for scene in content["scenes"] if scene["fault"]]
    assert faults and content["scenes"][-len(faults) :] == faults
    for number, scene in enumerate(content["scenes"]):
        clip, first = content["clips"][scene["clip"]], scene["people"][0]
        assert (number in clip["faults"]) == bool(scene["fault"])
        assert (number in clip["peaks"]) == (not scene["fault"])
        assert first["fault"] == bool(scene["fault"])
        if not scene["fault"]:
            continue
        over = (
            (table["clip"] == clip["name"])
            & (table["person"] == first["id"])
            & (table["first_frame"] <= scene["frame"])
            & (table["first_frame"] + table["length"] > scene["frame"])
        )
        # Only windows with faults cover the person there; their mean over the lengths is the score.
        assert over.any() and (table["fault"][over] != "").all()
        means = [
            table["score"][over & (table["length"] == length)].mean()
            for length in np.unique(table["length"][over])
        ]
        assert scene["value"] == pytest.approx(np.mean(means), abs=1e-4)
        assert scene["value"] >= content["threshold"]
        worst = np.flatnonzero(over)[table["quality"][over].argmin()]
        assert scene["fault"] == table["fault"][worst] and scene["fault"] in SIGNS


def test_judged_faults_are_peaks_like_others(strict, faulty):
    content = gather(strict, faulty, options=ScoreOptions(faults=True))
    assert not any(scene["fault"] for scene in content["scenes"])
    assert content["options"]["scoring"]["judge_faults"] is True


def test_peaks_of_faults_are_limited_and_apart(strict, faulty):
    scored = strict.window_scores(faulty)
    found = lambda apart, most: fault_peaks(  # noqa: E731
        scored, faulty, ScoreOptions(), strict.mode, -np.inf, apart, most
    )
    every = found(1, 1000)
    assert [peak.score for peak in every] == sorted((p.score for p in every), reverse=True)
    clips = [peak.clip for peak in every]
    few = found(1, 2)
    assert {c: min(clips.count(c), 2) for c in set(clips)} == {
        c: [peak.clip for peak in few].count(c) for c in set(clips)
    }
    for clip, person in {(peak.clip, peak.person) for peak in found(24, 1000)}:
        frames = sorted(p.frame for p in found(24, 1000) if (p.clip, p.person) == (clip, person))
        assert (np.diff(frames) >= 24).all()
    assert fault_peaks(scored, faulty, ScoreOptions(), strict.mode, np.inf, 1, 9) == []
