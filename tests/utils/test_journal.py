"""The log of losses."""

from __future__ import annotations

import csv

import pytest
from helpers import full_disk

from gepc_geo.errors import InputError
from gepc_geo.utils.journal import COLUMNS, Journal


def test_rows_are_written_at_once(tmp_path):
    journal = Journal(tmp_path)
    journal.add(stage="reconstruction", step=1, passes=64, loss="0.5")
    with (tmp_path / "losses.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert tuple(row) == COLUMNS
    assert (row["passes"], row["loss"], row["label_change"]) == ("64", "0.5", "")


def test_a_resumed_run_drops_later_rows_and_an_incomplete_row(tmp_path):
    journal = Journal(tmp_path)
    for step in (1, 2, 3):
        journal.add(stage="reconstruction", step=step, passes=64 * step, loss="0.5")
    with (tmp_path / "losses.csv").open("a") as stream:
        stream.write("reconstruction,4,1")  # killed in the middle of a row
    again = Journal(tmp_path, passes=128)
    assert [row["step"] for row in again.rows] == ["1", "2"]
    again.add(stage="reconstruction", step=3, passes=192)
    with (tmp_path / "losses.csv").open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["1", "2", "3"]


def test_a_journal_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal(None)
    journal.add(stage="clustering", step=1, passes=64)
    journal.close()
    assert len(journal.rows) == 1 and not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence_and_leaves_whole_rows(tmp_path):
    journal, path = Journal(tmp_path), tmp_path / "losses.csv"
    journal.add(stage="reconstruction", step=1, passes=64)
    before = path.read_bytes()
    message = r"could not write \S*losses.csv: File too large"
    with pytest.raises(InputError, match=message), full_disk(len(before) + 10):
        journal.add(stage="reconstruction", step=2, passes=128)
    assert path.read_bytes() == before


def test_a_full_disk_under_tensorboard_is_one_sentence(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    message = r"could not write \S*tensorboard: File too large"
    losses = dict.fromkeys(("loss", "reconstruction", "clustering", "lr"), "0.5")
    with pytest.raises(InputError, match=message), full_disk(250):
        journal = Journal(tmp_path, tensorboard=True)
        for step in (1, 2):
            journal.add(stage="clustering", step=step, passes=64 * step, **losses)
        journal.close()
