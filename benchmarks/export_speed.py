"""File sizes and windows a second of a detector, onnxruntime and the exported program.

    python benchmarks/export_speed.py
    python benchmarks/export_speed.py --run runs/mine --batch 1 --batch 64 --batch 512

Without --run, the detector is the default, fitted to a simulated crowd; with --mode, it has an
untrained network of default size. Each runtime has one thread and the same key points of windows of
the longest length. The detector itself runs ``GEPC.window_scores``, which also extracts windows, of
all lengths, in batches of 512. Rates count windows of the longest length. They are medians of
repeats after a warm-up, in float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch

from gepc_geo import GEPC
from gepc_geo.bench.measure import median_seconds
from gepc_geo.cli.refusal import Command
from gepc_geo.cli.run import Run
from gepc_geo.datasets.simulate import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.export import FORMATS, export
from gepc_geo.options import MODES
from gepc_geo.windows.loader import WindowLoader, to_dense


def rate(work: Callable[[], object], windows: int, repeats: int) -> float:
    """Windows a second of a function, after a warm-up call."""
    return windows / median_seconds(work, repeats)


@click.command(cls=Command)
@click.option("--run", type=click.Path(path_type=Path), help="A trained run.")
@click.option(
    "--mode", type=click.Choice(MODES), default=MODES[0], show_default=True, help="Without --run."
)
@click.option(
    "--batch", "batches", type=int, multiple=True, default=(1, 64, 512), show_default=True
)
@click.option("--repeats", default=3, show_default=True)
def main(run: Path | None, mode: str, batches: tuple[int, ...], repeats: int) -> None:
    """Print the table."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError("onnxruntime must be installed: pip install 'gepc_geo[export]'") from None
    torch.set_num_threads(1)
    crowd = simulate_crowd("train", num_clips=12, frames_per_clip=96, random_state=0)
    if run is None:
        detector = GEPC(mode=mode, budget=0, precision="fp32").fit(crowd, device="cpu")
    else:
        detector = Run(run).load(device="cpu")
        if detector.network_ is not None:
            detector.network_.precision = "fp32"
    windows = detector.windows(crowd).of_length(detector.lengths_[-1])
    if len(windows) < max(batches) or min(batches) < 1:
        raise InputError(
            f"--batch must be between 1 and {len(windows)}, got {', '.join(map(str, batches))}"
        )
    chosen = torch.arange(max(batches))
    batch = WindowLoader(windows, batch_size=len(chosen)).gather(chosen)
    x = to_dense(batch.x, detector.skeleton_.num_joints).contiguous()
    image_size = batch.image_size
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        files = dict(zip(FORMATS, (Path(folder) / "m.onnx", Path(folder) / "m.pt2"), strict=True))
        for format_, path in files.items():
            graph = export(detector, path, format_)
        detector.save(Path(folder) / "model.pt")
        size = {name: path.stat().st_size / 1e6 for name, path in files.items()}
        size["ours"] = (Path(folder) / "model.pt").stat().st_size / 1e6
        session = onnxruntime.InferenceSession(files["onnx"], settings)
        program = torch.export.load(files["torch"]).module()

    def inputs(count: int) -> tuple[torch.Tensor, ...]:
        return (x[:count], image_size[:count]) if graph.needs_image_size else (x[:count],)

    def onnx(count: int) -> np.ndarray:
        names = [entry.name for entry in session.get_inputs()]
        feeds = {n: value.numpy() for n, value in zip(names, inputs(count), strict=True)}
        return session.run(["score"], feeds)[0]

    def torch_program(count: int) -> np.ndarray:
        with torch.no_grad():
            return program(*inputs(count))[0].numpy()

    with torch.no_grad():
        ours = graph(*inputs(len(chosen)))[0].numpy()
    own_rate = rate(lambda: detector.window_scores(crowd, (detector.mode,)), len(windows), repeats)
    click.echo(f"| {detector.mode} | MB | largest difference | windows/s |")
    click.echo("|---|---|---|---|")
    click.echo(f"| ours | {size['ours']:.1f} | | {own_rate:,.0f} |")
    for name, label, work in (
        ("onnx", "onnxruntime", onnx),
        ("torch", "exported torch", torch_program),
    ):
        gap = np.abs(work(len(chosen)) - ours).max()
        for count in batches:
            speed = rate(lambda work=work, count=count: work(count), count, repeats)
            click.echo(f"| {label}, batch {count} | {size[name]:.1f} | {gap:.0e} | {speed:,.0f} |")


if __name__ == "__main__":
    main()
