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
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch_geometric.loader import DataLoader

from gepc_geo.bench.loader import people
from gepc_geo.bench.measure import milliseconds
from gepc_geo.bench.ordinary import OrdinarySTGCAE
from gepc_geo.bench.resident import in_a_process
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.detector import GEPC
from gepc_geo.encoding import Encoded, window_residual
from gepc_geo.levels import ScoreOptions, score_table
from gepc_geo.mixture import DirichletProcessMixture, ilr
from gepc_geo.precision import decide
from gepc_geo.scoring import frame_scores, person_frame_scores
from gepc_geo.shards import clip_range
from gepc_geo.tracks import PoseTracks
from gepc_geo.windows import PoseWindows

#: Who is measured, with the precision. Ours always scores every mode; the ordinary parts do the same
#: work, and once more the paper's mode alone, for which nothing is decoded.
WHO = (
    ("ordinary", "fp32"),
    ("ordinary, assignment only", "fp32"),
    ("gepc_geo", "fp32"),
    ("gepc_geo", "auto"),
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
    rates: dict[tuple[str, str], list[float]] = {key: [] for key in WHO}
    with tempfile.TemporaryDirectory() as folder:
        crowd = simulate_crowd("test", num_clips=clips, frames_per_clip=frames)
        crowd.save(f"{folder}/crowd.npz")
        # How much it was trained does not change how long it takes.
        normal = simulate_crowd("train", num_clips=12, frames_per_clip=48)
        detector = GEPC(budget=256, hidden=hidden, precision="fp32").fit(normal, device=device)
        detector.save(f"{folder}/model.pt")
        for _ in range(rounds):
            for who, precision in WHO:
                arguments = (who, precision, device, folder)
                rates[who, precision].append(in_a_process("gepc_geo.bench.score", *arguments))
    reference = statistics.median(rates[WHO[0]])
    where = f"{len(detector.windows(crowd)):,} windows"
    return [
        {
            "suite": "score",
            "where": where,
            "name": f"{who}, {precision}",
            "rate": statistics.median(each),
            "unit": "windows/s",
            "ratio": statistics.median(each) / reference,
        }
        for (who, precision), each in rates.items()
    ] + [_aggregation(rows, device)]


def ordinary_scorer(detector: GEPC, every_mode: bool) -> _Scorer:
    """Frame scores of the mode ``assignment`` as a script would compute them, with our weights.

    PyG's ``DataLoader``, the ordinary network, scikit-learn's mixtures, a loop over windows.

    Args:
        detector: Whose weights and mixtures to take.
        every_mode: Decode, and score latents, residuals and neighbours too.
    """
    device = next(detector.model_.parameters()).device
    model: Any = OrdinarySTGCAE(detector.model_).to(device).eval()
    pipeline, normality = detector.pipeline_, detector.normality_
    mixtures = {name: as_sklearn(one) for name, one in normality.mixtures.items()}
    # Plain distances: what theirs are divided by costs nothing.
    neighbours = NearestNeighbors(n_neighbors=1).fit(normality.nearest.points.cpu().numpy())

    def score(x: Tensor) -> np.ndarray:
        if not every_mode:
            log_p = detector.assignment_(model.encode(x))
            return mixtures["assignment"].score_samples(ilr(log_p.double()).cpu().numpy())
        reconstruction, latent = model(x)
        log_p = detector.assignment_(latent)
        residual = window_residual(reconstruction, x)
        points = normality.project(Encoded(latent, log_p, residual, x[..., :-1].flatten(1)))
        densities = {
            name: mixture.score_samples(getattr(points, name).cpu().numpy())
            for name, mixture in mixtures.items()
        }
        neighbours.kneighbors(points.nearest.cpu().numpy())
        return densities["assignment"]

    @torch.no_grad()
    def scorer(tracks: PoseTracks) -> np.ndarray:
        windows, scores = detector.windows(tracks), []
        for batch in DataLoader(windows, batch_size=_BATCH):
            batch = batch.to(device)
            each = []
            for choice in range(pipeline.augment.num_scored):
                choices = torch.full((batch.num_graphs,), choice, device=device)
                each.append(-score(pipeline.tensor(batch, choices)))
            scores.append(np.mean(each, axis=0))
        full = np.flatnonzero(~windows.padded)
        empty = detector.most_normal_["assignment"]
        return plain_frame_scores(
            np.concatenate(scores)[full], windows.subset(full), tracks.frame_offset, empty
        )

    return scorer


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
    table = windows.table
    total, count = np.zeros(len(table.frame)), np.zeros(len(table.frame))
    for first, value in zip(windows.first, score, strict=True):
        total[first : first + windows.length] += value
        count[first : first + windows.length] += 1
    frames = np.full(offset[-1], -np.inf)
    for row in range(len(total)):
        if count[row] > 0:
            slot = offset[table.clip[row]] + table.frame[row]
            frames[slot] = max(frames[slot], total[row] / count[row])
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


def measure(who: str, precision: str, device: torch.device, folder: Path) -> float:
    """Windows a second in this process, after the first clip."""
    crowd = PoseTracks.load(folder / "crowd.npz")
    detector = GEPC.load(folder / "model.pt", device=device)
    detector.precision_ = decide(precision, device)
    options = ScoreOptions(mode="assignment")
    scorer: _Scorer
    if who == "gepc_geo":

        def scorer(tracks: PoseTracks) -> np.ndarray:
            return score_table(detector, tracks, "frame", options)["score"]
    else:
        scorer = ordinary_scorer(detector, every_mode=who == "ordinary")
    scorer(clip_range(crowd, 0, 1))
    start = time.perf_counter()
    scorer(crowd)
    return len(detector.windows(crowd)) / (time.perf_counter() - start)


if __name__ == "__main__":
    _who, _precision, _device, _folder = sys.argv[1:]
    print(json.dumps(measure(_who, _precision, torch.device(_device), Path(_folder))))
