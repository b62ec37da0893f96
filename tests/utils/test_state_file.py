"""Checkpoints: marked, versioned, never unpickled."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.utils import state_file


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


def test_saved_contents_are_loaded(tmp_path):
    content = {"weights": torch.arange(4.0), "options": {"lr": 0.1, "names": ["a"], "none": None}}
    state_file.save(content, tmp_path / "c.pt", kind="thing", version=3)
    again = state_file.load(tmp_path / "c.pt", kind="thing", version=3)
    assert torch.equal(again["weights"], content["weights"])
    assert again["options"] == content["options"]


def test_other_files_are_refused_in_one_sentence(tmp_path, capsys):
    path = tmp_path / "c.pt"
    with pytest.raises(InputError, match="c.pt does not exist$"):
        state_file.load(path, kind="thing", version=1)
    state_file.save({}, path, kind="other", version=1)
    with pytest.raises(InputError, match="c.pt must be a thing, got another kind of file"):
        state_file.load(path, kind="thing", version=1)
    with pytest.raises(InputError, match="c.pt must have version 2, got 1"):
        state_file.load(path, kind="other", version=2)
    torch.save({"kind": "thing", "version": 1, "x": Evil()}, path)
    with pytest.raises(InputError, match="c.pt must be a thing, got an error: "):
        state_file.load(path, kind="thing", version=1)
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_truncated_files_are_refused(share, tmp_path):
    path = tmp_path / "c.pt"
    state_file.save({"weights": torch.randn(1000)}, path, kind="thing", version=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="c.pt must be a thing, got an error: "):
        state_file.load(path, kind="thing", version=1)


def test_a_flipped_byte_in_the_weights_is_noticed(tmp_path):
    path = tmp_path / "c.pt"
    weights = torch.arange(1000.0)
    state_file.save({"weights": weights}, path, kind="thing", version=1)
    content = bytearray(path.read_bytes())
    content[content.index(weights.numpy().tobytes()) + 1234] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="c.pt must be a thing, got an error: a wrong checksum of"):
        state_file.load(path, kind="thing", version=1)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_are_refused_or_unharmed(tmp_path, data):
    """Bytes that no checksum covers (the zip's time stamps) may change, what is stored may not."""
    path = tmp_path / "c.pt"
    weights = torch.arange(20.0)
    state_file.save({"weights": weights, "lr": 0.1}, path, kind="thing", version=1)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        again = state_file.load(path, kind="thing", version=1)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert torch.equal(again["weights"], weights) and again["lr"] == 0.1
