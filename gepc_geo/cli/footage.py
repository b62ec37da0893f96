"""Flags of the real frames behind people: ``--video``, ``--frames-dir`` and ``--blur-faces``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gepc_geo.cli.data import InputPath
from gepc_geo.errors import InputError

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks
    from gepc_geo.report.footage import Footage


def footage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--video``, ``--frames-dir`` and ``--blur-faces``."""
    for decorate in (
        click.option("--blur-faces", is_flag=True, help="Blur the heads of all people with poses."),
        click.option(
            "--frames-dir",
            type=InputPath(),
            help="Folder of pictures to show behind the people, one per frame, sorted by name; or "
            "a folder of such folders with the names of the clips.",
        ),
        click.option(
            "--video",
            type=InputPath(),
            help="Video to show behind the people; or a folder of videos with the names of the "
            "clips.",
        ),
    ):
        command = decorate(command)
    return command


def read_footage(video: Path | None, frames_dir: Path | None, blur_faces: bool) -> Footage | None:
    """The real frames that the flags name; ``None`` without any.

    Raises:
        InputError: Two of them, heads to blur without any, or frames that cannot be read.
    """
    from gepc_geo.report.footage import Footage

    if video is not None and frames_dir is not None:
        raise InputError(
            f"only one of --video and --frames-dir must be given, got {video} and {frames_dir}"
        )
    if video is not None:
        return Footage(video, "video")
    if frames_dir is not None:
        return Footage(frames_dir, "pictures")
    if blur_faces:
        raise InputError("--video or --frames-dir must be given for --blur-faces, got neither")
    return None


def with_rates(tracks: PoseTracks, footage: Footage | None) -> PoseTracks:
    """Poses with the frame rates of their videos, where they have none of their own.

    Raises:
        InputError: As :meth:`~gepc_geo.report.footage.Footage.of_clips`.
    """
    import numpy as np

    if footage is None:
        return tracks
    fps = tracks.fps.copy()
    for number, frames in footage.of_clips(tracks.clip_names).items():
        if np.isnan(fps[number]):
            fps[number] = frames.fps
    return tracks.with_(fps=fps)
