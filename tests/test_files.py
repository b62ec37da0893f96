"""Files are written whole or not at all, and read without unpickling."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.files import atomic_path, read_npy, read_npz


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert path.stat().st_mode & 0o444 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    expected = pytest.raises(InputError, match="cannot be written, expected a writable folder")
    with expected, atomic_path(tmp_path / "file" / "below.txt"):
        pass


def test_arrays_come_back_and_objects_do_not(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", x=np.arange(3), names=np.array(["a", "ö"]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    assert read_npy(tmp_path / "a.npy", "mask").tolist() == [0, 1, 2]
    assert read_npz(tmp_path / "b.npz", "archive")["names"].tolist() == ["a", "ö"]
    with pytest.raises(InputError, match="Python objects, which are never loaded"):
        read_npy(tmp_path / "objects.npy", "mask")
    with pytest.raises(InputError, match="it holds several arrays"):
        read_npy(tmp_path / "b.npz", "mask")
    with pytest.raises(InputError, match="one array without a name"):
        read_npz(tmp_path / "a.npy", "archive")
    with pytest.raises(InputError, match="does not exist, expected a mask"):
        read_npy(tmp_path / "none.npy", "mask")
