"""The MATLAB reader agrees with scipy's, also on files that crash scipy's."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.io import loadmat, savemat

from gepc_geo.errors import InputError
from gepc_geo.io import read
from gepc_geo.io._common.matlab import read_matlab

KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def saved(content: dict[str, object], compressed: bool) -> bytes:
    stream = io.BytesIO()
    savemat(stream, content, do_compression=compressed)
    return stream.getvalue()


@settings(max_examples=80, deadline=None)
@given(data=st.data(), kind=st.sampled_from(KINDS), compressed=st.booleans())
def test_numbers_equal_scipys(data, kind, compressed, tmp_path_factory):
    array = data.draw(npst.arrays(kind, npst.array_shapes(min_dims=2, max_dims=3, max_side=5)))
    path = tmp_path_factory.mktemp("matlab") / "a.mat"
    path.write_bytes(saved({"a": array, "other": [[1.0]], "text": "squat"}, compressed))
    found = read_matlab(path, ["a", "text"], "a file")
    assert set(found) == {"a", "text"}
    np.testing.assert_array_equal(found["a"], loadmat(path)["a"])
    np.testing.assert_array_equal(found["a"], array)
    assert found["text"] == "squat"


@pytest.mark.parametrize("text", ["x", "baseball_swing", "Übung", ""])
def test_texts_are_read(text, tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(saved({"a": text}, True))
    assert read_matlab(path, ["a"], "a file") == {"a": text}


def test_structs_cells_and_complex_numbers_are_passed_over(tmp_path):
    path = tmp_path / "a.mat"
    cell = np.array([[1.0], ["b"]], dtype=object)
    path.write_bytes(saved({"a": {"b": 1}, "c": cell, "z": [[1j]], "d": [[2.0]]}, False))
    assert read_matlab(path, ["a", "c", "z", "d"], "a file") == {"d": 2}


def test_files_of_the_data_set_equal_scipys(real_data):
    files = sorted((real_data("penn_action") / "labels").glob("*.mat"))
    keys = ["action", "x", "y", "visibility", "dimensions", "train", "nframes", "bbox"]
    # 1605 holds streams without zlib's end mark.
    for path in [*files[::97], *(f for f in files if f.stem == "1605")]:
        found, theirs = read_matlab(path, keys, "a file"), loadmat(path, variable_names=keys)
        assert found["action"] == theirs["action"][0]
        for key in keys[1:]:
            np.testing.assert_array_equal(found[key], theirs[key])


def parts_of(content: bytes, array: bytes) -> int:
    """The position of the tag of an array's values: after its name's tag and data."""
    return content.index(array) + 8


@pytest.mark.parametrize("code", [0, 8, 10, 11, 14, 15, 19, 20, 4000])
def test_type_codes_that_crash_scipys_reader_are_refused(code, tmp_path):
    """An undefined type code, with which scipy follows an invalid pointer."""
    content = bytearray(saved({"values": np.arange(6.0)[None]}, False))
    at = parts_of(content, b"values\0\0")
    assert struct.unpack_from("<II", content, at) == (9, 48)
    struct.pack_into("<I", content, at, code)
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"values has numbers of type {code}"):
        read_matlab(path, ["values"], "a file")


@pytest.mark.parametrize("compressed", [True, False])
def test_every_cut_is_noticed(compressed, tmp_path):
    content = saved({"a": np.arange(12.0).reshape(3, 4)}, compressed)
    path = tmp_path / "a.mat"
    for size in range(len(content)):
        path.write_bytes(content[:size])
        if size == 128:
            assert read_matlab(path, ["a"], "a file") == {}, "a header alone holds nothing"
            continue
        try:
            found = read_matlab(path, ["a"], "a file")
        except InputError as error:
            assert "a.mat must be a file, got an error: " in str(error)
        else:
            # Only zlib's check sum is missing.
            assert compressed and size >= len(content) - 4
            np.testing.assert_array_equal(found["a"], np.arange(12.0).reshape(3, 4))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 2), "has 48 bytes for size"), ((-2, -3), "has 48 bytes"), ((2**31 - 1,) * 2, "has 48")],
)
def test_sizes_that_do_not_fit_the_values_are_refused(shape, message, tmp_path):
    content = bytearray(saved({"values": np.arange(6.0)[None]}, False))
    at = content.index(struct.pack("<IIii", 5, 8, 1, 6)) + 8
    struct.pack_into("<ii", content, at, *shape)
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_matlab(tmp_path / "a.mat", ["values"], "a file")


def test_compressed_arrays_that_grow_too_large_are_refused(tmp_path):
    bomb = zlib.compress(bytes(1 << 27))
    header = saved({}, False)[:128]
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(InputError, match="compressed array of more than"):
        read_matlab(tmp_path / "a.mat", ["values"], "a file")


def test_missing_files_and_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^could not read .*none\.mat as a file: .*No such file"):
        read_matlab(tmp_path / "none.mat", ["a"], "a file")
    (tmp_path / "zeros.mat").write_bytes(bytes(200))
    with pytest.raises(
        InputError, match=r"must be a Penn Action label file, got an error: no MATLAB 5 header$"
    ):
        read(tmp_path / "zeros.mat", format="penn-action")
