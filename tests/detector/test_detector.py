"""The estimator: files, scores, attribution, bad input."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from helpers import NETWORK
from sklearn.base import clone

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.detector.model_file import KIND, VERSION
from gepc_geo.errors import InputWarning
from gepc_geo.options import MODES, Options
from gepc_geo.options.presets import preset_changes
from gepc_geo.scoring.aggregation import person_frame_scores
from gepc_geo.scoring.joint_shares import input_shares
from gepc_geo.scoring.scorer import scoring_loader
from gepc_geo.training.holdout import hold_out
from gepc_geo.utils import state_file
from gepc_geo.windows.loader import WindowLoader

SMALL = {
    **NETWORK,
    "hidden": 2,
    "budget": 960,
    "batch_size": 32,
    "clusters": 4,
    "components": 3,
    "stride": 4,
    "score_stride": 3,
    "holdout": 0.2,
}


@pytest.fixture(scope="module")
def detector(walkers) -> GEPC:
    return GEPC(**SMALL).fit(walkers, device="cpu")


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("test", num_clips=4, frames_per_clip=60, random_state=2)


def test_follows_scikit_learn_conventions(detector):
    copy = clone(detector)
    assert copy.get_params() == detector.get_params()
    assert not hasattr(copy, "scorer_")
    assert copy.set_params(lengths=["24"]).lengths == ["24"]


@pytest.fixture(scope="module")
def longer() -> PoseTracks:
    return simulate_crowd("train", num_clips=12, frames_per_clip=96, random_state=6)


@pytest.fixture(scope="module")
def default(longer) -> GEPC:
    """No network; 12, 24 and 48 frames."""
    return GEPC(stride=8, score_stride=6, holdout=0.2).fit(longer, device="cpu")


def test_the_default_has_lengths_in_seconds_and_no_network(default, crowd):
    assert default.lengths_ == (12, 24, 48)
    assert default.modes_ == ("combined", "nearest", "altered") and default.network_ is None
    scored = default.window_scores(crowd)
    windows, scores = scored.windows, scored.scores
    assert set(scores) == set(default.modes_) and np.isfinite(list(scores.values())).all()
    # Scores are -log of tail probabilities of the window's own length, and the mean of these.
    for length in default.lengths_:
        own = default.scorer_.raw(windows.of_length(length))
        tails = default.scorer_.normality[length].tails(own)
        for mode in ("nearest", "altered"):
            np.testing.assert_allclose(scores[mode][windows.size == length], tails[mode].numpy())
    mean = (scores["nearest"] + scores["altered"]) / 2
    np.testing.assert_allclose(scores["combined"], mean)
    alone = default.window_scores(crowd, ("combined",)).scores
    assert list(alone) == ["combined"] and np.array_equal(alone["combined"], scores["combined"])
    for ask in (default.embed, default.soft_assignment):
        with pytest.raises(
            InputError,
            match=r"must be fitted with a mode of assignment, max, latent, reconstruction \(on "
            r"the command line train --preset gepc\), got one without a network$",
        ):
            ask(crowd)
    with pytest.raises(InputError, match=r"got 'assignment', which needs a network"):
        default.score_samples(crowd)
    with pytest.raises(InputError, match=r"got 'latent', which needs a network"):
        default.decision_function(crowd, "latent")


def test_nearest_is_the_distance_of_low_frequencies_to_three_people(default, longer, crowd):
    """Recomputed from the pipeline for one length: both views, rows of all training people."""
    length, pipeline = 24, default.pipeline_
    train, held_out = hold_out(longer, default.options_)
    parts = [pipeline.training_windows(train), pipeline.windows(held_out, 8).without_padded()]
    learned = [part.of_length(length) for part in parts]
    count = sum(map(len, learned))
    rows, person, offset = [], [], 0
    for part in learned:
        for choice in range(pipeline.augment.copies(count)):
            rows.append(flat(default, part, choice))
            person.append(torch.as_tensor(part.person) + offset)
        offset += int(parts[0].person.max()) + 1
    model = default.scorer_.normality[length].nearest
    again = NearestDistance()
    again.mean, again.basis = model.mean, model.basis
    again.fit(again.project(torch.cat(rows)), torch.cat(person))
    windows = default.windows(crowd).of_length(length)
    views = [again(again.project(flat(default, windows, choice))) for choice in (0, 1)]
    found = default.scorer_.raw(windows)["nearest"]
    torch.testing.assert_close(found, torch.minimum(*views), atol=1e-3, rtol=1e-3)


def flat(detector, windows, choice: int) -> torch.Tensor:
    batch = next(iter(WindowLoader(windows, batch_size=max(len(windows), 1))))
    return detector.pipeline_(batch, torch.full((len(windows),), choice)).flat()


def test_a_person_frame_has_the_mean_of_its_lengths(default, crowd):
    scored = default.window_scores(crowd, padded=False)
    windows, score = scored.windows, torch.as_tensor(scored.scores["nearest"])
    size, first = torch.as_tensor(windows.size), torch.as_tensor(windows.first)
    count = len(windows.table.frame)
    found = person_frame_scores(score, first, size, count)
    each = torch.stack(
        [
            person_frame_scores(score[size == length], first[size == length], length, count)
            for length in default.lengths_
        ]
    )
    torch.testing.assert_close(found, each.nanmean(0), equal_nan=True)
    assert int(each[2].isnan().sum()) - int(each[0].isnan().sum()) > 0


def test_lengths_that_hardly_a_track_has_are_left_out(walkers):
    short = walkers.rows(walkers.frame < 30)
    with pytest.warns(InputWarning, match=r"too few windows or people for 48 frames"):
        detector = GEPC(stride=4, score_stride=3).fit(short, device="cpu")
    assert detector.lengths_ == (12, 24)
    assert set(detector.windows(walkers).lengths) == {12, 24}


def normal_scores(train: PoseTracks) -> dict[int, np.ndarray]:
    """Scores of other normal people by length, of the default fitted to some."""
    detector = GEPC(stride=4).fit(train, device="cpu")
    scored = detector.window_scores(
        simulate_crowd("train", num_clips=3, random_state=77), padded=False
    )
    return {
        length: scored.scores["nearest"][scored.windows.size == length]
        for length in detector.lengths_
    }


def test_a_length_of_few_people_does_not_drown_the_others(longer):
    """One long track among short ones; one person alone; few windows to calibrate by."""
    short = longer.frame < 30
    one = (longer.clip == 0) & (longer.track == longer.track[longer.clip == 0][0])
    few = "there are too few windows or people for"
    for rows, kept, said in (
        (short | one, (12, 24), rf"12 and 24 frames are scored: {few} 48 frames \(13 windows\)"),
        (
            one,
            (12,),
            rf"12 frames are scored: {few} 24 frames \(19 windows\) and 48 frames "
            r"\(13 windows\)",
        ),
    ):
        with pytest.warns(InputWarning, match=f"^only windows of {said}$"):
            scores = normal_scores(longer.rows(rows))
        assert tuple(scores) == kept
    for train in (longer, simulate_crowd("train", num_clips=4, frames_per_clip=60, random_state=3)):
        scores = normal_scores(train)
        assert len(scores) > 1
        for values in scores.values():
            # As -log of probabilities of normal people: 1 on the mean, and no cliff.
            assert 0.3 < values.mean() < 5 and values.max() < 60


def test_the_graph_network_scores_windows_of_several_lengths(walkers, crowd):
    detector = GEPC(**{**SMALL, "lengths": ["12", "24"], "budget": 96}).fit(walkers, device="cpu")
    scored = detector.window_scores(crowd)
    assert set(scored.windows.lengths) == {12, 24} and set(scored.scores) == set(MODES)
    assert all(np.isfinite(score).all() for score in scored.scores.values())
    assert len(detector.embed(crowd)) == len(scored.windows)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_scores_every_window(mode, detector, crowd):
    scores = detector.decision_function(crowd, mode)
    assert scores.shape == (len(detector.windows(crowd)),)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > len(scores) / 2


def test_scores_do_not_depend_on_the_batch(detector, crowd, monkeypatch):
    expected = detector.window_scores(crowd).scores
    monkeypatch.setattr("gepc_geo.scoring.scorer.BATCH", {"cpu": 7})
    for mode, score in detector.window_scores(crowd).scores.items():
        np.testing.assert_allclose(score, expected[mode], rtol=1e-3, atol=1e-3)


def test_score_samples_is_the_mixtures_log_density(detector, crowd):
    """Recomputed from soft assignments with SciPy's Student-t, without augmentation."""
    from scipy.special import logsumexp
    from scipy.stats import multivariate_t

    from gepc_geo.density.mixture import ilr

    plain = GEPC(**{**SMALL, "augment": "none", "budget": 320})
    plain.fit(
        simulate_crowd("train", num_clips=10, frames_per_clip=48, random_state=1), device="cpu"
    )
    x = ilr(torch.as_tensor(plain.soft_assignment(crowd)).double().log()).numpy()
    mixture = plain.scorer_.normality[12].mixtures["assignment"]
    posterior, size = mixture.components_, x.shape[1]
    terms = []
    for k, weight in enumerate(mixture.weights_.numpy()):
        beta, nu = float(posterior.mean_precision[k]), float(posterior.degrees_of_freedom[k])
        shape = posterior.covariances[k].numpy() * nu * (1 + beta) / (beta * (nu + 1 - size))
        density = multivariate_t(posterior.means[k].numpy(), shape, df=nu + 1 - size)
        terms.append(math.log(weight) + density.logpdf(x))
    np.testing.assert_allclose(plain.score_samples(crowd), logsumexp(terms, axis=0), rtol=1e-3)


def test_soft_assignment_and_embedding(detector, crowd):
    p = detector.soft_assignment(crowd)
    assert p.shape == (len(detector.windows(crowd)), 4)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert detector.embed(crowd).shape == (len(p), detector.network_.model.latent_dim)


def test_modes_without_a_density_are_refused(detector, crowd):
    with pytest.raises(
        InputError, match=r"mode of a density must be assignment or latent, got 'max'"
    ):
        detector.score_samples(crowd, "max")


def plain_nearest(detector, windows, choice, person) -> torch.Tensor:
    """Distances of some windows to other people (one, of so few), by the definition."""
    nearest = detector.scorer_.normality[12].nearest
    rows = ((flat(detector, windows, choice) - nearest.mean) @ nearest.basis).double()
    square = torch.cdist(rows, nearest.points.double()).square() + nearest.least
    distance = square.log() / 2 - nearest.log_scale
    people = nearest._person_ids[nearest.person]
    count = min(max(len(nearest._person_ids) // 10, 1), 3)
    each = []
    for one, own in zip(distance, person, strict=True):
        least = [one[people == other].min() for other in nearest._person_ids if other != own]
        each.append(torch.stack(least).topk(count, largest=False).values.mean())
    return torch.stack(each)


@pytest.mark.parametrize("holdout", [0.2, 0.0])
def test_calibration_leaves_out_the_own_person(walkers, holdout):
    """Threshold and most normal score are those of neighbours of all other people."""
    detector = GEPC(lengths=["12"], augment="flip", stride=4, holdout=holdout, score_stride=3)
    detector.fit(walkers, device="cpu")
    train, held_out = hold_out(walkers, detector.options_)
    learned = detector.pipeline_.training_windows(train)
    windows, person = learned, torch.as_tensor(learned.person)
    scores = [plain_nearest(detector, windows, choice, person) for choice in (0, 1)]
    lowest = float(torch.minimum(*scores).min())
    assert detector.calibration_.most_normal["nearest"] == pytest.approx(lowest, abs=1e-3)
    if holdout:
        windows = detector.pipeline_.windows(held_out, 3)
        windows = windows.subset(~windows.padded)
        person = torch.as_tensor(windows.person) + int(learned.person.max()) + 1
        scores = [plain_nearest(detector, windows, choice, person) for choice in (0, 1)]
    scores = torch.minimum(*scores).numpy()
    threshold = detector.calibration_.thresholds["nearest"]
    assert threshold == pytest.approx(np.quantile(scores, 0.95), abs=1e-3)


def test_a_person_alone_is_calibrated_by_their_own_windows(walkers):
    alone = walkers.rows((walkers.clip == 0) & (walkers.track == walkers.track[0]))
    with pytest.warns(InputWarning, match="must have full windows of at least 2 people, got 1"):
        detector = GEPC(**{**SMALL, "budget": 96, "stride": 1}).fit(alone, device="cpu")
    calibration = detector.calibration_
    assert np.isfinite([detector.threshold_, *calibration.most_normal.values()]).all()
    assert np.isfinite(detector.decision_function(walkers)).all()


def test_threshold_holds_its_share_of_new_windows(detector):
    """Of people never seen before, who walk as those held out did; those are 11 people."""
    new = simulate_crowd("train", num_clips=12, frames_per_clip=72, random_state=77)
    scored = detector.window_scores(new, padded=False)
    share = (scored.scores[detector.mode] > detector.threshold_).mean()
    assert 0 < share < 4 * detector.contamination


def test_held_out_clips_are_never_trained_on(detector, walkers):
    train, held_out = hold_out(walkers, detector.options_)
    assert not set(train.clip_names) & set(held_out.clip_names)
    assert train.num_frames + held_out.num_frames == walkers.num_frames


def test_labels_do_not_change_training(detector, walkers, crowd):
    labelled = walkers.with_(clip_label=["x"] * walkers.num_clips, frame_labels=None)
    again = GEPC(**SMALL).fit(labelled, device="cpu")
    np.testing.assert_array_equal(again.decision_function(crowd), detector.decision_function(crowd))


def test_mapped_tracks_give_the_same_scores(detector, walkers, crowd, tmp_path):
    """Training, and scores, from tracks that stay in their file."""
    walkers.save(tmp_path / "train.npz")
    crowd.save(tmp_path / "test.npz")
    mapped = PoseTracks.load(tmp_path / "train.npz", mmap=True)
    again = GEPC(**SMALL).fit(mapped, device="cpu")
    other = PoseTracks.load(tmp_path / "test.npz", mmap=True)
    np.testing.assert_array_equal(again.decision_function(other), detector.decision_function(crowd))


def test_the_folder_of_a_run_stands_for_its_file(detector, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match=r"run/model\.pt does not exist"):
        GEPC.load(tmp_path / "run")
    detector.save(tmp_path / "run" / "model.pt")
    for path in (tmp_path / "run", str(tmp_path / "run")):
        assert GEPC.load(path, device="cpu").get_params() == detector.get_params()


@pytest.mark.parametrize("mode", ["combined", "nearest", "altered"])
def test_a_network_is_loaded_whatever_the_mode_at_saving(detector, crowd, tmp_path, mode):
    chosen = copy.copy(detector).set_params(mode=mode)
    chosen.save(tmp_path / "model.pt")
    loaded = GEPC.load(tmp_path / "model.pt", device="cpu")
    assert loaded.mode == mode and loaded.modes_ == detector.modes_
    scores = loaded.window_scores(crowd).scores
    for name, score in detector.window_scores(crowd).scores.items():
        np.testing.assert_array_equal(scores[name], score)


@pytest.mark.parametrize("mode", ["nearest", "altered"])
def test_window_modes_are_calibrated_on_training_and_held_out_windows(default, longer, mode):
    """By how rare the lowest score is."""
    train, held_out = hold_out(longer, default.options_)
    length, pipeline = 24, default.pipeline_
    count = len(pipeline.training_windows(train).of_length(length))
    stride = default.options_.score_stride
    known = len(pipeline.windows(held_out, stride).without_padded().of_length(length))
    calibrator = default.scorer_.normality[length].calibrators[mode]
    # The lowest of n scores is exceeded with probability 1 - 1 / (n + 1).
    lowest = float(calibrator.log_survival_[0])
    assert lowest == pytest.approx(np.log(1 - 1 / (count + known + 1)), rel=0.01)


@pytest.mark.parametrize("which", ["detector", "default"])
def test_saved_model_scores_the_same(which, crowd, tmp_path, request):
    detector = request.getfixturevalue(which)
    path = tmp_path / "model.pt"
    detector.save(path)
    loaded = GEPC.load(path, device="cpu")
    assert loaded.get_params() == detector.get_params()
    assert loaded.threshold_ == detector.threshold_ and loaded.lengths_ == detector.lengths_
    expected = detector.window_scores(crowd).scores
    assert expected.keys() == set(detector.modes_)
    for mode, score in loaded.window_scores(crowd).scores.items():
        np.testing.assert_array_equal(score, expected[mode])


def test_options_take_numpy_numbers(walkers, tmp_path):
    options = {**SMALL, "batch_size": np.int64(32), "lr": np.float64(1e-3), "budget": np.int64(128)}
    GEPC(**options).fit(walkers, run=tmp_path, device="cpu").save(tmp_path / "model.pt")
    assert type(GEPC.load(tmp_path / "model.pt", device="cpu").batch_size) is int


def test_other_files_and_versions_are_refused(detector, tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match=r"model.pt does not exist$"):
        GEPC.load(path)
    path.write_bytes(b"not a model at all")
    with pytest.raises(InputError, match=r"must be a gepc_geo model, got an error"):
        GEPC.load(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match=r"must be a gepc_geo model, got another kind of file"):
        GEPC.load(path)
    state_file.save({}, path, kind=KIND, version=VERSION + 1)
    with pytest.raises(InputError, match=rf"must have version {VERSION}, got {VERSION + 1}"):
        GEPC.load(path)
    state_file.save({}, path, kind=KIND, version=VERSION - 1)
    with pytest.raises(
        InputError, match=rf"version {VERSION}, got {VERSION - 1}: train again with"
    ):
        GEPC.load(path)
    state_file.save({"options": {"scale": "torso"}}, path, kind=KIND, version=VERSION)
    message = "got 'torso': train again with scale rms"
    with pytest.raises(InputError, match=f"^{path}: scale must be rms or image, {message}$"):
        GEPC.load(path)
    state_file.save({"options": {}}, path, kind=KIND, version=VERSION)
    with pytest.raises(InputError, match=r"must be a complete gepc_geo model, got an error"):
        GEPC.load(path)


def test_pickled_code_in_a_model_file_is_never_run(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return ran.touch, ()

    torch.save({"kind": KIND, "version": VERSION, "options": Evil()}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"must be a gepc_geo model, got an error"):
        GEPC.load(tmp_path / "model.pt")
    assert not ran.exists()


def test_mixtures_and_neighbours_see_variations_of_few_windows(walkers):
    """Ten of each of the training windows; of a window's two views the nearer one counts."""
    varied = GEPC(**{**SMALL, "augment": "vary", "budget": 64, "stride": 24})
    varied.fit(walkers, device="cpu")
    train, _ = hold_out(walkers, varied.options_)
    count, all_of_them = (
        int((~varied.pipeline_.windows(tracks, 24).padded).sum()) for tracks in (train, walkers)
    )
    normality = varied.scorer_.normality[12]
    # What was held out to calibrate is among the neighbours in the end.
    assert len(normality.nearest.points) == 10 * all_of_them > 10 * count
    weights, _ = normality.mixtures["latent"].weight_concentration_
    assert abs(float((weights - 1).sum()) - 10 * count) < 1e-6
    batch = next(
        iter(scoring_loader(varied.windows(walkers).subset(slice(5)), torch.device("cpu")))
    )
    encoder = varied.scorer_.encoder
    with torch.no_grad():
        each = [
            normality.scores(normality.project(encoder(batch, choice, ("nearest",))))["nearest"]
            for choice in (0, 1)
        ]
    nearer = torch.minimum(*each)
    np.testing.assert_allclose(varied.decision_function(walkers, "nearest")[:5], nearer, atol=1e-4)


@pytest.fixture(scope="module")
def reconstructing(walkers):
    """Trained for long enough to reconstruct a walker."""
    options = {"hidden": 4, "budget": 4800, "cluster_share": 0.0, "lr": 3e-3, "coefficients": 0}
    detector = GEPC(**{**SMALL, **options, "mode": "reconstruction"})
    return detector.fit(walkers, device="cpu")


@pytest.fixture(scope="module")
def others():
    return simulate_crowd("train", num_clips=2, frames_per_clip=48, random_state=9)


@pytest.mark.parametrize("joint", [0, 9, 16])
def test_joint_scores_find_a_faulty_joint(reconstructing, others, joint):
    """A joint that begins to jump about gains most: on the whole, and in most windows."""
    keypoints = others.keypoints.copy()
    noise = np.random.default_rng(joint).normal(scale=40, size=keypoints[:, joint].shape)
    keypoints[:, joint] += noise
    before = reconstructing.joint_scores(others)
    shares = reconstructing.joint_scores(others.with_(keypoints=keypoints))
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-4)
    gain = (shares - before)[~reconstructing.windows(others).padded]
    assert gain.mean(0).argmax() == joint
    assert (gain.argmax(1) == joint).mean() > 0.5


def shares_of(detector, windows) -> np.ndarray:
    shares = np.zeros((len(windows), windows.length, 17), np.float32)
    for index, share in input_shares(detector.scorer_, windows, detector.mode):
        shares[index.numpy()] = share.numpy()
    return shares


def test_input_shares_find_a_joint_in_a_frame(reconstructing, others):
    """A wrist far away in one frame: of all joints and frames that one gains most, by far."""
    windows = reconstructing.windows(others)
    rows, taken, apart = windows.rows(), set(), []
    for i, own in enumerate(rows.tolist()):  # windows that share no frame
        if taken.isdisjoint(own) and not windows.padded[i]:
            taken.update(own)
            apart.append(i)
    moved = windows.subset(apart)
    moved.table = copy.deepcopy(windows.table)
    moved.table.keypoints[moved.rows()[:, 5], 9] += 60
    before = shares_of(reconstructing, windows.subset(apart))
    after = shares_of(reconstructing, moved)
    assert after.shape == (len(apart), 12, 17)
    np.testing.assert_allclose(after.sum((1, 2)), 1, rtol=1e-5)
    gain = (after - before).mean(0)
    assert np.unravel_index(gain.argmax(), gain.shape) == (5, 9)
    assert gain[5, 9] > 2 * np.partition(gain.ravel(), -2)[-2]


def test_joint_scores_are_input_shares_summed_over_frames(reconstructing, others):
    shares = shares_of(reconstructing, reconstructing.windows(others))
    np.testing.assert_allclose(
        reconstructing.joint_scores(others), shares.sum(1), rtol=1e-4, atol=1e-6
    )


def test_joint_scores_belong_to_the_window_itself_whatever_its_augmentation(detector, crowd):
    """Of a mirrored crowd the left joints' shares are the right ones' of the crowd."""
    order = crowd.skeleton.mirror()
    turned = crowd.keypoints[:, order] * np.float32([-1, 1]) + np.float32([856, 0])
    mirrored = crowd.with_(keypoints=turned, confidence=crowd.confidence[:, order])
    ours, theirs = detector.joint_scores(crowd), detector.joint_scores(mirrored)
    # Rounding takes a few windows to the other side of a ReLU.
    near = np.isclose(ours[:, order], theirs, atol=2e-3).all(1)
    assert near.mean() > 0.97
    assert not np.isclose(ours, theirs, atol=2e-3).all(1).any()


def test_joint_scores_without_a_gradient_are_equal(detector, crowd):
    dead = copy.deepcopy(detector)
    for parameter in dead.network_.model.parameters():
        torch.nn.init.zeros_(parameter)
    shares = dead.joint_scores(crowd, "assignment")
    np.testing.assert_allclose(shares, 1 / 17, rtol=1e-4)


def test_a_score_that_is_not_finite_is_refused_with_its_window(detector, crowd):
    broken = copy.deepcopy(detector)
    broken.scorer_.normality[12].mixtures["assignment"].components_.means[:] = torch.nan
    first = detector.windows(crowd)
    place = rf"person {first.track[0]} from frame {first.frame[0]} of clip '{crowd.clip_names[0]}'"
    with pytest.raises(InputError, match=rf"the score of {place} must be finite, got NaN"):
        broken.decision_function(crowd)


def test_poses_without_a_window_give_no_scores(detector, crowd):
    nobody = crowd.rows(np.zeros(crowd.num_frames, dtype=bool))
    assert detector.decision_function(nobody).shape == (0,)
    assert detector.embed(nobody).shape == (0, detector.network_.model.latent_dim)
    assert detector.soft_assignment(nobody).shape == (0, 4)
    assert detector.joint_scores(nobody).shape == (0, 17)


def test_clips_without_people_do_not_count_in_the_holdout(walkers):
    """Eleven empty clips and one with people: people are held out, not the one clip."""
    empty = walkers.rows(walkers.clip == 3)
    for seed in range(8):
        train, held_out = hold_out(empty, Options(**{**SMALL, "random_state": seed}))
        assert train.num_frames and held_out.num_frames


def test_a_large_set_is_whitened_on_a_sample(detector, walkers, crowd, monkeypatch):
    """With the sample as large as the set nothing changes; a smaller one is near."""
    monkeypatch.setattr("gepc_geo.scoring.learning.SAMPLE", 200)
    part = GEPC(**SMALL).fit(walkers, device="cpu")
    assert torch.equal(detector.network_.assignment.theta, part.network_.assignment.theta)
    ours, theirs = (one.decision_function(crowd, "latent") for one in (detector, part))
    assert not np.array_equal(ours, theirs)
    assert np.corrcoef(ours.argsort().argsort(), theirs.argsort().argsort())[0, 1] > 0.9


def test_poses_that_do_not_fit_are_refused(detector, crowd):
    other = crowd.with_(
        keypoints=crowd.keypoints[:, :13], confidence=crowd.confidence[:, :13], skeleton="penn13"
    )
    with pytest.raises(
        InputError,
        match=r"skeleton of the training, 'coco17' \(17 joints\), got 'penn13' \(13 joints\)",
    ):
        detector.decision_function(other)
    with pytest.raises(InputError, match=r"must give at least 2 windows of 12 frames, got 0"):
        GEPC(**SMALL).fit(crowd.rows(np.zeros(crowd.num_frames, dtype=bool)))
    with pytest.raises(
        InputError, match="clusters must be at most 254, the number of training windows, got 9999"
    ):
        GEPC(**{**SMALL, "clusters": 9999}).fit(crowd)
    both = (
        "clusters and components must be at most 254, the number of training windows, "
        "got 9999 and 8888"
    )
    with pytest.raises(InputError, match=both):
        GEPC(**{**SMALL, "clusters": 9999, "components": 8888}).fit(crowd)
    with pytest.raises(InputError, match=r"not fitted"):
        GEPC().decision_function(crowd)
    with pytest.raises(
        InputError, match="lengths must be a multiple of 6, the product of the strides, got 13"
    ):
        GEPC(lengths=["13"], coefficients=0, mode="latent").fit(crowd)
    for ask in (GEPC(**SMALL).fit, detector.training_windows, detector.decision_function):
        with pytest.raises(
            InputError,
            match=r"the poses must be PoseTracks \(gepc_geo\.io\.read of files, PoseTracks\.build "
            r"of arrays\), got ndarray",
        ):
            ask(crowd.keypoints)
    with pytest.raises(InputError, match="device must be auto, cpu or cuda, got 'tpu9'"):
        GEPC(**SMALL).fit(crowd, device="tpu9")


def test_image_scale_needs_image_sizes(crowd):
    unknown = crowd.with_(image_size=None)
    with pytest.raises(InputError, match=r"must have an image size for scale 'image', got none"):
        GEPC(**{**SMALL, "scale": "image"}).fit(unknown)


def test_features_join_the_channels(detector, walkers):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(walkers.num_frames, walkers.num_joints, 2)).astype(np.float32)
    more = GEPC(**{**SMALL, "budget": 128}).fit(walkers.with_(features=features), device="cpu")
    assert more.pipeline_.num_channels == detector.pipeline_.num_channels + 2
    with pytest.raises(InputError, match=r"must have 2 features a joint, got 0"):
        more.decision_function(walkers)


def test_a_detector_of_clips_scores_one_window_for_each_person(walkers):
    detector = GEPC(**{**SMALL, "frames": 24, "budget": 128}).fit(walkers, device="cpu")
    windows = detector.windows(walkers)
    people = len(np.unique(np.stack([walkers.clip, walkers.track]), axis=1).T)
    assert len(windows) == people
    assert not windows.padded.any()


def test_paper_preset_runs(walkers, crowd):
    # The preset says nothing of the network's size.
    names = ("encoder_channels", "strides", "decoder_channels", "hidden", "components")
    options = {**preset_changes("paper"), "budget": 128, "batch_size": 64, "score_stride": 3}
    tracks = walkers.with_(image_size=[[856, 480]] * walkers.num_clips)
    detector = GEPC(**options, **{name: SMALL[name] for name in names})
    detector.fit(tracks, device="cpu")
    assert detector.mode == "assignment"
    assert detector.pipeline_.augment.num_choices == 5
    assert np.isfinite(detector.decision_function(crowd)).all()


def test_fps_mismatch_names_both_frame_rates(detector, crowd):
    assert detector.fps_mismatch(crowd) == ""
    slow = crowd.with_(fps=[12.0] * crowd.num_clips)
    assert detector.fps_mismatch(slow) == "the poses have 12 frames a second, training had 24"
    unknown = crowd.with_(fps=None)
    assert detector.fps_mismatch(unknown) == ""
