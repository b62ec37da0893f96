"""How many people and windows a training needs, on simulated crowds.

``python benchmarks/enough_people.py`` prints the frame AUC by the number of training people, the
AUC of 40 people by the length of their tracks, and how well thresholds of a few held-out people are
known: the shares of all normal scores above them, and how often their intervals contain the
threshold of all people. The least numbers of ``gepc_geo.training.sufficiency`` come from it.
"""

from __future__ import annotations

import warnings

import click
import numpy as np

from gepc_geo import GEPC, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputWarning
from gepc_geo.evaluation import evaluate
from gepc_geo.scoring.uncertainty import Interval

# Share of normal scores above a threshold.
SHARE = 0.05


def some_people(crowd: PoseTracks, count: int, seed: int, frames: int) -> PoseTracks:
    """The first frames of people drawn at random."""
    size = np.diff(np.append(crowd.track_starts, crowd.num_frames))
    person = np.repeat(np.arange(len(size)), size)
    position = np.arange(crowd.num_frames) - crowd.track_starts[person]
    chosen = np.random.default_rng([count, seed]).choice(len(size), count, replace=False)
    return crowd.rows(np.isin(person, chosen) & (position < frames))


def auc_of(train: PoseTracks, test: PoseTracks, seed: int) -> tuple[float, int]:
    """Frame AUC of a detector, and the number of its training windows."""
    detector = GEPC(score_stride=4, random_state=seed).fit(train)
    count = len(detector.training_windows(train))
    return evaluate(detector, test).metrics["auc"], count


def thresholds_of(scores: list[np.ndarray], people: int, draws: int) -> tuple[float, float, float]:
    """5 and 95 % quantiles of the share above thresholds, and the coverage of their intervals."""
    rng = np.random.default_rng(people)
    everybody = np.concatenate(scores)
    truth = np.quantile(everybody, 1 - SHARE)
    above, inside = [], 0
    for _ in range(draws):
        chosen = rng.choice(len(scores), people, replace=False)
        drawn = np.concatenate([scores[person] for person in chosen])
        owner = np.repeat(chosen, [len(scores[person]) for person in chosen])
        above.append((everybody > np.quantile(drawn, 1 - SHARE)).mean())
        found = Interval.of(drawn, owner, SHARE)
        inside += found.low <= truth <= found.high
    low, high = np.quantile(above, [0.05, 0.95])
    return float(low), float(high), inside / draws


@click.command()
@click.option("--clips", default=40, show_default=True, help="Clips of normal behaviour.")
@click.option("--repeats", default=3, show_default=True, help="Draws of training people.")
@click.option("--draws", default=200, show_default=True, help="Draws of held-out people.")
def main(clips: int, repeats: int, draws: int) -> None:
    """Measure with how few people and windows a detector and its thresholds are reliable."""
    warnings.simplefilter("ignore", InputWarning)
    normal = simulate_crowd("train", num_clips=clips, random_state=8)
    test = simulate_crowd("test", random_state=7)
    for title, rows in (
        ("people", [(people, 10_000) for people in (2, 4, 8, 12, 20, 40, 80)]),
        ("frames of each of 40 people", [(40, frames) for frames in (26, 50, 74, 120)]),
    ):
        click.echo(f"{title}: AUC (training windows)")
        for people, frames in rows:
            if people >= normal.num_tracks:
                continue
            measured = [
                auc_of(some_people(normal, people, seed, frames), test, seed)
                for seed in range(repeats)
            ]
            text = ", ".join(f"{auc:.3f} ({count:,})" for auc, count in measured)
            click.echo(f"{people if title == 'people' else frames:6d}  {text}")
    train = simulate_crowd("train", random_state=3)
    detector = GEPC(random_state=0).fit(train)
    windows = detector.pipeline_.sound(detector.windows(normal).without_padded())
    score = detector.scorer_(windows, (detector.mode,)).scores[detector.mode]
    scores = [score[windows.person == person] for person in np.unique(windows.person)]
    click.echo("held-out people: share of normal windows above their threshold; coverage of 90 %")
    for people in (5, 8, 12, 20, 40, 60, 100):
        if people >= len(scores):
            continue
        low, high, coverage = thresholds_of(scores, people, draws)
        click.echo(f"{people:6d}  {low:.3f} to {high:.3f}  {coverage:.2f}")


if __name__ == "__main__":
    main()
