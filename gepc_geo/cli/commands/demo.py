"""``gepc-geo demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gepc_geo.cli.computing import Computing
from gepc_geo.cli.data import device_option
from gepc_geo.cli.settings import resolve, setting_options
from gepc_geo.errors import InputError

#: What differs from the defaults: not every window is scored, a quarter of them tell as much.
DEMO = {"score_stride": 4}


@click.command(cls=Computing)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@device_option
@setting_options(**DEMO)
def demo(out: Path, device: str, **flags: Any) -> None:
    """Simulate a crowd, train on its normal clips, score and evaluate the others, write a report.

    Unless told otherwise it scores every fourth window. The same command again goes on where it was
    interrupted.

    Example:

        gepc-geo demo --out runs/demo
    """
    from gepc_geo.cli.demo import NOT_COUNTED, run_demo, write_report
    from gepc_geo.cli.evaluate import write_evaluation

    options = resolve(flags, None, "default", base=DEMO)
    try:
        result = run_demo(out, options, device=device, say=click.echo)
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command goes on from there (run: {out})", err=True)
        raise SystemExit(130) from None
    click.echo("\nframe AUC, clips of " + " and ".join(NOT_COUNTED) + " left out")
    for name, row in result.table.items():
        text = "  ".join(f"{mode} {value:.3f}" for mode, value in row.items())
        click.echo(f"  {name:22s}{text}")
    click.echo("frame AUC by kind of anomaly (its clips and the normal ones)")
    for kind, value in result.by_kind.items():
        note = "  (not counted)" if kind in NOT_COUNTED else ""
        click.echo(f"  {kind:22s}{value:.3f}{note}")
    written = write_evaluation(result.evaluation, result.test, out / "metrics.json", plots=True)
    over_all = result.evaluation.metrics
    left_out = " and ".join(NOT_COUNTED)
    click.echo(f"\nAUC {result.auc:.3f} ({over_all['mode']}; {left_out} left out)")
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
