"""Examples and benchmarks run as scripts at small size."""

from __future__ import annotations

import functools
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import NETWORK, ROOT, script

from gepc_geo import GEPC, InputError, PoseTracks
from gepc_geo.datasets import NWUCLA, PennAction, simulate_crowd
from gepc_geo.datasets.simulate import KINDS
from gepc_geo.experiments.protocol import Task
from gepc_geo.options import Options


@pytest.fixture
def output(monkeypatch, capsys) -> Iterator[Callable[..., str]]:
    """Runs a script in this process, because a new process takes seconds."""
    threads = torch.get_num_threads()

    def run(path: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / path), run_name="__main__")
        printed = capsys.readouterr()
        assert end.value.code == 0, printed.err
        return printed.out

    yield run
    torch.set_num_threads(threads)


def test_nearest_neighbour_on_real_clips(output, real_data):
    text = output(
        "examples/nearest_neighbour.py", "nw_ucla", real_data("nw_ucla"), "--normal", "4,5,6"
    )
    auc = float(re.fullmatch(r"clip AUC (0\.\d+)\n", text)[1])
    assert 0.7 < auc < 1


def test_examples_refuse_bad_input_in_one_sentence(tmp_path):
    """In a new process, standard error has one sentence only."""
    command = [sys.executable, "examples/nearest_neighbour.py", "nw_ucla", str(tmp_path)]
    done = subprocess.run(
        [*command, "--normal", "4"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"Error: .*\n", done.stderr) and str(tmp_path) in done.stderr


def test_plot_draws_measured_rates_and_refuses_other_files(output, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        {
            "suite": "model",
            "where": f"{work}, batch {batch}",
            "name": name,
            "rate": 9.0,
            "of_peak": 0.5,
            "of_roofline": 0.8,
        }
        for work in ("train", "encode")
        for batch in (64, 256)
        for name in ("ordinary, fp32", "gepc_geo, bf16")
    ]
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"rows": [*rows, {"suite": "layer"}]}))
    output("benchmarks/plot.py", results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    results.write_text(json.dumps({"rows": []}))
    done = CliRunner().invoke(
        script("benchmarks/plot.py").main, [str(results), str(tmp_path / "other.png")]
    )
    assert done.exit_code == 2 and "must have rows of the suite model" in done.stderr
    assert not (tmp_path / "other.png").exists()


@pytest.mark.slow
def test_aggregation_prints_and_draws(output, tmp_path):
    path = tmp_path / "a.png"
    text = output("benchmarks/aggregation.py", "--most", 40_000, "--repeats", 1, "--out", path)
    assert len(re.findall(r"^ +[\d,]+ +\d+\.\d{3} +\d+\.\d{3}$", text, flags=re.M)) == 6
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_scoring_memory_prints_and_draws(output, tmp_path):
    path = tmp_path / "m.png"
    text = output(
        *("benchmarks/scoring_memory.py", "--windows", "2000", "--stride", 8),
        *("--clips", 2, "--out", path),
    )
    (added,) = re.findall(r"^ +[\d,]+ +\d+ +\d+ +(\d+)$", text, flags=re.M)
    assert int(added) < 300
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_enough_people_prints_a_row_for_each_number(output):
    text = output("benchmarks/enough_people.py", "--clips", 2, "--repeats", 1, "--draws", 20)
    rows = re.findall(r"^ +(\d+)  0\.\d{3} \([\d,]+\)$", text, re.M)
    assert rows[:3] == ["2", "4", "8"]
    assert re.search(r"^ +5  0\.\d{3} to 0\.\d{3}  [01]\.\d\d$", text, re.M)


def printed(module: ModuleType, *arguments: object) -> str:
    """Output of a benchmark, run in this process."""
    result = CliRunner().invoke(
        module.main, [str(one) for one in arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def few() -> PoseTracks:
    """Replaces the crowd of a benchmark with the smallest one."""
    return simulate_crowd("train", num_clips=2, frames_per_clip=24, random_state=0)


# One block of one branch, as tracing every further one takes a while.
_BLOCK = dict(
    branches=["static"], encoder_channels=[2], strides=[1], decoder_channels=[2], augment="none"
)
_small = functools.partial(GEPC, **{**NETWORK, **_BLOCK})


@pytest.mark.slow
def test_online_latency_prints_a_row_a_stride(monkeypatch):
    module = script("benchmarks/online_latency.py")
    monkeypatch.setattr(module, "GEPC", _small)
    text = printed(
        module,
        *("--people", 2, "--fps", 1000, "--frames", 4, "--hidden", 1, "--mode", "latent"),
        *("--strides", "1,8", "--device", "cpu", "--precision", "fp32"),
    )
    assert re.search(r"^mode latent, windows of 12\b.* frames, hidden 1, fp32$", text, flags=re.M)
    assert len(re.findall(r"^ +[18]( +\d+){4}  (?:yes|no)$", text, flags=re.M)) == 2


@pytest.mark.slow
def test_export_speed_compares_the_runtimes(few, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    module = script("benchmarks/export_speed.py")
    monkeypatch.setattr(module, "GEPC", functools.partial(_small, lengths=["8", "12"]))
    monkeypatch.setattr(module, "simulate_crowd", lambda *_, **__: few)
    threads = torch.get_num_threads()
    try:
        text = printed(module, "--batch", 2, "--repeats", 1)
    finally:
        torch.set_num_threads(threads)
    rows = re.findall(r"^\| (onnxruntime|exported torch), batch 2 \| \S+ \| (\S+) ", text, re.M)
    assert len(rows) == 2 and all(float(gap) < 1e-4 for _, gap in rows)


@pytest.mark.slow
def test_adapt_speed_prints_seconds(few, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = script("benchmarks/adapt_speed.py")
    monkeypatch.setattr(sys.modules["online_latency"], "GEPC", _small)
    monkeypatch.setattr(module, "simulate_crowd", lambda *_, **__: few)
    text = printed(
        module,
        *("--windows", 50, "--hidden", 1),
        *("--device", "cpu", "--precision", "fp32"),
    )
    assert "mode combined, windows of 12" in text
    scored, learned = re.search(r"windows +(\d+) scored, (\d+) learned\n", text).groups()
    assert int(scored) > int(learned) > 0
    assert re.search(r"seconds +\d+\.\d \(goal: 20\)", text)


@pytest.mark.slow
def test_choose_training_trains_variants_on_validation_crowds(monkeypatch):
    module = script("benchmarks/choose_training.py")
    crowd = functools.partial(simulate_crowd, num_clips=9, frames_per_clip=60)
    monkeypatch.setattr(module, "simulate_crowd", crowd)
    small = "stride=24,score_stride=12,augment=none"
    network = f"{small},mode=assignment,budget=128,hidden=1,clusters=3,components=2"
    variants = ("--variant", small, "--variant", network)
    text = printed(module, "--seed", 100, *variants, "--device", "cpu")
    plain, other = re.findall(r"^.* crowd 100  .*$", text, re.M)
    assert re.search(r"crowd 100  combined 0\.\d{3}  nearest 0\.\d{3}  altered 0\.\d{3}$", plain)
    assert re.search(r"crowd 100  combined 0\.\d{3} .* assignment 0\.\d{3} .*reconstruction", other)


def test_choose_training_refuses_variants_in_one_sentence(output):
    for variant, message in (
        ("hidden", "--variant must be NAME=VALUE, got 'hidden'"),
        ("nosuch=1", "got 'nosuch'"),
        ("hidden=x", "the command line: hidden must be a whole number, got 'x'"),
    ):
        command = [sys.executable, "benchmarks/choose_training.py", "--variant", variant]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 2 and message in done.stderr


def test_validation_halves_hold_nothing_of_a_test_half(real_data):
    module = script("benchmarks/validation_halves.py")
    for make, source in ((module.penn_action, PennAction), (module.nw_ucla, NWUCLA)):
        folder = real_data("penn_action" if source is PennAction else "nw_ucla")
        tracks, official = make(folder), source(folder).tracks().select(split="train")
        assert sorted(tracks.clip_names) == sorted(official.clip_names)
        halves = {half: tracks.select(split=half) for half in ("train", "test")}
        assert sum(half.num_clips for half in halves.values()) == official.num_clips
        assert min(half.num_clips for half in halves.values()) > 0.4 * official.num_clips
        if source is NWUCLA:
            people = [
                {re.search(r"_s(\d+)_", name)[1] for name in half.clip_names}
                for half in halves.values()
            ]
            assert len(set.union(*people)) == 10 and not people[0] & people[1]
            assert set(tracks.camera) == {"v1", "v2"}
            turned = make(folder, "even").select(split="train")
            assert turned.clip_names == halves["test"].clip_names
            for view in "12":
                assert set(make(folder, f"view{view}").select(split="train").camera) == {f"v{view}"}


def test_words_of_anomalies_are_counted(output, monkeypatch):
    """A crowd with a clip of each kind."""
    small = functools.partial(simulate_crowd, frames_per_clip=72)

    def crowd(split: str, random_state: int) -> PoseTracks:
        return small(split, num_clips=12 if split == "train" else 9, random_state=random_state)

    monkeypatch.setattr("gepc_geo.datasets.simulate_crowd", crowd)
    lines = output("benchmarks/why.py", "--seed", 3, "--each").splitlines()
    header = lines.index("crowds 3")
    assert lines[header + 1].split()[:4] == ["kind", "events", "right", "nothing"]
    kinds = [line.split()[0] for line in lines[header + 2 :]]
    assert kinds == [*KINDS, "normal"]
    (waving,) = (line.split() for line in lines if line.startswith("waving"))
    words = [line for line in lines if line.startswith("3 waving")]
    right = ["arms above the head" in line for line in words if not line.endswith(": ")]
    assert int(waving[1]) == len(right)
    assert not right or float(waving[2]) == round(np.mean(right), 2)


@pytest.mark.slow
def test_ablation_measures_variants_and_resumes(output, monkeypatch, tmp_path):
    """Two tasks, of clips and of frames; finished tasks do not run again."""
    module = script("benchmarks/ablation.py")
    monkeypatch.setitem(sys.modules, "ablation_script", module)
    train, test = (
        simulate_crowd(split, num_clips=4, frames_per_clip=60, random_state=1)
        for split in ("train", "test")
    )
    crowd = Task(train, test, test.frame_labels)
    clip = Task(train, test, (np.array(test.clip_label) != "normal").astype(np.int8))
    tasks = [
        module.Case("clip", "clips", "a", Options(frames=12), lambda: clip),
        module.Case("frame", "crowd", "b", Options(lengths=["12"], score_stride=4), lambda: crowd),
    ]
    monkeypatch.setattr(module, "cases", lambda folder, seeds: tasks)

    def run() -> list[str]:
        arguments = ["--validation", str(tmp_path), "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(
            module.main, [*arguments, "--variant", "nearest person", "--variant", "0.5s alone"]
        )
        assert done.exit_code == 0, done.output
        return (tmp_path / "out" / "table.md").read_text().splitlines()

    head, _, default, *parts = run()
    assert head == "| variant | clips | frames | clips | crowd |"
    assert [line.split(" | ")[0][2:] for line in parts] == [
        "nearest alone",
        "altered alone",
        "nearest person",
        "0.5s alone",
    ]
    assert 0 <= float(default.split(" | ")[1]) <= 1
    # Lengths do not apply to clips.
    assert parts[-1].split(" | ")[1] == "" and "[" in parts[-1].split(" | ")[2]
    monkeypatch.setattr(module, "measure", None)
    assert run() == [head, "|---|---:|---:|---:|---:|", default, *parts]


def test_bad_input_of_budget_and_validation_halves_is_refused(tmp_path):
    for name, arguments, message in (
        (
            "budget",
            ["--data", "x.npz", "--budgets", "0,abc"],
            "--budgets must be whole numbers from 1, separated by commas, got '0,abc'",
        ),
        ("validation_halves", [], "at least one of --penn and --ucla must be given"),
    ):
        main = script(f"benchmarks/{name}.py").main
        done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out")])
        assert done.exit_code == 2 and message in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_budget_is_a_study_and_a_point_of_the_plot(output, actions, tmp_path):
    pytest.importorskip("matplotlib")
    actions.save(tmp_path / "actions.npz")
    (tmp_path / "splits.yaml").write_text("still: [bow, stand]\n")
    (tmp_path / "small.yaml").write_text(
        "hidden: 1\nclusters: 3\ncomponents: 2\naugment: none\nprecision: fp32\n"
    )
    command = ["benchmarks/budget.py", "--data", tmp_path / "actions.npz", "--budgets", "128,64"]
    command += ["--splits", tmp_path / "splits.yaml", "--config", tmp_path / "small.yaml"]
    command += ["--device", "cpu", "--methods", "gepc,softmax", "--out", tmp_path / "out"]
    text = output(*command)
    assert " softmax 0." in text and " gepc" not in text
    values = re.findall(r"^ +(64|128) passes .* nearest ([01]\.\d+)", text, flags=re.MULTILINE)
    assert [budget for budget, _ in values] == ["64", "128"]
    for budget, value in values:
        table = (tmp_path / f"out/budget_{budget}/table.csv").read_text()
        (row,) = [row.split(",") for row in table.splitlines() if row.startswith("gepc:nearest,")]
        mean = (float(row[1]) + float(row[3])) / 2
        assert float(value) == pytest.approx(mean, abs=6e-4)
    assert (tmp_path / "out/budget.png").stat().st_size > 1_000
    # A second run does not train.
    assert output(*command) == text


@pytest.mark.slow
def test_node_classification_prints_every_layer(output):
    text = output(
        "examples/node_classification.py",
        "--nodes",
        200,
        "--seeds",
        1,
        "--epochs",
        5,
        "--device",
        "cpu",
    )
    for layer in ("SpatialAttentionConv", "GCNConv", "GATConv", "GINConv"):
        both = re.search(rf"{layer} +(\d+\.\d) \+- +0\.0 +(\d+\.\d) \+- +0\.0\n", text)
        assert all(0 < float(value) <= 100 for value in both.groups())


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["GATv2Conv", "TransformerConv"])
def test_stock_layers_learn_from_unrolled_windows(output, layer):
    text = output(
        *("examples/stock_layers_on_poses.py", "--layer", layer, "--clips", 9, "--frames", 60),
        *("--epochs", 1, "--device", "cpu"),
    )
    assert "one window: 204 nodes, 1010 edges" in text
    assert 0.4 < float(re.search(rf"{layer}: frame AUC (0\.\d+)", text)[1]) < 1


@pytest.mark.slow
def test_explain_anomaly_draws_a_picture(tmp_path):
    path = tmp_path / "waving.png"
    module = script("examples/explain_anomaly.py")
    text = printed(
        module,
        *("--clips", 9, "--frames", 60, "--device", "cpu", "--out", path),
    )
    assert re.search(r"clip waving_\d\d, person \d+, frames \d+ to \d+\n", text)
    assert re.search(r"joints: (\w+ \d+%, ){2}\w+ \d+%; frame: \d+ \d+%", text)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_default_speed_measures_two_versions(monkeypatch):
    """Both versions are this checkout."""
    module = script("benchmarks/default_speed.py")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = CliRunner().invoke(
        module.main,
        ["--clips", "3", "--repeats", "1", "--beside", str(ROOT)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    ours, other, ratio = result.output.splitlines()
    assert re.match(
        r"this +fit +\d+\.\d s \([\d,]+ windows\) +score +\d+ windows/s +model \d", ours
    )
    assert other.startswith("beside") and re.search(r"fit \d+\.\d times as fast", ratio)


def test_default_speed_refuses_unknown_versions(tmp_path):
    module = script("benchmarks/default_speed.py")
    (tmp_path / "gepc_geo").mkdir()
    (tmp_path / "gepc_geo" / "__init__.py").write_text("")
    with pytest.raises(
        InputError, match="must be a version of gepc_geo that trains its default, got"
    ):
        module.measure(tmp_path, {}, {}, 1)


@pytest.mark.slow
def test_tracking_faults_are_told_from_anomalies(output, tmp_path, monkeypatch):
    """A small crowd; skipped faults rank behind anomalies, judged ones do not."""
    small = functools.partial(simulate_crowd, num_clips=18, frames_per_clip=96)
    monkeypatch.setattr("gepc_geo.datasets.simulate_crowd", small)
    printed = output("benchmarks/tracking_faults.py", "--out", tmp_path, "--seed", 0)
    results = json.loads((tmp_path / "results.json").read_text())
    judged, skipped = (results[f"crowd 0, faults {word}"] for word in ("judged", "skipped"))
    assert len(printed.splitlines()) == 2
    name = "auc_anomalies_against_faults"
    # A crowd this small has few people to learn from.
    assert skipped[name] > judged[name] + 0.1
    assert judged["faults_marked"] == judged["anomalies_marked"] == 0
    assert skipped["faults_marked"] > 0.5 and skipped["anomalies_marked"] < 0.05
    assert skipped["faults_in_ten_highest"] <= 1 < judged["faults_in_ten_highest"]
