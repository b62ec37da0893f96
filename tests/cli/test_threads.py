"""How a command that computes sets up its process: threads, and memory of freed tensors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from click.testing import CliRunner
from threadpoolctl import threadpool_info, threadpool_limits

from gepc_geo.cli import computing, main


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leaves torch and the other libraries as they were."""
    before = torch.get_num_threads()
    with threadpool_limits():
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (3, 1), (16, 8)])
def test_a_command_takes_half_of_the_cores(
    cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(computing, "num_cores", lambda: cores)
    # The second command of a process takes no fewer.
    for _ in range(2):
        CliRunner().invoke(main, ["bench", "--out", "nowhere"])
        assert torch.get_num_threads() == expected
        assert {one["num_threads"] for one in threadpool_info()} <= set(range(1, expected + 1))


def test_only_commands_that_compute_keep_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[str] = []
    monkeypatch.setattr(computing, "keep_memory", lambda: kept.append("kept"))
    for words in (["bench", "--help"], ["bench", "--suite", "none"], ["info", "nowhere"]):
        CliRunner().invoke(main, words)
    assert kept == []
    CliRunner().invoke(main, ["bench", "--out", "nowhere"])
    assert kept == ["kept"]


def test_omp_num_threads_sets_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    CliRunner().invoke(main, ["bench", "--out", "nowhere"])
    assert torch.get_num_threads() == 3
