"""What ``train``, ``score`` and ``info`` print about the thresholds of a detector."""

from __future__ import annotations

import click
import numpy as np

from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.uncertainty import share_of_frames


def describe_interval(detector: GEPC, frames: bool = False) -> str:
    """The interval of a threshold, to follow it in a line; ``""`` if it is unknown.

    Args:
        detector: A detector.
        frames: Of the threshold of person-frames, else of windows. (default: ``False``)
    """
    interval = detector.threshold_interval(frames=frames)
    return "" if interval is None else f", {interval}"


def show_thresholds(detector: GEPC, tracks: PoseTracks) -> None:
    """Prints both thresholds, and how many normal frames are above that of person-frames.

    Args:
        detector: The detector.
        tracks: The training poses, for the number of people in a frame.
    """
    mode = detector.mode
    click.echo(f"threshold ({mode}): {detector.threshold_:.4f}{describe_interval(detector)}")
    if detector.options_.frames is not None:
        return
    click.echo(
        f"threshold of person-frames ({mode}): {detector.frame_threshold():.4f}"
        f"{describe_interval(detector, frames=True)}"
    )
    click.echo(_expected_frames(detector, tracks))


def describe_above(
    detector: GEPC, tracks: PoseTracks, columns: dict[str, np.ndarray], options: ScoreOptions
) -> str:
    """How many frames are above the threshold of person-frames, and how many normal ones would be.

    Args:
        detector: The detector.
        tracks: The poses.
        columns: Their table of frames.
        options: The options of the table.

    Returns:
        A sentence; ``""`` if the threshold does not apply to such scores, if a threshold of alarms
        was chosen, or if no frame was judged.
    """
    plain = ScoreOptions(mode=detector.mode, padded=options.padded, faults=options.faults)
    judged = columns["score"][~np.isnan(columns["score"])]
    if options != plain or detector.alarm_ is not None or not len(judged):
        return ""
    threshold = detector.frame_threshold()
    return (
        f"{(judged > threshold).mean():.0%} of the judged frames are above the threshold of "
        f"person-frames, {threshold:.4g}{describe_interval(detector, frames=True)}: "
        f"{_expected_frames(detector, tracks)}"
    )


def _expected_frames(detector: GEPC, tracks: PoseTracks) -> str:
    """A sentence about normal frames above the threshold of person-frames."""
    slot = tracks.frame_offset[tracks.clip] + tracks.frame
    people, share = np.unique(slot, return_counts=True)[1], detector.options_.contamination
    return (
        f"{100 * share:.3g}% of normal person-frames are above it, so about "
        f"{share_of_frames(people, share):.0%} of frames like these, with {people.mean():.1f} "
        "people on average, if all is normal"
    )
