"""The normal poses of a report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gepc_geo.cli.reading import read_data
from gepc_geo.cli.run import Run
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks


def training_poses(
    run: Run,
    train: Path | None,
    skeleton: str,
    image_size: tuple[float, float] | None,
    detector: GEPC,
) -> tuple[PoseTracks | None, str]:
    """The normal poses of a report, or the reason why there are none.

    Args:
        run: The run.
        train: Value of ``--train``.
        skeleton: Value of ``--skeleton``.
        image_size: Value of ``--image-size``.
        detector: The run's detector.

    Returns:
        The poses and an empty text, or ``None`` and the reason.

    Raises:
        InputError: The poses of ``--train`` cannot be read, or do not suit the detector.
    """
    if train is not None:
        tracks = read_data(train, "auto", skeleton, None, None, image_size=image_size)
        try:
            detector.pipeline_.check(tracks)
        except InputError as error:
            raise InputError(f"{train}: {error}") from None
        return tracks.select(split="train") if "train" in tracks.clip_split else tracks, ""
    run = run.trained()
    if not os.path.isfile(run.config):
        return None, f"{run.config} does not exist: the page has no training poses (--train)"
    config: dict[str, Any] = run.read_config()["data"]
    # The demo writes its poses into the run's folder.
    path = run.folder / "poses" / "train" if "simulated" in config else config.get("path")
    if path is None or not Path(path).exists():
        return None, f"{path} does not exist: the page has no training poses (--train)"
    format_, joints = (config.get(name) or "auto" for name in ("format", "skeleton"))
    try:
        tracks = read_data(
            Path(path),
            format_,
            joints,
            config.get("split"),
            config.get("fps"),
            image_size=config.get("image_size"),
        )
        normal = config.get("normal")
        tracks = tracks if normal is None else tracks.select(labels=normal)
        detector.pipeline_.check(tracks)
    except InputError as error:
        return None, f"the page has no training poses (--train): {error}"
    return tracks, ""
