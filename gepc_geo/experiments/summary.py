"""Files of a study's tables: ``table.md`` for readers, ``table.csv`` for programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.experiments.results import Result
from gepc_geo.experiments.study import Study
from gepc_geo.experiments.tables import Table, means
from gepc_geo.utils.files import as_text, atomic_path, write_csv


def write_summary(study: Study) -> tuple[list[Table], list[str]]:
    """Writes ``table.md``, ``table.csv`` and the times in ``config.yaml``.

    Args:
        study: A study whose cells are all finished.

    Returns:
        The tables, and remarks on them.

    Raises:
        InputError: A cell is missing or damaged.
    """
    results = study.results()
    seconds = study.finish()
    tables, remarks = study.protocol.tables(results), study.protocol.remarks(results)
    config = study.read_config()
    heading = f"# {study.protocol.name}: {study.protocol.about}"
    text = [heading, "", _measured(results), ""]
    text += [f"{table.markdown()}\n" for table in tables]
    text += [f"- {line}" for line in remarks]
    machines = [
        f"Machine: {', '.join(f'{name} {value}' for name, value in machine.items())}."
        for machine in config["machines"]
    ]
    times = ", ".join(f"{unit} {value:.4g}" for unit, value in seconds.items())
    text += ["", f"Mean seconds per training, with its scoring: {times}."]
    text += [line for machine in machines for line in ("", machine)]
    text += ["", f"Command: `{as_text(config['command'])}`", ""]
    with atomic_path(study.folder / "table.md") as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")
    _write_csv(study, results, study.folder / "table.csv")
    return tables, remarks


def _measured(results: list[Result]) -> str:
    """A sentence that names the metrics and the numbers of splits and seeds."""
    splits = len({result.condition.split for result in results})
    seeds = len({result.seed for result in results})
    metrics = " and ".join(dict.fromkeys(result.metric for result in results))
    return (
        f"{metrics}: mean ± standard deviation over {splits} split{'s' * (splits > 1)} and "
        f"{seeds} seed{'s' * (seeds > 1)}."
    )


def _write_csv(study: Study, results: list[Result], path: Path) -> None:
    """Writes a row per method (or variant): mean and deviation per column, mean per split."""
    protocol = study.protocol

    def split(result: Result) -> str:
        return f"{result.condition.split}, {protocol.column(result)}"

    overall = means(results, protocol.row, protocol.column)
    by_split = means(results, protocol.row, split)
    heads = list(dict.fromkeys(map(protocol.column, results)))
    splits = list(dict.fromkeys(map(split, results)))
    names = [
        "method",
        *(f"{head} {statistic}" for head in heads for statistic in ("mean", "sd")),
        *splits,
    ]
    rows = []
    for name, cells in overall.items():
        spread = [value for head in heads for value in cells.get(head, (np.nan, np.nan))]
        of_splits = [
            by_split[name][head].mean if head in by_split[name] else np.nan for head in splits
        ]
        rows.append([name, *("" if np.isnan(v) else f"{v:.5f}" for v in spread + of_splits)])
    write_csv(path, names, rows)
