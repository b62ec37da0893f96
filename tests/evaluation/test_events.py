"""Events against plain loops over the scores of person-frames, and against the alarms of frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.evaluation.alarms import Series, alarm_runs, alarm_threshold
from gepc_geo.evaluation.events import EventJoiner, event_id, event_table, events_of, sort_events
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level, score_table
from gepc_geo.windows.quality import SIGNS

OPTIONS = dict(lengths=["8", "16", "30"], augment="none", score_stride=2, holdout=0.2)


@pytest.fixture(scope="module")
def detector() -> GEPC:
    train = simulate_crowd("train", num_clips=6, frames_per_clip=60, random_state=1)
    return GEPC(**OPTIONS).fit(train, device="cpu")


@pytest.fixture(scope="module")
def crowd() -> PoseTracks:
    tracks = simulate_crowd("test", num_clips=4, frames_per_clip=90, random_state=4)
    tracks, _ = inject_faults(tracks, 8, random_state=2)
    return tracks.with_(fps=np.array([6, 12.5, np.nan, 24], np.float32))


def with_threshold(detector: GEPC, quantile: float, scores: np.ndarray) -> GEPC:
    """A copy of a detector with a chosen alarm threshold between two scores."""
    level = np.unique(scores)
    at = int(quantile * (len(level) - 1))
    other = GEPC(**detector.get_params())
    other.__dict__.update(detector.__dict__)
    threshold = float(level[at : at + 2].mean())
    other.alarm_ = {"threshold": threshold, "mode": detector.mode, "per_hour": 1.0, "hours": 1.0}
    return other


def judged(events):
    return [event for event in events if not event.fault]


@pytest.mark.parametrize("faults", [False, True])
@pytest.mark.parametrize("quantile", [0.3, 0.6, 0.8])
def test_events_are_the_alarms_of_frames(quantile, faults, detector, crowd):
    """Exactly: so that calibrate's rate of false alarms is that of events."""
    scored = detector.window_scores(crowd, padded=False)
    options = ScoreOptions(faults=faults)
    frames = frame_level(detector, scored, crowd, options)
    score, person = frames.score.numpy(), frames.person.numpy()
    other = with_threshold(detector, quantile, score[person >= 0])
    events = events_of(other, scored, crowd, options)
    # Without judged faults, marked events are of frames that are no alarms.
    alarms = events if faults else judged(events)
    several = found = 0
    for clip, name in enumerate(crowd.clip_names):
        part = slice(*crowd.frame_offset[clip : clip + 2])
        fps = float(crowd.fps[clip])
        series = Series(score[part], 1.0 if math.isnan(fps) else fps)
        mine = sorted((e for e in alarms if e.clip == name), key=lambda e: e.start)
        expected = alarm_runs(series, other.alarm_["threshold"]).tolist()
        assert [[e.start, e.end + 1] for e in mine] == expected
        for event in mine:
            run = score[part][event.start : event.end + 1]
            assert event.peak == event.start + run.argmax() and event.score == run.max()
            assert event.person == person[part][event.peak] == event.people[0]
            several += len(event.people) > 1
        found += len(mine)
    assert found >= 2 and (several or quantile == 0.8)


def test_runs_of_people_are_those_of_a_plain_loop(detector, crowd):
    """The mean over windows of each length, then over lengths, for every person alone."""
    crowd = crowd.with_(fps=np.full(4, 6, np.float32))
    scored = detector.window_scores(crowd, padded=False)
    other = with_threshold(detector, 0.5, scored.scores[detector.mode])
    threshold = other.alarm_["threshold"]
    windows, value = scored.windows, scored.scores[detector.mode]
    usable = ~scored.quality.fault
    expected = []
    for clip, name in enumerate(crowd.clip_names):
        for person in np.unique(crowd.track[crowd.clip == clip]).tolist():
            own = np.flatnonzero((windows.clip == clip) & (windows.track == person) & usable)
            alarmed = []
            for frame in range(crowd.clip_length[clip]):
                last = windows.frame[own] + windows.size[own]
                here = own[(windows.frame[own] <= frame) & (frame < last)]
                lengths = np.unique(windows.size[here])
                each = [value[here[windows.size[here] == one]].mean() for one in lengths]
                if each and np.mean(each) >= threshold:
                    alarmed.append((frame, float(np.mean(each))))
            # At 6 frames a second, runs are merged if 5 frames or fewer are between them.
            run: list[tuple[int, float]] = []
            for one in [*alarmed, (10**6, 0.0)]:
                if run and one[0] - run[-1][0] > 6:
                    peak = max(run, key=lambda frame: frame[1])
                    expected.append((name, person, run[0][0], peak[0], run[-1][0], peak[1]))
                    run = []
                run.append(one)
    events = judged(events_of(other, scored, crowd, ScoreOptions()))
    found = sorted(
        (e.clip, r.person, r.start, r.peak, r.end, r.score) for e in events for r in e.runs
    )
    assert [one[:5] for one in found] == [one[:5] for one in sorted(expected)]
    np.testing.assert_allclose([one[5] for one in found], [one[5] for one in sorted(expected)])
    assert len(found) > len(events) > 3


def test_faults_are_events_of_their_own_and_come_last(detector, crowd):
    scored = detector.window_scores(crowd, padded=False)
    other = with_threshold(detector, 0.3, scored.scores[detector.mode])
    events = events_of(other, scored, crowd, ScoreOptions())
    marks = [bool(event.fault) for event in events]
    assert marks == sorted(marks) and 0 < sum(marks) < len(marks)
    order = [(bool(e.fault), bool(e.near), -e.score) for e in events]
    assert order == sorted(order)
    # A plain loop over windows: those with faults within a second of the run of the peak.
    windows, quality = scored.windows, scored.quality
    for event in judged(events):
        (run,) = (
            run
            for run in event.runs
            if run.person == event.person and run.start <= event.peak <= run.end
        )
        at_peak, signs, worst = 0, {}, 1.0
        for at in range(len(windows)):
            if (crowd.clip_names[windows.clip[at]], windows.track[at]) != (event.clip, run.person):
                continue
            first, last = windows.frame[at], windows.frame[at] + windows.size[at] - 1
            if first <= event.peak <= last:
                worst = min(worst, quality.value[at])
            if not quality.fault[at]:
                at_peak += first <= event.peak <= last
            elif first <= run.end + 25 and last >= run.start - 25:
                signs[quality.value[at]] = SIGNS[quality.sign[at]]
        assert event.windows == at_peak and event.quality == worst
        assert event.near == (signs[min(signs)] if signs else "")
    assert {bool(event.near) for event in judged(events)} == {True, False}
    assert {event.fault for event in events} <= {"", *SIGNS}
    frames = score_table(other, crowd, "frame", ScoreOptions())
    for event in events:
        assert event.quality < 1 or not event.fault
        at = (frames["clip"] == event.clip) & (frames["frame"] == event.peak)
        assert event.fault or frames["state"][at] == "judged"
    # None of a fault's frames is judged for that person.
    windows, usable = scored.windows, ~scored.quality.fault
    for event in events[len(judged(events)) :]:
        clip = crowd.clip_names.index(event.clip)
        own = (windows.clip == clip) & (windows.track == event.person) & usable
        inside = (windows.frame <= event.peak) & (windows.frame + windows.size > event.peak)
        assert not (own & inside).any()


def test_joints_quality_and_words_are_those_of_the_windows_at_the_peak(detector, crowd):
    scored = detector.window_scores(crowd, padded=False)
    other = with_threshold(detector, 0.6, scored.scores[detector.mode])
    asked = []

    def words(clip: int, person: int, first: int, last: int) -> str:
        asked.append((clip, person, first, last))
        return f"words {len(asked)}"

    options = ScoreOptions(faults=True)
    events = events_of(other, scored, crowd, options, words)
    windows, value = scored.windows, scored.scores[detector.mode]
    assert sorted(int(e.why.removeprefix("words ")) for e in events) == [*range(1, len(events) + 1)]
    shares = detector.joint_scores(crowd)
    every = detector.windows(crowd)
    for event in events:
        clip, person, first, last = asked[int(event.why.removeprefix("words ")) - 1]
        assert (crowd.clip_names[clip], person) == (event.clip, event.person)
        own = (windows.clip == clip) & (windows.track == person) & (windows.frame <= event.peak)
        own = np.flatnonzero(own & (windows.frame + windows.size > event.peak))
        best = own[value[own].argmax()]
        (run,) = (r for r in event.runs if r.person == person and r.start <= event.peak <= r.end)
        assert (first, last) == (run.start, run.end)
        assert event.quality == scored.quality.value[own].min()
        (row,) = np.flatnonzero(
            (every.clip == clip)
            & (every.track == person)
            & (every.frame == windows.frame[best])
            & (every.size == windows.size[best])
            & ~every.padded
        )
        order = np.argsort(-shares[row], kind="stable")
        names = [crowd.skeleton.joints[joint] for joint in order]
        assert list(event.joints) == names[: len(event.joints)]
        parts = np.cumsum(shares[row][order])
        assert len(event.joints) == min(3, 1 + int((parts < 0.5).sum()))


def test_without_quality_and_frame_rate_they_are_unknown(crowd):
    train = simulate_crowd("train", num_clips=4, frames_per_clip=40, random_state=1)
    detector = GEPC(**OPTIONS, skip_faults=False).fit(train, device="cpu")
    crowd = crowd.select(clips=[2])
    scored = detector.window_scores(crowd, padded=False)
    table = event_table(detector, scored, crowd, ScoreOptions())
    assert len(table["clip"]) and (table["fault"] == "").all()
    for name in ("quality", "start_s", "peak_s", "end_s"):
        assert np.isnan(table[name]).all()


def test_a_table_has_the_values_of_the_events(detector, crowd):
    scored = detector.window_scores(crowd, padded=False)
    other = with_threshold(detector, 0.5, scored.scores[detector.mode])
    events = events_of(other, scored, crowd, ScoreOptions())
    table = event_table(other, scored, crowd, ScoreOptions())
    assert list(table) == [
        *("clip", "person", "people", "start", "peak", "end", "start_s", "peak_s", "end_s"),
        *("score", "joints", "quality", "fault", "why", "id", "windows", "near"),
    ]
    rates = dict(zip(crowd.clip_names, crowd.fps.tolist(), strict=True))
    for number, event in enumerate(events):
        row = {name: column[number] for name, column in table.items()}
        assert row["people"].split() == [str(person) for person in event.people]
        assert row["joints"].split() == list(event.joints)
        assert row["id"] == f"{event.clip}-{event.runs[0].person}-{event.start}" or (
            len({run.start for run in event.runs}) < len(event.runs)
        )
        for name in ("start", "peak", "end"):
            expected = getattr(event, name) / rates[event.clip]
            np.testing.assert_allclose(row[f"{name}_s"], expected)
    assert len(set(table["id"])) == len(events) > 3
    whole = score_table(other, crowd, "event", ScoreOptions())
    for name, column in table.items():
        np.testing.assert_array_equal(whole[name], column)


def test_tables_without_events_have_all_columns(detector, crowd):
    other = with_threshold(detector, 0.5, np.array([1e9, 2e9]))
    nothing = score_table(other, crowd, "event", ScoreOptions())
    assert all(len(column) == 0 for column in nothing.values())
    assert nothing["start"].dtype == np.int64 and nothing["clip"].dtype.kind == "U"
    assert list(sort_events(nothing)) == list(nothing)
    nobody = crowd.rows(np.zeros(crowd.num_frames, dtype=bool))
    assert len(score_table(other, nobody, "event", ScoreOptions())["id"]) == 0


def test_clips_have_no_events(detector, crowd):
    whole = GEPC(frames=12).fit(crowd, device="cpu")
    with pytest.raises(
        InputError, match=r"level must be joint, window, person or clip .* got event"
    ):
        score_table(whole, crowd, "event", ScoreOptions())


def test_the_threshold_of_another_mode_is_that_of_person_frames(detector):
    other = with_threshold(detector, 0.0, np.array([1.0, 3.0]))
    assert alarm_threshold(other) == alarm_threshold(other, "combined") == ("combined", 2.0)
    assert alarm_threshold(other, "nearest") == ("nearest", other.frame_threshold("nearest"))
    with pytest.raises(InputError, match="mode must be combined .* or reconstruction, got 'x'"):
        alarm_threshold(other, "x")


def test_names_of_events_are_parts_of_addresses_and_differ():
    assert event_id("gate_1.mp4", 7, 120) == "gate_1.mp4-7-120"
    names = [event_id(clip, 7, 120) for clip in ("a b", "a/b", "a#b", "a_b", "ä b", "\udcff")]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and not set(name) & set(" /#%?&") for name in names)


frames = st.lists(
    st.dictionaries(st.integers(1, 4), st.integers(0, 9), max_size=4), min_size=1, max_size=60
)


@settings(max_examples=200, deadline=None)
@given(frames=frames, fps=st.sampled_from([0.5, 1.0, 2.5, 4.0, math.nan]))
def test_joined_frames_are_alarms_of_the_highest_scores(frames, fps):
    """And their people are those at or above the threshold, each in its own runs."""
    threshold = 5
    joiner, events = EventJoiner("a", fps), []
    for number, people in enumerate(frames):
        alarmed = {p: float(s) for p, s in sorted(people.items()) if s >= threshold}
        if alarmed:
            events.append(joiner.add(number, list(alarmed), list(alarmed.values())))
    events = [event for event in [*events, joiner.end()] if event is not None]
    rate = 1.0 if math.isnan(fps) else fps

    def alarms(scores):
        return alarm_runs(Series(np.array(scores, dtype=float), rate), threshold).tolist()

    highest = [max(people.values(), default=-1) for people in frames]
    assert [[e.start, e.end + 1] for e in events] == alarms(highest)
    for person in range(1, 5):
        own = [people.get(person, -1) for people in frames]
        runs = [run for event in events for run in event.runs if run.person == person]
        assert [[run.start, run.end + 1] for run in runs] == alarms(own)
        for run in runs:
            part = own[run.start : run.end + 1]
            assert (run.score, run.peak) == (max(part), run.start + part.index(max(part)))
    for event in events:
        part = highest[event.start : event.end + 1]
        assert (event.score, event.peak) == (max(part), event.start + part.index(max(part)))
        assert event.people[0] == event.person
        assert set(event.people) == {run.person for run in event.runs}
        assert event.id == event_id(
            "a",
            min(p for p, s in frames[event.start].items() if s == highest[event.start]),
            event.start,
        )


def test_joining_does_not_end_an_event_early():
    joiner = EventJoiner("a", 4.0)
    assert joiner.add(3, [7], [6.0]) is None
    # At 4 frames a second a frame up to 4 later joins.
    assert joiner.end(7) is None and joiner.end(8) is not None
    assert joiner.event is None and joiner.end() is None
    assert joiner.gap == 5
