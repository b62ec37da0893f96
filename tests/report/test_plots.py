"""Plots are written completely; missing packages are named."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.report import can_plot, plot_bars, plot_lines, plot_roc, plot_timelines


def test_plots_are_pngs(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, 60)
    plot_roc(labels, rng.normal(size=60), tmp_path / "roc.png")
    clips = [np.zeros(20, dtype=int), np.repeat([0, 1], 10), np.zeros(0, dtype=int)]
    scores = [rng.normal(size=len(clip)) for clip in clips]
    plot_timelines(["a", "b", "c"], clips, scores, tmp_path / "t.png", threshold=1.0, most=2)
    states = [rng.integers(0, 4, len(clip)) for clip in clips]
    plot_timelines(["a", "b", "c"], clips, scores, tmp_path / "s.png", states=states)
    plot_lines([1, 2], {"a": [3, 4], "b": [5, 6]}, tmp_path / "l.png", xlabel="x", ylabel="y")
    bars = {"ours": {"few": (0.9, 0.1), "many": (0.8, np.nan)}, "other": {"many": (0.7, 0.1)}}
    plot_bars(bars, tmp_path / "b.png", xlabel="AUC")
    for name in ("roc.png", "t.png", "s.png", "l.png", "b.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert len(list(tmp_path.iterdir())) == 5


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    assert can_plot()
    monkeypatch.setattr(builtins, "__import__", without)
    assert not can_plot()
    with pytest.raises(InputError, match="matplotlib must be installed"):
        plot_roc(np.array([0, 1]), np.array([0.0, 1.0]), tmp_path / "roc.png")
