"""Annotation pickles: known answers, every protocol, and no execution of their content."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import PurePosixPath

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all
from gepc_geo.io._common.unpickle import Array, read_pickle
from gepc_geo.poses.skeleton import SKELETONS


def annotation(name="a", people=1, frames=3, joints=17, dims=2, **changes):
    """One clip as PYSKL's data documentation describes it; joint v of person m at (10 m + v, t)."""
    m, t, v = np.indices((people, frames, joints))
    keypoint = np.stack([10 * m + v + 1, t + 1, v + 2][:dims], axis=-1)
    one = {"frame_dir": name, "total_frames": frames, "label": 7}
    one["keypoint"] = keypoint.astype(np.float16 if dims == 2 else np.float32)
    if dims == 2:
        one["keypoint_score"] = np.full((people, frames, joints), 0.75, dtype=np.float16)
        one |= {"img_shape": (480, 640), "original_shape": (480, 640)}
    return {key: value for key, value in {**one, **changes}.items() if value is not None}


def save(path, *annotations, split=None, protocol=4):
    content = list(annotations)
    content = content if split is None else {"split": split, "annotations": content}
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_files_in_2d_are_read_in_every_protocol(protocol, tmp_path):
    two = annotation("S001", people=2)
    two["keypoint"][1, 1:] = 0
    two["keypoint_score"][0, 0, 4] = 0
    split = {"xsub_train": ["S001"], "xsub_val": ["S002"], "xview_train": ["S002"]}
    tracks = read(
        save(tmp_path / "ntu.pkl", two, annotation("S002"), split=split, protocol=protocol),
        format="pyskl",
    )
    assert tracks.clip_names == ("S001", "S002")
    assert tracks.clip_label == ("7", "7") and tracks.clip_split == ("train", "test")
    assert tracks.skeleton == SKELETONS["coco17"]
    np.testing.assert_array_equal(tracks.track, [0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(tracks.frame, [0, 1, 2, 0, 0, 1, 2])
    np.testing.assert_array_equal(tracks.keypoints[3, 5], [16, 1])
    np.testing.assert_array_equal(tracks.image_size, [[640, 480]] * 2)
    assert np.argwhere(tracks.confidence == 0).tolist() == [[0, 4]]
    assert tracks.confidence[1, 0] == 0.75


def test_files_in_3d_and_lists_of_annotations_are_read(tmp_path):
    tracks = read(save(tmp_path / "ntu3d.pkl", annotation(joints=25, dims=3)))
    assert tracks.skeleton == SKELETONS["ntu25"] and tracks.dims == 3
    np.testing.assert_array_equal(tracks.keypoints[2, 5], [6, 3, 7])
    assert tracks.clip_split == ("",)
    assert read_all(tmp_path).formats == {"pyskl": 1}


def test_classes_of_clips_named_as_ntus_are_those_of_the_names(tmp_path):
    """The published files count them from 0, NTU's own from 1; ``A120`` is the last."""
    names = ["S001C001P001R001A001", "S018C003P008R002A120", "S001C001P001R001A050_rgb"]
    clips = [annotation(name, label=label) for name, label in zip(names, (0, 119, 49), strict=True)]
    more = [
        annotation("S001C001P001R001A050", label=None),
        annotation("S001C001P002R001A050", label="fall"),
        annotation("zero", label=0),
    ]
    tracks = read(save(tmp_path / "ntu.pkl", *clips, *more))
    assert tracks.clip_label == ("1", "120", "49", "50", "fall", "0")


def test_pickles_of_arrays_and_containers_are_read_in_every_protocol(tmp_path):
    arrays = [
        np.arange(24, dtype=">f4").reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.array([True, False]),
        np.array(["one", "three"]),
        np.zeros((0, 3), dtype=np.uint8),
        np.array(5, dtype=np.int16),
    ]
    plain = {"a": [1, 2.5, None, True, b"x", "é"], "b": ({1, 2}, (3,)), "c": 2**80}
    for protocol in range(6):
        path = tmp_path / "p.pkl"
        path.write_bytes(pickle.dumps([arrays, plain, np.float32(1.5)], protocol))
        found, containers, scalar = read_pickle(path, "a test")
        assert containers == plain and scalar == 1.5
        for one, array in zip(found, arrays, strict=True):
            assert isinstance(one, Array) and one.value is not None
            assert one.value.dtype == array.dtype and one.value.shape == array.shape
            np.testing.assert_array_equal(one.value, array)


class Runs:
    """Pickled as a call that would leave a mark."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_malicious_pickles_are_refused_and_not_run(tmp_path):
    mark = tmp_path / "ran"
    evil = {
        "a call of anything": Runs(mark.touch),
        "os.system": Runs(__import__("os").system, f"touch {mark}"),
        "eval": Runs(eval, f"open({str(mark)!r}, 'w')"),
        "getattr": Runs(getattr, str, "join"),
        "an array of objects": np.array([Runs(mark.touch)], dtype=object),
        "a NumPy function": Runs(np.fromfile, str(mark)),
        "a class": PurePosixPath("x"),
        "a module's own": Runs(pickle.loads, pickle.dumps(Runs(mark.touch))),
    }
    for protocol in range(6):
        for name, thing in evil.items():
            path = tmp_path / "evil.pkl"
            for content in ([thing], {"annotations": [annotation(label=thing)]}):
                path.write_bytes(pickle.dumps(content, protocol))
                with pytest.raises(InputError, match=r"evil\.pkl must be .*, got ") as caught:
                    read(path, format="pyskl")
                assert "\n" not in str(caught.value), name
    assert not mark.exists()


def dtype_of(name, state=b""):
    """Opcodes that make ``numpy.dtype(name)``."""
    return b"cnumpy\ndtype\n(V" + name + b"\nI00\nI01\ntR" + state


# A tuple that holds a tuple twice, which holds one twice, and so on.
NESTED: tuple = ()
for _ in range(60):
    NESTED = (NESTED, NESTED)
# The same as operations of a pickle.
TWICE = b")" + b"2\x86" * 60

ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"


@pytest.mark.parametrize(
    "program",
    [
        # Pointers of the attacker's choice as objects; flags that say they are none.
        b"\x80\x03" + ARRAY + b"(I1\n(I1\nt" + dtype_of(b"O8") + b"I00\nC\x08AAAAAAAAtb.",
        b"\x80\x03"
        + ARRAY
        + b"(I1\n(I1\nt"
        + dtype_of(b"f8", b"(I3\nV|\nNNNI-1\nI-1\nI0\ntb")
        + b"I00\nC\x04AAAAtb.",
        # A shape larger than its bytes, a negative one, one of no numbers.
        b"\x80\x03" + ARRAY + b"(I1\n(I1000000000\nt" + dtype_of(b"f8") + b"I00\nC\x08AAAAAAAAtb.",
        b"\x80\x03" + ARRAY + b"(I1\n(I-1\nt" + dtype_of(b"f8") + b"I00\nC\x08AAAAAAAAtb.",
        b"\x80\x03" + ARRAY + b"(I1\n(Vx\nt" + dtype_of(b"f8") + b"I00\nC\x08AAAAAAAAtb.",
        # Changing the reader's own functions, classes and constants through BUILD.
        b"\x80\x03cnumpy._core.multiarray\n_reconstruct\n(N}V__defaults__\n)stb.",
        b"\x80\x03cnumpy\ndtype\n}Vdtype\nI1\nsb.",
        # Objects by the other ways to make them; registered extensions; persistent ids.
        b"\x80\x03cnumpy\ndtype\n(Vf8\nt\x81.",
        b"\x80\x03(cnumpy\ndtype\nVf8\no.",
        b"(Vls\nios\nsystem\n.",
        b"\x80\x03\x82\x01.",
        b"Px\n.",
        # A name hidden in a dotted one.
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        # Claims of sizes far beyond the file.
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x02]r\xff\xff\xff\x7f.",
        # Keys whose hash takes 2**60 steps, or as many levels as the stack has not.
        b"\x80\x03}" + TWICE + b"K\x01s.",
        b"\x80\x03}(" + TWICE + b"K\x01u.",
        b"(" + TWICE + b"K\x01d.",
        b"\x80\x04\x8f(" + TWICE + b"\x90.",
        b"\x80\x04(" + TWICE + b"\x91.",
        b"c__builtin__\nset\n(](" + TWICE + b"etR.",
        b"\x80\x03})" + b"\x85" * 1_000_000 + b"K\x01s.",
        # The same as an array's type and shape, which errors must not print.
        b"\x80\x03cnumpy\ndtype\n" + TWICE + b"\x85R.",
        b"\x80\x03" + ARRAY + b"(I1\n" + TWICE + dtype_of(b"f8") + b"I00\nC\x08AAAAAAAAtb.",
    ],
)
def test_handmade_pickle_programs_are_refused_and_change_nothing(program, tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(program)
    before = vars(__import__("gepc_geo.io._common.unpickle", fromlist=["x"])).copy()
    with pytest.raises(InputError, match=r"evil\.pkl must be .*, got ") as caught:
        read(path, format="pyskl")
    assert "\n" not in str(caught.value)
    after = vars(__import__("gepc_geo.io._common.unpickle", fromlist=["x"]))
    assert before == after
    assert after["_reconstruct"].__defaults__ is None


def test_the_handmade_program_without_a_lie_is_read(tmp_path):
    """The program above is valid, so that each change of it is the reason for its error."""
    program = b"\x80\x03" + ARRAY + b"(I1\n(I1\nt" + dtype_of(b"f8") + b"I00\nC\x08AAAAAAAAtb."
    pickletools.dis(program, out=io.StringIO())
    (tmp_path / "a.pkl").write_bytes(program)
    assert read_pickle(tmp_path / "a.pkl", "a test").value.shape == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoint": None}, "keypoint must be an array of 4 dimensions, got none"),
        ({"keypoint": [[1, 2]]}, "keypoint must be an array of 4 dimensions, got a list"),
        ({"keypoint": ([1, 2],)}, "keypoint must be an array of 4 dimensions, got a tuple"),
        (
            {"keypoint": np.ones((3, 17, 2))},
            r"keypoint must be an array of 4 dimensions, got shape \[3, 17, 2\] of float64",
        ),
        ({"keypoint": np.full((1, 3, 17, 2), np.nan)}, "keypoint must be finite, got NaN"),
        (
            {"keypoint": np.ones((1, 3, 16, 2))},
            r"must have poses of 17 \(coco17\) or 18 \(coco18\) or 26 \(halpe26\) joints, or a "
            r"skeleton of them \(--skeleton\), got 16",
        ),
        ({"keypoint": np.ones((1, 3, 17, 4))}, "must have 2 or 3 coordinates a joint, got 4"),
        (
            {"keypoint": np.full((1, 3, 17, 2), "x")},
            r"keypoint must be an array of 4 dimensions, got shape \[1, 3, 17, 2\] of <U1",
        ),
        (
            {"keypoint_score": np.ones((1, 3, 16))},
            r"keypoint_score must have shape \[1, 3, 17\], got \[1, 3, 16\]",
        ),
        ({"frame_dir": None}, r"with names \(frame_dir\), got an annotation without"),
        ({"total_frames": "x"}, "total_frames must be a whole number, got 'x'"),
        ({"label": [3]}, r"clip 'a': label must be a number or text, got \[3\]"),
        ({"label": 1.5}, "label must be a number or text, got 1.5"),
        ({"img_shape": ("x", 10)}, r"img_shape must be two numbers, got \('x', 10\)"),
        # Each of them has 2**60 parts.
        ({"label": NESTED}, r"label must be a number or text, got \(\(\("),
        ({"total_frames": NESTED}, r"total_frames must be a whole number, got \(\(\("),
        ({"img_shape": NESTED}, r"img_shape must be two numbers, got \(\(\("),
    ],
)
def test_broken_annotations_are_named(changes, message, tmp_path):
    path = save(tmp_path / "ntu.pkl", annotation(**changes))
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert "ntu.pkl" in str(caught.value) and "\n" not in str(caught.value)


def test_broken_files_are_named(tmp_path):
    path = save(tmp_path / "ntu.pkl", annotation())
    whole = path.read_bytes()
    for content, message in (
        (
            whole[: len(whole) // 2],
            "must be an annotation file of PYSKL, got a damaged pickle: pickle exhausted before "
            "end of frame",
        ),
        (
            b"\x80\x04",
            "must be an annotation file of PYSKL, got a damaged pickle: EOFError",
        ),
        (
            pickle.dumps([Runs(print)], 0),
            "must be an annotation file of PYSKL of nothing but arrays and plain containers, "
            "got the name '__builtin__.print'",
        ),
        (
            pickle.dumps({"x": 1}),
            "must be an annotation file of PYSKL with a list of annotations, got none",
        ),
        (
            pickle.dumps([]),
            "must be an annotation file of PYSKL with a list of annotations, got none",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"ntu\.pkl {message}$"):
            read(path)
    path = save(tmp_path / "ntu.pkl", annotation(), split=[1])
    with pytest.raises(InputError, match="split must be names by split, got a list"):
        read(path)
    for names in (3, [3], "a", {"a": 1}):
        path = save(tmp_path / "ntu.pkl", annotation(), split={"xsub_train": names})
        with pytest.raises(
            InputError, match=r"ntu\.pkl: split 'xsub_train' must be a list of names"
        ):
            read(path)
    path = save(tmp_path / "ntu.pkl", annotation("a"), annotation("a"))
    with pytest.raises(
        InputError,
        match=r"ntu\.pkl must have annotations of different names \(frame_dir\), "
        "got 2 named 'a'",
    ):
        read(path)


@pytest.mark.parametrize(
    ("scores", "people", "told"),
    [
        ([[0, 0]], 2, "no joint of 2 poses has a score above 0"),
        ([[0.5, 0]], 1, "1 of 2 poses have no visible joint"),
    ],
)
def test_people_with_scores_of_zero_are_not_visible(scores, people, told, tmp_path):
    """If all scores are 0, poses have no scores; if some are, these people are not visible."""
    score = np.broadcast_to(np.array(scores, dtype=np.float32)[..., None], (1, 2, 17)).copy()
    one = {"frame_dir": "a", "total_frames": 2, "label": 1, "keypoint_score": score}
    one["keypoint"] = np.arange(68, dtype=np.float32).reshape(1, 2, 17, 2) + 50
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([one]))
    with pytest.warns(InputWarning, match=told):
        assert read(tmp_path / "a.pkl").num_frames == people
