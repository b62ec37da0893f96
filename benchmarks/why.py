"""Words that explain events, on simulated crowds.

``python benchmarks/why.py`` trains a detector on each crowd, and asks it why the people of each
kind of anomaly are unusual. It prints how many of the words name what the simulator did, and which
words normal people get.
"""

from __future__ import annotations

from collections import Counter

import click
import numpy as np

from gepc_geo import GEPC, PoseTracks
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.simulate import KINDS, abnormal_people
from gepc_geo.scoring.explanation import NOTHING

# Parts of words that name a kind of anomaly.
RIGHT = {
    "running": ("faster",),
    "falling": ("body lower",),
    "jumping": ("suddenly", "changed direction"),
    "cycling": ("faster",),
    "waving": ("arms above the head",),
    "fighting": ("two people closer",),
    "loitering": ("in one place", "changed direction"),
}


def normal_people(tracks: PoseTracks) -> list[tuple[str, int, int, int, int]]:
    """The people of normal clips, with all their frames."""
    starts = tracks.track_starts
    ends = np.append(starts[1:], tracks.num_frames) - 1
    return [
        (
            "normal",
            int(tracks.clip[start]),
            int(tracks.track[start]),
            int(tracks.frame[start]),
            int(tracks.frame[end]),
        )
        for start, end in zip(starts, ends, strict=True)
        if tracks.clip_label[tracks.clip[start]] == "normal"
    ]


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), help="Crowds.")
@click.option("--each", is_flag=True, help="Print the words of each event too.")
def main(seeds: tuple[int, ...], each: bool) -> None:
    """Count the words that name the right thing."""
    words: dict[str, list[str]] = {kind: [] for kind in (*KINDS, "normal")}
    for seed in seeds:
        detector = GEPC(random_state=seed)
        detector.fit(simulate_crowd("train", random_state=seed), device="cpu")
        test = simulate_crowd("test", random_state=seed)
        explanation = detector.explain(test)
        assert explanation is not None
        for kind, *event in [*abnormal_people(test), *normal_people(test)]:
            text = explanation.words(*event)
            # Nothing is said about people who are seen too shortly.
            if text:
                words[kind].append(text)
            if each:
                click.echo(f"{seed} {test.clip_names[event[0]]} {event[1]}: {text}")
    click.echo(f"crowds {', '.join(map(str, seeds))}")
    click.echo(f"{'kind':10s} {'events':>6s} {'right':>6s} {'nothing':>8s}  most frequent words")
    for kind, texts in words.items():
        phrases = Counter(
            phrase.split(" than ")[0].split(" by ")[0].split(" (")[0].split(" for ")[0]
            for text in texts
            for phrase in text.split("; ")
        )
        often = ", ".join(f"{phrase} {count}" for phrase, count in phrases.most_common(5))
        right = [any(part in text for part in RIGHT.get(kind, ())) for text in texts]
        share = f"{np.mean(right):6.2f}" if kind in RIGHT else f"{'':6s}"
        nothing = np.mean([text == NOTHING for text in texts])
        click.echo(f"{kind:10s} {len(texts):6d} {share} {nothing:8.2f}  {often}")


if __name__ == "__main__":
    main()
