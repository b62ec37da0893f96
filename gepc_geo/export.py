"""Export of a detector for other runtimes: one graph from key points of windows to scores."""

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

#: File formats of an exported graph.
FORMATS = ("onnx", "torch")


class ScoringGraph(nn.Module):
    r"""All steps from key points to scores of a fitted detector, as one module without branches.

    The steps are alignment, normalisation, motion, the cosine transform, the views of each window,
    the network if the mode needs it, and the density or distances of the mode. A detector of
    several lengths scores the middle part of the window in each length, as :math:`-\log` of a tail
    probability, and returns the mean, which is the score of the frames in the middle. Memory grows
    with the batch; in the modes ``combined`` and ``nearest`` by up to 10,000 float64 values for
    each window.

    The module runs in float32 for every ``precision`` of the detector; scores are float64.

    Args:
        detector: A fitted detector. The module is on its device and shares its tensors.
        mode: A scoring mode. (default: the detector's mode)

    Attributes:
        outputs: Names of the outputs, in order: ``score`` and, for a detector of a single length in
            a mode of the network, ``assignment``.

    Shapes:
        - **input:** key points of windows :math:`(B, T, V, C)` float32, where :math:`T` is the
          longest length. Channels are coordinates as in the training poses (pixels, or metres),
          confidence, and features. Missing frames and joints are interpolated and have confidence
          0, as in :class:`~gepc_geo.windows.dataset.PoseWindows`. With the option
          ``scale="image"`` also width and height of the image :math:`(B, 2)` float32, in pixels
        - **output:** a tuple of anomaly scores :math:`(B)` float64, higher is more abnormal, and
          soft assignments :math:`(B, K)` float32 of the first view of each window; rows sum to one

    Raises:
        InputError: The detector is not fitted, or does not have the mode.
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
            # Submodules, so that the graph has their weights as parameters.
            self.model, self.clusters = network.model, network.assignment
        self.encoder = Encoder(detector.pipeline_, network)
        single = network is not None and len(self.normality) == 1
        self.outputs = ("score", "assignment") if single else ("score",)
        self._modes = own_modes((self.mode, "assignment") if single else (self.mode,))

    def forward(self, keypoints: Tensor, image_size: Tensor | None = None) -> tuple[Tensor, ...]:
        """Computes the tensors of :attr:`outputs`."""
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
        """Encodes all windows of the first view, then all of the next view, and so on."""
        x = keypoints.transpose(1, 2).repeat(self.copies, 1, 1, 1)
        batch = Batch(_base_cls=Data, x=x.flatten(0, 1))
        if image_size is not None:
            batch.image_size = image_size.repeat(self.copies, 1)
        zeros = torch.zeros_like(keypoints[:, 0, 0, 0], dtype=torch.long)
        choices = torch.cat([zeros + copy for copy in range(self.copies)])
        return self.encoder.of_inputs(self.encoder.pipeline(batch, choices), self._modes)

    def _scores(self, length: int, parts: Parts) -> dict[str, Tensor]:
        """Scores of views in each mode that the scoring mode combines."""
        normality = self.normality[length]
        points = normality.project(parts)
        scores = {}
        for mode in own_modes([self.mode]):
            if mode == "nearest":
                scores[mode] = normality.nearest.score(points[mode])
            elif mode == "altered":
                scores[mode] = normality.altered.score(points[mode])
            elif mode == "max":
                scores[mode] = -torch.expm1(points[mode][:, 0])
            else:
                scores[mode] = -self.densities[length](points[mode])
        return scores


def _density(mixture: DirichletProcessMixture) -> Callable[[Tensor], Tensor]:
    """Log density of a mixture, with constants computed in advance (they need log-gammas)."""
    log_weights, components = mixture.weights_.log(), mixture.components_
    if isinstance(components, GaussianComponents):
        predictive, (distance, _) = components.predictive(), components.distances()
        return lambda x: (log_weights + predictive(distance(x))).logsumexp(1)
    # At rows of ones, whose logarithms are 0, the likelihood is the constant.
    size = components.concentrations.size(1)
    constant = components.log_likelihood(log_weights.new_ones(1, size))
    return lambda x: (log_weights + constant + components.exponent(x)).logsumexp(1)


def example(detector: GEPC, batch: int) -> tuple[Tensor, ...]:
    r"""Makes example inputs of the graph: random poses that hardly move.

    Args:
        detector: A fitted detector.
        batch: Number of windows, :math:`B`.

    Returns:
        Key points :math:`(B, T, V, C)` and, with ``scale="image"``, image sizes :math:`(B, 2)`.
    """
    device = detector.pipeline_.mean.device
    generator = torch.Generator().manual_seed(0)
    joints, dims = detector.skeleton_.num_joints, detector.dims_
    size = (batch, detector.lengths_[-1], joints, dims + 1 + detector.num_features_)
    pose = 100 * torch.rand(batch, 1, *size[2:], generator=generator)
    x = pose + torch.rand(size, generator=generator)
    x[..., dims] = 1
    sizes = (torch.full((batch, 2), 200.0),) if detector.options_.scale == "image" else ()
    return tuple(tensor.to(device) for tensor in (x, *sizes))


def export(
    detector: GEPC,
    path: str | Path,
    format: str = "onnx",
    mode: str | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> ScoringGraph:
    """Writes a detector as one graph for any batch size.

    Args:
        detector: A fitted detector.
        path: File to write: ``.onnx`` (one file with the weights), or ``.pt2`` for
            ``torch.export.load(path).module()``.
        format: ``"onnx"`` or ``"torch"``. (default: ``"onnx"``)
        mode: A scoring mode. (default: the detector's mode)
        say: Receives one line of text before the tracing starts. (default: no output)

    Returns:
        The exported module.

    Raises:
        InputError: The format is unknown, the detector does not have the mode, the file name has
            another ending, the path is not writable, or packages of the extra ``export`` are
            missing.
    """
    if format not in FORMATS:
        raise InputError(f"format must be {' or '.join(FORMATS)}, got {format!r}")
    ending = ".onnx" if format == "onnx" else ".pt2"
    if Path(path).suffix != ending:
        raise InputError(f"{path} must end with {ending} for format {format}")
    check_destination(path)
    if format == "onnx":
        _need_onnx()
    graph = ScoringGraph(detector, mode).eval()
    say(f"tracing the graph and writing it as {format}, which takes up to several minutes")
    program = trace(graph, detector)
    if format == "torch":
        with atomic_stream(path) as stream:
            torch.export.save(program, stream)
    else:
        with atomic_path(path) as temporary:
            save_onnx(program, graph, temporary)
    return graph


def trace(graph: ScoringGraph, detector: GEPC) -> torch.export.ExportedProgram:
    """Traces the graph as an exported program of PyTorch, for at least one window."""
    inputs = example(detector, 3)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        # The first call caches the matrices of the cosine transform, before tracing starts.
        graph(*inputs)
        return torch.export.export(
            graph, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs), strict=False
        )


def save_onnx(program: torch.export.ExportedProgram, graph: ScoringGraph, path: Path) -> None:
    """Writes the result of :func:`trace` as one ONNX file."""
    names = ["keypoints", "image_size"] if graph.needs_image_size else ["keypoints"]
    # The exporter prints its steps and warns of future changes.
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
    """``torch.searchsorted`` for ONNX: counts the knots that are smaller than each value."""
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
            f"{error.name} must be installed for format onnx: pip install 'gepc_geo[export]'"
        ) from None
    # They warn of packages that are not needed here.
    for name in ("onnxscript", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
