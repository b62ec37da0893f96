"""Action words: typical sequences and frequency of each cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.report.naming import name_windows
from gepc_geo.report.scenes import PlacedWindows

#: Sequences of a word, and limits of words and of characters of all sequences.
_TYPICAL, _WORDS, MOST_CHARACTERS = 3, 100, 2_500_000


def typical_windows(placed: PlacedWindows, cluster: int, most: int) -> np.ndarray:
    """Windows with the largest assignments to a cluster, each of another person."""
    own = np.flatnonzero(placed.assignment.argmax(1) == cluster)
    own = own[np.argsort(-placed.assignment[own, cluster], kind="stable")]
    _, first = np.unique(placed.person()[own], return_index=True)
    return own[np.sort(first)[:most]]


def action_words(placed: PlacedWindows, scored: np.ndarray | None) -> list[dict[str, Any]]:
    r"""Describes the clusters, most frequent first.

    A window belongs to the cluster of its largest assignment.

    Args:
        placed: Windows to take typical sequences from, such as training windows.
        scored: Assignments of the scored windows, :math:`[W, K]`, if ``placed`` are other windows.

    Returns:
        For each word its ``cluster``, its ``name``, its ``share`` of ``placed``, its share ``seen``
        in the scored windows (or ``None``), and ``poses``, or ``None`` without windows or above the
        size limit.
    """
    clusters = placed.assignment.shape[1]
    if not clusters:
        return []
    word = placed.assignment.argmax(1)
    share = np.bincount(word, minlength=clusters) / max(len(word), 1)
    seen = None
    if scored is not None:
        seen = np.bincount(scored.argmax(1), minlength=clusters) / max(len(scored), 1)
    words: list[dict[str, Any]] = []
    left = MOST_CHARACTERS
    for cluster in np.argsort(-share, kind="stable")[:_WORDS]:
        chosen = typical_windows(placed, int(cluster), _TYPICAL)
        poses = placed.sequences(chosen) if len(chosen) and left > 0 else None
        left -= 0 if poses is None else len(poses["xy"])
        words.append(
            {
                "cluster": int(cluster),
                "name": name_windows(placed, np.flatnonzero(word == cluster)),
                "share": round(float(share[cluster]), 5),
                "seen": None if seen is None else round(float(seen[cluster]), 5),
                "poses": poses,
            }
        )
    return words
