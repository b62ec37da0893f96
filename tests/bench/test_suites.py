"""Each suite runs at small size; results are written completely."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from gepc_geo.bench import fit, kernels, layer, measure, mixture, model, suites
from gepc_geo.cli import main

CPU = torch.device("cpu")


def test_times_are_medians_of_alternating_calls_without_the_first(monkeypatch):
    now, order = [0.0], []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])

    def work(name, *seconds):
        """Advances the clock at each call."""
        left = iter(seconds)

        def call():
            order.append(name)
            now[0] += next(left)

        return call

    medians = measure.milliseconds(
        work("a", 9, 1, 3, 2), work("b", 9, 60, 50, 10), seconds=1.0, device=CPU
    )
    assert medians == [2000, 50_000]
    assert order == ["a", "b"] * 4


def test_peak_memory_counts_what_is_held_at_once():
    def work():
        for _ in range(3):
            torch.ones(1 << 20)  # 4 MB, and gone
        return torch.ones(1 << 20) + torch.ones(1 << 20)

    assert 11.9 < measure.peak_megabytes(work, CPU) < 13


def test_the_roofline_is_the_measured_rate_of_products_and_copies(monkeypatch):
    products = []

    def two_milliseconds(work, *, seconds, device):
        with FlopCounterMode(display=False) as counter:
            products.append((work().dtype, counter.get_total_flops()))
        return [2.0]

    monkeypatch.setattr(measure, "milliseconds", two_milliseconds)
    assert list(measure.roofline(CPU, ["fp32"], size=64)) == ["fp32", "copy"]
    products.clear()
    most = measure.roofline(CPU, size=64)
    flops = 2 * 64**3
    assert products[:2] == [(torch.float32, flops), (torch.bfloat16, flops)]
    assert most["fp32"] == most["bf16"] == pytest.approx(flops / 2e-3 / 1e9)
    # 64 million values of 4 bytes are read and written.
    assert most["copy"] == pytest.approx(2 * 4 * 2**26 / 2e-3 / 1e9)


def test_layer_rows_compare_with_the_first_of_their_group():
    rows = layer.run(CPU, skeletons=("box5",), batches=(16,), edges=(100,), seconds=0.01)
    names = [row["name"] for row in rows]
    assert names[:3] == ["ordinary", "dense", "sparse"] and "GATv2Conv" in names
    assert rows[0]["ratio"] == 1
    assert rows[1]["ratio"] == rows[0]["both"] / rows[1]["both"] and rows[1]["goal"] == ">= 2"
    last = rows[-1]
    stock = next(row for row in rows if row["where"] == "100 edges" and row["name"] == "GATConv")
    assert last["ratio"] == last["both"] / stock["both"] / 6


def test_model_rows_come_from_processes_of_their_own(programs, monkeypatch):
    # Without native bfloat16 there is no variant in it.
    monkeypatch.setattr(model, "native_bf16", lambda device: False)
    monkeypatch.setattr(
        model, "roofline", lambda device, names: {**dict.fromkeys(names, 50.0), "copy": 5.0}
    )
    rows = model.run(CPU, batches=(2,), rounds=1, seconds=0.05)
    by = {(row["where"], row["name"]): row for row in rows}
    assert len(by) == 5
    kinds = [[who, "fp32", "cpu", "2", "0.05"] for who in ("ordinary", "gepc_geo")]
    assert programs == [(kind, more) for more in ({}, model.TUNED) for kind in kinds]
    train, ours = by["train, batch 2", "ordinary, fp32"], by["train, batch 2", "gepc_geo, fp32"]
    assert train["ratio"] == 1 and ours["ratio"] == ours["rate"] / train["rate"]
    flops = model.ordinary_flops()["train"]
    assert ours["gflops"] == pytest.approx(flops * ours["rate"] / 1e9)
    assert ours["of_peak"] == ours["gflops"] / 50 and ours["rate_tuned"] > 0
    # At 5 GB/s, memory traffic takes longer than the products.
    moved = model.ordinary_bytes()["train"]
    assert moved / 5e9 > flops / 50e9
    assert ours["of_roofline"] == pytest.approx(ours["rate"] * moved / 5e9)
    assert "bf16" not in by["machine", "measured peak"]


def test_ordinary_flops_are_those_of_the_public_sizes():
    flops = model.ordinary_flops()
    # 84 and 571 MFLOP in the public implementation, whose layers differ a little.
    assert 70e6 < flops["encode"] < 100e6 and 450e6 < flops["train"] < 700e6


def test_traffic_counts_what_operators_read_and_write():
    x = torch.ones(4, 5)
    with measure.Traffic() as traffic:
        y = x.t() @ x
        y.view(-1).relu_()
    # 20 and 20 values give 25, which are changed in place; views cost nothing.
    assert traffic.total == 4 * (20 + 20 + 25 + 25 + 25)


def test_shares_of_operators_in_a_step_sum_to_one(monkeypatch):
    monkeypatch.setattr(kernels, "variants", lambda device: model.VARIANTS[:2])
    rows = kernels.run(CPU, batch=2, steps=1, most=3)
    for who in ("ordinary, fp32", "gepc_geo, fp32"):
        mine = [row for row in rows if row["where"] == who]
        shares = [row["share"] for row in mine[:-1]]
        assert len(shares) == 5 and shares[:3] == sorted(shares[:3], reverse=True)
        assert sum(shares) == pytest.approx(1, abs=0.1) and min(shares) >= 0
        assert mine[0]["name"].startswith("aten::")
        assert mine[-1]["milliseconds"] > 0 and mine[-1]["megabytes"] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_shares_are_those_of_kernels():
    """All variants, including compiled steps."""
    device = torch.device("cuda")
    rows = kernels.run(device, batch=64, steps=2, most=3)
    for who, precision in model.variants(device):
        mine = [row for row in rows if row["where"] == f"{who}, {precision}"]
        shares = [row["share"] for row in mine[:-1]]
        assert len(shares) == 5 and sum(shares) == pytest.approx(1, abs=0.1)
        assert not mine[0]["name"].startswith("aten::") and mine[-1]["milliseconds"] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_mixtures_and_peaks_are_measured_there():
    device = torch.device("cuda")
    (row,) = mixture.run(device, sizes=((500, 3),))
    assert row["difference"] < 1e-9
    taken = measure.peak_megabytes(lambda: torch.ones(1 << 20, device=device), device)
    assert taken == pytest.approx(4)


def test_mixtures_agree_at_equal_iterations_from_one_start():
    (row,) = mixture.run(CPU, sizes=((500, 3),))
    assert row["difference"] < 1e-9
    assert row["ratio"] == row["theirs"] / row["ours"] > 0


def test_rows_of_alternating_fits_compare_with_the_ordinary_network(programs, monkeypatch):
    monkeypatch.setattr(fit, "VARIANTS", fit.VARIANTS[::2])
    rows = fit.run(CPU, clips=2, budget=64, rounds=1, hidden=1)
    for who, (words, _) in zip(fit.VARIANTS, programs, strict=True):
        assert tuple(words[: len(who)]) == who
    names = ["ordinary, fp32, none", "gepc_geo, auto, none", "gepc_geo, no network, fp32, vary"]
    assert [row["name"] for row in rows] == names
    assert rows[0]["ratio"] == 1 and rows[1]["ratio"] == rows[0]["seconds"] / rows[1]["seconds"]
    assert rows[1]["goal"] == ">= 3"


def test_the_command_prints_a_table_and_writes_results(monkeypatch, tmp_path):
    rows = [{"suite": "mixture", "where": "here", "name": "this", "ours": 1.5, "goal": ">= 2"}]
    monkeypatch.setitem(suites.SUITES, "mixture", lambda device, quick: rows)
    out = tmp_path / "results.json"
    command = ["bench", "--suite", "mixture", "--device", "cpu", "--out", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "here" in done.output and "1.5" in done.output and ">= 2" in done.output
    content = json.loads(out.read_text())
    assert content["rows"] == rows and content["machine"]["torch"] == torch.__version__
    assert content["command"] == "gepc-geo bench --suite mixture --device cpu"
    refused = CliRunner().invoke(main, [*command[:-1], str(tmp_path / "results.txt")])
    assert refused.exit_code == 2 and "must have suffix .json" in refused.output
