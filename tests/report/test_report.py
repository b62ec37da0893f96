"""Content of a report, compared with its detector and with cases computed by hand."""

from __future__ import annotations

import base64
import builtins
import dataclasses
import json
import re

import numpy as np
import pytest

from gepc_geo import InputError, Skeleton
from gepc_geo.evaluation.alarms import Alarm
from gepc_geo.evaluation.evaluator import evaluate
from gepc_geo.evaluation.events import events_of
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import frame_level, score_table
from gepc_geo.report import gather, make_page, write_page
from gepc_geo.report.content import count_alarms
from gepc_geo.report.curves import histogram, quality
from gepc_geo.report.encode import evenly_spaced, merge_close, pack_poses, thin
from gepc_geo.report.plane import to_plane
from gepc_geo.report.scenes import (
    PlacedWindows,
    find_peaks,
    nearest_normal,
    scene_length,
    whole_windows,
)
from gepc_geo.report.words import action_words


def unpack(text: str, kind: str = "<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


# -- what is kept of long series -------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 100, 101, 9_999])
def test_a_thinned_line_keeps_its_extremes_and_ends(count):
    score = np.random.default_rng(count).normal(size=count)
    keep = thin(score, 100)
    assert len(keep) <= 100 and (np.diff(keep) > 0).all()
    if count:
        assert keep[0] == 0 and keep[-1] == count - 1
        assert {int(score.argmax()), int(score.argmin())} <= set(keep.tolist())
    if count <= 100:
        assert len(keep) == count


def test_a_spike_of_one_frame_survives_a_day_of_frames():
    score = np.zeros(2_000_000)
    score[1_234_567] = 1
    assert 1_234_567 in thin(score, 800)


def test_spans_that_are_near_one_another_are_joined():
    spans = np.array([[0, 3], [4, 6], [9, 10], [11, 12]])
    assert merge_close(spans, 1).tolist() == spans.tolist()
    assert merge_close(spans, 2).tolist() == [[0, 6], [9, 12]]
    assert merge_close(spans, 4).tolist() == [[0, 12]]
    assert len(merge_close(spans[:0], 4)) == 0


def test_evenly_spaced_positions_include_both_ends():
    assert evenly_spaced(0, 5).tolist() == []
    assert evenly_spaced(3, 5).tolist() == [0, 1, 2]
    assert evenly_spaced(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_packed_poses_can_be_read_back():
    rng = np.random.default_rng(0)
    plane = rng.uniform(-3, 5, size=(2, 4, 3, 2))
    seen = rng.uniform(size=(2, 4, 3)) < 0.7
    present = np.ones((2, 4), dtype=bool)
    present[1, 2:] = False
    packed = pack_poses(plane, seen, present)
    xy = unpack(packed["xy"], "<i2").reshape(2, 4, 3, 2).astype(float)
    assert (xy[1, 2:] == -32768).all() and packed["shape"] == [2, 4, 3]
    np.testing.assert_array_equal(xy[present][..., 0] >= 0, seen[present])
    across = np.where(xy[..., 0] >= 0, xy[..., 0], -1 - xy[..., 0])
    known = plane[present]
    low, extent = known.min((0, 1)), np.ptp(known, axis=(0, 1)).max()
    back = np.stack([across, xy[..., 1]], -1)[present] / 4000 * extent + low
    np.testing.assert_allclose(back, known, atol=extent / 8000 + 1e-9)
    assert max(packed["width"], packed["height"]) == 4000


def test_poses_in_space_are_drawn_upright():
    skeleton = Skeleton.get("kinect20")
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(5, 20, 3)) * [0.1, 0.1, 0.5]
    pose[:, list(skeleton.shoulders), 1] += 1.0  # y up
    plane = to_plane(pose, skeleton)
    np.testing.assert_allclose(plane[..., 1], -pose[..., 1])
    np.testing.assert_allclose(plane[..., 0], pose[..., 2])  # the axis that varies more
    assert to_plane(pose[..., :2], skeleton) is not None
    np.testing.assert_array_equal(to_plane(pose[..., :2], skeleton), pose[..., :2])


# -- peaks -----------------------------------------------------------------------------------------


def test_peaks_equal_hand_worked_ones():
    #                 0  1  2  3  4  5  6  7  8  9  10 11
    score = np.array([5, 1, 2, 8, 2, 1, 1, 4, 1, 9, 9, 3], dtype=float)
    person = np.array([1, 1, 1, 2, 1, 1, 1, 3, 1, -1, -1, 4])
    found = find_peaks(score, person, 7, apart=2, most=9, threshold=None)
    # Frame 9 has no person; the last frame is a peak because the line rises to it.
    assert [(p.frame, p.score, p.person) for p in found] == [
        (3, 8.0, 2),
        (0, 5.0, 1),
        (7, 4.0, 3),
        (11, 3.0, 4),
    ]
    assert {p.clip for p in found} == {7}
    frames = lambda **more: [p.frame for p in find_peaks(score, person, 0, **more)]  # noqa: E731
    assert frames(apart=4, most=9, threshold=None) == [3, 7, 11]
    assert frames(apart=2, most=2, threshold=None) == [3, 0]
    assert frames(apart=2, most=9, threshold=4.5) == [3, 0]
    assert frames(apart=2, most=9, threshold=100.0) == [3]  # the highest always


def test_empty_lines_have_no_peaks_and_flat_ones_have_one():
    assert find_peaks(np.zeros(0), np.zeros(0, int), 0, 5, 3, None) == []
    assert find_peaks(np.ones(9), np.full(9, -1), 0, 5, 3, None) == []
    assert len(find_peaks(np.ones(9), np.zeros(9, int), 0, 5, 3, None)) == 1


# -- curves ----------------------------------------------------------------------------------------


def test_histograms_count_everything_once():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=5000), rng.integers(-1, 2, 5000)
    found = histogram(scores, labels)
    assert {k: sum(c) for k, c in found["counts"].items()} == {
        "normal": (labels == 0).sum(),
        "abnormal": (labels == 1).sum(),
        "unlabelled": (labels == -1).sum(),
    }
    assert histogram(scores[:0], labels[:0])["counts"] == {}


def test_curves_equal_hand_worked_ones():
    labels = np.array([0, 0, 1, 1, -1])
    scores = np.array([1.0, 3.0, 2.0, 4.0, 9.0])
    found = quality(scores, labels, 2.5)
    assert found["auc"] == 0.75 and found["base"] == 0.5
    assert found["at"] == {"false": 0.5, "true": 0.5, "precision": 0.5}
    # Thresholds at each score, lowest first, give 4, 3, 2, 1 and 0 alarms.
    recall, precision = (unpack(part) for part in found["pr"])
    np.testing.assert_array_equal(recall, [1, 1, 0.5, 0.5, 0])
    np.testing.assert_allclose(precision, [2 / 4, 2 / 3, 1 / 2, 1, 1], rtol=1e-6)
    assert found["ap"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    false_rate, true_rate = (unpack(part) for part in found["roc"])
    np.testing.assert_array_equal(false_rate, [0, 0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(true_rate, [0, 0.5, 0.5, 1, 1])
    assert quality(scores, labels, 99.0)["at"]["precision"] is None
    assert quality(scores, np.zeros(5, int), 1.0) is None
    many = np.random.default_rng(0).normal(size=20_000)
    curve = quality(many, (many + np.random.default_rng(1).normal(size=20_000) > 0) * 1, None)
    assert len(unpack(curve["roc"][0])) <= 400
    x, y = (unpack(part) for part in curve["roc"])
    assert np.trapezoid(y, x) == pytest.approx(curve["auc"], abs=1e-3)


# -- everything together ---------------------------------------------------------------------------


def test_scores_and_metrics_are_the_detectors(detector, crowd, content):
    scored = detector.window_scores(crowd)
    frames = frame_level(detector, scored, crowd, ScoreOptions())
    metrics = evaluate(detector, crowd).metrics
    assert content["quality"]["auc"] == metrics["auc"]
    assert content["threshold"] == metrics["events"]["threshold"]
    alarmed = np.split(frames.score.numpy() >= content["threshold"], crowd.frame_offset[1:-1])
    numbers = [np.flatnonzero(part) for part in alarmed]
    # A gap under a second (25 frames) does not split an alarm.
    alarms = sum(1 + int((np.diff(n) > 25).sum()) for n in numbers if len(n))
    assert 0 < alarms <= metrics["events"]["n_alarms"]
    assert content["totals"] == {
        "clips": 9,
        "people": crowd.num_tracks,
        "frames": 9 * 48,
        "alarms": alarms,
        "abnormal": int((crowd.frame_labels == 1).sum()),
        "peaks_left_out": 0,
    }
    per_clip = frames.score.numpy().reshape(9, 48)
    tops = [clip["top"] for clip in content["clips"]]
    assert tops == sorted(tops, reverse=True)
    for clip in content["clips"]:
        line = per_clip[clip["number"]]
        np.testing.assert_allclose(unpack(clip["y"]), line, rtol=1e-6)  # few enough to be all
        shaded = np.zeros(48)
        for start, end in clip["abnormal"]:
            shaded[start:end] = 1
        np.testing.assert_array_equal(
            shaded, crowd.frame_labels.reshape(9, 48)[clip["number"]] == 1
        )
        best = content["scenes"][clip["peaks"][0]]
        assert best["value"] == clip["top"]
        who = frames.person.numpy().reshape(9, 48)[clip["number"], best["frame"]]
        assert best["people"][0]["id"] == who


def test_the_report_has_the_options_of_scoring_and_detector(detector, content):
    assert content["options"]["scoring"] == {
        "level": "frame",
        "mode": "assignment",
        "protocol": "corrected",
        "smooth": 0.0,
        "people_correction": False,
        "padded": None,
        "judge_faults": False,
    }
    assert content["options"]["detector"] == detector.options_.written()


@pytest.mark.parametrize("what", ["detector", "plain"])
def test_people_in_a_scene_have_their_own_windows_and_shares(what, crowd, request):
    """Windows have the middle length, or the shortest for tracks without it."""
    detector = request.getfixturevalue(what)
    content = request.getfixturevalue("content" if what == "detector" else "plain_content")
    sizes = set()
    joints = score_table(detector, crowd, "joint", ScoreOptions(padded=False))
    windows = score_table(detector, crowd, "window", ScoreOptions(padded=False))
    names = list(crowd.skeleton.joints)
    for scene in content["scenes"]:
        clip = content["clips"][scene["clip"]]
        for person in scene["people"]:
            first, size = scene["start"] + person["from"], person["to"] - person["from"] + 1
            sizes.add(size)
            assert first <= scene["frame"] <= scene["start"] + person["to"]
            row = np.flatnonzero(
                (joints["clip"] == clip["name"])
                & (joints["person"] == person["id"])
                & (joints["first_frame"] == first)
                & (joints["length"] == size)
            ).item()
            assert person["score"] == pytest.approx(windows["score"][row], abs=1e-4)
            shares = [joints[name][row] for name in names]
            np.testing.assert_allclose(person["shares"], shares, atol=2e-3)
            covering = (
                (windows["length"] == size)
                & (windows["clip"] == clip["name"])
                & (windows["person"] == person["id"])
                & (windows["first_frame"] <= scene["frame"])
                & (windows["first_frame"] + windows["length"] > scene["frame"])
            )
            assert person["score"] == pytest.approx(windows["score"][covering].max(), abs=1e-4)
    assert sizes == ({12} if what == "detector" else {6, 20})


def test_a_scene_moves_as_its_people_do(crowd, content):
    scene = content["scenes"][0]
    clip = content["clips"][scene["clip"]]["number"]
    people, frames, joints = scene["poses"]["shape"]
    xy = unpack(scene["poses"]["xy"], "<i2").reshape(people, frames, joints, 2).astype(float)
    own = (crowd.clip == clip) & (crowd.track == scene["people"][0]["id"])
    own &= (crowd.frame >= scene["start"]) & (crowd.frame < scene["start"] + frames)
    steps = xy[0, crowd.frame[own] - scene["start"]]
    seen = crowd.confidence[own] > 0
    np.testing.assert_array_equal(steps[..., 0] >= 0, seen)
    # A linear map takes pixels to steps, with the same scale on both axes.
    pixels = crowd.keypoints[own][seen]
    slope, offset = np.polyfit(pixels[:, 1], steps[seen][:, 1], 1)
    np.testing.assert_allclose(slope * pixels[:, 1] + offset, steps[seen][:, 1], atol=1.0)
    across = steps[seen][:, 0] - slope * pixels[:, 0]
    assert np.ptp(across) < 2


def test_the_nearest_normal_windows_are_the_nearest(detector, crowd, walkers):
    normal = PlacedWindows.of(detector, detector.pipeline_.training_windows(walkers))
    places = detector.scorer_.coordinates(detector.windows(crowd))[1][:70]
    found = nearest_normal(normal, places)
    distance = np.linalg.norm(places[:, None] - normal.places[None], axis=-1)
    who = normal.person()
    for row, chosen in zip(distance, found, strict=True):
        assert row[chosen[0]] == pytest.approx(row.min())
        assert len(set(who[chosen])) == 3
        rest = row[~np.isin(who, who[chosen])]
        assert (np.diff(row[chosen]) >= -1e-9).all() and rest.min() >= row[chosen[-1]] - 1e-9


def test_a_training_window_is_its_own_neighbour(detector, walkers):
    normal = PlacedWindows.of(detector, detector.pipeline_.training_windows(walkers))
    np.testing.assert_array_equal(nearest_normal(normal, normal.places[:20])[:, 0], np.arange(20))


def test_places_are_soft_assignments_and_coordinates_of_nearest(detector, walkers):
    windows = detector.windows(walkers)
    assignment, places = detector.scorer_.coordinates(windows)
    np.testing.assert_allclose(assignment, detector.soft_assignment(walkers), atol=1e-5)
    assert places.shape == (len(windows), detector.scorer_.normality[12].nearest.basis.size(1))
    empty = detector.scorer_.coordinates(windows.subset(np.zeros(0, dtype=int)))
    assert [one.shape[0] for one in empty] == [0, 0]


def test_shares_of_words_sum_to_one_and_their_windows_are_typical(detector, walkers):
    normal = PlacedWindows.of(detector, detector.pipeline_.training_windows(walkers))
    words = action_words(normal, normal.assignment[:50])
    assert sum(word["share"] for word in words) == pytest.approx(1, abs=1e-3)
    assert sum(word["seen"] for word in words) == pytest.approx(1, abs=1e-3)
    assert [w["share"] for w in words] == sorted((w["share"] for w in words), reverse=True)
    first = words[0]["cluster"]
    assert words[0]["share"] == pytest.approx(
        (normal.assignment.argmax(1) == first).mean(), abs=1e-4
    )
    best = normal.assignment[:, first].argmax()
    expected = normal.sequences(np.array([best]))
    people, *rest = words[0]["poses"]["shape"]
    assert rest == expected["shape"][1:] and 1 <= people <= 3


def test_without_a_network_words_are_clusters_of_windows(plain, crowd, walkers, plain_content):
    """Words are k-means clusters; normal sequences have the length of the peak."""
    assert (plain_content["words_by"], plain_content["words_length"]) == ("distance", 20)
    assert plain_content["lengths"] == list(plain.lengths_) == [6, 20, 30]
    training = plain.pipeline_.windows(walkers, 4)
    normal = PlacedWindows.of(plain, whole_windows(training, 20))
    words = plain_content["words"]
    assert len(words) == normal.assignment.shape[1] == 4
    distance = np.linalg.norm(normal.places[:, None] - normal.centers, axis=-1)
    share = np.bincount(distance.argmin(1), minlength=4) / len(distance)
    np.testing.assert_allclose([w["share"] for w in words], np.sort(share)[::-1], atol=1e-5)
    # Centres are the means of their clusters.
    for word in range(4):
        own = normal.places[distance.argmin(1) == word]
        np.testing.assert_allclose(normal.centers[word], own.mean(0), atol=0.2)
    seen = PlacedWindows.of(plain, whole_windows(plain.windows(crowd), 20), normal)
    assert seen.centers is normal.centers
    assert sum(word["seen"] for word in words) == pytest.approx(1, abs=1e-3)
    assert {word["poses"]["shape"][1] for word in words} == {20}
    for scene in plain_content["scenes"]:
        first = scene["people"][0]
        assert scene["normal"]["shape"][1] == first["to"] - first["from"] + 1


def test_poses_too_short_for_any_word_have_none(plain, crowd):
    found = gather(plain, crowd.rows(crowd.frame < 10))
    assert found["words"] == [] and found["clips"]


def test_without_training_poses_words_come_from_the_data(detector, crowd):
    found = gather(detector, crowd, about={"train": "gone"})
    assert found["words_from"] == "data" and all(word["seen"] is None for word in found["words"])
    assert not any("normal" in scene for scene in found["scenes"])


def test_a_detector_of_clips_gives_one_peak_for_each_clip(whole_clips):
    assert whole_clips["level"] == "clip" and whole_clips["threshold"] is None
    assert [len(clip["peaks"]) for clip in whole_clips["clips"]] == [1] * 12
    assert whole_clips["scenes"][0]["poses"]["shape"][1] == 16


def test_words_beyond_the_size_limit_keep_their_shares(detector, walkers, monkeypatch):
    monkeypatch.setattr("gepc_geo.report.words.MOST_CHARACTERS", 1)
    normal = PlacedWindows.of(detector, detector.pipeline_.training_windows(walkers))
    words = action_words(normal, None)
    assert [word["poses"] is None for word in words] == [False, True, True]
    assert sum(word["share"] for word in words) == pytest.approx(1, abs=1e-3)


def test_a_calibrated_threshold_is_used(detector, crowd, monkeypatch):
    alarm = Alarm(threshold=1.25, mode=detector.mode, per_hour=2.0, hours=1.0)
    monkeypatch.setattr(detector, "alarm_", alarm.to_dict())
    found = gather(detector, crowd)
    assert found["threshold"] == 1.25 and "2 false alarms an hour" in found["threshold_meaning"]
    other = gather(detector, crowd, options=ScoreOptions(people_correction=True))
    assert other["threshold"] != 1.25 and other["options"]["scoring"]["people_correction"] is True
    other = gather(detector, crowd, options=ScoreOptions(mode="max"))
    assert other["threshold"] != 1.25 and other["options"]["scoring"]["mode"] == "max"


def test_alarms_less_than_a_second_apart_are_one(crowd):
    score = np.zeros(int(crowd.clip_length.sum()))
    score[[0, 10, 40]] = 2.0  # of a first clip at 25 frames a second
    assert crowd.clip_length[0] > 40
    known = dataclasses.replace(crowd, fps=np.full(crowd.num_clips, 25, dtype=np.float32))
    unknown = dataclasses.replace(crowd, fps=np.full(crowd.num_clips, np.nan, dtype=np.float32))
    assert count_alarms(known, score, 1.0) == 2 and count_alarms(unknown, score, 1.0) == 3


# -- the page --------------------------------------------------------------------------------------


def test_names_in_the_data_cannot_run_as_code(content):
    page = make_page(content)
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1]
    assert json.loads(data) == content
    assert "<img src=x" not in page and "</title><b>" not in page
    assert "window.harm=1</script" not in page
    assert "default-src 'none'" in page


def test_a_page_of_a_hundred_clips_is_small(hundred, tmp_path):
    assert len(hundred["clips"]) == 108
    path = tmp_path / "page.html"
    write_page(hundred, path)
    assert path.stat().st_size < 20e6
    # Each clip has its highest peak.
    assert all(clip["peaks"] for clip in hundred["clips"])


def test_a_page_of_many_long_clips_is_small(crowded, tmp_path):
    assert len(crowded["clips"]) == 200 and crowded["totals"]["clips"] == 210
    assert max(len(clip["abnormal"]) for clip in crowded["clips"]) <= 800
    path = tmp_path / "page.html"
    write_page(crowded, path)
    assert path.stat().st_size < 20e6


def test_scenes_end_at_the_size_limit(detector, crowd, walkers, content, monkeypatch):
    whole = content
    size = sum(len(json.dumps(scene)) for scene in whole["scenes"])
    monkeypatch.setattr("gepc_geo.report.content.MOST_CHARACTERS", size // 2)
    half = gather(detector, crowd, train=walkers)
    assert 0 < len(half["scenes"]) < len(whole["scenes"])
    left = len(whole["scenes"]) - len(half["scenes"])
    assert half["totals"]["peaks_left_out"] == left
    assert sum(len(json.dumps(scene)) for scene in half["scenes"]) <= size // 2


def test_without_plotly_the_error_names_the_extra(content, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        InputError, match=r"plotly must be installed for reports: pip install 'gepc_geo\[report\]"
    ):
        write_page(content, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_peaks_say_why_and_link_to_their_events(plain, crowd, plain_content):
    scored = plain.window_scores(crowd, (plain.mode,))
    explanation = plain.explain(crowd, scored)
    found = events_of(plain, scored, crowd, ScoreOptions(), explanation.words)
    events = {event.id: event for event in found}
    linked = 0
    for scene in plain_content["scenes"]:
        clip = plain_content["clips"][scene["clip"]]
        half = scene_length(plain) // 2
        person = scene["people"][0]["id"]
        expected = explanation.words(
            clip["number"], person, scene["frame"] - half, scene["frame"] + half
        )
        event = events[scene["event"]["id"]] if scene["event"] else None
        if event is not None and (event.person, event.peak) == (person, scene["frame"]):
            expected = event.why
        assert scene["why"] == expected
        over = scene["value"] >= plain_content["threshold"]
        assert bool(scene["event"]) == (over or bool(scene["fault"]))
        if scene["event"]:
            event = events[scene["event"]["id"]]
            assert event.clip == clip["name"] and event.start <= scene["frame"] <= event.end
            assert scene["event"]["people"] == list(event.people)
            linked += 1
    # Each alarm has a peak.
    shown = {scene["event"]["id"] for scene in plain_content["scenes"] if scene["event"]}
    assert {event.id for event in events.values() if not event.fault} <= shown
    assert linked and any(scene["why"] for scene in plain_content["scenes"])
