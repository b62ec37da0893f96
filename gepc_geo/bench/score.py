"""Benchmark of scoring, from poses to frame scores, and of frame aggregation."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.mixture import BayesianGaussianMixture
from torch import Tensor
from torch_geometric.loader import DataLoader

from gepc_geo.bench.loader import people
from gepc_geo.bench.measure import milliseconds
from gepc_geo.bench.processes import run_in_process
from gepc_geo.bench.reference import OrdinarySTGCAE
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.density.normality import combine_views
from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table
from gepc_geo.poses.sharding import clip_range
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import frame_scores, person_frame_scores
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.training.network import Network
from gepc_geo.training.precision import decide
from gepc_geo.utils.memory import keep_memory
from gepc_geo.windows.dataset import PoseWindows

#: Implementations, scoring modes and precisions: distances to neighbours, and autoencoder, clusters
#: and mixture. Both implementations compute only what the mode needs.
VARIANTS = (
    ("ordinary", "nearest", "fp32"),
    ("gepc_geo", "nearest", "fp32"),
    ("ordinary", "assignment", "fp32"),
    ("gepc_geo", "assignment", "fp32"),
    ("gepc_geo", "assignment", "auto"),
)
_BATCH = 512
_Scorer = Callable[[PoseTracks], np.ndarray]


def run(
    device: torch.device,
    *,
    clips: int = 6,
    frames: int = 240,
    rounds: int = 2,
    rows: int = 100_000,
    hidden: int = 8,
) -> list[dict[str, Any]]:
    """Measures windows a second of scoring a simulated crowd, and of the aggregation alone.

    Rates are medians over alternating processes. ``difference`` is the largest difference between
    the frame scores of both aggregations.

    Args:
        device: Device of the computation.
        clips: Number of clips to score.
        frames: Frames of a clip.
        rounds: Processes of each variant.
        rows: Person-frames of the aggregation.
        hidden: Channel unit of the network.
    """
    rates: dict[tuple[str, str, str], list[float]] = {key: [] for key in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        crowd = simulate_crowd("test", num_clips=clips, frames_per_clip=frames)
        crowd.save(f"{folder}/crowd.npz")
        # The training budget does not change the speed of scoring.
        normal = simulate_crowd("train", num_clips=12, frames_per_clip=72)
        detector = GEPC(mode="assignment", budget=256, hidden=hidden, precision="fp32")
        detector.fit(normal, device=device).save(f"{folder}/model.pt")
        for _ in range(rounds):
            for key in VARIANTS:
                rate = run_in_process("gepc_geo.bench.score", *key, device, folder)
                rates[key].append(rate)
    where = f"{len(detector.windows(crowd)):,} windows"
    table = []
    for (implementation, mode, precision), measured in rates.items():
        rate = statistics.median(measured)
        table.append(
            {
                "suite": "score",
                "where": where,
                "name": f"{implementation}, {mode}, {precision}",
                "rate": rate,
                "unit": "windows/s",
                "ratio": rate / statistics.median(rates["ordinary", mode, "fp32"]),
            }
        )
    return [*table, measure_aggregation(rows, device)]


def ordinary_scorer(detector: GEPC, mode: str) -> _Scorer:
    """Makes a scorer of ordinary parts with the weights of a detector.

    It uses PyG's ``DataLoader``, the ordinary network, scikit-learn's mixture or matrix of
    distances, and a loop over windows.

    Args:
        detector: Detector to copy weights, mixtures and neighbours from.
        mode: ``assignment`` or ``nearest``.

    Returns:
        A function from tracks to frame scores.
    """
    scorer, network = detector.scorer_, None
    if mode == "assignment" and detector.network_ is not None:
        model: Any = OrdinarySTGCAE(detector.network_.model).to(scorer.device).eval()
        network = Network(model, detector.network_.assignment)
    encoder, augment = Encoder(detector.pipeline_, network), detector.pipeline_.augment
    densities = {
        length: as_sklearn(normality.mixtures[mode]).score_samples
        if mode == "assignment"
        else _neighbours(normality.nearest)
        for length, normality in scorer.normality.items()
    }

    @torch.no_grad()
    def score(tracks: PoseTracks) -> np.ndarray:
        windows, scores = detector.windows(tracks).without_padded(), []
        for length in windows.lengths:
            normality = scorer.normality[length]
            for batch in DataLoader(windows.of_length(length), batch_size=_BATCH):
                batch, views = batch.to(scorer.device), []
                for choice in range(augment.num_scored):
                    points = normality.project(encoder(batch, choice, [mode]))[mode]
                    views.append(-torch.from_numpy(densities[length](points.cpu().numpy())))
                scores.append(combine_views(mode, torch.stack(views)))
        found = scorer.comparable(windows, {mode: torch.cat(scores).to(scorer.device)})[mode]
        empty = detector.calibration_.most_normal[mode]
        return plain_frame_scores(found.cpu().numpy(), windows, tracks.frame_offset, empty)

    return score


def _neighbours(nearest: NearestDistance) -> Callable[[np.ndarray], np.ndarray]:
    """Minus the score of mode ``nearest``, from a matrix of all distances."""
    points, person, log_scale = (
        tensor.cpu().numpy() for tensor in (nearest.points, nearest.person, nearest.log_scale)
    )
    order = np.argsort(person, kind="stable")
    points, weight = points[order].astype(np.float64), np.exp(-2 * log_scale[order])
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    count, least = min(max(len(starts) // 10, 1), 3), float(nearest.least)

    def score(x: np.ndarray) -> np.ndarray:
        square = euclidean_distances(x.astype(np.float64), points, squared=True)
        people = np.minimum.reduceat((square + least) * weight, starts, axis=1)
        nearest = np.partition(people, count - 1, axis=1)[:, :count]
        density: np.ndarray = -np.log(nearest).mean(1) / 2
        return density

    return score


def as_sklearn(mixture: DirichletProcessMixture) -> BayesianGaussianMixture:
    """Copies the posterior of a mixture with full covariances to scikit-learn's mixture."""
    result = BayesianGaussianMixture(n_components=mixture.n_components)
    components = mixture.components_
    result.weight_concentration_ = tuple(x.cpu().numpy() for x in mixture.weight_concentration_)
    for name, value in {
        "means_": components.means,
        "mean_precision_": components.mean_precision,
        "degrees_of_freedom_": components.degrees_of_freedom,
        "precisions_cholesky_": components.precisions_cholesky,
    }.items():
        setattr(result, name, value.cpu().numpy())
    return result


def plain_frame_scores(
    score: np.ndarray, windows: PoseWindows, offset: np.ndarray, empty: float
) -> np.ndarray:
    """Frame scores by a loop over full windows, then a loop over person-frames."""
    table, number = windows.table, {length: i for i, length in enumerate(windows.lengths)}
    total = np.zeros((len(table.frame), len(number)))
    count = np.zeros_like(total)
    for first, size, value in zip(windows.first, windows.size, score, strict=True):
        total[first : first + size, number[size]] += value
        count[first : first + size, number[size]] += 1
    frames = np.full(offset[-1], -np.inf)
    for row in range(len(total)):
        scored = count[row] > 0
        if scored.any():
            slot = offset[table.clip[row]] + table.frame[row]
            frames[slot] = max(frames[slot], (total[row, scored] / count[row, scored]).mean())
    frames[frames == -np.inf] = empty
    return frames


def measure_aggregation(rows: int, device: torch.device) -> dict[str, Any]:
    """Frame scores of windows, in windows a second; ``theirs`` is :func:`plain_frame_scores`."""
    tracks = people(rows)
    windows, offset = PoseWindows(tracks, 12), tracks.frame_offset
    table = windows.table
    score = np.random.default_rng(0).normal(size=len(windows))
    values, first, slot, track = (
        torch.as_tensor(array, device=device)
        for array in (score, windows.first, offset[table.clip] + table.frame, table.track)
    )

    def ours() -> Tensor:
        by_row = person_frame_scores(values, first, windows.length, len(track))
        return frame_scores(by_row, slot, track, int(offset[-1]), empty_score=0.0).score

    def theirs() -> np.ndarray:
        return plain_frame_scores(score, windows, offset, 0.0)

    mine, reference = milliseconds(ours, theirs, seconds=1.0, device=device)
    return {
        "suite": "score",
        "where": f"{len(windows):,} windows",
        "name": "frame aggregation over a loop",
        "ours": 1e3 * len(windows) / mine,
        "theirs": 1e3 * len(windows) / reference,
        "unit": "windows/s",
        "ratio": reference / mine,
        "difference": float(np.abs(ours().cpu().numpy() - theirs()).max()),
    }


def measure(
    implementation: str, mode: str, precision: str, device: torch.device, folder: Path
) -> float:
    """Windows a second in this process, after a warm-up on the first clip."""
    crowd = PoseTracks.load(folder / "crowd.npz")
    detector = GEPC.load(folder / "model.pt", device=device)
    if detector.network_ is not None:
        detector.network_.precision = decide(precision, device)
    options = ScoreOptions(mode=mode)
    scorer: _Scorer
    if implementation == "gepc_geo":

        def scorer(tracks: PoseTracks) -> np.ndarray:
            scores: np.ndarray = score_table(detector, tracks, "frame", options)["score"]
            return scores
    else:
        scorer = ordinary_scorer(detector, mode)
    scorer(clip_range(crowd, 0, 1))
    start = time.perf_counter()
    scorer(crowd)
    return len(detector.windows(crowd)) / (time.perf_counter() - start)


if __name__ == "__main__":
    _implementation, _mode, _precision, _device, _folder = sys.argv[1:]
    if _implementation != "ordinary":
        # As the command line does.
        keep_memory()
    print(
        json.dumps(
            measure(_implementation, _mode, _precision, torch.device(_device), Path(_folder))
        )
    )
