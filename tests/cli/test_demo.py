"""The demo can be run again: it goes on, or shows what it found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import NETWORK

from gepc_geo import GEPC
from gepc_geo.cli.jobs.demo import run_demo
from gepc_geo.cli.run import Run
from gepc_geo.errors import InputError
from gepc_geo.options import Options
from gepc_geo.utils import state_file

CROWD = dict(train_clips=12, test_clips=9, frames_per_clip=48)
SMALL = Options(
    **NETWORK
    | dict(budget=320, batch_size=32, augment="none", score_stride=6, checkpoint_seconds=0.0)
    | dict(mode="assignment", lengths=["12", "18"])
)


def demo(folder, options=SMALL):
    return run_demo(folder, options, crowd=CROWD, device="cpu", quiet=True, echo=lambda text: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "runs" / "demo"
    return folder, demo(folder)


def test_a_finished_demo_prints_its_results_without_training(finished, monkeypatch):
    folder, first = finished
    (folder / "poses" / "train").rename(folder.parent / "away")
    monkeypatch.setattr(Run, "train", None)
    again = demo(folder)
    assert (again.auc, again.by_kind, again.table) == (first.auc, first.by_kind, first.table)
    np.testing.assert_array_equal(again.evaluation.scores, first.evaluation.scores)


def test_an_interrupted_demo_resumes_from_its_checkpoint(finished, tmp_path, monkeypatch):
    folder, first = finished
    save = state_file.save

    def interrupt(content, path, **marks):
        save(content, path, **marks)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state_file, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            demo(tmp_path)
    assert Run(tmp_path).checkpoint.exists() and not Run(tmp_path).model.exists()
    again = demo(tmp_path)
    assert again.auc == first.auc
    ours, theirs = (GEPC.load(Run(f).model, device="cpu") for f in (folder, tmp_path))
    for name, value in ours.network_.model.state_dict().items():
        assert torch.equal(value, theirs.network_.model.state_dict()[name]), name


def test_a_demo_interrupted_before_its_first_checkpoint_starts_anew(finished, tmp_path):
    config = finished[0] / "config.yaml"
    (tmp_path / "config.yaml").write_bytes(config.read_bytes())
    assert demo(tmp_path).auc == finished[1].auc


@pytest.mark.slow
def test_the_default_demo_has_no_checkpoint_and_starts_anew(tmp_path):
    options = Options(lengths=["12", "18"], score_stride=6)
    first = demo(tmp_path, options)
    assert {name: tuple(row) for name, row in first.table.items()} == {
        "detector": ("combined", "nearest", "altered"),
        "mixture on the input": ("-",),
    }
    assert first.auc == first.table["detector"]["combined"] > 0.6
    (tmp_path / "model.pt").unlink()  # as if interrupted
    assert demo(tmp_path, options).table == first.table


def test_other_runs_and_other_options_are_refused(finished, tmp_path):
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=r"^hidden must be 1 as in .*config\.yaml, got 2$"):
        demo(folder, Options(**SMALL.to_dict() | {"hidden": 2}))
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    run = Run(tmp_path)
    run.write_config(SMALL, {"path": "poses"})
    with pytest.raises(InputError, match="must be a new folder or hold a demo, got another run"):
        demo(tmp_path)
    assert not (tmp_path / "poses").exists()
