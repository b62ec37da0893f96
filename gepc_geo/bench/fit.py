"""Benchmark of a fit, from files to a fitted mixture, against ordinary parts."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo.bench.processes import run_in_process
from gepc_geo.bench.reference import OrdinarySTGCAE
from gepc_geo.datasets.simulate import write_crowd
from gepc_geo.density.mixture import ilr
from gepc_geo.detector.gepc import GEPC
from gepc_geo.io import read
from gepc_geo.nn import SoftAssignment
from gepc_geo.options import Options
from gepc_geo.training.network import autoencoder, latents
from gepc_geo.training.trainer import Trainer
from gepc_geo.utils.memory import keep_memory
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

#: Implementations, precisions and augmentations: autoencoder, clusters and mixture, and the library
#: without a network. With augmentation "none" both encode each training window once; with "vary"
#: the library encodes ten views of each window of a small set.
VARIANTS = (
    ("ordinary", "fp32", "none"),
    ("gepc_geo", "fp32", "none"),
    ("gepc_geo", "auto", "none"),
    ("gepc_geo", "fp32", "vary"),
    ("gepc_geo, no network", "fp32", "vary"),
)
_GOALS = {VARIANTS[1]: ">= 1.8", VARIANTS[2]: ">= 3"}


class CollatingLoader(WindowLoader):
    """Window loader that collates single windows with PyG."""

    def gather(self, index: Tensor) -> Batch:
        """Collates the windows of some indices."""
        return Batch.from_data_list([self.windows[int(i)] for i in index]).to(self.device)


def ordinary_fit(folder: Path, options: Options, device: torch.device) -> BayesianGaussianMixture:
    """Fits both stages with the ordinary network, and scikit-learn's mixture of log-ratios."""
    tracks = read(folder)
    lengths = options.frames_of(float(tracks.fps[0]))
    pipeline = InputPipeline(tracks.skeleton, tracks.dims, tracks.num_features, options, lengths)
    windows = pipeline.training_windows(tracks)
    loader = CollatingLoader(windows, 512, device=device)
    pipeline.to(device).fit(loader).to(device)
    model: Any = OrdinarySTGCAE(autoencoder(options, pipeline)).to(device)
    assignment = SoftAssignment(options.clusters, model.latent_dim).to(device)
    Trainer(model, assignment, pipeline, loader, options, quiet=True).run()
    with torch.no_grad():
        order = torch.arange(len(windows))
        log_p = assignment(latents(model, pipeline, loader.batches(order)))
    mixture = BayesianGaussianMixture(
        n_components=options.components, weight_concentration_prior_type="dirichlet_process"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(ilr(log_p.double()).cpu().numpy())


def run(
    device: torch.device, *, clips: int = 36, budget: int = 12_000, rounds: int = 2, hidden: int = 8
) -> list[dict[str, Any]]:
    """Measures seconds of a fit on a simulated crowd, as medians over alternating processes.

    The library also fits the mixtures of latents and residuals and calibrates every mode.

    Args:
        device: Device of the computation.
        clips: Number of training clips of 240 frames.
        budget: Training budget in window passes.
        rounds: Processes of each variant.
        hidden: Channel unit of the network.
    """
    seconds: dict[tuple[str, str, str], list[float]] = {key: [] for key in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        write_crowd(folder, train_clips=clips, test_clips=1)
        for _ in range(rounds):
            for key in VARIANTS:
                arguments = (*key, device, f"{folder}/train", budget, hidden)
                seconds[key].append(run_in_process("gepc_geo.bench.fit", *arguments))
    reference = statistics.median(seconds[VARIANTS[0]])
    rows = []
    for key, rounds_taken in seconds.items():
        taken = statistics.median(rounds_taken)
        row = {
            "suite": "fit",
            "where": f"{clips} clips, {budget:,} passes",
            "name": ", ".join(key),
            "seconds": taken,
            "ratio": reference / taken,
        }
        if key in _GOALS:
            row["goal"] = _GOALS[key]
        rows.append(row)
    return rows


def measure(
    implementation: str,
    precision: str,
    augment: str,
    device: torch.device,
    folder: Path,
    budget: int,
    hidden: int,
) -> float:
    """Seconds of a fit in this process."""
    mode = "nearest" if implementation.endswith("no network") else "assignment"
    options = Options(mode=mode, precision=precision, augment=augment, budget=budget, hidden=hidden)
    start = time.perf_counter()
    if implementation == "ordinary":
        ordinary_fit(folder, options, device)
    else:
        GEPC(**options.to_dict()).fit(read(folder), device=device)
    return time.perf_counter() - start


if __name__ == "__main__":
    _implementation, _precision, _augment, _device, _folder, _budget, _hidden = sys.argv[1:]
    if _implementation != "ordinary":
        # As the command line does.
        keep_memory()
    print(
        json.dumps(
            measure(
                _implementation,
                _precision,
                _augment,
                torch.device(_device),
                Path(_folder),
                int(_budget),
                int(_hidden),
            )
        )
    )
