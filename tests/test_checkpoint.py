"""Checkpoints: marked, versioned, never unpickled."""

from __future__ import annotations

import pytest
import torch

from gepc_geo import checkpoint
from gepc_geo.errors import InputError


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


def test_contents_come_back(tmp_path):
    content = {"weights": torch.arange(4.0), "options": {"lr": 0.1, "names": ["a"], "none": None}}
    checkpoint.save(content, tmp_path / "c.pt", kind="thing", version=3)
    again = checkpoint.load(tmp_path / "c.pt", kind="thing", version=3)
    assert torch.equal(again["weights"], content["weights"])
    assert again["options"] == content["options"]


def test_other_files_are_refused_in_one_sentence(tmp_path, capsys):
    path = tmp_path / "c.pt"
    with pytest.raises(InputError, match="does not exist, expected a thing"):
        checkpoint.load(path, kind="thing", version=1)
    checkpoint.save({}, path, kind="other", version=1)
    with pytest.raises(InputError, match="c.pt is not a thing"):
        checkpoint.load(path, kind="thing", version=1)
    with pytest.raises(InputError, match="c.pt has version 1, expected 2"):
        checkpoint.load(path, kind="other", version=2)
    torch.save({"kind": "thing", "version": 1, "x": Evil()}, path)
    with pytest.raises(InputError, match="c.pt cannot be read, expected a thing"):
        checkpoint.load(path, kind="thing", version=1)
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_cut_files_are_refused(share, tmp_path):
    path = tmp_path / "c.pt"
    checkpoint.save({"weights": torch.randn(1000)}, path, kind="thing", version=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="c.pt cannot be read"):
        checkpoint.load(path, kind="thing", version=1)
