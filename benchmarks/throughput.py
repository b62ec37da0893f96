"""Training, encoding, loading and mixture fitting, side by side with what they replace.

    python benchmarks/throughput.py

Every row is the median of repeats after a warm-up; ratios compare rows of the same run.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import click
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from torch_geometric.loader import DataLoader

from gepc_geo.datasets import simulate_crowd
from gepc_geo.device import pick_device
from gepc_geo.loader import WindowLoader
from gepc_geo.mixture import DirichletProcessMixture
from gepc_geo.nn import STGCAE, reconstruction_loss
from gepc_geo.skeleton import SKELETONS
from gepc_geo.windows import PoseWindows


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Seconds of one call: the median of repeats, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def model_rates(
    name: str, precision: str, device: torch.device, repeats: int
) -> tuple[float, float]:
    """Training and encoding, windows a second, at batch 256 and default sizes."""
    skeleton, batch = SKELETONS[name], 256
    model = STGCAE(3, skeleton.num_joints, 12, adj=skeleton.adjacency()).to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    x = torch.randn(batch, 12, skeleton.num_joints, 3, device=device)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def train() -> None:
        with autocast():
            reconstruction, _ = model(x)
        optimizer.zero_grad()
        reconstruction_loss(reconstruction.float(), x).backward()
        optimizer.step()

    @torch.no_grad()
    def encode() -> None:
        with autocast():
            model.encode(x)

    model.train()
    training = batch / median_seconds(train, repeats)
    model.eval()
    return training, batch / median_seconds(encode, repeats)


@click.command()
@click.option("--device", default="auto", show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--rows", default=100_000, show_default=True, help="Rows of the mixture.")
def main(device: str, repeats: int, rows: int) -> None:
    """Print the tables."""
    target = pick_device(device)
    click.echo(f"device {target}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    click.echo("\nmodel, 12 frames, batch 256     train windows/s  encode windows/s")
    for name in ("coco18", "box5"):
        for precision in ("fp32", "bf16"):
            train, encode = model_rates(name, precision, target, repeats)
            click.echo(f"  {name:8s}{precision:22s}{train:15,.0f}{encode:18,.0f}")
    windows = PoseWindows(simulate_crowd("train", num_clips=12), 12, 1)
    ours = median_seconds(lambda: list(WindowLoader(windows, 512, device=target)), repeats)
    theirs = median_seconds(lambda: list(DataLoader(windows, batch_size=512)), max(1, repeats // 2))
    click.echo("\nloader, batch 512                   windows/s")
    click.echo(f"  WindowLoader               {len(windows) / ours:15,.0f}")
    click.echo(f"  PyG DataLoader             {len(windows) / theirs:15,.0f}")
    click.echo(f"  ratio                      {theirs / ours:15.1f}")
    x = torch.randn(rows, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    common = {"n_components": 20, "tol": 0.0, "max_iter": 10}
    kind = "dirichlet_process"
    reference = BayesianGaussianMixture(**common, weight_concentration_prior_type=kind)
    placed = x.to(target)
    few = max(1, repeats // 2)
    ours = median_seconds(lambda: DirichletProcessMixture(**common).fit(placed), few)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = median_seconds(lambda: reference.fit(x.numpy()), few)
    click.echo(f"\nDP mixture, {rows:,} x 20, 20 components, 10 iterations    seconds")
    click.echo(f"  gepc_geo                   {ours:15.2f}")
    click.echo(f"  scikit-learn (CPU)         {theirs:15.2f}")
    click.echo(f"  ratio                      {theirs / ours:15.1f}")


if __name__ == "__main__":
    main()
