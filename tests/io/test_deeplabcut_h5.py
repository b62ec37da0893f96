"""DeepLabCut's tables in HDF5: files of pandas, other content, damage."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import Clips
from gepc_geo.io.formats import deeplabcut_h5
from gepc_geo.poses.skeleton import Skeleton

h5py = pytest.importorskip("h5py")

ROD = Skeleton("rod", ("tail", "nose"), ((0, 1),), 0)
LEVELS = (("net",), ("m1", "m2"), ("nose", "tail"), ("x", "y", "likelihood"))
NAMES = [(s, i, b, c) for s in LEVELS[0] for i in LEVELS[1] for b in LEVELS[2] for c in LEVELS[3]]
VALUES = np.arange(36.0).reshape(3, 12) / 40 + 10
VALUES[:, 2::3] = 0.5
VALUES[1, :3] = np.nan


def table(
    path: Path,
    names: Any = NAMES,
    values: np.ndarray = VALUES,
    index: Any = (0, 1, 2),
    kind: bytes | None = None,
    **how: Any,
) -> Path:
    """The part of pandas' ``table`` format that is read."""
    index = np.asarray(index)
    fields = [("index", index.dtype), ("values_block_0", values.dtype, values.shape[1:])]
    rows = np.zeros(len(index), dtype=fields)
    rows["index"], rows["values_block_0"] = index, values
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        group.attrs["info"] = np.bytes_(b"cos\nsystem\n(S'false'\ntR.")
        dataset = group.create_dataset("table", data=rows, **how)
        names = pickle.dumps(names, protocol=0) if kind is None else kind
        dataset.attrs["values_block_0_kind"] = np.bytes_(names)
    return path


def fixed(path: Path, values: np.ndarray = VALUES) -> Path:
    """pandas' ``fixed`` format: names as levels and codes."""
    codes = [[level.index(name[i]) for name in NAMES] for i, level in enumerate(LEVELS)]
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group.attrs["nblocks"] = 1
        group.attrs["block0_items_nlevels"] = 4
        group["axis1"] = np.arange(len(values))
        group["block0_values"] = values
        for i, level in enumerate(LEVELS):
            group[f"block0_items_level{i}"] = np.array(level, dtype="S")
            group[f"block0_items_label{i}"] = np.array(codes[i], dtype=np.int8)
    return path


def read(path: Path) -> Clips:
    assert deeplabcut_h5.detect(path)
    return deeplabcut_h5.read_deeplabcut_h5(path, ROD)


@pytest.mark.parametrize("write", [table, fixed])
def test_the_formats_table_and_fixed_are_read(write, tmp_path):
    clips = read(write(tmp_path / "cageDLC_resnet50_1.h5"))
    tracks = clips.tracks
    assert clips.parts == [("cage",)] and clips.first_frame is None and clips.complete
    np.testing.assert_array_equal(tracks.track, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 2, 0, 1, 2])
    places = VALUES.reshape(3, 2, 2, 3)[..., :2]
    # In the skeleton's order: the tail is the second in the table.
    np.testing.assert_allclose(tracks.keypoints[0], places[0, 0, ::-1], rtol=1e-6)
    np.testing.assert_allclose(tracks.keypoints[5], places[2, 1, ::-1], rtol=1e-6)
    np.testing.assert_array_equal(tracks.confidence[1], [0.5, 0])


def test_one_animal_has_three_levels_of_names(tmp_path):
    names = [(s, b, c) for s, i, b, c in NAMES if i == "m2"]
    tracks = read(table(tmp_path / "a.h5", names, VALUES[:, 6:].astype(np.float32))).tracks
    np.testing.assert_array_equal(tracks.track, [0, 0, 0])
    np.testing.assert_allclose(tracks.keypoints[0, 1], VALUES[0, 6:8], rtol=1e-6)


def test_compressed_tables_are_read(tmp_path):
    plain = read(table(tmp_path / "a.h5")).tracks
    packed = read(table(tmp_path / "b.h5", compression="gzip", chunks=(2,))).tracks
    np.testing.assert_array_equal(packed.keypoints, plain.keypoints)


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return self.path.touch, ()


def test_pickles_in_attributes_are_not_run(tmp_path):
    ran = tmp_path / "ran"
    kind = pickle.dumps([Evil(ran)], protocol=0)
    with pytest.raises(
        InputError,
        match=r"a\.h5 must be a DeepLabCut table .*, got the name '__builtin__\.getattr'$",
    ):
        read(table(tmp_path / "a.h5", kind=kind))
    assert not ran.exists()


def test_links_to_other_files_are_refused(tmp_path):
    table(tmp_path / "a.h5")
    for link in (h5py.ExternalLink("a.h5", "/df_with_missing/table"), h5py.SoftLink("/other")):
        path = table(tmp_path / "b.h5")
        with h5py.File(path, "a") as file:
            del file["df_with_missing/table"]
            file["df_with_missing/table"] = link
        with pytest.raises(
            InputError, match="b.h5 must be a DeepLabCut table in HDF5, got a link called 'table'"
        ):
            read(path)


def test_values_in_other_files_are_refused(tmp_path):
    path = fixed(tmp_path / "a.h5")
    (tmp_path / "raw").write_bytes(VALUES.tobytes())
    with h5py.File(path, "a") as file:
        del file["df_with_missing/block0_values"]
        file["df_with_missing"].create_dataset(
            "block0_values",
            VALUES.shape,
            "f8",
            external=[(str(tmp_path / "raw"), 0, VALUES.nbytes)],
        )
    with pytest.raises(
        InputError, match="a.h5 must be a DeepLabCut table in HDF5, got values in other files"
    ):
        read(path)


def test_claimed_sizes_beyond_a_limit_are_refused(tmp_path):
    path = fixed(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["df_with_missing/block0_values"]
        # Nothing of it is in the file.
        file["df_with_missing"].create_dataset("block0_values", (10**7, 100), "f8", chunks=(10, 10))
    with pytest.raises(
        InputError, match="a.h5 must be a DeepLabCut table in HDF5, got arrays of 8000000000 bytes"
    ):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"index": np.array([b"img1", b"img2", b"img3"])},
            "frame in row 1 must be a whole number, got 'img1'",
        ),
        ({"index": [-1, 0, 1]}, "frame number of clip 'a' must be 0 or more, got -1"),
        ({"index": [0, 1, 10**9]}, "frame number must be less than 100000000, got 1000000000"),
        ({"names": NAMES[:-1]}, "12 columns for 11 names"),
        ({"names": "x"}, "columns of unknown names"),
        ({"names": [("x", "y")] * 12}, "columns of unknown names"),
        ({"names": [(1, 2, 3)] * 12}, "columns of unknown names"),
        ({"names": NAMES[:1] * 12}, "must have different column names, got 'm1 nose x' twice"),
        ({"values": np.full((3, 12), np.inf)}, "a value that is infinite"),
    ],
)
def test_broken_tables_are_named(change, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read(table(tmp_path / "a.h5", **change))
    assert "a.h5" in str(caught.value) and "\n" not in str(caught.value)


def test_other_hdf5_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tracks"] = np.zeros((2, 3))
    with pytest.raises(InputError, match="a.h5 must be a DeepLabCut table in HDF5, got 0 tables"):
        read(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"text")
    assert not deeplabcut_h5.detect(tmp_path / "b.h5")
    with pytest.raises(
        InputError, match=r"^could not read .*b\.h5 as a DeepLabCut table in HDF5: "
    ):
        deeplabcut_h5.read_deeplabcut_h5(tmp_path / "b.h5", ROD)


def test_without_h5py_the_error_names_what_to_install(tmp_path, monkeypatch):
    path = table(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        InputError,
        match=r"^h5py must be installed to read .*a\.h5 \(pip install 'gepc_geo\[hdf5\]'\)",
    ):
        read(path)


@pytest.mark.parametrize("write", [table, fixed])
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_files_are_refused_or_read_as_finite_numbers(write, tmp_path, data):
    path = write(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "insert", "drop"]))
        if kind == "change":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del content[at : at + data.draw(st.integers(1, 40))]
    path = tmp_path / "broken.h5"
    path.write_bytes(bytes(content))
    try:
        tracks = deeplabcut_h5.read_deeplabcut_h5(path, ROD).tracks
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(tracks.keypoints).all()


def test_a_real_table_is_read(real_data):
    path = real_data("tool_output") / "deeplabcut_h5" / "reachingDEMO_2D.h5"
    hand = Skeleton("hand", ("nose", "Left_wrist", "left_backofhand"), ((0, 1), (1, 2)), 1)
    tracks = deeplabcut_h5.read_deeplabcut_h5(path, hand).tracks
    assert tracks.num_frames == 800 and tracks.frame[0] == 42150
    np.testing.assert_allclose(tracks.keypoints[0, 0], [397.56226, 114.54448], rtol=1e-6)
