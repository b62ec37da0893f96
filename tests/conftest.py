"""What the tests share: where real data lies, and a small hand-made crowd of poses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from actions import simulate_actions

from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.density import alterations
from gepc_geo.poses.tracks import PoseTracks

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Workers of pytest-xdist, and the processes that their tests start, share the cores."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        torch.set_num_threads(threads)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests that pass have measured: unlike what they print, workers hand it on."""
    passed = terminalreporter.stats.get("passed", [])
    properties = [one for report in passed for one in report.user_properties]
    for text in sorted(value for name, value in properties if name == "measured"):
        terminalreporter.write_line(text)


@pytest.fixture(scope="session", autouse=True)
def quick_classifiers() -> Iterator[None]:
    """Classifiers of altered windows that train in a moment; their own tests train them in full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alterations, "STEPS", 100)
        yield


@pytest.fixture(scope="session", autouse=True)
def usual_allocator() -> Iterator[None]:
    """Commands that tests call leave the allocator of the tests' process as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gepc_geo.cli.computing.keep_memory", lambda: None)
        yield


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
    return simulate_crowd("train", num_clips=12, frames_per_clip=48, random_state=5)


@pytest.fixture(scope="session")
def actions() -> PoseTracks:
    """40 simulated clips of 4 actions, with classes, official halves and images of two sizes."""
    return simulate_actions()
