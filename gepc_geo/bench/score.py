"""Scoring, from poses to frame scores, beside ordinary parts; frame aggregation beside a plain loop."""

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
from gepc_geo.bench.ordinary import OrdinarySTGCAE
from gepc_geo.bench.resident import in_a_process
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.density.neighbours import NearestDistance
from gepc_geo.density.normality import combine_views
from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.tables import ScoreOptions, score_table
from gepc_geo.poses.sharding import clip_range
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.aggregation import frame_scores, person_frame_scores
from gepc_geo.scoring.encoder import Encoder
from gepc_geo.training.network import Network
from gepc_geo.training.precision import decide
from gepc_geo.utils.memory import keep_memory
from gepc_geo.windows.dataset import PoseWindows

#: Who is measured, with scoring mode and precision: the default's distance, and the chain of autoencoder, clusters and
#: mixture. Each computes what its mode needs, and the ordinary parts do the same work.
WHO = (
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
    """Windows a second of scoring a simulated crowd, medians over processes that take turns.

    And of the aggregation alone, whose ``difference`` is the largest between both frame scores.

    Args:
        device: Where to compute.
        clips: Clips to score.
        frames: Frames of each.
        rounds: Processes of each kind.
        rows: Person-frames of the aggregation.
        hidden: Channel unit of the network.
    """
    rates: dict[tuple[str, str, str], list[float]] = {key: [] for key in WHO}
    with tempfile.TemporaryDirectory() as folder:
        crowd = simulate_crowd("test", num_clips=clips, frames_per_clip=frames)
        crowd.save(f"{folder}/crowd.npz")
        # How much it was trained does not change how long it takes.
        normal = simulate_crowd("train", num_clips=12, frames_per_clip=72)
        detector = GEPC(mode="assignment", budget=256, hidden=hidden, precision="fp32")
        detector.fit(normal, device=device).save(f"{folder}/model.pt")
        for _ in range(rounds):
            for key in WHO:
                found = in_a_process("gepc_geo.bench.score", *key, device, folder)
                rates[key].append(found)
    where = f"{len(detector.windows(crowd)):,} windows"
    table = []
    for (who, mode, precision), each in rates.items():
        rate = statistics.median(each)
        table.append(
            {
                "suite": "score",
                "where": where,
                "name": f"{who}, {mode}, {precision}",
                "rate": rate,
                "unit": "windows/s",
                "ratio": rate / statistics.median(rates["ordinary", mode, "fp32"]),
            }
        )
    return [*table, _aggregation(rows, device)]


def ordinary_scorer(detector: GEPC, mode: str) -> _Scorer:
    """Frame scores as a script would compute them, with our weights.

    PyG's ``DataLoader``, the ordinary network and scikit-learn's mixtures, or its matrix of distances. A loop
    over windows.

    Args:
        detector: Whose weights, mixtures and neighbours to take.
        mode: ``assignment`` or ``nearest``.
    """
    scorer, network = detector.scorer_, None
    if mode == "assignment" and detector.network_ is not None:
        model: Any = OrdinarySTGCAE(detector.network_.model).to(scorer.device).eval()
        network = Network(model, detector.network_.assignment)
    encoder, augment = Encoder(detector.pipeline_, network), detector.pipeline_.augment
    known = {
        length: as_sklearn(one.mixtures[mode]).score_samples
        if mode == "assignment"
        else _neighbours(one.nearest)
        for length, one in scorer.normality.items()
    }

    @torch.no_grad()
    def score(tracks: PoseTracks) -> np.ndarray:
        windows, scores = detector.windows(tracks).without_padded(), []
        for length in windows.lengths:
            normality = scorer.normality[length]
            for batch in DataLoader(windows.of_length(length), batch_size=_BATCH):
                batch, each = batch.to(scorer.device), []
                for choice in range(augment.num_scored):
                    points = normality.project(encoder(batch, choice, [mode]))[mode]
                    each.append(-torch.from_numpy(known[length](points.cpu().numpy())))
                scores.append(combine_views(mode, torch.stack(each)))
        found = scorer.comparable(windows, {mode: torch.cat(scores).to(scorer.device)})[mode]
        empty = detector.calibration_.most_normal[mode]
        return plain_frame_scores(found.cpu().numpy(), windows, tracks.frame_offset, empty)

    return score


def _neighbours(nearest: NearestDistance) -> Callable[[np.ndarray], np.ndarray]:
    """Minus the score of mode ``nearest``, of a matrix of all distances."""
    points, person, log_scale = (
        one.cpu().numpy() for one in (nearest.points, nearest.person, nearest.log_scale)
    )
    order = np.argsort(person, kind="stable")
    points, weight = points[order].astype(np.float64), np.exp(-2 * log_scale[order])
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    count, least = min(max(len(starts) // 10, 1), 3), float(nearest.least)

    def score(x: np.ndarray) -> np.ndarray:
        square = euclidean_distances(x.astype(np.float64), points, squared=True)
        people = np.minimum.reduceat((square + least) * weight, starts, axis=1)
        return -np.log(np.partition(people, count - 1, axis=1)[:, :count]).mean(1) / 2

    return score


def as_sklearn(mixture: DirichletProcessMixture) -> BayesianGaussianMixture:
    """scikit-learn's mixture with the posterior of one of ours with full covariances."""
    result = BayesianGaussianMixture(n_components=mixture.n_components)
    parts = mixture.components_
    result.weight_concentration_ = tuple(x.cpu().numpy() for x in mixture.weight_concentration_)
    for theirs, value in {
        "means_": parts.means,
        "mean_precision_": parts.mean_precision,
        "degrees_of_freedom_": parts.degrees_of_freedom,
        "precisions_cholesky_": parts.precisions_cholesky,
    }.items():
        setattr(result, theirs, value.cpu().numpy())
    return result


def plain_frame_scores(
    score: np.ndarray, windows: PoseWindows, offset: np.ndarray, empty: float
) -> np.ndarray:
    """Frame scores by a loop over windows that are not padded, then one over person-frames."""
    table, number = windows.table, {length: i for i, length in enumerate(windows.lengths)}
    total = np.zeros((len(table.frame), len(number)))
    count = np.zeros_like(total)
    for first, size, value in zip(windows.first, windows.size, score, strict=True):
        total[first : first + size, number[size]] += value
        count[first : first + size, number[size]] += 1
    frames = np.full(offset[-1], -np.inf)
    for row in range(len(total)):
        known = count[row] > 0
        if known.any():
            slot = offset[table.clip[row]] + table.frame[row]
            frames[slot] = max(frames[slot], (total[row, known] / count[row, known]).mean())
    frames[frames == -np.inf] = empty
    return frames


def _aggregation(rows: int, device: torch.device) -> dict[str, Any]:
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


def measure(who: str, mode: str, precision: str, device: torch.device, folder: Path) -> float:
    """Windows a second in this process, after the first clip."""
    crowd = PoseTracks.load(folder / "crowd.npz")
    detector = GEPC.load(folder / "model.pt", device=device)
    if detector.network_ is not None:
        detector.network_.precision = decide(precision, device)
    options = ScoreOptions(mode=mode)
    scorer: _Scorer
    if who == "gepc_geo":

        def scorer(tracks: PoseTracks) -> np.ndarray:
            return score_table(detector, tracks, "frame", options)["score"]
    else:
        scorer = ordinary_scorer(detector, mode)
    scorer(clip_range(crowd, 0, 1))
    start = time.perf_counter()
    scorer(crowd)
    return len(detector.windows(crowd)) / (time.perf_counter() - start)


if __name__ == "__main__":
    _who, _mode, _precision, _device, _folder = sys.argv[1:]
    if _who != "ordinary":
        # As the command line does.
        keep_memory()
    print(json.dumps(measure(_who, _mode, _precision, torch.device(_device), Path(_folder))))
