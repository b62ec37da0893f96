"""Files are written whole or not at all, and read without unpickling."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from helpers import full_disk

from gepc_geo.errors import InputError
from gepc_geo.utils.files import (
    atomic_path,
    atomic_stream,
    check_destination,
    read_npy,
    read_npz,
    read_yaml,
)


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
    expected = pytest.raises(
        InputError, match=r"^could not write .*below\.txt: .*file is not a writable folder$"
    )
    with expected, atomic_path(tmp_path / "file" / "below.txt"):
        pass


def test_arrays_come_back_and_objects_do_not(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", x=np.arange(3), names=np.array(["a", "ö"]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    assert read_npy(tmp_path / "a.npy", "mask").tolist() == [0, 1, 2]
    assert read_npz(tmp_path / "b.npz", "pose file")["names"].tolist() == ["a", "ö"]
    with pytest.raises(InputError, match="Python objects, which are never loaded"):
        read_npy(tmp_path / "objects.npy", "mask")
    with pytest.raises(InputError, match="must be a mask with one array, got an archive of arrays"):
        read_npy(tmp_path / "b.npz", "mask")
    with pytest.raises(InputError, match="must be a pose file with named arrays, got one without"):
        read_npz(tmp_path / "a.npy", "pose file")
    with pytest.raises(InputError, match="none.npy does not exist$"):
        read_npy(tmp_path / "none.npy", "mask")


def test_destinations_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path / "folder.csv", "folder.csv must be a file to write, got a folder"),
        (
            tmp_path / "file" / "a" / "b.csv",
            r"^could not write .*b\.csv: .*file is not a writable folder$",
        ),
    ):
        with pytest.raises(InputError, match=message):
            check_destination(path)
        with pytest.raises(InputError, match=message), atomic_path(path):
            raise AssertionError("began to write")
    check_destination(tmp_path / "new" / "folder" / "a.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.csv"]


def test_a_full_disk_is_one_sentence(tmp_path):
    path = tmp_path / "file.txt"
    message = r"^could not write .*file\.txt: No space left on device$"
    with pytest.raises(InputError, match=message), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1000])
def test_writes_to_a_full_disk_fail_only_at_the_end(size, tmp_path):
    """What writes goes on as if nothing were wrong: torch's writer ends the process else."""
    path, written = tmp_path / "new" / "file.bin", []
    (tmp_path / "file.bin").write_bytes(b"old")
    message = r"^could not write .*file\.bin: File too large$"
    for one in (path, tmp_path / "file.bin"):
        with (
            pytest.raises(InputError, match=message),
            full_disk(size),
            atomic_stream(one) as stream,
        ):
            written += [stream.write(b"x" * 700), stream.write(b"y" * 700)]
    assert written == [700] * 4
    assert (tmp_path / "file.bin").read_bytes() == b"old"
    # Not even the folder that was made for it stays.
    assert [one.name for one in tmp_path.iterdir()] == ["file.bin"]
    with full_disk(1400), atomic_stream(path) as stream:
        stream.write(b"x" * 700)
        stream.write(memoryview(np.zeros(175, np.float32)))
    assert path.read_bytes() == b"x" * 700 + bytes(700)


def test_folders_made_for_a_file_that_fails_are_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a" / "b" / "c.txt"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_content_is_on_the_disk_before_the_file_gets_its_name(tmp_path, monkeypatch):
    path, events = tmp_path / "file.txt", []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda file: events.append(os.fstat(file).st_size) or sync(file)
    )
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("renamed") or rename(a, b))
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert events == [5, "renamed"]


def test_yaml_numbers_may_have_an_exponent_without_a_point(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: 1e-3\nb: 1.5E4\nc: -.5e+2\nd: 7\ne: 1e\nf: e3\ng: 0.5\nh: 1.e2x\n")
    content = read_yaml(path, "configuration")
    assert content == {
        "a": 1e-3,
        "b": 15000.0,
        "c": -50.0,
        "d": 7,
        "e": "1e",
        "f": "e3",
        "g": 0.5,
        "h": "1.e2x",
    }
    path.write_text("")
    assert read_yaml(path, "configuration") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "must be a configuration in YAML, got an error"),
        (b"\xff\xfe\x00", "must be a configuration in YAML, got an error"),
        (
            b"a: 2001-99-99",
            r"must be a configuration in YAML, got an error: month must be in 1\.\.12",
        ),
        (b"a: !!bool x", "must be a configuration in YAML, got an error"),
        (b"a: !!python/object/apply:os.getcwd []", "must be a configuration in YAML"),
        (b"- 3", "must be a configuration with values by name, got a list"),
    ],
)
def test_unusable_yaml_is_refused(content, message, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"c.yaml {message}") as caught:
        read_yaml(path, "configuration")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="none.yaml does not exist$"):
        read_yaml(tmp_path / "none.yaml", "configuration")
