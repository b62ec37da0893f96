"""Broken files of every format end in the one-sentence error, never in another exception."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from gepc_geo.cli import main
from gepc_geo.errors import InputError
from gepc_geo.io import FORMATS, read
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks

SUFFIX = {
    "native": ".npz",
    "alphapose-tracks": ".json",
    "alphapose-results": ".json",
    "alphapose-frames": ".json",
    "alphapose-forvis": ".json",
    "openpose": ".json",
    "ultralytics-labels": ".txt",
    "ultralytics-json": ".json",
    "ultralytics-frames": ".json",
    "coco-results": ".json",
    "mmpose": ".json",
    "mmpose-images": ".json",
    "mediapipe": ".json",
    "kinetics-skeleton": ".json",
    "ntu": ".skeleton",
    "pyskl": ".pkl",
    "deeplabcut": ".csv",
    "deeplabcut-h5": ".h5",
    "csv": ".csv",
    "openpifpaf": ".json",
    "openpifpaf-video": ".json",
    "nw-ucla": ".json",
    "penn-action": ".mat",
    "shanghaitech-boxes": ".txt",
}
# What is left out of such files is said elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::gepc_geo.errors.InputWarning")
FUZZ = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# What lies deep in a file is rarely hit.
DEEP = settings(FUZZ, max_examples=300)
PENN = ["action", "x", "y", "visibility", "dimensions", "train"]


def valid(form: str) -> bytes:
    """A small good file."""
    pose, other = [1.5] * 51, [90.5] * 51
    if form == "alphapose-tracks":
        return json.dumps({"1": {"0": {"keypoints": pose}, "1": {"keypoints": pose}}}).encode()
    if form == "alphapose-results":
        return json.dumps(
            [{"image_id": f"{i}.jpg", "idx": 1, "keypoints": pose, "score": 1.0} for i in range(2)]
        ).encode()
    if form == "alphapose-frames":
        people = enumerate((pose, other))
        ones = [{"image_id": "wrong_1.jpg", "keypoints": one, "idx": i} for i, one in people]
        return json.dumps(ones).encode()
    if form == "alphapose-forvis":
        people = [{"keypoints": one, "scores": 1.0} for one in (pose, other)]
        return json.dumps({f"{i}.jpg": people for i in range(2)}).encode()
    if form == "openpose":
        people = [{"person_id": [i], "pose_keypoints_2d": [1.5 + 90 * i] * 75} for i in range(2)]
        return json.dumps({"version": 1.3, "people": people}).encode()
    if form == "ultralytics-labels":
        box = "0 0.5 0.5 0.1 0.2"
        lines = [" ".join([box, *[x] * 51, "0.9", i]) for x, i in (("0.25", "1"), ("0.75", "2"))]
        return "\n".join([*lines, ""]).encode()
    if form == "ultralytics-json":
        joints = {"x": [1.5] * 17, "y": [1.5] * 17, "visible": [0.5] * 17}
        one = {"name": "person", "class": 0, "track_id": 3, "keypoints": joints}
        return json.dumps([[one], "[]", json.dumps([one])]).encode()
    if form == "ultralytics-frames":
        joints = {"x": [1.5] * 17, "y": [1.5] * 17, "visible": [0.5] * 17}
        far = {**joints, "x": [90.5] * 17}
        ones = [{"name": "person", "class": 0, "keypoints": one} for one in (joints, far)]
        return json.dumps(ones).encode()
    if form == "coco-results":
        return json.dumps(
            [{"image_id": i, "category_id": 1, "keypoints": pose, "score": 1.0} for i in range(2)]
        ).encode()
    if form == "mmpose":
        one = {"keypoints": [[1.5, 2.5]] * 17, "keypoint_scores": [0.5] * 17}
        info = [{"frame_id": i, "instances": [one]} for i in range(2)]
        return json.dumps({"meta_info": {}, "instance_info": info}).encode()
    if form == "mmpose-images":
        one = {"keypoints": [[1.5, 2.5]] * 17, "keypoint_scores": [0.5] * 17}
        return json.dumps([one, {**one, "keypoints": [[90.5, 2.5]] * 17}]).encode()
    if form == "mediapipe":
        people = [[{"x": 0.5, "y": 0.5, "visibility": 0.9}] * 33]
        frames = [{"frame": i, "pose_landmarks": people} for i in range(2)]
        return json.dumps({"image_size": [640, 480], "fps": 25, "frames": frames}).encode()
    if form == "kinetics-skeleton":
        people = [{"pose": [0.5] * 36, "score": [0.5] * 18}]
        frames = [{"frame_index": i, "skeleton": people} for i in range(2)]
        return json.dumps({"data": frames, "label": "jump", "label_index": 3}).encode()
    if form == "ntu":
        body = (
            "72057594037931101 0 1 1 1 1 0 0.1 0.2 2\n25\n" + "0.1 0.2 3 1 2 3 4 0 0 0 0 2\n" * 25
        )
        return f"2\n1\n{body}1\n{body}".encode()
    if form == "pyskl":
        keypoint = np.full((1, 2, 17, 2), 5, dtype=np.float16)
        one = {"frame_dir": "a", "total_frames": 2, "label": 1, "img_shape": (480, 640)}
        one |= {"keypoint": keypoint, "keypoint_score": np.ones((1, 2, 17), dtype=np.float16)}
        return pickle.dumps({"split": {"xsub_train": ["a"]}, "annotations": [one]})
    if form == "deeplabcut":
        heads = [["scorer", *["net"] * 6], ["bodyparts", *["nose"] * 3, *["tail"] * 3]]
        rows = [
            *heads,
            ["coords", *["x", "y", "likelihood"] * 2],
            *[[str(i), *"123456"] for i in (0, 1)],
        ]
        return "".join(",".join(row) + "\n" for row in rows).encode()
    if form == "csv":
        header = ["clip", "person", "frame", "nose_x", "nose_y", "nose_score", "tail_x", "tail_y"]
        rows = [header, *[["gate", "p1", str(i), *"24679"] for i in (0, 1)]]
        return "".join(",".join(row) + "\n" for row in rows).encode()
    if form in ("openpifpaf", "openpifpaf-video"):
        one = {"keypoints": pose, "bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
        if form == "openpifpaf":
            return json.dumps([one, {**one, "keypoints": [9.5] * 51}]).encode()
        lines = (f'{{"frame":{i},"predictions":{json.dumps([one])}}}\n' for i in (1, 2))
        return "".join(lines).encode()
    if form == "nw-ucla":
        content = {"file_name": "a01_s01_e00_v01", "skeletons": [[[1.0] * 3] * 20] * 2, "label": 1}
        return json.dumps(content).encode()
    if form == "shanghaitech-boxes":
        header = "Frame_Number Person_ID State BB_tl_0 BB_tl_1 BB_br_0 BB_br_1 anomaly"
        return f"{header}\n0 1 2 10 20 30 60 0\n1 1 2 11 21 31 61 0\n".encode()
    stream = io.BytesIO()
    if form == "deeplabcut-h5":
        names = [
            ("net", part, one) for part in ("nose", "tail") for one in ("x", "y", "likelihood")
        ]
        rows = np.zeros(2, dtype=[("index", "i8"), ("values_block_0", "f8", (6,))])
        rows["index"], rows["values_block_0"] = [0, 1], [[2, 3, 0.5, 4, 5, 0.5]]
        with pytest.importorskip("h5py").File(stream, "w") as file:
            group = file.create_group("df_with_missing")
            group.attrs["pandas_type"] = np.bytes_(b"frame_table")
            group["table"] = rows
            kind = np.bytes_(pickle.dumps(names, protocol=0))
            group["table"].attrs["values_block_0_kind"] = kind
        return stream.getvalue()
    if form == "penn-action":
        ones = np.full((3, 13), 40.0)
        content = {"action": "squat", "x": ones, "y": ones, "visibility": ones / 40}
        savemat(stream, {**content, "dimensions": [[270, 480, 3]], "train": [[1]]})
        return stream.getvalue()
    arrays = np.zeros((2, 5, 2), dtype=np.float32)
    tracks = PoseTracks.build(arrays, np.ones((2, 5)), [0, 1], [1, 1], [0, 0], "box5", ["a"])
    path = Path(valid.folder) / "seed.npz"  # type: ignore[attr-defined]
    tracks.save(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    valid.folder = tmp_path  # type: ignore[attr-defined]


def skeleton(form: str) -> Skeleton | str:
    """The skeleton that a format needs."""
    by_name = form in ("deeplabcut", "deeplabcut-h5", "csv")
    return Skeleton("rod", ("nose", "tail"), ((0, 1),), 0) if by_name else "auto"


def assert_read_or_refused(path: Path, form: str) -> None:
    for asked in (form, "auto"):
        try:
            tracks = read(path, format=asked, skeleton=skeleton(form))
        except InputError as error:
            assert str(path) in str(error), str(error)
            assert "\n" not in str(error)
        else:
            assert np.isfinite(tracks.keypoints).all()


@pytest.mark.parametrize("form", FORMATS)
def test_undamaged_files_are_read(form, tmp_path):
    path = tmp_path / f"seed_file_1{SUFFIX[form]}"
    path.write_bytes(valid(form))
    assert read(path, skeleton=skeleton(form)).num_frames >= 2
    assert read(path, format=form, skeleton=skeleton(form)).num_clips == 1


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@FUZZ
@given(data=st.data())
def test_damaged_bytes_are_refused_in_one_sentence(form, tmp_path, data):
    """Cut short, bytes changed, bytes put in."""
    content = bytearray(valid(form))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        kind = data.draw(st.sampled_from(["cut", "change", "insert", "drop"]))
        if kind == "cut":
            del content[at:]
        elif kind == "change" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del content[at : at + data.draw(st.integers(1, 40))]
    path = tmp_path / f"broken_1{SUFFIX[form]}"
    path.write_bytes(bytes(content))
    assert_read_or_refused(path, form)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@FUZZ
@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused_in_one_sentence(form, tmp_path, content):
    path = tmp_path / f"random_1{SUFFIX[form]}"
    path.write_bytes(content)
    assert_read_or_refused(path, form)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["keypoints", "image_id", "NaN", 10**30, -1, 1e308]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "0",
                    "1",
                    "-3",
                    "x",
                    "keypoints",
                    "idx",
                    "image_id",
                    "score",
                    "skeletons",
                    "people",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def changed(value: object, draw: st.DataObject) -> object:
    """The value with something inside replaced by arbitrary JSON."""
    if isinstance(value, (dict, list)) and value and draw.draw(st.integers(0, 3)):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = draw.draw(st.sampled_from(list(keys)))
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[key] = changed(value[key], draw)  # type: ignore[index]
        return copy
    return draw.draw(JSON)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", [form for form in FORMATS if SUFFIX[form] == ".json" and form != "openpifpaf-video"]
)
@FUZZ
@given(data=st.data())
def test_wrong_shapes_and_values_in_json_are_refused(form, tmp_path, data):
    path = tmp_path / "wrong_1.json"
    path.write_text(json.dumps(changed(json.loads(valid(form)), data)))
    assert_read_or_refused(path, form)


@FUZZ
@given(data=st.data())
def test_wrong_arrays_in_native_files_are_refused(tmp_path, data):
    seed = tmp_path / "seed_native.npz"
    seed.write_bytes(valid("native"))
    with np.load(seed) as archive:
        arrays = dict(archive)
    name = data.draw(st.sampled_from(sorted(arrays)))
    arrays[name] = data.draw(
        st.sampled_from(
            [
                np.zeros(0),
                np.zeros((2, 2)),
                np.array("text"),
                np.array(["a", "b"]),
                np.full((2, 5, 2), np.nan),
                np.array([-1, 5]),
                np.array([1e300, -1e300]),
                np.array(3),
                np.array([[1 + 2j]]),
            ]
        )
    )
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    assert_read_or_refused(path, "native")


def damaged(content: bytes, draw: st.DataObject) -> bytes:
    """A few bytes changed."""
    copy = bytearray(content)
    for _ in range(draw.draw(st.integers(1, 3))):
        copy[draw.draw(st.integers(0, len(copy) - 1))] = draw.draw(st.integers(0, 255))
    return bytes(copy)


@pytest.mark.slow
@DEEP
@given(data=st.data(), compressed=st.booleans())
def test_damaged_array_headers_in_sound_archives_are_refused(tmp_path, data, compressed):
    """Behind the zip's own checks: each array's header is parsed as Python text by NumPy."""
    with zipfile.ZipFile(io.BytesIO(valid("native"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(members)))
    members[name] = damaged(members[name][:128], data) + members[name][128:]
    path = tmp_path / "header.npz"
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    assert_read_or_refused(path, "native")


@DEEP
@given(data=st.data())
def test_damaged_compressed_archives_are_refused(tmp_path, data):
    stream = io.BytesIO()
    with np.load(io.BytesIO(valid("native"))) as archive:
        np.savez_compressed(stream, **archive)
    path = tmp_path / "compressed.npz"
    path.write_bytes(damaged(stream.getvalue(), data))
    assert_read_or_refused(path, "native")


@DEEP
@given(data=st.data())
def test_damaged_masks_are_refused(tmp_path, data):
    stream = io.BytesIO()
    np.save(stream, np.array([0, 1, 1, 0], dtype=np.uint8))
    tracks = PoseTracks.build(np.zeros((1, 5, 2)), np.ones((1, 5)), [0], [1], [0], "box5", ["clip"])
    content = stream.getvalue()
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "clip.npy"
    path.write_bytes(damaged(content, data) if data.draw(st.booleans()) else content[:cut])
    try:
        labelled = read_frame_labels(tmp_path, tracks)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert np.isin(labelled.frame_labels, (0, 1)).all()


VALUES = st.sampled_from(["-1", "x", "nan", "inf", "1e400", "1.5", "9" * 30, "", "0x1", "1 2"])


@pytest.mark.slow
@FUZZ
@given(data=st.data())
def test_wrong_values_in_box_files_are_refused(tmp_path, data):
    header, *rows = valid("shanghaitech-boxes").decode().splitlines()
    table = [row.split() for row in rows]
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.sampled_from(table))
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(VALUES)
    path = tmp_path / "01_0001.txt"
    path.write_text("\n".join([header, *map(" ".join, table)]))
    assert_read_or_refused(path, "shanghaitech-boxes")


CELLS = VALUES | st.sampled_from(
    ['"', "1,5", "1;5", "\t", "frame", "x1", "nose", "²", "12:61:99", "2024-13-01", "..", "a.mp4"]
)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "deeplabcut"])
@pytest.mark.parametrize("frame", ["frame", "time", "image_name"])
@FUZZ
@given(data=st.data())
def test_wrong_cells_in_tables_are_refused(form, frame, tmp_path, data):
    text = valid(form).decode().replace("frame", frame)
    table = [row.split(",") for row in text.splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.sampled_from(table))
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(CELLS)
    separator = data.draw(st.sampled_from(",;\t"))
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(map(separator.join, table)))
    assert_read_or_refused(path, form)


ARRAYS = st.sampled_from(
    [np.zeros((0, 0)), np.zeros((3, 12)), np.full((3, 13), np.nan), np.full((3, 13), 1e300)]
    + [np.full((3, 13), -1), np.zeros((3, 13, 2)), "text", "", [[1j]], {"a": 1}, [["a", 2.0]]]
    + [np.array([[1.0], ["b"]], dtype=object), [[-5, 0]], [[np.inf, np.nan, 1]]]
)


@pytest.mark.slow
@FUZZ
@given(name=st.sampled_from(PENN), value=ARRAYS, compressed=st.booleans())
def test_wrong_arrays_in_matlab_files_are_refused(tmp_path, name, value, compressed):
    content = loadmat(io.BytesIO(valid("penn-action")), variable_names=PENN)
    content = {key: content[key] for key in PENN}
    path = tmp_path / "wrong.mat"
    savemat(path, {**content, name: value}, do_compression=compressed)
    assert_read_or_refused(path, "penn-action")


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_line_prints_one_sentence_and_exits_with_2(form, tmp_path):
    path = tmp_path / f"cut_1{SUFFIX[form]}"
    path.write_bytes(valid(form)[: len(valid(form)) * 2 // 3] + b"\xff\x00 junk")
    result = CliRunner().invoke(
        main, ["convert", str(path), "--format", form, "--out", str(tmp_path / "o.npz")]
    )
    assert result.exit_code == 2, result.output
    assert result.output.startswith("Error: ") and str(path) in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "o.npz").exists()
    assert not list(tmp_path.glob(".o*"))


def test_object_arrays_are_never_unpickled(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return ran.touch, ()

    np.savez(tmp_path / "evil.npz", keypoints=np.array([Evil()], dtype=object))
    with pytest.raises(
        InputError,
        match=r"evil.npz must be a pose file \(\.npz\), "
        "got Python objects, which are never loaded$",
    ):
        read(tmp_path / "evil.npz")
    assert not ran.exists()
