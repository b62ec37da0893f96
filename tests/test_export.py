"""Exported graphs give the scores of the detector, for any number of windows."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import NETWORK
from torch import Tensor, nn

from gepc_geo import GEPC, InputError
from gepc_geo.cli import main
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.evaluation.alarms import Alarm
from gepc_geo.export import ScoringGraph, example, export, save_onnx, trace
from gepc_geo.options import MODES
from gepc_geo.scoring.scorer import own_modes
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader, to_dense

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
# Smaller still: what takes time here is tracing.
TINY = {
    **NETWORK,
    "encoder_channels": [2],
    "strides": [2],
    "decoder_channels": [2],
    "lengths": ["12"],
    "mode": "assignment",
}
# The largest difference between a value of the graph and of the detector, whatever their size.
CLOSE = 1e-4


def keypoints(detector: GEPC, windows: PoseWindows) -> tuple[Tensor, Tensor]:
    """Inputs of the graph: windows of one length, and image sizes."""
    (batch,) = WindowLoader(windows, batch_size=len(windows))
    return to_dense(batch.x, detector.skeleton_.num_joints).contiguous(), batch.image_size


@pytest.fixture(scope="module")
def detector(walkers):
    return GEPC(**TINY, budget=640, batch_size=32).fit(walkers)


@pytest.fixture(scope="module")
def crowd():
    return simulate_crowd("test", num_clips=2, frames_per_clip=40, random_state=9)


@pytest.fixture(scope="module")
def scored(detector, crowd):
    return detector.window_scores(crowd)


def run_onnx(path, *inputs: Tensor) -> tuple[np.ndarray, ...]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    feeds = {name: one.numpy() for name, one in zip(names, inputs, strict=True)}
    return tuple(session.run(None, feeds))


class EveryMode(nn.Module):
    """Graphs of all modes as one module, so that the network is traced once."""

    needs_image_size = False
    outputs = (*MODES, "assignments")

    def __init__(self, detector: GEPC) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(ScoringGraph(detector, mode) for mode in MODES)

    def forward(self, keypoints: Tensor) -> tuple[Tensor, ...]:
        self.graphs[-1]._modes = own_modes(MODES)
        parts = self.graphs[-1]._encode(keypoints, None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ScoringGraph, "_encode", lambda *_: parts)
            results = [graph(keypoints) for graph in self.graphs]
        return (*(score for score, *_ in results), results[-1][1])


@pytest.fixture(scope="module")
def runtimes(detector, scored, tmp_path_factory) -> list[dict[str, np.ndarray]]:
    """Outputs of PyTorch and ONNX Runtime for one window, two, and all windows."""
    x, _ = keypoints(detector, scored.windows)
    path = tmp_path_factory.mktemp("export") / "graph.onnx"
    graph = EveryMode(detector).eval()
    program = trace(graph, detector)
    save_onnx(program, graph, path)
    module = program.module()
    results = []
    for count in (1, 2, len(x)):
        with torch.no_grad():
            ours = [one.numpy() for one in module(x[:count])]
        for values in (ours, run_onnx(path, x[:count])):
            assert {len(one) for one in values} == {count}
            results.append(dict(zip(graph.outputs, values, strict=True)))
    return results


@pytest.mark.parametrize("mode", MODES)
def test_runtimes_agree_with_the_detector(runtimes, scored, mode):
    assert len(runtimes) == 6
    for result in runtimes:
        score = result[mode]
        assert score.ndim == 1 and score.dtype == np.float64
        expected = scored.scores[mode][: len(score)]
        np.testing.assert_allclose(score, expected, atol=CLOSE, rtol=1e-5)


def test_runtimes_agree_with_the_detectors_assignments(runtimes, detector, crowd):
    p = detector.soft_assignment(crowd)
    for result in runtimes:
        assignments = result["assignments"]
        np.testing.assert_allclose(assignments, p[: len(assignments)], atol=CLOSE, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nearest", "assignment"])
def test_lengths_are_averaged_about_the_middle(walkers, crowd, tmp_path, mode):
    """The score is the mean over the middle windows of each length, with and without a network."""
    network = TINY if mode == "assignment" else NETWORK
    options = {**network, "lengths": ["6", "17"], "mode": mode, "coefficients": 4}
    detector = GEPC(**options, budget=320, batch_size=32).fit(walkers)
    windows = detector.windows(crowd)
    scores = detector.window_scores(crowd).scores[mode]
    at = dict(
        zip(zip(windows.piece, windows.first, windows.size, strict=True), scores, strict=True)
    )
    full = np.flatnonzero((windows.size == 17) & ~windows.padded)
    expected = [
        np.mean([at[windows.piece[w], windows.first[w] + (17 - n) // 2, n] for n in (6, 17)])
        for w in full
    ]
    x, _ = keypoints(detector, windows.subset(full).of_length(17))
    graph = ScoringGraph(detector).eval()
    assert graph.outputs == ("score",) and (graph.encoder.network is None) == (mode == "nearest")
    with torch.no_grad():
        (score,) = graph(x)
    np.testing.assert_allclose(score, expected, atol=CLOSE, rtol=0)
    if mode == "nearest":  # Tracing three networks takes a minute.
        export(detector, tmp_path / "graph.onnx")
        (score,) = run_onnx(tmp_path / "graph.onnx", x)
        np.testing.assert_allclose(score, expected, atol=CLOSE, rtol=0)
    assert len(np.unique(score)) > 10


@pytest.mark.slow
def test_other_densities_and_image_scale_agree(walkers, crowd, tmp_path):
    options = {
        **TINY,
        "scale": "image",
        "augment": "none",
        "density": "dirichlet",
        "assignment": "student",
    }
    detector = GEPC(**options, budget=320, batch_size=32).fit(walkers)
    result = detector.window_scores(crowd)
    x, size = keypoints(detector, result.windows)
    export(detector, tmp_path / "graph.onnx")
    score, _ = run_onnx(tmp_path / "graph.onnx", x, size)
    np.testing.assert_allclose(score, result.scores["assignment"], atol=CLOSE, rtol=0)


def test_command_writes_a_graph_that_runs_without_the_package(
    detector, scored, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(detector, "alarm_", Alarm(1.25, "assignment", 2.0, 10.0).to_dict())
    detector.save("run/model.pt")
    words = ["export", "run", "--format", "torch", "--out", "graph.pt2"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (told,) = result.stderr.splitlines()
    assert told.startswith("tracing the graph and writing it as torch, ")
    assert "score [windows] float64 (assignment)" in result.output
    assert (
        "alarm           1.2500 (assignment), for frames, as in gepc-geo watch and report"
        in result.output
    )
    x, _ = keypoints(detector, scored.windows)
    torch.save(x, "x.pt")
    code = (
        "import sys, torch; sys.path = [p for p in sys.path if p]\n"
        "x = torch.load('x.pt')\n"
        "score, _ = torch.export.load('graph.pt2').module()(x)\n"
        "assert 'gepc_geo' not in sys.modules\n"
        "torch.save(score.detach(), 'score.pt')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = scored.scores["assignment"]
    np.testing.assert_allclose(torch.load("score.pt").numpy(), ours, atol=CLOSE, rtol=0)


def test_bad_input_is_refused_and_nothing_written(detector, walkers, tmp_path):
    said: list[str] = []
    with pytest.raises(InputError, match=r"format must be onnx or torch, got 'caffe'"):
        export(detector, tmp_path / "graph.onnx", "caffe", say=said.append)
    assert not said
    with pytest.raises(InputError, match=r"must end with \.pt2 for format torch"):
        export(detector, tmp_path / "graph.onnx", "torch")
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered or assignment or max or latent or "
        "reconstruction, got 'best'",
    ):
        export(detector, tmp_path / "graph.onnx", mode="best")
    with pytest.raises(InputError, match="not fitted"):
        export(GEPC(), tmp_path / "graph.onnx")
    plain = GEPC(lengths=["12"], stride=8).fit(walkers)
    with pytest.raises(
        InputError,
        match="mode must be combined or nearest or altered, got 'max', which needs a network",
    ):
        export(plain, tmp_path / "graph.onnx", mode="max")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        InputError, match=r"onnxscript must be installed for format onnx: pip install"
    ):
        export(detector, tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())


def test_example_inputs_have_the_shapes_of_windows(detector, scored):
    x, _ = keypoints(detector, scored.windows)
    (drawn,) = example(detector, 5)
    assert drawn.shape == (5, *x.shape[1:]) and drawn.dtype == x.dtype
