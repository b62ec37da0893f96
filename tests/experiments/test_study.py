"""Studies: what is kept, what is computed again, what a stop leaves behind."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import yaml
from helpers import NETWORK, STEPS
from sklearn.metrics import roc_auc_score

from gepc_geo.density import alterations
from gepc_geo.errors import InputError
from gepc_geo.experiments import Coarse, Noise, Split, Streams, Study, cells, study, write_summary
from gepc_geo.experiments.methods import Scored, Trained
from gepc_geo.options import MODES, Options
from gepc_geo.scoring.aggregation import smooth
from gepc_geo.utils import progress
from gepc_geo.windows.pipeline import InputPipeline

SPLITS = [Split("upright", ("stand", "walk")), Split("moving", ("run", "walk"))]
FEW = ["few-vs-many"]


def options(**changes) -> Options:
    return Options(**NETWORK, frames=12, batch_size=8, budget=64, **changes)


def coarse(actions, **changes) -> Coarse:
    return Coarse(actions, SPLITS, FEW, options(**changes))


def begun(folder, protocol, names=("nearest_neighbour",), seeds=(0,)) -> Study:
    one = Study(folder, protocol, {"dataset": "actions"}, names, seeds)
    one.start("the command", "cpu")
    return one


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Instead of training: the mean height of each test clip as its score; what was asked for."""
    asked = []

    def fake(unit, train, test, options, level, device, quiet):
        asked.append(f"{unit} {options.random_state} {sorted(set(train.clip_label))}")
        pipeline = InputPipeline(test.skeleton, 2, 0, options, (12,))
        windows = pipeline.windows(test, 1)
        score = windows.table.keypoints[windows.rows(), :, 1].mean((1, 2))
        return Trained({unit: Scored(windows, score)}, 1.5, 0.5)

    monkeypatch.setattr(cells, "train_and_score", fake)
    return asked


def test_finished_cells_are_not_computed_again(actions, tmp_path, calls):
    first = begun(tmp_path / "s", coarse(actions))
    first.run("cpu", quiet=True)
    assert calls == ["nearest_neighbour 0 ['stand', 'walk']", "nearest_neighbour 0 ['run', 'walk']"]
    again = begun(tmp_path / "s", coarse(actions))
    again.run("cpu", quiet=True)
    assert len(calls) == 2 and again.results() == first.results()
    # What is missing, and only that.
    again.path(again.cells()[1]).unlink()
    again.run("cpu", quiet=True)
    assert calls[2:] == ["nearest_neighbour 0 ['run', 'walk']"]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_training_shows_its_own_progress(actions, tmp_path, capsys, quiet):
    """A cell may take half an hour."""
    one = begun(tmp_path / "s", Coarse(actions, SPLITS[:1], FEW, options()), ["gepc"])
    one.run("cpu", quiet=quiet)
    said = capsys.readouterr().err
    for part in ("reconstruction: 48 of 48 windows", "coarse: 1 of 1 cells"):
        assert (part in said) is not quiet


def test_a_cell_is_announced(actions, tmp_path, capsys, calls, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    begun(tmp_path / "s", coarse(actions)).run("cpu")
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("coarse: 0 of 2 cells")
    assert said[0].endswith("at nearest_neighbour__upright__few-vs-many__seed=0")


def test_more_methods_and_seeds_add_cells(actions, tmp_path, calls):
    begun(tmp_path / "s", coarse(actions)).run("cpu", quiet=True)
    names = ("nearest_neighbour", "gaussian_mixture")
    more = begun(tmp_path / "s", coarse(actions), names, (0, 1))
    more.run("cpu", quiet=True)
    assert len(calls) == 8
    config = yaml.safe_load(more.config.read_text())
    assert config["methods"] == list(names) and config["seeds"] == [0, 1]


def test_more_splits_add_cells_and_others_of_the_same_name_are_refused(actions, tmp_path, calls):
    one = Coarse(actions, SPLITS[:1], FEW, options())
    begun(tmp_path / "s", one).run("cpu", quiet=True)
    two = begun(tmp_path / "s", coarse(actions))
    two.run("cpu", quiet=True)
    assert len(calls) == 2
    assert list(yaml.safe_load(two.config.read_text())["splits"]) == ["upright", "moving"]
    other = Coarse(actions, [Split("moving", ("run",))], FEW, options())
    with pytest.raises(
        InputError, match=r"^split 'moving' must be run, walk as in .*config\.yaml, got run$"
    ):
        begun(tmp_path / "s", other)


def test_until_a_cell_is_finished_settings_may_change(actions, tmp_path, calls):
    begun(tmp_path / "s", coarse(actions))
    two = Coarse(actions, SPLITS, FEW, Options(**{**options().to_dict(), "clusters": 2}))
    one = begun(tmp_path / "s", two)
    assert yaml.safe_load(one.config.read_text())["options"]["clusters"] == 2


def test_other_settings_are_refused(actions, tmp_path, calls):
    begun(tmp_path / "s", coarse(actions)).run("cpu", quiet=True)
    before = (tmp_path / "s" / "config.yaml").read_text()
    with pytest.raises(InputError, match=r"^clusters must be 3 as in .*config\.yaml, got 4$"):
        begun(
            tmp_path / "s",
            Coarse(actions, SPLITS, FEW, Options(**{**options().to_dict(), "clusters": 4})),
        )
    other = {
        "keypoints": actions.keypoints + 1,
        "confidence": actions.confidence * np.float32(0.5),
        "features": np.ones((*actions.confidence.shape, 1), np.float32),
        "image_size": actions.image_size + 1,
        "clip_length": actions.clip_length + 1,
        "clip_label": actions.clip_label[::-1],
        "clip_split": actions.clip_split[::-1],
    }
    for name, value in other.items():
        with pytest.raises(
            InputError,
            match=r"^the poses must have checksum \d+ as in .*config\.yaml, "
            r"got \d+: use the same poses or ",
        ):
            begun(tmp_path / "s", coarse(actions.with_(**{name: value})))
    with pytest.raises(
        InputError, match=r"^experiment must be 'coarse' as in .*config\.yaml, got 'noise'$"
    ):
        begun(tmp_path / "s", Noise(actions, SPLITS, FEW, options()))
    assert (tmp_path / "s" / "config.yaml").read_text() == before
    (tmp_path / "s" / "config.yaml").write_text("options: {}\n")
    with pytest.raises(
        InputError,
        match="config.yaml must be a study's configuration with options "
        "and splits by name, got no splits by name$",
    ):
        begun(tmp_path / "s", coarse(actions))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="mine must be a new folder or a study's, got other files"):
        begun(tmp_path / "mine", coarse(actions))


def test_former_options_of_a_study(actions, tmp_path, calls):
    """The value in effect passes, another one is refused with what replaces it."""
    one = begun(tmp_path / "s", coarse(actions))
    one.run("cpu", quiet=True)

    def resume(**former: object) -> None:
        content = yaml.safe_load(one.config.read_text())
        content["options"] |= former
        one.config.write_text(yaml.safe_dump(content))
        begun(tmp_path / "s", coarse(actions))

    resume(clip_norm=1.0, covariance="full", whitened_dims=64, label_tolerance=0.001)
    message = (
        f"{one.config} must not have option clip_norm: the gradient of each loss has a norm of at "
        "most 1, got 9; train again without it"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        resume(clip_norm=9)


def test_a_study_keeps_the_precision_that_auto_chose(actions, tmp_path, calls, monkeypatch):
    monkeypatch.setattr(study, "decide", lambda precision, _: precision.replace("auto", "bf16"))
    auto = Options(**{**options().to_dict(), "precision": "auto"})
    begun(tmp_path / "s", Coarse(actions, SPLITS, FEW, auto)).run("cpu", quiet=True)
    monkeypatch.setattr(study, "decide", lambda precision, _: precision.replace("auto", "fp32"))
    again = begun(tmp_path / "s", Coarse(actions, SPLITS, FEW, auto))
    assert again.protocol.options.precision == "bf16"


def test_a_stop_leaves_finished_cells_and_no_half_file(actions, tmp_path, calls, monkeypatch):
    one = begun(tmp_path / "s", coarse(actions))
    save = np.savez_compressed

    def stop(stream, **arrays):
        if len(calls) == 1:
            return save(stream, **arrays)
        stream.write(b"PK half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", stop)
    with pytest.raises(KeyboardInterrupt):
        one.run("cpu", quiet=True)
    assert [path.name for path in (one.folder / "cells").iterdir()] == [f"{one.cells()[0].key}.npz"]
    with pytest.raises(
        InputError, match=r"nearest_neighbour__moving__few-vs-many__seed=0\.npz does not exist$"
    ):
        one.results()
    monkeypatch.setattr(np, "savez_compressed", save)
    one.run("cpu", quiet=True)
    assert len(calls) == 3 and len(one.results()) == 2


def test_a_failing_cell_is_named_and_the_others_stay(actions, tmp_path, monkeypatch, calls):
    fake = cells.train_and_score

    def fail(unit, train, *rest):
        if "run" in train.clip_label:
            raise InputError("no luck with these poses")
        return fake(unit, train, *rest)

    monkeypatch.setattr(cells, "train_and_score", fail)
    one = begun(tmp_path / "s", coarse(actions))
    name = "nearest_neighbour__moving__few-vs-many__seed=0"
    with pytest.raises(InputError, match=f"^{name}: no luck with these poses$"):
        one.run("cpu", quiet=True)
    assert [path.exists() for path in map(one.path, one.cells())] == [True, False]
    # Those behind it are computed all the same.
    two = begun(tmp_path / "two", Coarse(actions, SPLITS[::-1], FEW, options()), seeds=(0, 1))
    with pytest.raises(InputError, match=r"no luck with these poses \(and 1 other cell\)$"):
        two.run("cpu", quiet=True)
    assert [path.exists() for path in map(two.path, two.cells())] == [False, True] * 2


def test_a_study_of_other_methods_starts_anew(actions, tmp_path, calls, monkeypatch):
    begun(tmp_path / "s", coarse(actions)).run("cpu", quiet=True)
    now = study.VERSION
    monkeypatch.setattr(study, "VERSION", now + 1)
    with pytest.raises(
        InputError,
        match=f"config.yaml must be of a study of version {now + 1}, got version {now}: ",
    ):
        begun(tmp_path / "s", coarse(actions))
    config = tmp_path / "s" / "config.yaml"
    config.write_text(config.read_text().replace(f"version: {now}\n", ""))
    with pytest.raises(
        InputError, match=f"config.yaml must be of a study of version {now + 1}, got version 1: "
    ):
        begun(tmp_path / "s", coarse(actions))


def test_a_cell_holds_the_scores_that_its_auc_is_of(actions, tmp_path, calls):
    one = begun(tmp_path / "s", coarse(actions))
    one.run("cpu", quiet=True)
    with np.load(one.path(one.cells()[0])) as cell:
        test = actions.select(split="test")
        assert cell["names"].tolist() == list(test.clip_names)
        np.testing.assert_array_equal(
            cell["labels"], [c in ("bow", "run") for c in test.clip_label]
        )
        wanted = roc_auc_score(cell["labels"], cell["scores"][0])
        assert cell["auc"].tolist() == [pytest.approx(wanted)]
        assert cell["auc_smoothed"].shape == (0,) and cell["seconds"].tolist() == [1.5, 0.5]
    (first, _) = one.results()
    assert (first.row, first.metric, first.value) == ("nearest_neighbour", "AUC", wanted)
    assert one.finish() == {"nearest_neighbour": 2.0}
    config = yaml.safe_load(one.config.read_text())
    assert config["seconds_a_training"] == {"nearest_neighbour": 2.0}
    assert config["command"] == "the command"
    assert [each["torch"] for each in config["machines"]] == [torch.__version__]


def test_the_report_lists_every_machine_that_computed_a_cell(actions, tmp_path, calls, monkeypatch):
    for seeds, day in (((0,), "2026-01-01"), ((0, 1), "2026-02-02")):
        monkeypatch.setattr(cells, "machine", lambda _, day=day: {"date": day, "threads": 2})
        one = begun(tmp_path / "s", coarse(actions), seeds=seeds)
        one.run("cpu", quiet=True)
        write_summary(one)
    text = (tmp_path / "s" / "table.md").read_text()
    assert "Machine: date 2026-01-01, threads 2." in text
    assert "Machine: date 2026-02-02, threads 2." in text


def test_frames_are_measured_plain_and_smoothed(actions, tmp_path, calls):
    frames = Options(**{**options().to_dict(), "frames": None})
    one = begun(tmp_path / "s", Streams(actions, SPLITS[:1], FEW, frames, streams=2))
    one.run("cpu", quiet=True)
    with np.load(one.path(one.cells()[0])) as cell:
        labels, (score,) = cell["labels"], cell["scores"]
        assert len(labels) == cell["lengths"].sum() == len(score)
        borders = np.concatenate([[0], np.cumsum(cell["lengths"])])
    plain, smoothed = one.results()
    assert (plain.metric, smoothed.metric) == ("AUC", "AUC smoothed")
    assert plain.value == pytest.approx(roc_auc_score(labels, score))
    assert smoothed.value == pytest.approx(roc_auc_score(labels, smooth(score, borders, 20)))


def test_damaged_and_foreign_cells_are_refused(actions, tmp_path, calls):
    one = begun(tmp_path / "s", coarse(actions))
    one.run("cpu", quiet=True)
    path = one.path(one.cells()[0])
    with np.load(path) as cell:
        whole = dict(cell)
    np.savez(path, scores=np.zeros(3))
    with pytest.raises(InputError, match="must be a cell of a study, got other arrays"):
        one.results()
    np.savez(path, **(whole | {"auc": np.zeros(0)}))
    with pytest.raises(InputError, match="must be a cell of a study, got other arrays"):
        one.run("cpu", quiet=True)
    scores = whole["scores"].copy()
    scores[0, 1] = np.nan
    np.savez(path, **(whole | {"scores": scores}))
    with pytest.raises(InputError, match="must be a cell of a study, got other arrays"):
        one.results()
    np.savez(path, **(whole | {"rows": np.array(["isolation_forest"])}))
    with pytest.raises(
        InputError, match="must be a cell of 'nearest_neighbour', got one of 'isolation_forest'"
    ):
        one.results()
    path.write_bytes(b"nothing")
    # Before anything that is missing is computed.
    one.path(one.cells()[1]).unlink()
    with pytest.raises(
        InputError,
        match=rf"^{path} must be a cell of a study, got Python objects, which are never loaded "
        r"\(delete it to compute it\)$",
    ):
        one.run("cpu", quiet=True)
    assert len(calls) == 2


@pytest.fixture(scope="module")
def one_job(actions, tmp_path_factory) -> Study:
    """Our detector and a baseline, trained in this process on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = begun(tmp_path_factory.mktemp("one"), coarse(actions), ("gepc", "nearest_neighbour"))
        with pytest.MonkeyPatch.context() as patch:
            # As long as in workers, which know nothing of the tests' setting.
            patch.setattr(alterations, "STEPS", STEPS)
            one.run("cpu", quiet=True)
    finally:
        torch.set_num_threads(threads)
    return one


def test_one_training_gives_every_mode(one_job):
    rows = {result.row for result in one_job.results()}
    assert {"gepc", "nearest_neighbour", *(f"gepc:{mode}" for mode in MODES)} == rows
    with np.load(one_job.path(one_job.cells()[0])) as cell:
        # Beside what was asked for.
        assert {"reconstruction", "latent_svm"} <= set(cell["rows"].tolist())
    by_row = {(r.row, r.condition): r.value for r in one_job.results()}
    for condition in one_job.protocol.conditions():
        assert by_row["gepc", condition] == by_row["gepc:assignment", condition]


def test_two_jobs_give_the_results_of_one(one_job, actions, tmp_path):
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        two = begun(tmp_path / "two", coarse(actions), ("gepc", "nearest_neighbour"))
        two.run("cpu", jobs=2, quiet=True)
    finally:
        torch.set_num_threads(torch_threads)
    assert two.results() == one_job.results()


@pytest.mark.slow
def test_a_cell_that_fails_in_a_worker_ends_the_study(actions, tmp_path):
    short = Coarse(actions, SPLITS, FEW, options(holdout=0.5))
    short.options.clusters = 50
    one = begun(tmp_path / "s", short, ("gepc",))
    with pytest.raises(
        InputError,
        match="^gepc__upright__few-vs-many__seed=0: clusters must be at most 6, the number of "
        "training windows, got 50",
    ):
        one.run("cpu", jobs=2, quiet=True)
    assert not (one.folder / "cells").exists()
