"""Names that are no text, and locales without letters: everything is written that was computed."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from streams import TRAINED, small_run

from gepc_geo import GEPC
from gepc_geo.cli import main
from gepc_geo.cli.lines import Log
from gepc_geo.datasets.simulate import write_crowd
from gepc_geo.errors import InputError
from gepc_geo.evaluation.tables import write_table
from gepc_geo.report.plots import can_plot
from gepc_geo.utils.files import as_text, check_destination

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems have no file names that are no text"
)
# "caf" and a byte that is "é" in Latin-1, then in UTF-8.
LATIN, UTF = b"caf\xe9", "café".encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run, and poses with masks of which two clips have such names, in a folder that has one."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path_factory.mktemp("names")) + b"/" + LATIN))
    small_run(folder)
    write_crowd(folder, random_state=2, train_clips=2, test_clips=9, frames_per_clip=48)
    poses, masks = sorted((folder / "test").iterdir()), sorted((folder / "test_masks").iterdir())
    for name, pose, mask in zip((LATIN, UTF), poses, masks, strict=False):
        pose.rename(pose.with_name(f"{os.fsdecode(name)}_alphapose_tracked_person.json"))
        mask.rename(mask.with_name(f"{os.fsdecode(name)}.npy"))
    for path in [*poses[3:], *masks[3:]]:
        path.unlink()
    return folder


def good(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def clips(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(dict.fromkeys(row["clip"] for row in csv.DictReader(stream)))


NAMES = ["caf\\xe9", "café", "fighting_00"]


def test_names_that_are_not_text_are_printed_with_escapes():
    assert as_text("plain é") == "plain é"
    assert as_text(os.fsdecode(LATIN)) == "caf\\xe9"
    assert as_text("caf\udcc3\udca9") == "café"
    assert as_text("half \ud800") == "half \\ud800"


def test_score_tables_hold_names_with_escapes(folder, tmp_path):
    run, poses = folder / "run", folder / "test"
    said = good("score", run, poses, "--out", folder / "s.csv")
    assert said == f"144 rows (frame level) in {as_text(str(folder))}/s.csv\n"
    assert sorted(clips(folder / "s.csv")) == NAMES
    good("score", run, poses, "--out", folder / "s.npz")
    with np.load(folder / "s.npz") as table:
        assert sorted(set(table["clip"].tolist())) == NAMES
    for part in ("1", "2"):
        good("score", run, poses, "--shard", f"{part}/2", "--out", folder / f"{part}.npz")
    good("merge", folder / "1.npz", folder / "2.npz", "--out", folder / "m.csv")
    assert (folder / "m.csv").read_bytes() == (folder / "s.csv").read_bytes()


def test_clips_are_found_again_by_their_names(folder):
    pytest.importorskip("PIL")
    good("score", folder / "run", folder / "test", "--out", folder / "again.csv")
    for clip in (os.fsdecode(LATIN), "caf\\xe9"):
        data = (folder / "test", "--scores", folder / "again.csv", "--clip", clip)
        assert "caf" in good("render", *data, "--out", folder / "film.gif")
        assert (folder / "film.gif").stat().st_size > 1000
        (folder / "film.gif").unlink()


def test_evaluate_info_and_report_write_names_with_escapes(folder):
    poses, masks = folder / "test", folder / "test_masks"
    out = folder / "metrics.json"
    good("evaluate", folder / "run", poses, "--labels", masks, "--out", out)
    assert json.loads(out.read_text())["level"] == "frame"
    if can_plot():
        assert (folder / "metrics_timelines.png").stat().st_size > 1000
        assert good("info", poses, "--picture", folder / "pose.png")
    pytest.importorskip("plotly")
    good("report", folder / "run", poses, "--labels", masks, "--out", folder / "report.html")
    assert '"caf\\udce9"' in (folder / "report.html").read_text(encoding="utf-8")


def test_a_run_in_a_folder_with_such_a_name_resumes_and_finds_its_poses(folder):
    flags = [f"--{name.replace('_', '-')}" for name in TRAINED if name != "holdout"]
    values = [
        ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in TRAINED.items()
        if name != "holdout"
    ]
    options = [word for pair in zip(flags, values, strict=True) for word in pair]
    words = ("train", folder / "train", "--out", folder / "new", "--fps", 24, *options)
    good(*words)
    first = GEPC.load(folder / "new" / "model.pt")
    good(*words, "--resume")
    # The path in the run's configuration leads back to the poses.
    pytest.importorskip("plotly")
    page = folder / "with_training.html"
    result = CliRunner().invoke(
        main, ["report", str(folder / "new"), str(folder / "train"), "--out", str(page)]
    )
    assert result.exit_code == 0 and "no training poses" not in result.stderr
    again = GEPC.load(folder / "new" / "model.pt")
    assert again.fps_ == 24 and again.calibration_.thresholds == first.calibration_.thresholds


@pytest.mark.parametrize("form", ["native", "deeplabcut"])
def test_files_that_cannot_hold_such_names_are_refused(folder, form):
    out = folder / ("new.npz" if form == "native" else "files")
    words = ["convert", str(folder / "test"), "--to", form, "--out", str(out)]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 2 and "caf\\udce9" in result.stderr
    assert not out.exists()


def test_an_ascii_locale_changes_no_table_and_no_path(folder):
    """As in a container without locales: the same table, names and paths printed as they are."""
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"}
    target = folder.parent / "é"
    target.mkdir()
    expected = folder / "expected.csv"
    good("score", folder / "run", folder / "test", "--out", expected)
    program = (
        "import sys; from gepc_geo.cli import main; out = sys.argv.pop()\n"
        "for name in 's.csv', 's.npz':\n"
        "    main([*sys.argv[1:], '--out', f'{out}/{name}'], standalone_mode=False)\n"
        "main(['score', 'none', 'none', '--out', f'{out}/none.csv'])"
    )
    command = [sys.executable, "-c", program, "score", folder / "run", folder / "test", target]
    done = subprocess.run(command, env=os.environ | plain, capture_output=True, check=False)
    assert done.returncode == 2, done.stderr
    assert sorted(clips(target / "s.csv")) == NAMES
    assert done.stdout.decode().splitlines()[0] == f"144 rows (frame level) in {target}/s.csv"
    assert "Error: none" in done.stderr.decode().splitlines()[-1]


def test_a_destination_that_the_locale_has_no_name_for_is_refused(tmp_path, monkeypatch):
    def ascii_only(path: os.PathLike[str]) -> bytes:
        return os.fspath(path).encode("ascii", "surrogateescape")

    monkeypatch.setattr(os, "fsencode", ascii_only)
    check_destination(tmp_path / "caf\udce9.csv")
    with pytest.raises(
        InputError, match=r"^could not write .*café\.csv: the name needs a UTF-8 locale$"
    ):
        write_table({"clip": np.array(["a"])}, tmp_path / "café.csv")
    assert not list(tmp_path.iterdir())


def test_live_warnings_print_any_camera_name(tmp_path):
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        log = Log(stream)
        log.warn("camera \udce9")
        log.warn("camera é")
        log.finish()
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text == "warning: camera \\udce9\nwarning: camera é\n"


def test_streams_of_other_encodings_get_escapes(monkeypatch):
    import click

    from gepc_geo.cli.refusal import Command

    @click.command(cls=Command)
    def command() -> None:
        click.echo("é \udce9 ж")

    for encoding, printed in (("utf-8", "é \\xe9 ж"), ("latin-1", "é \\udce9 \\u0436")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        command.main([], standalone_mode=False)
        stream.flush()
        assert stream.buffer.getvalue().decode(encoding) == f"{printed}\n"
