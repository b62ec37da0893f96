"""Two ranks train what one process trains: losses, weights, scores and files are the same.

Most tests share one pair of processes, as starting them takes most of the time. They compute in
double precision: where a gradient is zero (that of a bias before a norm) Adam makes steps out of
rounding errors, and those of float64 are far below its epsilon.
"""

from __future__ import annotations

import csv
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from helpers import NETWORK

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.cli import main
from gepc_geo.density import alterations
from gepc_geo.nn import reduce
from gepc_geo.nn.norm import ChannelNorm, RowNorm
from gepc_geo.options import Options
from gepc_geo.training import trainer
from gepc_geo.training.network import Network
from gepc_geo.utils import distributed

#: A batch that two ranks cannot halve; six steps of reconstruction, four of clustering.
SMALL = {
    **NETWORK,
    # Latents have a multiple of 4 numbers: MKL rounds other products by the place of a row.
    "encoder_channels": [2, 2, 4],
    "budget": 330,
    "batch_size": 33,
    "cluster_share": 0.4,
    "components": 3,
    "stride": 8,
    "score_stride": 8,
    "random_state": 3,
    "holdout": 0.2,
    "checkpoint_seconds": 0.0,
}
# To convergence: how long that takes all ranks have to agree on.
CONVERGED = SMALL | {"budget": None, "patience": 4, "lr": 0.02}
FLAGS = [
    f"--{name.replace('_', '-')}={','.join(map(str, value)) if isinstance(value, list) else value}"
    for name, value in Options(**SMALL).written().items()
    if name == "seed" or name in SMALL
]
WORLD = 2


# -- what both ranks do ------------------------------------------------------------------------


class Stopped(Exception):
    """A run that was killed."""


def in_double(patch: pytest.MonkeyPatch) -> None:
    """Networks in float64; clustering takes all its steps, even if no label changes."""
    build = Network.of

    def build_double(*arguments: Any) -> Network:
        network = build(*arguments)
        network.model.double()
        network.assignment.double()
        return network

    patch.setattr(Network, "of", build_double)
    patch.setattr(torch.Tensor, "float", torch.Tensor.double)
    patch.setattr(trainer, "LABEL_TOLERANCE", 0)
    # Other processes know nothing of the tests' own setting.
    patch.setattr(alterations, "STEPS", 100)


def stopped_fit(tracks: PoseTracks, run: Path, steps: int) -> None:
    """Trains until a step, the checkpoint of the one before it written."""
    clip, calls = torch.nn.utils.clip_grad_norm_, []

    def stop(parameters, norm):
        calls.append(None)
        if len(calls) == steps:
            raise Stopped
        return clip(parameters, norm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.nn.utils.clip_grad_norm_", stop)
        with pytest.raises(Stopped):
            GEPC(**SMALL).fit(tracks, run=run, device="cpu")


def result_of(detector: GEPC, tracks: PoseTracks) -> dict[str, torch.Tensor]:
    """Weights, scores and calibration."""
    scores = detector.window_scores(tracks).scores
    return {
        **{f"model.{k}": v for k, v in detector.network_.model.state_dict().items()},
        **{f"assignment.{k}": v for k, v in detector.network_.assignment.state_dict().items()},
        **{f"scores.{mode}": torch.from_numpy(score) for mode, score in scores.items()},
        "thresholds": torch.tensor(list(detector.calibration_.thresholds.values())),
        "share": torch.tensor(detector.reconstruction_share_),
    }


def refusal(tracks: PoseTracks, run: Path | None = None, **options: object) -> str:
    with pytest.raises(InputError) as error:
        GEPC(**{**SMALL, **options}).fit(tracks, run=run, device="cpu")
    return str(error.value)


def norms(x: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Output, gradients and running statistics of every kind of norm, of this rank's graphs."""
    mine = distributed.share(len(x))
    results = {}
    for name, norm, given in (
        ("channels", ChannelNorm(4), ()),
        ("masked", ChannelNorm(4), (mask[mine],)),
        ("rows", RowNorm(4), ()),
    ):
        norm.double()
        part = x[mine].flatten(0, -2) if name == "rows" else x[mine]
        part = part.clone().requires_grad_(True)
        out = norm(part, *given)
        (out.sin() * part.detach().cos()).sum().backward()
        distributed.sum_gradients(norm.parameters())
        results |= {f"{name}.out": out.detach(), f"{name}.of_x": part.grad}
        results |= {f"{name}.of_{k}": v.grad for k, v in norm.named_parameters()}
        results |= {f"{name}.{k}": v for k, v in norm.named_buffers()}
    return results


def dropout_state(tracks: PoseTracks) -> torch.Tensor:
    """The state of the random numbers when the first dropout mask is drawn."""
    states, original = [], F.dropout

    def recorded(x, p, training):
        if training:
            states.append(torch.get_rng_state())
        return original(x, p, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "dropout", recorded)
        GEPC(**{**SMALL, "budget": 33, "dropout": 0.3}).fit(tracks, device="cpu")
    return states[0]


def decided_precision(tracks: PoseTracks, rank: int) -> str:
    """What auto is on machines of which the second one's alone has instructions for bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gepc_geo.training.precision.native_bf16", lambda device: rank == 1)
        options = {**SMALL, "budget": 33, "precision": "auto"}
        return GEPC(**options).fit(tracks, device="cpu").network_.precision


def command(*words: object) -> dict[str, object]:
    """How a command ended in this rank's process."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    return {"code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}


def work(rank: int, folder: Path, ports: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    os.environ.update(ranks_environment(rank, ports[0]))
    tracks = PoseTracks.load(folder / "poses.npz")
    results = {}
    with pytest.MonkeyPatch.context() as patch, distributed.process_group():
        in_double(patch)
        assert (distributed.rank(), distributed.world()) == (rank, WORLD)
        one = torch.ones(())
        results["totals"] = [reduce.total(one).item()]
        with reduce.across_ranks(True):
            results["totals"].append(reduce.total(one).item())
            results["norms"] = norms(*torch.load(folder / "batch.pt"))
        # A folder for each rank: what lies in the second one's, the second one wrote.
        whole = GEPC(**SMALL).fit(tracks, run=folder / f"two{rank}", device="cpu")
        results["whole"] = result_of(whole, tracks)
        converged = GEPC(**CONVERGED).fit(tracks, run=folder / f"long{rank}", device="cpu")
        results["converged"] = result_of(converged, tracks)
        later = GEPC(**SMALL).fit(tracks, run=folder / "one_two", resume=True, device="cpu")
        results["resumed"] = result_of(later, tracks)
        stopped_fit(tracks, folder / "two_one", 9)
        results["dropout"] = dropout_state(tracks)
        results["precision"] = decided_precision(tracks, rank)
        results["refused"] = {
            "other poses": refusal(tracks.with_(keypoints=tracks.keypoints + rank)),
            "other options": refusal(tracks, lr=1e-3 * (1 + rank)),
            "no number": refusal(tracks, lr=1e30),
            "no folder": refusal(tracks, run=folder / "poses.npz"),
        }
    # Commands begin and end a group of their own.
    run, poses, bad = folder / "torchrun", folder / "poses.npz", folder / "missing.npz"
    for port, (name, *words) in zip(
        ports[1:],
        (
            ("train", "train", (poses, bad)[rank], "--out", folder / "refused"),
            ("score", *scoring(run, poses), folder / "shared.npz"),
        ),
        strict=True,
    ):
        os.environ.update(ranks_environment(rank, port))
        results[name] = command(*words)
    torch.save(results, folder / f"results{rank}.pt")


def scoring(run: Path, poses: Path) -> list[object]:
    """A command that scores, but for the file that it writes."""
    return ["score", run, poses, "--smooth", "2", "--device", "cpu", "--out"]


def ranks_environment(rank: int, port: int) -> dict[str, str]:
    """What torchrun sets."""
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": WORLD, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in values.items()}}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# -- the tests ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(walkers, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    walkers.save(folder / "poses.npz")
    return folder


@pytest.fixture(scope="module")
def one(files, walkers) -> dict[str, torch.Tensor]:
    """The uninterrupted run of one process; another one stops in the first stage."""
    with pytest.MonkeyPatch.context() as patch:
        in_double(patch)
        stopped_fit(walkers, files / "one_two", 4)
        detector = GEPC(**SMALL).fit(walkers, run=files / "one", device="cpu")
        return result_of(detector, walkers)


@pytest.fixture(scope="module")
def batch(files) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 6, 4, generator=generator, dtype=torch.float64)
    mask = torch.rand(5, 6, generator=generator) < 0.6
    torch.save((x, mask), files / "batch.pt")
    return x, mask


@pytest.fixture(scope="module")
def two(files, one, batch, trained) -> list[dict]:
    """What each of two ranks got."""
    ports = tuple(free_port() for _ in range(3))
    torch.multiprocessing.spawn(work, (files, ports), nprocs=WORLD)
    return [torch.load(files / f"results{rank}.pt", weights_only=False) for rank in range(WORLD)]


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-7, msg=name)


def losses(folder: Path) -> tuple[list[str], torch.Tensor]:
    """The stage of each row of ``losses.csv``, and its numbers but for the times; NaN: none."""
    with (folder / "losses.csv").open(newline="") as stream:
        rows = [list(row.values())[:-1] for row in csv.DictReader(stream)]
    numbers = [[float(value or "nan") for value in values] for _, *values in rows]
    return [stage for stage, *_ in rows], torch.tensor(numbers, dtype=torch.float64)


def assert_same_losses(folder: Path, other: Path) -> None:
    (stages, numbers), (expected_stages, expected) = losses(folder), losses(other)
    assert stages == expected_stages
    torch.testing.assert_close(numbers, expected, rtol=1e-4, atol=0, equal_nan=True)


@pytest.mark.slow
def test_two_ranks_train_what_one_process_trains(one, two, files):
    assert_close(two[0]["whole"], one)
    assert_same_losses(files / "two0", files / "one")
    assert set(losses(files / "one")[0]) == {"reconstruction", "clustering"}


@pytest.mark.slow
def test_two_ranks_converge_when_one_process_does(two, files, walkers, monkeypatch):
    in_double(monkeypatch)
    detector = GEPC(**CONVERGED).fit(walkers, run=files / "long", device="cpu")
    assert_close(two[0]["converged"], result_of(detector, walkers))
    assert_same_losses(files / "long0", files / "long")


@pytest.mark.slow
def test_all_ranks_end_with_the_same_detector(two):
    for name in ("whole", "resumed", "converged"):
        for key, value in two[0][name].items():
            assert torch.equal(value, two[1][name][key]), key


@pytest.mark.slow
def test_only_the_first_rank_writes(two, files):
    assert {path.name for path in (files / "two0").iterdir()} == {"checkpoint.pt", "losses.csv"}
    assert not (files / "two1").exists()


@pytest.mark.slow
def test_run_of_one_process_is_resumed_by_two(one, two, files):
    assert_close(two[0]["resumed"], one)
    assert_same_losses(files / "one_two", files / "one")


@pytest.mark.slow
def test_run_of_two_ranks_is_resumed_by_one_process(one, two, files, walkers, monkeypatch):
    in_double(monkeypatch)
    assert losses(files / "two_one")[0][-1] == "clustering"
    detector = GEPC(**SMALL).fit(walkers, run=files / "two_one", resume=True, device="cpu")
    assert_close(result_of(detector, walkers), one)
    assert_same_losses(files / "two_one", files / "one")


@pytest.mark.slow
def test_norm_statistics_and_gradients_are_those_of_the_whole_batch(two, batch):
    whole, (first, second) = norms(*batch), (result["norms"] for result in two)
    for name, expected in whole.items():
        parts = name.endswith((".out", ".of_x"))
        value = torch.cat([first[name], second[name]]) if parts else first[name]
        torch.testing.assert_close(value, expected, msg=name)
        if not parts:
            assert torch.equal(first[name], second[name])


@pytest.mark.slow
def test_networks_communicate_only_in_training(two):
    assert [result["totals"] for result in two] == [[1, WORLD]] * WORLD


@pytest.mark.slow
def test_ranks_have_different_dropout_masks(two):
    assert not torch.equal(two[0]["dropout"], two[1]["dropout"])


@pytest.mark.slow
def test_the_first_rank_decides_on_the_precision_of_all(two):
    assert [result["precision"] for result in two] == ["fp32", "fp32"]


@pytest.mark.slow
def test_all_ranks_refuse_what_one_rank_refuses(two):
    for name, message in {
        "other poses": "or options must be the same on all ranks, got others on rank 1",
        "other options": "or options must be the same on all ranks, got others on rank 1",
        "no number": "the reconstruction loss must be finite, got inf at step 2",
        "no folder": "could not write ",
    }.items():
        for result in two:
            assert message in result["refused"][name]


def commands(*arguments: list[str]) -> list[subprocess.CompletedProcess]:
    """Runs a command on each rank."""
    port, processes = free_port(), []
    for rank, line in enumerate(arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **ranks_environment(rank, port)}
        command = [sys.executable, "-m", "gepc_geo", *line]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=environment, **pipes))
    ends = [process.communicate(timeout=300) for process in processes]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *end)
        for process, end in zip(processes, ends, strict=True)
    ]


def torchrun(*arguments: object, world: int = WORLD) -> subprocess.CompletedProcess:
    """Runs a command on both ranks, each on one thread."""
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}"]
    end = subprocess.run(
        [*launch, "-m", "gepc_geo", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert end.returncode == 0, end.stderr
    return end


@pytest.fixture(scope="module")
def trained(files) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder of a run, and what the command that trained it printed."""
    out = files / "torchrun"
    return out, torchrun("train", files / "poses.npz", "--out", out, *FLAGS)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_bad_input_of_one_rank_ends_all_with_one_sentence(files, trained):
    """As processes of their own: their standard errors hold that sentence and nothing else."""
    out = files / "refused.csv"
    good, bad = (
        ["score", str(trained[0]), str(files / name), "--out", str(out)]
        for name in ("poses.npz", "missing.npz")
    )
    ends = commands(good, bad)
    assert [end.returncode for end in ends] == [2, 2]
    (line,) = "".join(end.stderr for end in ends).splitlines()
    assert line.startswith("Error: ") and "missing.npz does not exist" in line
    assert not "".join(end.stdout for end in ends) and not out.exists()


@pytest.mark.slow
def test_bad_input_of_one_rank_ends_training_with_one_sentence(files, two):
    ends = [result["train"] for result in two]
    assert [end["code"] for end in ends] == [2, 2]
    (line,) = "".join(end["stderr"] for end in ends).splitlines()
    assert line.startswith("Error: ") and "missing.npz does not exist" in line
    assert not "".join(end["stdout"] for end in ends) and not (files / "refused").exists()


def test_torchrun_trains_one_model(trained):
    out, end = trained
    assert end.stdout.count("model: ") == 1 == end.stdout.count("PoseTracks(")
    assert end.stderr.count("reconstruction: ") == 1
    names = {"config.yaml", "losses.csv", "checkpoint.pt", "model.pt"}
    assert {path.name for path in out.iterdir()} == names
    assert math.isfinite(GEPC.load(out / "model.pt", device="cpu").threshold_)


@pytest.mark.slow
def test_two_ranks_write_the_scores_of_one_process(files, trained, two, one_thread):
    score = [*scoring(trained[0], files / "poses.npz"), files / "whole.npz"]
    assert command(*score)["code"] == 0
    ends = [result["score"] for result in two]
    assert [end["code"] for end in ends] == [0, 0]
    assert (files / "shared.npz").read_bytes() == (files / "whole.npz").read_bytes()
    stdout, stderr = ("".join(end[name] for end in ends) for name in ("stdout", "stderr"))
    assert stdout.count(" rows (frame level) in ") == 1 and stderr.count("scoring: ") == 1


@pytest.mark.skipif(torch.cuda.device_count() < WORLD, reason="fewer than two CUDA devices")
def test_two_gpus_train_as_one_does(files):
    """Over NCCL, in float32: the first steps, before rounding has grown."""
    losses = []
    for world in (1, WORLD):
        out = files / f"gpus_{world}"
        flags = [*FLAGS, "--device", "cuda", "--precision", "fp32"]
        torchrun("train", files / "poses.npz", "--out", out, *flags, world=world)
        with (out / "losses.csv").open(encoding="utf-8", newline="") as stream:
            losses.append([float(row["loss"]) for row in csv.DictReader(stream)])
    assert len(losses[0]) == len(losses[1])
    assert losses[1][:4] == pytest.approx(losses[0][:4], rel=1e-3)


def test_rank_variables_without_an_address_start_no_group(monkeypatch):
    """As some schedulers leave them: nobody to join."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with distributed.process_group():
        assert distributed.world() == 1 and distributed.is_first()


def test_one_gpu_on_two_ranks_is_refused_whatever_its_number(monkeypatch):
    mine = SimpleNamespace(uuid="b")
    others = [("cuda:0", "a"), ("cpu", None), ("cpu", None)]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: mine)
    monkeypatch.setattr(distributed, "all_objects", lambda own: [*others, own])
    distributed.check_different_gpus(torch.device("cuda:0"))
    distributed.check_different_gpus(torch.device("cpu"))
    mine.uuid = "a"
    with pytest.raises(InputError, match="got 'cuda:1' on rank 3, which is the GPU of rank 0"):
        distributed.check_different_gpus(torch.device("cuda:1"))


def test_shares_are_all_rows_in_order(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 4)
    for count in (0, 3, 4, 10):
        parts = []
        for rank in range(4):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts.append(list(range(count))[distributed.share(count)])
        assert [row for part in parts for row in part] == list(range(count))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
