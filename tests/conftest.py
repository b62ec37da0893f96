"""What the tests share: where real data lies, and a small hand-made crowd of poses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.tracks import PoseTracks

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """A function from a data set's folder name to its path; skips the test where it is absent."""
    root = Path(os.environ.get("GEPC_GEO_DATA", ROOT.parent / "shared" / "data"))

    def folder(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"real data set {name!r} not found under {root} (set GEPC_GEO_DATA)")
        return root / name

    return folder


@pytest.fixture(scope="session")
def walkers() -> PoseTracks:
    """A small simulated crowd of normal walkers: 12 clips, AlphaPose-like, some gaps."""
    return simulate_crowd("train", num_clips=12, frames_per_clip=72, seed=5)
