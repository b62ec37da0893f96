"""Files of detectors: plain tensors, numbers and strings, never unpickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gepc_geo._version import __version__
from gepc_geo.density.normality import Normality
from gepc_geo.errors import InputError
from gepc_geo.options import MODES, WINDOW_MODES, Options
from gepc_geo.options.reading import read_options
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.scoring.calibration import Calibration
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.scoring.explanation import TrainingMeasures
from gepc_geo.scoring.scorer import WindowScorer, own_modes
from gepc_geo.training.network import Network
from gepc_geo.training.precision import PRECISIONS
from gepc_geo.utils import state_file
from gepc_geo.utils.device import pick_device
from gepc_geo.windows.pipeline import InputPipeline
from gepc_geo.windows.quality import PoseQuality

#: Kind and version of a saved model.
KIND, VERSION = "gepc_geo model", 13


@dataclass
class SavedModel:
    """The fitted state of a detector, which its file holds.

    Attributes:
        options: Options of the fit.
        scorer: Scores windows; it has the pipeline, the network and the models of normal windows.
        calibration: Distribution of normal scores.
        trained_on: Number and checksum of the training windows.
        fps: Median frames a second of the training clips; NaN if unknown.
        reconstruction_share: Reconstruction error divided by the error of predicting the mean.
        alarm: The alarm threshold as plain values; ``None`` before it is chosen.
        measures: Measures of the training windows, for explanations; ``None`` for whole clips.
    """

    options: Options
    scorer: WindowScorer
    calibration: Calibration
    trained_on: dict[str, int]
    fps: float
    reconstruction_share: float
    alarm: dict[str, Any] | None = None
    measures: TrainingMeasures | None = None


def write_model(path: str | Path, fitted: SavedModel, mode: str) -> None:
    """Writes a detector to a file.

    Args:
        path: The file.
        fitted: The fitted state.
        mode: The scoring mode in the options of the file.

    Raises:
        InputError: The file cannot be written; an existing file then stays.
    """
    scorer = fitted.scorer
    pipeline, network = scorer.encoder.pipeline, scorer.encoder.network
    network_state: dict[str, Any] | None = None
    if network is not None:
        network_state = {
            "model": network.model.state_dict(),
            "assignment": network.assignment.state_dict(),
            "precision": network.precision,
        }
    state_file.save(
        {
            "written_by": __version__,
            "options": {**fitted.options.written(), "mode": mode},
            "skeleton": pipeline.skeleton.to_dict(),
            "dims": pipeline.dims,
            "num_features": pipeline.num_features,
            "lengths": list(pipeline.lengths),
            "trained_on": fitted.trained_on,
            "fps": fitted.fps,
            "statistics": pipeline.state_dict(),
            "quality": None if pipeline.quality is None else pipeline.quality.state_dict(),
            "network": network_state,
            "reconstruction_share": fitted.reconstruction_share,
            "normality": {str(n): model.state_dict() for n, model in scorer.normality.items()},
            "calibration": fitted.calibration.state_dict(),
            "alarm": fitted.alarm,
            "measures": None if fitted.measures is None else fitted.measures.state_dict(),
        },
        path,
        kind=KIND,
        version=VERSION,
    )


def read_model(path: str | Path, device: str | torch.device) -> SavedModel:
    """Reads a file of :func:`write_model`.

    Args:
        path: The file.
        device: Device of the detector; ``"auto"`` is CUDA if the machine has a GPU, else the CPU.

    Raises:
        InputError: The file does not exist, is damaged, or has another kind or version.
    """
    target = pick_device(device)
    state = state_file.load(path, kind=KIND, version=VERSION)
    try:
        options = Options(**read_options(state["options"], str(path)))
        options.check()
        skeleton = Skeleton.from_dict(state["skeleton"], f"{path}: skeleton")
        pipeline = InputPipeline(
            skeleton,
            int(state["dims"]),
            int(state["num_features"]),
            options,
            [int(length) for length in state["lengths"]],
        )
        pipeline.load_state_dict(state["statistics"])
        pipeline.to(target)
        # Models from before tracking faults were skipped have no quality.
        if (quality := state.get("quality")) is not None:
            pipeline.quality = PoseQuality.from_state_dict(quality)
        network = _network(state["network"], options, pipeline, target, path)
        modes = own_modes(MODES if network is not None else WINDOW_MODES)
        normality = {
            length: Normality.from_state_dict(state["normality"][str(length)], options, modes)
            for length in pipeline.lengths
        }
        scorer = WindowScorer(
            Encoder(pipeline, network), {n: model.to(target) for n, model in normality.items()}
        )
        calibration = Calibration.from_state_dict(state["calibration"]).to(target)
        return SavedModel(
            options,
            scorer,
            calibration,
            state["trained_on"],
            float(state["fps"]),
            float(state["reconstruction_share"]),
            state["alarm"],
            # Models from before explanations have no measures.
            None
            if (found := state.get("measures")) is None
            else TrainingMeasures.from_state_dict(found),
        )
    except (KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} must be a complete {KIND}, got an error: {reason}") from None


def _network(
    state: dict[str, Any] | None,
    options: Options,
    pipeline: InputPipeline,
    device: torch.device,
    path: str | Path,
) -> Network | None:
    if state is None:
        return None
    if state["precision"] not in PRECISIONS:
        raise InputError(
            f"{path} must have precision {' or '.join(PRECISIONS)}, got {state['precision']!r}"
        )
    network = Network.of(options, pipeline, device)
    network.model.load_state_dict(state["model"])
    network.assignment.load_state_dict(state["assignment"])
    network.precision = state["precision"]
    return network.eval()
