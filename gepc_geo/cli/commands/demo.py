"""``gepc-geo demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import device_option
from gepc_geo.cli.settings import resolve, setting_options
from gepc_geo.errors import InputError

#: The demo's own defaults: it scores every fourth window to save time.
DEMO = {"score_stride": 4}


@click.command(cls=Computing)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@device_option
@setting_options(**DEMO)
def demo(out: Path, device: str, **flags: Any) -> None:
    """Simulate a crowd, train on normal clips, score and evaluate test clips, and write a report.

    By default every fourth window is scored. After an interruption the same command resumes.

    For example:

        gepc-geo demo --out runs/demo
    """
    from gepc_geo.cli.jobs.demo import NOT_COUNTED, run_demo, write_report
    from gepc_geo.cli.jobs.evaluate import write_evaluation

    options = resolve(flags, None, "default", base=DEMO)
    try:
        result = run_demo(out, options, device=device, echo=click.echo)
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command resumes (run: {out})", err=True)
        raise SystemExit(130) from None
    excluded = " and ".join(NOT_COUNTED)
    click.echo(f"\nframe AUC without clips of {excluded}")
    for name, row in result.table.items():
        text = "  ".join(f"{mode} {value:.3f}" for mode, value in row.items())
        click.echo(f"  {name:22s}{text}")
    click.echo(
        f"{excluded} are left out. A window shows one person for a short time, and does not show "
        "how long somebody stays or what two people do to each other."
    )
    click.echo("frame AUC by kind of anomaly (clips of the kind and normal clips)")
    for kind, value in result.by_kind.items():
        note = "  (not counted)" if kind in NOT_COUNTED else ""
        click.echo(f"  {kind:22s}{value:.3f}{note}")
    written = write_evaluation(result.evaluation, result.test, out / "metrics.json", plots=True)
    over_all = result.evaluation.metrics
    click.echo(f"\nAUC {result.auc:.3f} ({over_all['mode']}; without {excluded})")
    click.echo(f"AUC {over_all['auc']:.3f} over all clips, as in the files:")
    click.echo(f"scores:  {out / 'scores.csv'}")
    click.echo(f"metrics: {written[0]}")
    if written[1:]:
        click.echo(f"plots:   {', '.join(map(str, written[1:]))}")
    try:
        write_report(result, out / "report.html")
    except InputError as error:
        click.echo(f"note: no report: {error}", err=True)
    else:
        click.echo(f"report:  {out / 'report.html'}")
