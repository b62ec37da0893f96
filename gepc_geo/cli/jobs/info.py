"""Lines of ``gepc-geo info`` about files, poses and runs."""

from __future__ import annotations

from itertools import zip_longest

import click
import numpy as np

from gepc_geo.cli.jobs.thresholds import describe_interval
from gepc_geo.detector.gepc import GEPC
from gepc_geo.errors import InputError
from gepc_geo.evaluation.alarms import Alarm
from gepc_geo.io import Reading
from gepc_geo.nn import count_flops
from gepc_geo.options import Options
from gepc_geo.poses.diagnostics import find_faults
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.training.network import Network


def show_files(reading: Reading) -> None:
    """Prints the formats of the files, and how their names were read."""
    files = [f"{name} ({n:,} file{'s'[: n > 1]})" for name, n in reading.formats.items()]
    click.echo(f"format          {', '.join(files)}")
    for label, sentence in zip_longest(["names"], reading.names, fillvalue=""):
        click.echo(f"{label:16s}{sentence}")


def show_poses(tracks: PoseTracks) -> None:
    """Prints sizes, ranges, labels and likely faults of poses."""
    shown = ", ".join(tracks.clip_names[:3]) + (", ..." if tracks.num_clips > 3 else "")
    click.echo(f"clips           {tracks.num_clips:,} ({shown})")
    click.echo(f"people          {tracks.num_tracks:,} tracks")
    click.echo(f"frames          {int(tracks.clip_length.sum()):,}")
    click.echo(f"person-frames   {tracks.num_frames:,}")
    skeleton = tracks.skeleton
    click.echo(f"joints          {skeleton.num_joints} ({skeleton.name}), {tracks.dims}D")
    seen = tracks.keypoints[tracks.confidence > 0]
    if len(seen):
        ends = zip("xyz", seen.min(0), seen.max(0), strict=False)
        ranges = ", ".join(f"{axis} {low:.4g} to {high:.4g}" for axis, low, high in ends)
        click.echo(f"coordinates     {ranges}")
    sizes = np.unique(tracks.image_size[~np.isnan(tracks.image_size).any(axis=1)], axis=0)[:5]
    if tracks.dims == 2:
        shown = ", ".join(f"{width:g} x {height:g}" for width, height in sizes) or "unknown"
        click.echo(f"image size      {shown}")
    rates = np.unique(tracks.fps[~np.isnan(tracks.fps)])[:5].tolist()
    click.echo(f"fps             {', '.join(f'{rate:g}' for rate in rates) or 'unknown'}")
    for rate in rates:
        click.echo(f"windows         {_default_windows(rate)}")
    for name, values in (("splits", tracks.clip_split), ("classes", tracks.clip_label)):
        counts = {value: values.count(value) for value in sorted(set(values) - {""})}
        if counts:
            click.echo(f"{name:16s}{', '.join(f'{k} {v}' for k, v in counts.items())}")
    if tracks.frame_labels is not None:
        share = int((tracks.frame_labels == 1).sum())
        click.echo(f"abnormal        {share:,} of {len(tracks.frame_labels):,} frames")
    if tracks.num_frames:
        missing = (tracks.confidence == 0).mean(0)
        click.echo(f"missing joints  {missing.mean():.1%}")
        for v in np.argsort(-missing, kind="stable")[:5]:
            if missing[v]:
                click.echo(f"  {skeleton.joints[v]:20s}{missing[v]:.1%}")
    for fault in find_faults(tracks):
        click.echo(f"looks wrong     {fault}")


def _default_windows(fps: float) -> str:
    """The default lengths of windows at a frame rate."""
    try:
        frames = ", ".join(map(str, Options().frames_of(fps)))
    except InputError as error:
        return f"{error} at {fps:g} fps"
    return f"{', '.join(Options().lengths)} are {frames} frames at {fps:g} fps"


def show_model(detector: GEPC) -> None:
    """Prints the kind, input, thresholds and options of a detector."""
    network, options, pipeline = detector.network_, detector.options_, detector.pipeline_
    chain = "autoencoder, clusters and mixture"
    plain = "nearest people and classifier of altered windows"
    kind = plain if network is None else f"{chain}; {plain}"
    click.echo(f"detector        {kind}")
    fps = detector.fps_
    if options.frames is not None:
        lengths = f"{options.frames} frames, whole clips stretched to them"
    else:
        lengths = ", ".join(map(str, detector.lengths_)) + " frames"
        if not np.isnan(fps):
            lengths += f" ({', '.join(f'{n / fps:.2g}' for n in detector.lengths_)} s)"
    click.echo(f"windows         {lengths}")
    steps = "the frames themselves"
    if options.coefficients:
        moved = f", {pipeline.motion_steps} of motion" if options.motion else ""
        steps = f"{pipeline.num_steps} coefficients over time{moved}"
    click.echo(f"input           {steps}")
    click.echo(f"skeleton        {detector.skeleton_.name}, {detector.dims_}D")
    if network is not None:
        _show_network(network, detector.reconstruction_share_)
    click.echo(f"fps in training {'unknown' if np.isnan(fps) else f'{fps:g}'}")
    interval = describe_interval(detector)
    click.echo(f"threshold       {detector.threshold_:.4f} ({detector.mode}){interval}")
    if options.frames is None:
        interval = describe_interval(detector, frames=True)
        click.echo(f"  person-frames {detector.frame_threshold():.4f} ({detector.mode}){interval}")
    alarm = Alarm.of(detector)
    if alarm is None:
        click.echo("alarm           none yet (gepc-geo calibrate sets one)")
    else:
        click.echo(f"alarm           {alarm.threshold:.6g} ({alarm.mode})")
        click.echo(f"  wanted        {alarm.per_hour:g} false alarms an hour")
        click.echo(f"  on held-out   {alarm.held_out}")
    for name, value in detector.get_params().items():
        click.echo(f"  {name:20s}{value}")


def _show_network(network: Network, reconstruction_share: float) -> None:
    model = network.model
    count = sum(parameter.numel() for parameter in model.parameters())
    flops = count_flops(model)
    click.echo(f"channels        {model.in_channels}")
    click.echo(f"parameters      {count:,}")
    click.echo(
        f"FLOPs a window  encode {flops['encode'] / 1e6:.0f} M, train {flops['train'] / 1e6:.0f} M"
    )
    click.echo(f"latent          {model.latent_dim} dimensions")
    click.echo(f"precision       {network.precision}")
    share = f"{reconstruction_share:.2f} of the error of predicting the mean pose"
    click.echo(f"reconstruction  {share}, on held-out windows")
