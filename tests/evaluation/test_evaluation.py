"""Levels and evaluation on a detector whose scores are set by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC, InputError, OnlineScorer
from gepc_geo.baselines import BASELINES, MotionMixture, NearestNeighbour
from gepc_geo.datasets import simulate_crowd
from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.evaluation.evaluator import clip_labels, evaluate
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import count_states
from gepc_geo.evaluation.tables import clip_level, frame_level, score_table, write_table
from gepc_geo.experiments import methods
from gepc_geo.export import export
from gepc_geo.options import MODES, Options
from gepc_geo.scoring.aggregation import STATES
from gepc_geo.scoring.metrics import auc
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.streaming.adaptation import adapt_to_poses


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("test", num_clips=9, frames_per_clip=60, random_state=8)


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    small = {
        **NETWORK,
        "budget": 64,
        "batch_size": 32,
        "augment": "none",
        "lengths": ["12"],
        "mode": "assignment",
    }
    return by_hand(GEPC(**small).fit(walkers, device="cpu"))


@pytest.fixture(scope="module")
def plain(walkers) -> GEPC:
    """Without a network, of three lengths."""
    return by_hand(GEPC(lengths=["8", "12", "20"], stride=4).fit(walkers, device="cpu"))


def by_hand(detector: GEPC) -> GEPC:
    calibrator = TailCalibrator().fit(torch.linspace(0, 1, 200))
    modes = detector.modes_
    detector.calibration_.person = dict.fromkeys(modes, calibrator)
    detector.calibration_.most_normal = dict.fromkeys(modes, -1.0)
    return detector


def oracle_scores(detector: GEPC, crowd, value) -> WindowScores:
    """Windows scored by a function of (window, its frame labels)."""
    windows = detector.windows(crowd)
    labels = crowd.frame_labels.reshape(crowd.num_clips, -1)
    score = np.array(
        [
            value(w, labels[windows.clip[w], windows.frame[w] : windows.frame[w] + windows.size[w]])
            for w in range(len(windows))
        ]
    )
    return WindowScores(windows, dict.fromkeys(detector.modes_, score))


@pytest.mark.parametrize("what", ["detector", "plain"])
def test_perfect_windows_give_a_high_frame_auc(what, crowd, request):
    detector = request.getfixturevalue(what)
    scored = oracle_scores(detector, crowd, lambda w, labels: labels.mean())
    metrics = evaluate(detector, crowd, scored=scored).metrics
    assert metrics["auc"] > 0.95 and tuple(metrics["auc_by_mode"]) == detector.modes_


@pytest.mark.parametrize("what", ["detector", "plain"])
def test_frames_equal_a_plain_loop(what, crowd, request):
    """The score of a person-frame is the mean over lengths of the mean of each length."""
    detector = request.getfixturevalue(what)
    rng = np.random.default_rng(0)
    scored = oracle_scores(detector, crowd, lambda w, labels: rng.normal())
    windows = scored.windows
    result = frame_level(detector, scored, crowd, ScoreOptions())
    sums: dict[tuple[int, int, int], dict[int, list[float]]] = {}
    for w in range(len(windows)):
        if windows.padded[w]:
            continue
        for t in range(windows.size[w]):
            row = windows.first[w] + t
            key = (windows.clip[w], windows.table.frame[row], windows.track[w])
            each = sums.setdefault(key, {}).setdefault(windows.size[w], [])
            each.append(scored.scores[detector.mode][w])
    for slot in range(int(crowd.clip_length.sum())):
        clip, frame = divmod(slot, 60)
        here = {
            t: np.mean([np.mean(one) for one in v.values()])
            for (c, f, t), v in sums.items()
            if (c, f) == (clip, frame)
        }
        if here:
            person = max(here, key=here.get)
            assert result.person[slot] == person
            assert result.score[slot].item() == pytest.approx(here[person])
        else:
            assert result.person[slot] == -1
            assert result.score[slot] == -1.0


def test_padded_windows_count_for_clips_and_not_for_frames(detector, crowd):
    scored = oracle_scores(detector, crowd, lambda w, labels: 0.0)
    padded = scored.windows.padded
    assert padded.any()
    scored.scores = {m: np.where(padded, 50.0, 0.0) for m in MODES}
    assert frame_level(detector, scored, crowd, ScoreOptions()).score.max() == 0
    kept = frame_level(detector, scored, crowd, ScoreOptions(padded=True))
    assert kept.score.max() == 50
    assert clip_level(detector, scored, crowd, ScoreOptions())[0].max() > 0
    assert clip_level(detector, scored, crowd, ScoreOptions(padded=False))[0].max() == 0


def test_people_correction_and_protocols(detector, crowd):
    rng = np.random.default_rng(1)
    scored = oracle_scores(detector, crowd, lambda w, labels: rng.uniform())
    plain = frame_level(detector, scored, crowd, ScoreOptions())
    corrected = frame_level(detector, scored, crowd, ScoreOptions(people_correction=True))
    alone, crowded = plain.people == 1, plain.people >= 4
    assert crowded.any()
    tail = -detector.calibration_.person["assignment"].log_tail(plain.score)
    torch.testing.assert_close(corrected.score[alone], tail[alone])
    assert (corrected.score[crowded] < tail[crowded]).all()
    with pytest.raises(
        InputError, match="protocol must be 'corrected' with people correction, got"
    ):
        ScoreOptions(protocol="reference", people_correction=True).check()
    with pytest.raises(InputError, match="protocol must be corrected or reference, got 'mine'"):
        ScoreOptions(protocol="mine").check()


def test_the_reference_protocol_equals_a_plain_loop(detector, crowd):
    """The most normal person decides, each by the window whose middle frame it is."""
    rng = np.random.default_rng(2)
    scored = oracle_scores(detector, crowd, lambda w, labels: rng.normal())
    windows = scored.windows
    result = frame_level(detector, scored, crowd, ScoreOptions(protocol="reference"))
    here: dict[int, dict[int, float]] = {}
    for w in np.flatnonzero(~windows.padded):
        frame = windows.table.frame[windows.first[w] + 6]
        slot = int(crowd.frame_offset[windows.clip[w]] + frame)
        here.setdefault(slot, {})[windows.track[w]] = scored.scores["assignment"][w]
    assert max(map(len, here.values())) > 1
    for slot in range(int(crowd.clip_length.sum())):
        people = here.get(slot, {-1: -1.0})
        person = min(people, key=people.get)
        assert result.person[slot] == person
        assert result.score[slot].item() == pytest.approx(people[person])


def test_threshold_alarms_the_declared_share_of_normal_frames(detector, crowd):
    scored = oracle_scores(detector, crowd, lambda w, labels: 0.0)
    metrics = evaluate(detector, crowd, scored=scored).metrics
    assert metrics["events"]["threshold"] == pytest.approx(0.95, abs=0.02)
    options = ScoreOptions(people_correction=True)
    metrics = evaluate(detector, crowd, scored=scored, options=options).metrics
    assert metrics["events"]["threshold"] == pytest.approx(-np.log(0.05))


def test_clip_labels_are_the_classes_that_are_not_normal(crowd):
    labels = clip_labels(crowd, ["normal"])
    assert (labels == (np.array(crowd.clip_label) != "normal")).all()
    hidden = crowd.with_(clip_label=["", *crowd.clip_label[1:]])
    assert clip_labels(hidden, ["normal"])[0] == -1
    with pytest.raises(
        InputError,
        match=r"class must be one of the data's \(cycling, falling, fighting, jumping, loitering, "
        r"normal, running, waving\), got 'swim'",
    ):
        clip_labels(crowd, ["swim"])


def test_evaluation_without_labels_of_both_kinds_is_refused(detector, crowd, monkeypatch):
    with pytest.raises(
        InputError,
        match=r"must have frame labels \(--labels\) or normal classes \(--normal\), "
        "got neither",
    ):
        evaluate(detector, replace(crowd, frame_labels=None))
    with pytest.raises(
        InputError,
        match=r"the poses must be PoseTracks \(gepc_geo\.io\.read of files, PoseTracks\.build of "
        r"arrays\), got ndarray",
    ):
        evaluate(detector, crowd.keypoints)

    def never(*args, **kwargs):
        raise AssertionError("scored before the labels were looked at")

    monkeypatch.setattr(GEPC, "window_scores", never)
    for labels, message in (
        (
            np.zeros(540),
            "frame labels of the 9 clips must be of both kinds, got 0 abnormal and 540",
        ),
        (
            np.r_[[1] * 9, [-1] * 531],
            "frame labels of the 9 clips must be of both kinds, got 9 abnormal and 0 normal",
        ),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(detector, crowd.with_(frame_labels=labels))
    with pytest.raises(
        InputError,
        match="clip labels of the 9 clips must be of both kinds, got 0 abnormal and 9 normal",
    ):
        evaluate(detector, crowd, normal=set(crowd.clip_label))
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered or assignment or max or latent or "
        "reconstruction, got 'foo'",
    ):
        evaluate(detector, crowd, options=ScoreOptions(mode="foo"))


def test_every_mode_is_evaluated(detector, plain, crowd, monkeypatch):
    found = evaluate(detector, crowd).metrics
    assert (
        tuple(found["auc_by_mode"]) == MODES and found["auc"] == found["auc_by_mode"]["assignment"]
    )
    monkeypatch.setattr(GEPC, "window_scores", None)
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered, got 'max', which needs a network",
    ):
        evaluate(plain, crowd, options=ScoreOptions(mode="max"))


def test_an_evaluation_has_the_states_of_the_table(plain, crowd):
    few = crowd.rows(crowd.frame % 24 < 14)
    frames = evaluate(plain, few)
    table = score_table(plain, few, "frame", ScoreOptions())
    assert np.array(STATES)[frames.states].tolist() == table["state"].tolist()
    assert frames.metrics["states"] == count_states(table["state"])
    assert frames.metrics["states"]["nobody"] > 0
    assert len(evaluate(plain, few, normal=["normal"]).states) == few.num_clips


def test_clips_have_no_frame_protocol(detector, crowd):
    metrics = evaluate(detector, crowd, normal=["normal"]).metrics
    assert (metrics["level"], metrics["protocol"], metrics["smooth"]) == ("clip", None, 0.0)
    with pytest.raises(InputError, match="level must be frame for smooth 20.0, got clip"):
        evaluate(detector, crowd, normal=["normal"], options=ScoreOptions(smooth=20.0))


def test_tables_and_their_files(detector, crowd, tmp_path):
    with pytest.raises(
        InputError,
        match="level must be joint or window or person or frame or clip or event, got 'city'",
    ):
        score_table(detector, crowd, "city", ScoreOptions())
    columns = score_table(detector, crowd, "person", ScoreOptions(mode="max"))
    assert (columns["score"] >= columns["mean"] - 1e-12).all()
    with pytest.raises(InputError, match=r"must have suffix .csv or .npz, got '.txt'"):
        write_table(columns, tmp_path / "a.txt")
    write_table(columns, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["person"], columns["person"])


def test_a_baseline_is_evaluated_as_in_experiments(walkers, crowd):
    """Frames and clips of it, by the definitions of its tables; smoothing is a detector's."""
    baseline = MotionMixture(Options(score_stride=2)).fit(walkers, device="cpu")
    scored = methods.Scored(baseline.windows(crowd), baseline.decision_function(crowd))
    found = evaluate(baseline, crowd)
    np.testing.assert_array_equal(found.scores, methods.frame_level(scored, crowd))
    metrics = found.metrics
    assert metrics["auc"] == auc(crowd.frame_labels, found.scores) == metrics["auc_padded_dropped"]
    assert 0.5 < metrics["auc"] < 1 and metrics["mode"] is None and metrics["level"] == "frame"
    assert not {"events", "auc_by_mode", "auc_people_corrected"} & set(metrics)
    smooth = evaluate(baseline, crowd, options=ScoreOptions(smooth=5)).scores
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(found.scores)).max()
    clips = evaluate(baseline, crowd, normal=["normal"])
    np.testing.assert_array_equal(clips.scores, methods.clip_level(scored, crowd))
    assert clips.metrics["n_clips"] == 9


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_evaluated(name, walkers, crowd):
    classes = walkers.with_(clip_label=["a", "b"] * (walkers.num_clips // 2))
    options = Options(
        **NETWORK | {"lengths": ["12"], "budget": 64, "batch_size": 32, "score_stride": 6}
    )
    with pytest.raises(InputError, match="must be fitted with fit"):
        evaluate(BASELINES[name](options), crowd)
    baseline = BASELINES[name](options).fit(classes, device="cpu")
    assert 0 <= evaluate(baseline, crowd).metrics["auc"] <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"options": ScoreOptions(mode="latent")}, "mode must not be given for a Nearest"),
        (
            {"options": ScoreOptions(people_correction=True)},
            "people_correction must not be given for",
        ),
        (
            {"options": ScoreOptions(protocol="mine")},
            "protocol must be corrected or reference, got 'mine'",
        ),
    ],
)
def test_a_baseline_has_no_modes_and_no_calibration(given, message, walkers, crowd):
    baseline = NearestNeighbour(Options(score_stride=6)).fit(walkers, device="cpu")
    with pytest.raises(InputError, match=message):
        evaluate(baseline, crowd, **given)
    with pytest.raises(InputError, match="scored must not be given for a"):
        evaluate(baseline, crowd, scored=WindowScores(baseline.windows(crowd), {}))


def test_a_baseline_of_whole_clips_has_no_frames(walkers, crowd):
    baseline = NearestNeighbour(Options(frames=24)).fit(walkers, device="cpu")
    with pytest.raises(InputError, match=r"for a detector of whole clips \(frames 24\), got frame"):
        evaluate(baseline, crowd)
    assert evaluate(baseline, crowd, normal=["normal"]).metrics["level"] == "clip"


def test_what_is_not_a_detector_is_refused_by_name(walkers, crowd, tmp_path):
    baseline = NearestNeighbour(Options(score_stride=6)).fit(walkers, device="cpu")
    for ask in (
        OnlineScorer,
        lambda one: adapt_to_poses(one, crowd),
        lambda one: score_table(one, crowd, "frame", ScoreOptions()),
        lambda one: export(one, tmp_path / "a.pt2", "torch"),
    ):
        with pytest.raises(InputError, match="the detector must be a GEPC, got NearestNeighbour"):
            ask(baseline)
    with pytest.raises(
        InputError, match="must be a GEPC or a baseline of gepc_geo.baselines, got str"
    ):
        evaluate("model.pt", crowd)
