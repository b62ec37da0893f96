"""Scores of streams against those of batches: equal windows and scores, bounded memory."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from helpers import NETWORK

from gepc_geo import GEPC, Frame, InputError, OnlineScorer, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.scoring.scorer import WindowScorer, WindowScores
from gepc_geo.streaming.scorer import OnlineScores

SMALL = {**NETWORK, "stride": 8, "holdout": 0.2, "budget": 320, "batch_size": 32}
#: A network on windows of one length, and neighbours alone on several.
KINDS = {
    "network": SMALL,
    "lengths": {**SMALL, "mode": "nearest", "lengths": ["8", "15", "26"]},
}


@pytest.fixture(scope="module", params=KINDS)
def detector(request, walkers) -> GEPC:
    few = walkers.select(clips=range(5))
    return GEPC(**KINDS[request.param]).fit(few, device="cpu")


@pytest.fixture(scope="module")
def crowd() -> PoseTracks:
    """Clips with occluded joints, missed frames and switched ids, and longer gaps cut into them."""
    tracks = simulate_crowd("test", num_clips=3, frames_per_clip=40, random_state=3)
    rng = np.random.default_rng(0)
    confidence = tracks.confidence.copy()
    # Nothing of a person for one to eight frames: some gaps are filled, some split the track.
    for row in rng.integers(0, tracks.num_frames, 40):
        confidence[row : row + rng.integers(1, 9)] = 0
    # Single joints for longer than a window; one that a person never has.
    for row in rng.integers(0, tracks.num_frames, 40):
        confidence[row : row + rng.integers(1, 20), rng.integers(0, 17)] = 0
    confidence[(tracks.clip == 0) & (tracks.track == tracks.track[0]), 5] = 0
    return tracks.with_(confidence=confidence)


def frames_of(tracks: PoseTracks, clip: int | None = None) -> list[Frame]:
    """A frame after the other of all clips at once."""
    clips = range(tracks.num_clips) if clip is None else [clip]
    frames = []
    for number in range(int(tracks.clip_length.max())):
        for one in clips:
            at = np.flatnonzero((tracks.clip == one) & (tracks.frame == number))
            frames.append(
                Frame(
                    tracks.clip_names[one],
                    number,
                    tracks.track[at],
                    tracks.keypoints[at],
                    tracks.confidence[at],
                )
            )
    return frames


def table(parts: list[OnlineScores], mode: str = "nearest") -> dict[tuple, float]:
    """Scores by camera, person, first frame and length; no window comes twice."""
    rows = [
        ((camera, *window), score)
        for part in parts
        for camera, *window, score in zip(
            part.camera,
            *(one.tolist() for one in (part.person, part.first, part.length, part.scores[mode])),
            strict=True,
        )
    ]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def batch_table(
    detector: GEPC,
    tracks: PoseTracks,
    mode: str = "nearest",
    scored: WindowScores | None = None,
) -> dict[tuple, float]:
    scored = scored or detector.window_scores(tracks, padded=False)
    windows = scored.windows
    keys = zip(
        [tracks.clip_names[c] for c in windows.clip],
        windows.track.tolist(),
        windows.frame.tolist(),
        windows.size.tolist(),
        strict=True,
    )
    return dict(zip(keys, scored.scores[mode].tolist(), strict=True))


def assert_same(found: dict[tuple, float], expected: dict[tuple, float]) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        [found[key] for key in expected], list(expected.values()), rtol=1e-4, atol=1e-4
    )


def all_joints(tracks: PoseTracks) -> PoseTracks:
    """Every joint seen of whoever is there at all."""
    there = tracks.rows(tracks.confidence.any(1))
    return there.with_(confidence=np.ones_like(there.confidence))


@pytest.mark.parametrize(("stride", "max_gap"), [(1, 3), (4, 3), (15, 2), (1, 0)])
def test_equals_batch_scores(stride, max_gap, detector, crowd):
    """All windows of all clips in every mode, known to the end: gaps, strides, last windows."""
    other = copy.deepcopy(detector)
    changed = replace(other.options_, score_stride=stride, max_gap=max_gap)
    other.options_ = other.pipeline_.options = changed
    scorer = OnlineScorer(other, wait=60)
    parts = [scorer.push(*frames_of(crowd)), scorer.close()]
    assert len(parts[0]) == 0 and scorer.held == 0
    scored = other.window_scores(crowd, padded=False)
    assert len(scored.windows) > 20
    assert set(scored.windows.size) == set(detector.lengths_)
    for mode in detector.modes_:
        assert_same(table(parts, mode), batch_table(other, crowd, mode, scored))


def test_equals_batch_scores_where_every_joint_is_seen(detector, crowd):
    """Nothing has to be waited for: gaps of whole people are closed by the row behind them."""
    whole = all_joints(crowd)
    for wait in (0, 3):
        scorer = OnlineScorer(detector, wait=wait)
        parts = [scorer.push(frame) for frame in frames_of(whole)]
        assert_same(table([*parts, scorer.close()]), batch_table(detector, whole))


@pytest.mark.parametrize("wait", [0, 2])
def test_equals_batch_scores_of_the_track_so_far(wait, detector, crowd):
    """Each window as the batch scores it in the track so far, long-occluded joints and all."""
    clip = 1
    scorer = OnlineScorer(detector, wait=wait)
    checked = 0
    for frame in frames_of(crowd, clip):
        got = table([scorer.push(frame)])
        if got and frame.frame % 3 == 0:
            known = crowd.rows((crowd.clip == clip) & (crowd.frame <= frame.frame))
            expected = batch_table(detector, known)
            assert_same(got, {key: expected[key] for key in got})
            checked += len(got)
    assert checked > 10


def test_windows_come_as_soon_as_they_are_complete(detector, crowd):
    scorer = OnlineScorer(detector, wait=2)
    for frame in frames_of(crowd, 1):
        part = scorer.push(frame)
        last = part.first + part.length - 1
        assert (last <= frame.frame - 2).all()
        gaps = last < frame.frame - 2
        # Later ones end in a gap, and were known when the person was back.
        assert (frame.frame - 2 - last[gaps] <= detector.max_gap + 1).all()


def test_settled_frames_are_in_no_later_window(detector, crowd):
    scorer, settled = OnlineScorer(detector, wait=2), -1
    for frame in frames_of(crowd, 1):
        part = scorer.push(frame)
        assert (part.first > settled).all()
        settled = part.settled[frame.camera, 0]
        # The longest window, and the gap behind it that might still be filled.
        assert settled == frame.frame - 2 - detector.lengths_[-1] - detector.max_gap


def test_tracks_between_two_lengths_have_the_shorter_windows(detector, crowd):
    """People who leave after so many frames: of each length that they stay for, and no other."""
    for stay in (length + more for length in detector.lengths_ for more in (-1, 0, 2)):
        brief = all_joints(crowd)
        size = np.diff(np.append(brief.track_starts, brief.num_frames))
        start = np.repeat(brief.frame[brief.track_starts], size)
        brief = brief.rows(brief.frame - start < stay)
        scorer = OnlineScorer(detector, wait=40)
        parts = [*(scorer.push(frame) for frame in frames_of(brief)), scorer.close()]
        found = table(parts)
        assert_same(found, batch_table(detector, brief))
        assert {key[3] for key in found} == {n for n in detector.lengths_ if n <= stay}


def test_only_the_modes_asked_for_are_computed(detector, crowd):
    modes = detector.modes_[-1:]
    every, one = OnlineScorer(detector), OnlineScorer(detector, modes=modes)
    frames = frames_of(crowd, 1)
    part = one.push(*frames)
    assert tuple(part.scores) == modes == tuple(one.push().scores)
    assert_same(table([part], modes[0]), table([every.push(*frames)], modes[0]))


def test_grouping_and_order_of_frames_do_not_matter(detector, crowd):
    frames = frames_of(crowd)
    one_by_one = OnlineScorer(detector, wait=4)
    expected = table([*(one_by_one.push(frame) for frame in frames), one_by_one.close()])
    grouped = OnlineScorer(detector, wait=4)
    parts = [grouped.push(*frames[i : i + 37]) for i in range(0, len(frames), 37)]
    assert_same(table([*parts, grouped.close()]), expected)
    # Late by up to four frames of the camera, which are in between one another.
    whole = all_joints(crowd)
    frames = frames_of(whole)
    order = np.argsort(
        [f.frame for f in frames] + np.random.default_rng(0).uniform(0, 4, len(frames))
    )
    shuffled = OnlineScorer(detector, wait=4)
    parts = [shuffled.push(frames[i]) for i in order]
    assert_same(table([*parts, shuffled.close()]), batch_table(detector, whole))
    assert not any(shuffled.dropped.values())


def test_late_and_duplicate_frames_are_dropped_and_counted(detector, crowd):
    frames = frames_of(crowd, 2)
    people = sum(len(scorer_ids(frame)) for frame in frames)
    scorer = OnlineScorer(detector, wait=3)
    parts = []
    for number, frame in enumerate(frames):
        parts.append(scorer.push(frame, frame))
        if number >= 10:
            parts.append(scorer.push(frames[number - 10]))
    assert scorer.dropped["duplicate"] == people
    last = {"duplicate": frames[-1], "late": frames[-11]}
    assert scorer.last_dropped == {name: (one.camera, one.frame) for name, one in last.items()}
    assert scorer.dropped["late"] == sum(len(scorer_ids(frame)) for frame in frames[:-10])
    plain = OnlineScorer(detector, wait=3)
    assert_same(
        table([*parts, scorer.close()]),
        table([*(plain.push(frame) for frame in frames), plain.close()]),
    )


def test_numbers_are_read_as_in_files_and_people_without_an_id_are_counted(detector, crowd):
    frames = frames_of(crowd, 2)
    plain, other = OnlineScorer(detector), OnlineScorer(detector)
    expected = table([*(plain.push(frame) for frame in frames), plain.close()])
    parts = []
    for number, frame in enumerate(frames):
        ids = frame.ids.astype(float) if number % 2 else [str(one) for one in frame.ids]
        poses, seen = frame.keypoints, np.asarray(frame.confidence)
        # Somebody without an id, then somebody who is not there at all.
        changed = dataclasses.replace(
            frame,
            frame=float(frame.frame) if number % 2 else str(frame.frame),
            ids=[*ids, None, None],
            keypoints=np.concatenate([poses, np.ones_like(poses[:1]), np.ones_like(poses[:1])]),
            confidence=np.concatenate([seen, np.ones_like(seen[:1]), np.zeros_like(seen[:1])]),
        )
        parts.append(other.push(changed))
    assert_same(table([*parts, other.close()]), expected)
    assert other.dropped == {**dict.fromkeys(other.dropped, 0), "unnamed": len(frames)}
    assert other.last_dropped["unnamed"] == (frames[-1].camera, frames[-1].frame)


def scorer_ids(frame: Frame) -> np.ndarray:
    return frame.ids[(frame.confidence > 0).any(1)]


def test_memory_is_bounded(detector, crowd):
    """Ten people for 900 frames, who leave and return, with a joint that is long gone."""
    at = np.flatnonzero((crowd.clip == 1) & (crowd.frame == 20))[:1]
    pose, scorer = crowd.keypoints[at[0]], OnlineScorer(detector)
    rng = np.random.default_rng(1)
    most = 0
    for number in range(900):
        ids = [i for i in range(10) if (number // 50 + i) % 7]
        confidence = (rng.uniform(size=(len(ids), 17)) > 0.3).astype(np.float32)
        confidence[:, 3] = number < 10
        keypoints = pose + rng.normal(0, 1, (len(ids), 17, 2))
        scorer._take_due = _unscored(scorer)  # what is held does not depend on the network
        scorer.push(Frame("gate", number, ids, keypoints, confidence))
        most = max(most, scorer.held)
    # The longest window, what it waits for, and at most one row for each joint.
    assert most <= 10 * (detector.lengths_[-1] + detector.max_gap + scorer.wait + 17)
    scorer.push(Frame("gate", 910, [], []))
    assert scorer.held == 0


def _unscored(scorer):
    def take(camera, horizon):
        OnlineScorer._take_due(scorer, camera, horizon)
        return []

    return take


def test_people_leave_return_and_swap_ids(detector, crowd):
    """Two people who swap ids are two new windows' worth of people, as in a batch."""
    clip = 1
    here = crowd.rows(crowd.clip == clip)
    two = np.unique(here.track, return_counts=True)
    first, second = two[0][np.argsort(two[1])[-2:]]
    swapped = here.track.copy()
    late = here.frame >= 30
    swapped[late & (here.track == first)] = second
    swapped[late & (here.track == second)] = first
    tracks = here.with_(track=swapped)
    scorer = OnlineScorer(detector, wait=60)
    parts = [scorer.push(frame) for frame in frames_of(tracks, clip)]
    assert_same(table([*parts, scorer.close()]), batch_table(detector, tracks))


def test_a_camera_that_counts_from_the_start_again_begins_a_session(detector, crowd):
    frames = frames_of(crowd, 1)
    scorer = OnlineScorer(detector, wait=2)
    before = [scorer.push(frame) for frame in frames]
    jump = scorer.push(Frame(frames[0].camera, 5000, [], []))
    again = [scorer.push(frame) for frame in frames]
    end = scorer.close()
    assert scorer.dropped["restart"] == 1
    assert scorer.last_dropped["restart"] == (frames[0].camera, frames[0].frame)
    assert set(np.concatenate([part.session for part in again])) == {1}
    assert again[0].settled[frames[0].camera, 0] is None
    assert end.settled == {(frames[0].camera, 1): None}
    late = {key: value for key, value in table([*again, end]).items()}
    assert_same(late, table([*before, jump]))


def test_a_wrong_frame_number_costs_ten_frames(detector, crowd):
    """One number 100 too high: the tenth real frame behind it goes on as a new session."""
    frames = frames_of(all_joints(crowd), 1)
    name, shown = frames[0].camera, 12
    wrong = dataclasses.replace(frames[shown], frame=shown + 100)
    scorer = OnlineScorer(detector, wait=2)
    before = [scorer.push(*frames[:shown], wrong)]
    late = scorer.push(*frames[shown + 1 : shown + 10])
    assert len(late) == scorer.dropped["restart"] == 0
    after = [scorer.push(*frames[shown + 10 :]), scorer.close()]
    assert scorer.dropped["restart"] == 1
    assert scorer.dropped["late"] == sum(len(f.ids) for f in frames[shown + 1 : shown + 10])
    assert after[0].settled[name, 0] is None and set(after[0].session) == {1}
    parts = (frames[:shown], frames[shown + 10 :])
    for pushed, part in zip((before, after), parts, strict=True):
        plain = OnlineScorer(detector, wait=2)
        expected = table([plain.push(*part), plain.close()])
        found = table(pushed)
        assert found.keys() <= expected.keys()
        assert_same(found, {key: expected[key] for key in found})
    assert found.keys() == expected.keys()


def test_a_camera_that_restarts_early_begins_anew(detector, crowd):
    """Before frame 250, its frames swapped in pairs and every one sent twice."""
    frames = frames_of(crowd, 1)
    swapped = [frames[at ^ 1] for at in range(len(frames))]
    scorer = OnlineScorer(detector, wait=2)
    scorer.push(*frames)
    scorer.push(*(frame for frame in swapped for _ in range(2)))
    assert scorer.dropped["restart"] == 1
    assert scorer.close().settled == {(frames[0].camera, 1): None}


def test_late_frames_between_others_are_no_restart(detector, crowd):
    frames = frames_of(crowd, 1)
    scorer = OnlineScorer(detector, wait=2)
    for number, frame in enumerate(frames):
        scorer.push(frame, *frames[max(0, number - 12) : max(0, number - 4)])
    assert scorer.dropped["restart"] == 0 < scorer.dropped["late"]


def test_confidence_above_one_counts_as_one(detector, crowd):
    frames = frames_of(crowd, 1)
    above = [dataclasses.replace(f, confidence=np.where(f.confidence > 0, 1.3, 0)) for f in frames]
    ones = [dataclasses.replace(f, confidence=np.where(f.confidence > 0, 1.0, 0)) for f in frames]
    first, second = OnlineScorer(detector), OnlineScorer(detector)
    found, expected = table([first.push(*above)]), table([second.push(*ones)])
    assert found == expected and found


def test_frame_numbers_of_years_are_exact(detector, crowd):
    frames = frames_of(crowd, 1)
    first, second = OnlineScorer(detector), OnlineScorer(detector)
    expected = table([first.push(*frames), first.close()])
    years = 9_000_000_000
    moved = [dataclasses.replace(frame, frame=frame.frame + years) for frame in frames]
    found = table([second.push(*moved), second.close()])
    assert_same({(c, p, at - years, n): score for (c, p, at, n), score in found.items()}, expected)


def test_windows_complete_in_time_score_as_in_whole_clips(detector):
    """With the default wait and occlusions: windows whose holes end by then; most others, too."""
    tracks = simulate_crowd("test", num_clips=2, frames_per_clip=48, random_state=11)
    assert (tracks.confidence == 0).any()
    scorer = OnlineScorer(detector)
    found = table([scorer.push(*frames_of(tracks)), scorer.close()])
    expected = batch_table(detector, tracks)
    assert found.keys() == expected.keys()
    known = {key: score for key, score in expected.items() if _known_in_time(tracks, key, scorer)}
    assert 0.5 * len(expected) < len(known) < len(expected)
    assert_same({key: found[key] for key in known}, known)
    differs = [abs(found[key] - score) > 1e-3 for key, score in expected.items()]
    assert np.mean(differs) < 0.2


def _known_in_time(tracks: PoseTracks, key: tuple, scorer: OnlineScorer) -> bool:
    """Whether every joint missing at a window's end is seen again while the window waits."""
    camera, person, first, length = key
    here = (tracks.clip == tracks.clip_names.index(camera)) & (tracks.track == person)
    last = first + length - 1
    behind = tracks.confidence[here & (tracks.frame >= last) & (tracks.frame <= last + scorer.wait)]
    return bool((behind > 0).any(0).all())


def test_cameras_do_not_mix(detector, crowd):
    both = OnlineScorer(detector)
    parts = [both.push(*frames_of(crowd)), both.close("no such camera"), both.close()]
    alone = OnlineScorer(detector)
    single = [alone.push(*frames_of(crowd, 2)), alone.close()]
    name = crowd.clip_names[2]
    assert_same({k: v for k, v in table(parts).items() if k[0] == name}, table(single))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frame": -1}, "frame number of camera 'a' must be from 0 to 10000000000, got -1"),
        ({"frame": 1.5}, r"must be a whole number from 0, got 1\.5"),
        ({"ids": [1.5, 2.0]}, r"person id must be a whole number, got 1\.5"),
        (
            {"ids": [1]},
            r"shape \[1, 17, 2\], 1 person with the 17 joints of coco17 and 2 coordinates each, "
            r"got \[2, 17, 2\]",
        ),
        ({"keypoints": np.full((2, 17, 2), np.nan)}, "must be finite and at most"),
        ({"keypoints": [[1, 2], [3]]}, "got lists of unequal length"),
        ({"confidence": np.full((2, 17), -0.5)}, "confidence must be from 0 to 1, got -0.5"),
        ({"confidence": np.full((2, 17), np.nan)}, "confidence must be from 0 to 1, got nan"),
        ({"ids": [2**63, 2**63 + 1]}, f"person id must be at most {2**63 - 1}, got {2**63}"),
        ({"ids": [1, "x"]}, "person id must be a whole number, got 'x'"),
        ({"ids": [1, True]}, "person id must be a whole number, got True"),
        ({"ids": 7}, "ids must be one id a person, got 7"),
        ({"frame": None}, "must be a whole number from 0, got null"),
        ({"frame": np.float32(1.5)}, r"must be a whole number from 0, got 1\.5"),
        ({"keypoints": [[[None, 1.0]] * 17] * 2}, "keypoints must have numbers, got null"),
        ({"keypoints": [[[10**400, 1]] * 17] * 2}, "keypoints must have numbers, got 1000+"),
        ({"frame": 10**10 + 1}, "must be from 0 to 10000000000, got 10000000001"),
        ({"keypoints": [["a"]]}, "keypoints must have numbers, got 'a'"),
        ({"image_size": (0, 5)}, r"image_size must be width and height, more than 0, got \(0, 5\)"),
    ],
)
def test_bad_frames_are_refused_in_one_sentence(change, said, detector):
    good = dict(camera="a", frame=0, ids=[1, 2], keypoints=np.zeros((2, 17, 2)))
    scorer = OnlineScorer(detector)
    with pytest.raises(InputError, match=said):
        scorer.push(Frame(**good), Frame(**{**good, **change}))
    assert scorer.held == 0
    scorer.push(Frame(**good))
    assert scorer.held == 2


def test_unfitted_detectors_and_detectors_of_clips_are_refused(detector):
    with pytest.raises(InputError, match="not fitted"):
        OnlineScorer(GEPC())
    with pytest.raises(InputError, match="wait must be 0 or more frames, got -1"):
        OnlineScorer(detector, wait=-1)
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered or assignment or max or latent or "
        "reconstruction, got 'other'",
    ):
        OnlineScorer(detector, modes=["other"])
    whole = copy.copy(detector)
    whole.options_ = replace(detector.options_, frames=12)
    with pytest.raises(InputError, match="must score windows, got one that scores clips"):
        OnlineScorer(whole)


def test_scores_that_are_not_finite_are_left_out(detector, crowd, monkeypatch):
    scorer = OnlineScorer(detector)
    real = WindowScorer.score_few

    def broken(self, windows, modes, overlap):
        scored = real(self, windows, modes, overlap)
        scored.scores[modes[-1]][:1] = np.nan
        return scored

    monkeypatch.setattr(WindowScorer, "score_few", broken)
    part = scorer.push(*frames_of(crowd, 1))
    assert scorer.dropped["unscored"] == 1
    # Of the window its last frame.
    camera, frame = scorer.last_dropped["unscored"]
    first = int(crowd.frame[crowd.clip == 1].min())
    assert camera == crowd.clip_names[1] and frame == first + detector.lengths_[0] - 1
    assert np.isfinite(part.scores["nearest"]).all() and len(part)
