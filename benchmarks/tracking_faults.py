"""Real anomalies against faults of a pose tracker, on simulated crowds.

``python benchmarks/tracking_faults.py --out runs/tracking_faults`` trains one detector that skips
windows with tracking faults, and one that does not, on each crowd. It scores the anomalies of the
crowd and as many faults that are put into another normal crowd. Factors of limits
(``gepc_geo.windows.quality``) were chosen by its table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from gepc_geo import GEPC, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import Fault, inject_faults
from gepc_geo.datasets.simulate import abnormal_people
from gepc_geo.evaluation.events import Event, events_of
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.states import usable_windows
from gepc_geo.evaluation.tables import frame_level
from gepc_geo.scoring.aggregation import FAULT, JUDGED, person_frame_states, person_frames
from gepc_geo.scoring.metrics import auc
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.windows.filling import FilledTracks


@dataclass
class PersonFrames:
    """Scores and states of the person-frames of a table."""

    table: FilledTracks
    score: np.ndarray
    state: np.ndarray

    def of(self, clip: int, track: int, first: int, last: int) -> np.ndarray:
        """The rows of a person from one frame to another."""
        table = self.table
        place = (table.clip == clip) & (table.track == track)
        return np.flatnonzero(place & (table.frame >= first) & (table.frame <= last))


def person_frames_of(detector: GEPC, found: WindowScores) -> PersonFrames:
    """Person-frames of scored windows; those that are not judged have the most normal score."""
    used, fault = usable_windows(found.windows, found.quality, ScoreOptions(), False)
    score = person_frames(
        found.windows.subset(used), torch.as_tensor(found.scores[detector.mode][used])
    ).numpy()
    least = detector.calibration_.most_normal[detector.mode]
    return PersonFrames(
        found.windows.table,
        np.where(np.isnan(score), least, score),
        person_frame_states(found.windows, used, fault),
    )


def ranked(detector: GEPC, parts: list[tuple[PoseTracks, WindowScores]]) -> list[tuple[int, Event]]:
    """Alarms of several poses in the order of the product, each with the position of its poses."""
    found = []
    for number, (tracks, scored) in enumerate(parts):
        events = events_of(detector, scored, tracks, ScoreOptions())
        found += [(number, event) for event in events if not event.fault]
    return sorted(found, key=lambda one: (one[1].near != "", -one[1].score))


def measure(seed: int, skip: bool) -> dict[str, float]:
    """The figures of one crowd and detector."""
    detector = GEPC(random_state=seed, skip_faults=skip)
    detector.fit(simulate_crowd("train", random_state=seed), device="cpu")
    test = simulate_crowd("test", random_state=seed)
    people = [Fault(*person) for person in abnormal_people(test)]
    normal = simulate_crowd("train", random_state=seed + 100)
    faulty, faults = inject_faults(normal, len(people), random_state=seed)
    parts = [
        (tracks, detector.window_scores(tracks, (detector.mode,), padded=False))
        for tracks in (test, faulty)
    ]
    real, bad = (person_frames_of(detector, scored) for _, scored in parts)
    score, state = [], []
    for rows, events in ((real, people), (bad, faults[: len(people)])):
        for event in events:
            at = rows.of(event.clip, event.track, event.first, event.last)
            if len(at):
                score.append((float(rows is real), float(rows.score[at].max())))
            state += [(rows is real, int(value)) for value in rows.state[at]]
    label, value = np.array(score).T
    of_anomalies = np.array([found for is_real, found in state if is_real])
    of_faults = np.array([found for is_real, found in state if not is_real])
    alarms = ranked(detector, parts)[:10]
    # An exchange of ids lies between two frames.
    caused = [
        number == 1
        and any(
            (faulty.clip_names[fault.clip], fault.track) == (event.clip, run.person)
            and min(run.end, fault.last) - max(run.start, fault.first) >= 1
            for run in event.runs
            for fault in faults
        )
        for number, event in alarms
    ]
    judged = np.isin(of_anomalies, (JUDGED, FAULT))
    frames = frame_level(detector, parts[0][1], test, ScoreOptions())
    return {
        "auc_anomalies_against_faults": auc(label.astype(np.int8), value),
        "faults_in_ten_highest": float(sum(caused)),
        "anomalies_marked": float((of_anomalies[judged] == FAULT).mean()),
        "faults_marked": float((of_faults == FAULT).mean()),
        "auc_frames": auc(np.asarray(test.frame_labels), frames.score.numpy()),
    }


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), help="Crowds.")
def main(out: Path, seeds: tuple[int, ...]) -> None:
    """Measure anomalies against tracking faults on simulated crowds."""
    out.mkdir(parents=True, exist_ok=True)
    results = {}
    for seed in seeds:
        for skip in (False, True):
            results[f"crowd {seed}, faults {'skipped' if skip else 'judged'}"] = found = measure(
                seed, skip
            )
            text = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
            click.echo(f"crowd {seed}, faults {'skipped' if skip else 'judged '}: {text}")
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
