"""Colours of scores and shares: grey where nothing is unusual, over amber to red."""

from __future__ import annotations

import numpy as np

# The page's own colours (static/page.js).
_STOPS = np.array([0.0, 0.3, 0.55, 1.0])
_COLOURS = np.array([[150, 163, 176], [120, 130, 140], [236, 151, 31], [208, 24, 48]], dtype=float)


def colours(amount: np.ndarray) -> np.ndarray:
    r"""Colours of amounts in [0, 1] (others are cut off, NaN counts as 0), :math:`[..., 3]` in 0..255."""
    t = np.clip(np.nan_to_num(amount), 0, 1)
    return np.stack([np.interp(t, _STOPS, column) for column in _COLOURS.T], axis=-1)


def share_colours(shares: np.ndarray) -> np.ndarray:
    r"""Colours of joints' shares :math:`[V]` of a score: red from four times an even share on."""
    return colours(shares * len(shares) / 4)
