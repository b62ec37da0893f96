"""Small detectors and report contents of a small crowd."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import NETWORK

from gepc_geo import GEPC, PoseTracks, Skeleton
from gepc_geo.datasets import simulate_crowd
from gepc_geo.datasets.faults import inject_faults
from gepc_geo.report import gather


@pytest.fixture(scope="session")
def detector(walkers) -> GEPC:
    small = {**NETWORK, "budget": 320, "batch_size": 32, "score_stride": 6, "mode": "assignment"}
    return GEPC(**small | {"augment": "none", "lengths": ["12"]}).fit(walkers, device="cpu")


@pytest.fixture(scope="session")
def plain(walkers) -> GEPC:
    """Without a network, of three lengths; many tracks are shorter than the last length."""
    return GEPC(lengths=["6", "20", "30"], clusters=4, stride=4, score_stride=6).fit(walkers)


@pytest.fixture(scope="session")
def crowd() -> PoseTracks:
    """9 test clips with labels; one has a malicious name."""
    tracks = simulate_crowd("test", num_clips=9, frames_per_clip=48, random_state=3)
    names = list(tracks.clip_names)
    names[3] = "</script><script>window.harm=1</script><img src=x onerror='window.harm=1'>"
    return tracks.with_(clip_names=names)


@pytest.fixture(scope="session")
def content(detector, crowd, walkers) -> dict[str, Any]:
    about = {"run": "</title><b>small", "data": "crowd"}
    return gather(detector, crowd, train=walkers, about=about)


@pytest.fixture(scope="session")
def plain_content(plain, crowd, walkers) -> dict[str, Any]:
    return gather(plain, crowd, train=walkers)


@pytest.fixture(scope="session")
def hundred(detector, crowd, walkers) -> dict[str, Any]:
    """Content for 108 clips: those of the crowd twelve times, two people in each."""
    few = crowd.rows(crowd.track < 2)
    parts = [few.with_(clip_names=[f"{n}_{name}" for name in few.clip_names]) for n in range(12)]
    return gather(detector, PoseTracks.concat(parts), train=walkers)


@pytest.fixture(scope="session")
def crowded(detector, walkers) -> dict[str, Any]:
    """Content for 210 clips of a quarter of an hour each, with labels that change often."""
    clips, frames = 210, 20_000
    one = walkers.rows((walkers.clip == 0) & (walkers.track == walkers.track[0]))
    count = one.num_frames
    rng = np.random.default_rng(0)
    tracks = PoseTracks.build(
        np.tile(one.keypoints, (clips, 1, 1)) + rng.normal(size=(clips * count, 17, 2)),
        np.tile(one.confidence, (clips, 1)),
        np.tile(one.frame, clips),
        np.tile(one.track, clips),
        np.repeat(np.arange(clips), count),
        one.skeleton,
        [f"camera_{i}" for i in range(clips)],
        clip_length=[frames] * clips,
        image_size=[[856, 480]] * clips,
        fps=[24] * clips,
        frame_labels=rng.integers(0, 2, clips * frames),
    )
    return gather(detector, tracks, train=walkers)


@pytest.fixture(scope="session")
def faults(plain) -> dict[str, Any]:
    """Content of clips where ids change between people."""
    crowd = simulate_crowd("train", num_clips=4, frames_per_clip=96, random_state=7)
    return gather(plain, inject_faults(crowd, 6, kinds=("switch",), random_state=0)[0])


@pytest.fixture(scope="session")
def alone(plain, walkers) -> dict[str, Any]:
    """Content of one clip with a gap without people and one with people who are not judged."""
    one = walkers.select(clips=[0])
    people, count = np.unique(one.track, return_counts=True)
    one = one.rows(one.track == people[count.argmax()])
    one = one.rows((one.frame < 30) | ((one.frame >= 36) & (one.frame < 40)))
    return gather(plain, one, train=walkers)


@pytest.fixture(scope="session")
def whole_clips(walkers) -> dict[str, Any]:
    """Content of a detector of whole clips."""
    options = {**NETWORK, "budget": 128, "frames": 16, "mode": "reconstruction"}
    detector = GEPC(**options).fit(walkers, device="cpu")
    return gather(detector, walkers, train=walkers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; skips if it is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on the path")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="session")
def shots(tmp_path_factory) -> Path:
    """Folder of screenshots; ``make test`` sets it to build/shots."""
    folder = os.environ.get("GEPC_GEO_SHOTS")
    path = Path(folder) if folder else tmp_path_factory.mktemp("shots")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def pair() -> PoseTracks:
    """Two people for 6 frames: one left, one right, as upright lines in a picture of 100 x 80."""
    x = np.repeat([20.0, 70.0], 6)
    points = np.stack([np.stack([x, np.full(12, y)], -1) for y in (20.0, 60.0)], 1)
    return PoseTracks.build(
        points,
        np.ones((12, 2)),
        np.tile(np.arange(6), 2),
        np.repeat([3, 8], 6),
        np.zeros(12, int),
        Skeleton("line", ("a", "b"), ((0, 1),), center=0),
        ["only"],
        image_size=[[100, 80]],
        fps=[10],
    )
