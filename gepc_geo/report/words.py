"""The dictionary of action words: each cluster's most typical sequences, and how often it occurs."""

from __future__ import annotations

from typing import Any

import numpy as np

from gepc_geo.report.scenes import Normal

# Sequences shown of a word, words at most, and the characters of all sequences together.
_TYPICAL, _WORDS, _ROOM = 3, 100, 2_500_000


def typical_windows(normal: Normal, cluster: int, most: int) -> np.ndarray:
    """Of a word's windows those that are its most surely, each of another person."""
    own = np.flatnonzero(normal.assignment.argmax(1) == cluster)
    own = own[np.argsort(-normal.assignment[own, cluster], kind="stable")]
    _, where = np.unique(normal.person()[own], return_index=True)
    return own[np.sort(where)[:most]]


def action_words(normal: Normal, seen: np.ndarray | None) -> list[dict[str, Any]]:
    r"""The clusters, the most frequent first.

    A window counts for the cluster it belongs to most. The most typical windows are those that belong to
    it most surely, each of another person.

    Args:
        normal: Windows the words are shown by.
        seen: How much the scored windows belong to the words, :math:`[W, K]`, where ``normal`` are
            others.

    Returns:
        For each word ``cluster`` (its number), ``share`` of the windows shown, ``seen`` (its share
        of the scored windows, or ``None``) and ``poses``, or ``None`` where no window is its or
        there is no more room.
    """
    clusters = normal.assignment.shape[1]
    if not clusters:
        return []
    word = normal.assignment.argmax(1)
    share = np.bincount(word, minlength=clusters) / max(len(word), 1)
    other = None
    if seen is not None:
        other = np.bincount(seen.argmax(1), minlength=clusters) / max(len(seen), 1)
    words: list[dict[str, Any]] = []
    room = _ROOM
    for cluster in np.argsort(-share, kind="stable")[:_WORDS]:
        chosen = typical_windows(normal, int(cluster), _TYPICAL)
        poses = normal.sequences(chosen) if len(chosen) and room > 0 else None
        room -= 0 if poses is None else len(poses["xy"])
        words.append(
            {
                "cluster": int(cluster),
                "share": round(float(share[cluster]), 5),
                "seen": None if other is None else round(float(other[cluster]), 5),
                "poses": poses,
            }
        )
    return words
