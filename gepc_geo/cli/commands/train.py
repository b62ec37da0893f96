"""``gepc-geo train``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import InputPath, class_names, data_options, device_option
from gepc_geo.cli.settings import resolve, setting_options
from gepc_geo.options import NETWORK_OPTIONS, Options
from gepc_geo.options.presets import PRESETS


@click.command(cls=Computing)
@data_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--config", type=InputPath(), help="YAML file of options.")
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default="default",
    show_default=True,
    help="gepc: the paper's autoencoder, clusters and mixture on the default input; paper: the "
    "published method with the public implementation's settings.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume from the last checkpoint of the run; a finished run stays as it is.",
)
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events into the run.")
@device_option
@setting_options()
def train(
    data: Path,
    format_: str,
    skeleton: str,
    split: str | None,
    normal: str | None,
    fps: float | None,
    image_size: tuple[float, float] | None,
    out: Path,
    config: Path | None,
    preset: str,
    resume: bool,
    tensorboard: bool,
    device: str,
    **flags: Any,
) -> None:
    """Train a detector on the normal poses in DATA.

    For example:

        gepc-geo train poses/train --out runs/mine

    Several processes train one detector together:

        torchrun --nproc-per-node 4 -m gepc_geo train poses/train --out runs/mine
    """
    from gepc_geo.cli.classes import select_classes
    from gepc_geo.cli.jobs.thresholds import show_thresholds
    from gepc_geo.cli.ranks import ranks
    from gepc_geo.cli.reading import read_data, refuse_wrong_order, warn_of_faults
    from gepc_geo.cli.run import Run
    from gepc_geo.utils import distributed
    from gepc_geo.utils.device import pick_device

    run = Run(out)
    with ranks():
        saved = distributed.from_first(lambda: run.start(resume))
        base = None if saved is None else saved["options"]
        with distributed.raise_on_all_ranks():
            # A wrong flag is refused before the poses are read.
            resolve(flags, config, preset, base)
            target = pick_device(device)
        with distributed.raise_on_all_ranks():
            names = class_names(normal)
            reading: dict[str, Any] = {"format": format_, "skeleton": skeleton, "split": split}
            reading |= {"normal": names, "fps": fps}
            reading["image_size"] = None if image_size is None else list(image_size)
            tracks = read_data(data, format_, skeleton, split, fps, image_size=image_size)
            tracks = select_classes(tracks, normal, data)
            refuse_wrong_order(tracks, data, skeleton)
            options = resolve(flags, config, preset, base, tracks)
        # Before the comparison, as the run's configuration has the resolved precision.
        options = distributed.from_first(lambda: run.settle(options, target))
        with distributed.raise_on_all_ranks():
            if saved is not None and distributed.is_first():
                # The path may have changed; the checkpoint compares the poses themselves.
                run.check_resumed(options, reading)
        if saved is not None and distributed.from_first(lambda: run.is_finished(tracks)):
            click.echo(f"{out} is finished: nothing is left to train, and the run stays as it is")
            return
        warn_of_faults(tracks, data)
        click.echo(f"{tracks!r}")
        if distributed.is_first():
            _echo_training(options, flags, tracks.usual_fps)
        if saved is None:
            entries = {"path": str(data), **reading}
            distributed.from_first(lambda: run.write_config(options, data=entries))
        try:
            detector = run.train(
                tracks, options, resume=resume, device=device, tensorboard=tensorboard
            )
        except KeyboardInterrupt:
            if distributed.is_first():
                text = f"interrupted; the same command with --resume resumes (run: {out})"
                click.echo(text, err=True)
            raise SystemExit(130) from None
        click.echo(f"model: {run.model}")
        if detector.network_ is not None:
            click.echo(f"precision: {detector.network_.precision}")
        show_thresholds(detector, tracks)


def _echo_training(options: Options, flags: dict[str, Any], fps: float) -> None:
    """Prints what is trained, and a warning about flags without effect."""
    lengths = ", ".join(map(str, options.frames_of(fps)))
    assumed = ", at an assumed rate of 24 per second (--fps)" if math.isnan(fps) else ""
    click.echo(f"windows of {lengths} frames{'' if options.frames else assumed}")
    if options.needs_network:
        click.echo(f"training a network for mode {options.mode}")
        return
    click.echo(
        "learning the nearest people and a classifier of altered windows, without autoencoder "
        "(--preset gepc or paper trains one)"
    )
    idle = [f"--{name.replace('_', '-')}" for name in NETWORK_OPTIONS if flags[name] is not None]
    if idle:
        click.echo(
            f"warning: no effect of {', '.join(idle)} in mode {options.mode}, which trains no "
            "autoencoder (presets gepc and paper train one)",
            err=True,
        )
