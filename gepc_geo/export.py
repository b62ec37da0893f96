"""A detector as one graph for other runtimes: from windows of key points to scores."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.density.mixture.gaussian import GaussianComponents
from gepc_geo.density.normality import Parts, combine_views
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.options import COMBINED, NETWORK_MODES
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.scorer import combined, own_modes
from gepc_geo.utils.files import atomic_path, atomic_stream, check_destination

#: What a graph can be written as.
FORMATS = ("onnx", "torch")


class ScoringGraph(nn.Module):
    r"""Everything between key points and scores of a fitted detector as one module without branches.

    Alignment, normalisation and motion, the cosine transform, the augmented copies that are scored, the
    network where the mode needs it, the mode's density or distances. Of several lengths each scores the
    middle of the window, as :math:`-\log` of a tail probability, and the mean is given: what the frames
    in the middle score. Memory grows with the batch: in the modes ``combined`` and ``nearest`` by up to 10,000 float64
    numbers a window.

    Runs in float32 whatever the run's ``precision`` is (scores, as everywhere, in float64).

    Args:
        detector: A fitted detector; the module lives on its device and shares its tensors.
        mode: A scoring mode. (default: the detector's)

    Attributes:
        outputs: Names of what comes out, in order: ``score``, and of a single length in a mode of the
            network ``assignment``.

    Shapes:
        - **input:** windows of key points :math:`(B, T, V, C)` float32, :math:`T` the longest length:
          coordinates as in the training poses (pixels, or metres), confidence, features; missing frames
          and joints interpolated, with confidence 0, as :class:`~gepc_geo.windows.dataset.PoseWindows` does it;
          with the option ``scale="image"`` also the image's width and height :math:`(B, 2)` float32
        - **output:** a tuple of anomaly scores :math:`(B)` float64, higher is more abnormal, and soft
          assignments :math:`(B, K)` float32 of the windows as they are, rows sum to one

    Raises:
        InputError: A detector that is not fitted, or a mode that it does not have.
    """

    def __init__(self, detector: GEPC, mode: str | None = None) -> None:
        super().__init__()
        check_detector(detector)
        self.mode = detector.scoring_mode(mode)
        self.needs_image_size = detector.options_.scale == "image"
        self.copies = detector.pipeline_.augment.num_scored
        self.normality = detector.scorer_.normality
        self.densities = {
            length: _density(normality.mixtures[self.mode])
            for length, normality in self.normality.items()
            if self.mode in normality.mixtures
        }
        network = detector.network_ if self.mode in NETWORK_MODES else None
        if network is not None:
            network = replace(network.eval(), precision="fp32")
            # Known to the module, so that a graph has the weights as such.
            self.model, self.clusters = network.model, network.assignment
        self.encoder = Encoder(detector.pipeline_, network)
        alone = network is not None and len(self.normality) == 1
        self.outputs = ("score", "assignment") if alone else ("score",)
        self._modes = own_modes((self.mode, "assignment") if alone else (self.mode,))

    def forward(self, keypoints: Tensor, image_size: Tensor | None = None) -> tuple[Tensor, ...]:
        """What :attr:`outputs` names."""
        count, longest = keypoints.shape[:2]
        scores = []
        for length, normality in self.normality.items():
            first = (longest - length) // 2
            parts = self._encode(keypoints[:, first : first + length], image_size)
            own = {
                mode: combine_views(mode, score.unflatten(0, (self.copies, count)))
                for mode, score in self._scores(length, parts).items()
            }
            if self.mode == COMBINED:
                scores.append(combined(normality.tails(own)))
            elif len(self.normality) > 1:
                scores.append(normality.tails(own)[self.mode])
            else:
                scores.append(own[self.mode])
        score = torch.stack(scores).mean(0)
        return (score, parts["log_p"][:count].exp()) if len(self.outputs) > 1 else (score,)

    def _encode(self, keypoints: Tensor, image_size: Tensor | None) -> Parts:
        """All windows as they are, then all of them under the next augmentation, and so on."""
        x = keypoints.transpose(1, 2).repeat(self.copies, 1, 1, 1)
        batch = Batch(_base_cls=Data, x=x.flatten(0, 1))
        if image_size is not None:
            batch.image_size = image_size.repeat(self.copies, 1)
        each = torch.zeros_like(keypoints[:, 0, 0, 0], dtype=torch.long)
        choices = torch.cat([each + copy for copy in range(self.copies)])
        return self.encoder.of_inputs(self.encoder.pipeline(batch, choices), self._modes)

    def _scores(self, length: int, parts: Parts) -> dict[str, Tensor]:
        """Scores of views in the modes that the mode is made of, what does not depend on views computed beforehand."""
        normality = self.normality[length]
        points = normality.project(parts)
        scores = {}
        for mode in own_modes([self.mode]):
            if mode == "nearest":
                scores[mode] = normality.nearest.compare(points[mode])
            elif mode == "altered":
                scores[mode] = normality.altered.tell(points[mode])
            elif mode == "max":
                scores[mode] = -torch.expm1(points[mode][:, 0])
            else:
                scores[mode] = -self.densities[length](points[mode])
        return scores


def _density(mixture: DirichletProcessMixture) -> Callable[[Tensor], Tensor]:
    """A mixture's log density of rows; no runtime is asked for the log-gammas of its constants."""
    log_weights, components = mixture.weights_.log(), mixture.components_
    if isinstance(components, GaussianComponents):
        predictive, (measure, _) = components.predictive(), components.distances()
        return lambda x: (log_weights + predictive(measure(x))).logsumexp(1)
    # At the logarithm 0 of every part there is nothing but the constants.
    size = components.concentrations.size(1)
    constant = components.log_likelihood(log_weights.new_ones(1, size))
    return lambda x: (log_weights + constant + components.exponent(x)).logsumexp(1)


def example(detector: GEPC, batch: int) -> tuple[Tensor, ...]:
    r"""Inputs of the graph, of the right shapes: standing bodies whose joints are drawn at random.

    Args:
        detector: A fitted detector.
        batch: Windows.
    """
    device = detector.pipeline_.mean.device
    generator = torch.Generator().manual_seed(0)
    joints, dims = detector.skeleton_.num_joints, detector.dims_
    size = (batch, detector.lengths_[-1], joints, dims + 1 + detector.num_features_)
    pose = 100 * torch.rand(batch, 1, *size[2:], generator=generator)
    x = pose + torch.rand(size, generator=generator)
    x[..., dims] = 1
    sizes = (torch.full((batch, 2), 200.0),) if detector.options_.scale == "image" else ()
    return tuple(one.to(device) for one in (x, *sizes))


def export(
    detector: GEPC,
    path: str | Path,
    format: str = "onnx",
    mode: str | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> ScoringGraph:
    """Writes a detector as one graph of dynamic batch size.

    Args:
        detector: A fitted detector.
        path: File to write: ``.onnx`` (one file, weights inside), or ``.pt2`` for
            ``torch.export.load(path).module()``.
        format: ``"onnx"`` or ``"torch"``. (default: ``"onnx"``)
        mode: A scoring mode. (default: the detector's)
        say: Takes a line of text before the long work, which is silent.

    Returns:
        The module that was written.

    Raises:
        InputError: An unknown format, a mode that the detector does not have, a name with another
            ending, a path that cannot be written, or packages of the extra ``export`` that are missing.
    """
    if format not in FORMATS:
        raise InputError(f"format is {format!r}, expected {' or '.join(FORMATS)}")
    ending = ".onnx" if format == "onnx" else ".pt2"
    if Path(path).suffix != ending:
        raise InputError(f"{path} has another ending, expected {ending} for format {format}")
    check_destination(path)
    if format == "onnx":
        _need_onnx()
    graph = ScoringGraph(detector, mode).eval()
    say(
        f"tracing the graph and writing it as {format}, up to several minutes without a sign of life"
    )
    program = trace(graph, detector)
    if format == "torch":
        with atomic_stream(path) as stream:
            torch.export.save(program, stream)
    else:
        with atomic_path(path) as temporary:
            save_onnx(program, graph, temporary)
    return graph


def trace(graph: ScoringGraph, detector: GEPC) -> torch.export.ExportedProgram:
    """The graph as PyTorch's exported program, for any number of windows from 1 on."""
    inputs = example(detector, 3)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        # The matrices of the cosine transform are kept from their first use, when tensors have to be real.
        graph(*inputs)
        return torch.export.export(
            graph, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs), strict=False
        )


def save_onnx(program: torch.export.ExportedProgram, graph: ScoringGraph, path: Path) -> None:
    """Writes what :func:`trace` gave as ONNX, in one file."""
    names = ["keypoints", "image_size"] if graph.needs_image_size else ["keypoints"]
    # The exporter tells of its steps on standard output and warns of its own future.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        onnx = torch.onnx.export(
            program,
            (),
            input_names=names,
            output_names=list(graph.outputs),
            dynamo=True,
            verbose=False,
            custom_translation_table={torch.ops.aten.searchsorted.Tensor: _onnx_searchsorted},
        )
    assert onnx is not None
    onnx.save(str(path), external_data=False)


def _onnx_searchsorted(knots: Any, x: Any, **_: Any) -> Any:
    """``torch.searchsorted`` of rising knots, which ONNX lacks: how many of them are smaller."""
    import onnx
    import onnxscript

    op: Any = onnxscript.opset18
    smaller = op.Less(op.Unsqueeze(knots, [0]), op.Unsqueeze(x, [1]))
    return op.ReduceSum(op.Cast(smaller, to=onnx.TensorProto.INT64), [1], keepdims=0)


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"format onnx needs {error.name}, expected pip install 'gepc_geo[export]'"
        ) from None
    # They warn of packages that nothing here needs.
    for name in ("onnxscript", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
