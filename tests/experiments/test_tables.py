"""Tables of numbers worked by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from gepc_geo.experiments import Ablation, Coarse, Noise, Split, Study, write_summary
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.experiments.tables import Table, best_baseline, comparison, comparison_lines, means
from gepc_geo.options import Options

FEW, MANY = "few-vs-many", "many-vs-few"


def results(values: dict[str, dict[tuple[str, str, int], float]]) -> list[Result]:
    return [
        Result(row, Condition(split, direction), seed, "AUC", value)
        for row, cells in values.items()
        for (split, direction, seed), value in cells.items()
    ]


#: Two splits, two seeds, one direction.
SOME = results(
    {
        "combined": {
            ("a", FEW, 0): 0.8,
            ("a", FEW, 1): 0.9,
            ("b", FEW, 0): 0.6,
            ("b", FEW, 1): 0.7,
        },
        "gepc:max": {
            ("a", FEW, 0): 0.99,
            ("a", FEW, 1): 0.99,
            ("b", FEW, 0): 0.9,
            ("b", FEW, 1): 0.9,
        },
        "nearest_neighbour": {
            ("a", FEW, 0): 0.7,
            ("a", FEW, 1): 0.7,
            ("b", FEW, 0): 0.7,
            ("b", FEW, 1): 0.7,
        },
        "isolation_forest": {
            ("a", FEW, 0): 0.9,
            ("a", FEW, 1): 0.9,
            ("b", FEW, 0): 0.2,
            ("b", FEW, 1): 0.2,
        },
    }
)


@pytest.fixture
def protocol(actions) -> Coarse:
    return Coarse(actions, [Split("a", ("run",)), Split("b", ("bow",))], [FEW], Options(frames=12))


def test_means_are_over_splits_and_seeds(protocol):
    found = protocol.means(SOME)
    assert list(found) == ["combined", "nearest_neighbour", "isolation_forest"]
    spread = found["combined"][FEW]
    assert spread.mean == pytest.approx(0.75)
    # Deviations of 0.05, 0.15, -0.15, -0.05 from the mean, one degree of freedom gone.
    assert spread.deviation == pytest.approx((2 * (0.05**2 + 0.15**2) / 3) ** 0.5)
    assert str(spread) == "0.750 ± 0.129"
    assert str(found["nearest_neighbour"][FEW]) == "0.700 ± 0.000"


def test_comparisons_pair_splits_after_the_mean_over_seeds():
    found = comparison(SOME, lambda one: one.row, "combined", "nearest_neighbour")
    assert found.pairs == 2  # 0.85 - 0.7 and 0.65 - 0.7
    assert found.difference == pytest.approx(0.05)
    assert (found.low, found.high) == (pytest.approx(-0.05), pytest.approx(0.15))
    alone = [one for one in SOME if one.condition.split == "a"]
    by_seed = comparison(alone, lambda one: one.row, "combined", "nearest_neighbour")
    assert (found.unit, by_seed.unit, by_seed.pairs) == ("split", "seed", 2)


def test_the_best_baseline_is_neither_ours_nor_a_mode(protocol):
    assert best_baseline(SOME) == "nearest_neighbour"
    (line,) = comparison_lines(SOME, protocol.column)
    assert line == (
        "few-vs-many: combined minus nearest_neighbour, the best unsupervised baseline: "
        "+0.050 (ahead in 1 of 2 splits)"
    )
    ours = [one for one in SOME if one.row in ("combined", "gepc:max")]
    assert best_baseline(ours) is None and comparison_lines(ours, protocol.column) == []


def test_tables_of_means_modes_and_splits(protocol):
    overall, modes, splits = protocol.tables(SOME)
    assert overall.columns == [FEW] and list(overall.rows) == list(protocol.means(SOME))
    assert modes.rows == {"gepc:max": ["0.945 ± 0.052"]}
    assert (splits.title, splits.columns) == ("Splits, few-vs-many", ["a", "b"])
    assert splits.rows["isolation_forest"] == ["0.900 ± 0.000", "0.200 ± 0.000"]
    assert "gepc:max" not in splits.rows


def test_supervised_methods_are_marked(protocol):
    given = results(
        {name: {("a", FEW, 0): 0.5, ("b", FEW, 0): 0.6} for name in ("combined", "softmax")}
    )
    for table in protocol.tables(given):
        assert list(table.rows) == ["combined", "softmax (supervised)"]
    assert list(protocol.means(given)) == ["combined", "softmax (supervised)"]


def test_a_variant_is_compared_with_the_default_over_splits_and_directions(actions):
    ablation = Ablation(actions, [Split("a", ("run",))], [FEW, MANY], Options(frames=12))
    values = {
        ("default", FEW): 0.8,
        ("default", MANY): 0.7,
        ("clusters=5", FEW): 0.9,
        ("clusters=5", MANY): 0.5,
    }
    given = [
        Result(row, Condition("a", direction, variant), 0, "AUC", value)
        for (variant, direction), value in values.items()
        for row in ("gepc", "gepc:assignment", "gepc:reconstruction")
    ]
    given += [
        Result("gepc:max", Condition("a", direction, "default"), 0, "AUC", 0.6)
        for direction in (FEW, MANY)
    ]
    overall, modes = ablation.tables(given)
    assert overall.columns == [FEW, MANY]
    assert overall.rows == {"default": ["0.800", "0.700"], "clusters=5": ["0.900", "0.500"]}
    assert modes.columns == ["assignment", "reconstruction", "max"]
    assert modes.rows["default"] == ["0.750 ± 0.071", "0.750 ± 0.071", "0.600 ± 0.000"]
    assert ablation.remarks(given) == [
        "max minus assignment, default: -0.150 (ahead in 0 of 2 pairs)",
        "clusters=5 minus default, assignment: -0.050 (ahead in 1 of 2 pairs)",
        "clusters=5 minus default, reconstruction: -0.050 (ahead in 1 of 2 pairs)",
    ]


def test_curves_of_loss_start_at_zero(actions):
    noise = Noise(
        actions, [Split("a", ("run", "bow"))], [FEW], Options(frames=12), shares=(0, 5, 20)
    )
    given = [
        Result(row, Condition("a", FEW, f"noise={share}"), seed, "AUC", value + 0.1 * seed)
        for row, each in {
            "combined": (0.9, 0.88, 0.8),
            "nearest_neighbour": (0.7, 0.7, 0.75),
        }.items()
        for share, value in zip((0, 5, 20), each, strict=True)
        for seed in (0, 1)
    ]
    shares, curves = noise.curves(given)
    assert shares == [0, 5, 20]
    assert curves["combined"] == pytest.approx([0, 0.02, 0.1])
    assert curves["nearest_neighbour"] == pytest.approx([0, 0, -0.05])
    assert noise.tables(given)[0].rows["combined"] == ["0.020 ± 0.000", "0.100 ± 0.000"]


def test_tables_print_as_text_and_markdown():
    table = Table("Means", "method", ["few"], {"combined": ["0.9"], "other": ["0.85"]})
    assert table.lines() == ["method     few", "combined   0.9", "other     0.85"]
    assert table.markdown().splitlines() == [
        "## Means",
        "",
        "| method   |  few |",
        "|---|---:|",
        "| combined |  0.9 |",
        "| other    | 0.85 |",
    ]


def test_rows_may_lack_a_number_in_a_column():
    given = [*SOME, Result("one_class_svm", Condition("c", MANY), 0, "AUC", 0.5)]
    found = means(given, lambda one: one.row, lambda one: one.condition.direction)
    assert set(found["one_class_svm"]) == {MANY}


def test_a_summary_writes_markdown_and_csv(protocol, tmp_path, monkeypatch):
    study = Study(tmp_path, protocol, {"dataset": "actions"}, ["combined"], [0, 1])
    study.start("gepc-geo experiment coarse", "cpu")
    monkeypatch.setattr(study, "results", lambda: SOME)
    times = {"combined": 12.5}
    config = {"machines": [{"threads": "2"}], "command": "gepc-geo experiment coarse"}
    monkeypatch.setattr(study, "read_config", lambda: config)
    monkeypatch.setattr(study, "finish", lambda: times)
    tables, remarks = write_summary(study)
    text = (tmp_path / "table.md").read_text()
    assert text.startswith("# coarse: whole clips")
    assert "mean ± standard deviation over 2 splits and 2 seeds" in text
    assert "Command: `gepc-geo experiment coarse`" in text and "combined 12.5" in text
    assert all(table.markdown() in text for table in tables) and f"- {remarks[0]}" in text
    with (tmp_path / "table.csv").open(newline="") as stream:
        rows = {row.pop("method"): row for row in csv.DictReader(stream)}
    assert list(rows) == ["combined", "gepc:max", "nearest_neighbour", "isolation_forest"]
    assert list(rows["combined"]) == [f"{FEW} mean", f"{FEW} sd", f"a, {FEW}", f"b, {FEW}"]
    numbers = np.array([float(value) for value in rows["combined"].values()])
    np.testing.assert_allclose(numbers, [0.75, 0.12910, 0.85, 0.65], atol=1e-5)
