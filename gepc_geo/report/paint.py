"""Colours of scores and shares, from grey over amber to red."""

from __future__ import annotations

import numpy as np

# Same colours as in static/page.js.
_STOPS = np.array([0.0, 0.3, 0.55, 1.0])
_COLOURS = np.array([[150, 163, 176], [120, 130, 140], [236, 151, 31], [208, 24, 48]], dtype=float)


def colours(amount: np.ndarray) -> np.ndarray:
    r"""Colours :math:`[..., 3]` from 0 to 255 of amounts, clipped to [0, 1]; NaN counts as 0."""
    t = np.clip(np.nan_to_num(amount), 0, 1)
    return np.stack([np.interp(t, _STOPS, column) for column in _COLOURS.T], axis=-1)


def share_colours(shares: np.ndarray) -> np.ndarray:
    r"""Colours of the shares of joints :math:`[V]`; full red from four times the mean share."""
    return colours(shares * len(shares) / 4)
