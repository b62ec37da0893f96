"""The flat table of poses: checks, parts, wholes and the native file."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path


def build(**changes) -> PoseTracks:
    """Two clips: people 1 and 2 in the first, person 1 in the second; rows given out of order."""
    values = dict(
        keypoints=np.arange(40, dtype=np.float32).reshape(4, 5, 2),
        confidence=np.full((4, 5), 0.5),
        frame=[3, 0, 1, 7],
        track=[2, 1, 1, 1],
        clip=[0, 0, 0, 1],
        skeleton="box5",
        clip_names=["a", "b"],
        clip_label=["walk", "run"],
        clip_split=["train", "test"],
    )
    return PoseTracks.build(**{**values, **changes})


def test_rows_are_sorted_and_lengths_filled_in():
    tracks = build()
    assert tracks.track.tolist() == [1, 1, 2, 1]
    assert tracks.frame.tolist() == [0, 1, 3, 7]
    assert tracks.keypoints[2, 0, 0] == 0
    assert tracks.clip_length.tolist() == [4, 8]
    assert tracks.frame_offset.tolist() == [0, 4, 12]
    assert tracks.track_starts.tolist() == [0, 2, 3]
    assert np.isnan(tracks.fps).all() and tracks.camera == ("", "")
    assert "clips=2, frames=12, tracks=3, person_frames=4" in repr(tracks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.zeros((4, 6, 2))}, r"must have 5 joints \(skeleton 'box5'\), got 6"),
        ({"keypoints": np.zeros((4, 5, 4))}, "must have 2 or 3 coordinates a joint, got 4"),
        (
            {"keypoints": np.full((4, 5, 2), np.nan)},
            r"keypoints must be finite \(confidence 0 marks a missing joint\), "
            r"got NaN or infinity \(joint center of row 0",
        ),
        (
            {"keypoints": np.full((4, 5, 2), -1e30)},
            r"keypoints must be from -1e\+09 to 1e\+09, got -1e\+30 \(joint center of row 0\)",
        ),
        (
            {"features": np.full((4, 5, 1), 2e9)},
            r"features must be from -1e\+09 to 1e\+09, got 2e\+09 \(joint center of row",
        ),
        ({"keypoints": np.zeros((4, 5))}, "keypoints must have 3 dimensions, got 2"),
        ({"confidence": np.full((4, 5), 1.5)}, "confidence must be from 0 to 1, got 1.5"),
        ({"confidence": np.full((4, 5), np.nan)}, "confidence must be from 0 to 1, got nan"),
        ({"confidence": np.ones((3, 5))}, r"confidence must have shape \[4, 5\], got \[3, 5\]"),
        ({"frame": [0, 0, 0, 7]}, "must have one row a frame, got two of person 1 in frame 0"),
        (
            {"frame": [0, 1, 1, 7], "track": [1] * 4},
            "must have one row a frame, got two of person 1 in frame 1",
        ),
        ({"frame": [3, 0, -1, 7]}, "frame number of clip 'a' must be 0 or more, got -1"),
        ({"frame": [3, 0, 10**8, 7]}, "frame number must be less than 100000000, got 100000000"),
        (
            {"frame": [3, 0, 2**63 - 1, 7]},
            "frame number must be less than 100000000, got 9223372036854775807",
        ),
        (
            {"clip_length": [4, 2**62]},
            "frame number must be less than 100000000, got 4611686018427387903",
        ),
        ({"frame": [3, 0, 1.5, 7]}, "frame must be an array of int64, got"),
        ({"clip_length": [2, 8]}, "frame number of clip 'a' must be from 0 to 1, got 3"),
        ({"clip": [0, 0, 0, 2]}, "clip must be from 0 to 1, got 2"),
        ({"clip_names": ["a", "a"]}, "must have different clip names, got 'a'"),
        ({"clip_names": ["a"]}, "clip must be from 0 to 0, got 1|must have 1 entries"),
        ({"clip_label": ["walk"]}, "clip_label must have 2 entries, got 1"),
        ({"frame_labels": [0] * 11}, "frame_labels must have 12 entries, got 11"),
        ({"frame_labels": [2] * 12}, r"frame_labels must be 1, 0 or -1 \(unknown\), got 2"),
        ({"fps": [0, 24]}, "fps must be finite and more than 0, got 0.0"),
        ({"fps": [24, np.inf]}, "fps must be finite and more than 0, got inf"),
        (
            {"image_size": [[np.inf, 2], [2, 2]]},
            "image_size must be finite and more than 0, got inf",
        ),
        ({"features": np.zeros((4, 4, 2))}, "features must have shape"),
        ({"track": ["x", 1, 1, 1]}, "track must be an array of int64, got"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message) as caught:
        build(**change, origin="some.npz")
    assert str(caught.value).startswith("some.npz")


def test_positions_of_undetected_joints_are_not_checked():
    keypoints, confidence = np.ones((4, 5, 2)), np.ones((4, 5))
    keypoints[1, 2], confidence[1, 2] = -1e30, 0
    assert build(keypoints=keypoints, confidence=confidence).num_frames == 4
    keypoints[2, 3] = 1e9
    assert build(keypoints=keypoints, confidence=confidence).keypoints.max() == 1e9


def test_clips_are_selected_by_split_class_and_position():
    tracks = build(frame_labels=[0, 0, 0, 1] + [1] * 8)
    test = tracks.select(split="test")
    assert test.clip_names == ("b",) and test.clip.tolist() == [0] and test.num_frames == 1
    assert test.frame_labels.tolist() == [1] * 8
    assert tracks.select(labels=["walk"]).clip_names == ("a",)
    assert tracks.select(clips=[1]).clip_names == ("b",)
    assert tracks.select(clips=np.array([True, False])).num_frames == 3
    with pytest.raises(
        InputError, match=r"split must be one of the data's \(test, train\), got 'val'"
    ):
        tracks.select(split="val")
    with pytest.raises(
        InputError, match=r"class must be one of the data's \(run, walk\), got 'swim'"
    ):
        tracks.select(labels=["walk", "swim"])
    with pytest.raises(InputError, match="clips must be positions below 2 or a mask"):
        tracks.select(clips=[5])


def test_joining_is_the_inverse_of_selecting():
    tracks = build(frame_labels=[0] * 12)
    again = PoseTracks.concat([tracks.select(clips=[0]), tracks.select(clips=[1])])
    for name in ("keypoints", "frame", "track", "clip", "clip_length", "frame_labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tracks, name))
    assert again.clip_label == tracks.clip_label
    half = build(clip_names=["c", "d"])
    assert PoseTracks.concat([tracks, half]).frame_labels.tolist() == [0] * 12 + [-1] * 12
    with pytest.raises(InputError, match="must have different clip names, got"):
        PoseTracks.concat([tracks, tracks])
    other = build(keypoints=np.zeros((4, 13, 2)), confidence=np.ones((4, 13)), skeleton="penn13")
    with pytest.raises(
        InputError, match="must have one skeleton, got 'box5' in 2 dimensions and 'penn13' in 2"
    ):
        PoseTracks.concat([tracks, other])
    wide = build(features=np.ones((4, 5, 3)), clip_names=["e", "f"])
    message = r"same number of features a joint, got {} \(clip 'a'\) and 3 \(clip 'e'\)"
    for count in (0, 2):
        narrow = build(features=np.ones((4, 5, count)) if count else None)
        with pytest.raises(InputError, match=message.format(count)):
            PoseTracks.concat([narrow, wide])
    with pytest.raises(InputError, match="must have at least one data set"):
        PoseTracks.concat([])


@pytest.mark.parametrize("full", [True, False])
def test_native_file_round_trip(full, tmp_path):
    more = (
        dict(
            frame_labels=[0, 1, -1] * 4,
            features=np.ones((4, 5, 3)),
            fps=[24, np.nan],
            image_size=[[640, 480], [np.nan, np.nan]],
            camera=["north", "Süd"],
        )
        if full
        else {}
    )
    tracks = build(**more)
    tracks.save(tmp_path / "a.npz")
    again = PoseTracks.load(tmp_path / "a.npz")
    for name in tracks.__dataclass_fields__:
        one, other = getattr(tracks, name), getattr(again, name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other, name
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("name", ["clip_names", "camera", "clip_label", "clip_split"])
def test_names_that_are_not_text_are_not_saved(name, tmp_path):
    """As Python gives for a file name in another encoding; such names could not be read again."""
    tracks = build(**{name: ["caf\udce9", "b"]})
    with pytest.raises(InputError, match=rf"{name} must be text in UTF-8, got 'caf\\udce9'"):
        tracks.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_native_files_of_other_versions_and_contents_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    build().save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    for change, message in (
        ({"format_version": np.array(99)}, "must have format version 1, got 99"),
        ({"keypoints": None}, "must have array 'keypoints', got"),
        (
            {"extra": np.zeros(2)},
            "must have only the arrays camera, clip, clip_label, clip_length, clip_names, "
            "clip_split, confidence, features, fps, frame, frame_labels, image_size, keypoints, "
            "skeleton, track, got 'extra'",
        ),
        ({"skeleton": np.array("{")}, "skeleton must be JSON, got"),
        ({"clip_names": np.zeros(2)}, "clip_names must be a list of strings, one a clip, got"),
    ):
        np.savez(path, **{k: v for k, v in {**arrays, **change}.items() if v is not None})
        with pytest.raises(InputError, match=message):
            PoseTracks.load(path)
    single = tmp_path / "single.npz"
    with single.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(
        InputError, match=r"must be a pose file \(\.npz\) with named arrays, got one without"
    ):
        PoseTracks.load(single)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("keypoints.npy", b"no array")
    with pytest.raises(
        InputError,
        match=r"must be a pose file \(\.npz\) of arrays, got other content in 'keypoints'",
    ):
        PoseTracks.load(path)
    for code in (0x110000, 0xD800, 0xFFFFFFFF):
        damaged = np.array([code, 98], dtype="<u4").view("<U1")
        np.savez(path, **{**arrays, "clip_names": damaged})
        with pytest.raises(InputError, match="damaged text in 'clip_names'"):
            PoseTracks.load(path)
    np.savez(path, **{**arrays, "clip_names": np.array(["ä", "b"], dtype=">U3")})
    assert PoseTracks.load(path).clip_names == ("ä", "b")
    with pytest.raises(InputError, match="missing.npz does not exist"):
        PoseTracks.load(tmp_path / "missing.npz")
    with pytest.raises(InputError, match=r"must have suffix .npz, got '.txt'"):
        build().save(tmp_path / "a.txt")


def in_file(array: np.ndarray) -> bool:
    """Whether an array's memory is a mapped file's."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.mark.parametrize("full", [True, False])
def test_mapped_rows_equal_loaded_ones_and_stay_in_the_file(full, tmp_path):
    more = {"features": np.ones((4, 5, 3)), "frame_labels": [0] * 12} if full else {}
    build(**more).save(tmp_path / "a.npz")
    loaded = PoseTracks.load(tmp_path / "a.npz")
    mapped = PoseTracks.load(tmp_path / "a.npz", mmap=True)
    for name in loaded.__dataclass_fields__:
        one, other = getattr(loaded, name), getattr(mapped, name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other, name
        rows = name in ("keypoints", "confidence", "frame", "track", "clip", "features")
        if isinstance(one, np.ndarray):
            assert in_file(other) == rows and not in_file(one)
            assert other.flags.writeable != rows


def test_mapped_files_are_checked(tmp_path):
    path = tmp_path / "a.npz"
    build().save(path)
    with np.load(path) as archive:
        arrays = dict(archive)

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            PoseTracks.load(path, mmap=True)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)

    for change, message in (
        (
            {"keypoints": np.full((4, 5, 2), np.nan, np.float32)},
            r"must be finite \(confidence 0 marks a missing joint\), got NaN",
        ),
        ({"confidence": np.full((4, 5), 2, np.float32)}, "confidence must be from 0 to 1, got 2.0"),
        (
            {"frame": np.array([0, 0, 3, 7])},
            "must have one row a frame, got two of person 1 in frame 0",
        ),
        ({"frame": np.array([0, 1, 9, 7])}, "frame number of clip 'a' must be from 0 to 3, got 9"),
        ({"keypoints": np.array([object()])}, "Python objects, which are never loaded"),
    ):
        np.savez(path, **{**arrays, **change})
        refused(message)
    np.savez_compressed(path, **arrays)
    refused("'keypoints' must be uncompressed to be mapped")
    content = {name: array.tobytes() for name, array in arrays.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(stream, header)
                stream.write(content[name][: -8 if name == "track" else None])
    refused("'track' must have 32 bytes, got 24")
    with pytest.raises(InputError, match="missing.npz does not exist"):
        PoseTracks.load(tmp_path / "missing.npz", mmap=True)


def test_mapped_rows_may_have_any_order_and_type(tmp_path):
    path = tmp_path / "a.npz"
    build().save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    turned = [3, 1, 2, 0]
    for name in ("keypoints", "confidence", "frame", "track", "clip"):
        arrays[name] = arrays[name][turned]
    arrays["keypoints"] = np.asfortranarray(arrays["keypoints"], dtype=">f8")
    np.savez(path, **arrays)
    tracks = PoseTracks.load(path, mmap=True)
    np.testing.assert_array_equal(tracks.keypoints, build().keypoints)
    np.testing.assert_array_equal(tracks.track, build().track)


def test_sorted_arrays_are_not_copied():
    tracks = build()
    again = tracks.with_(clip_names=["c", "d"])
    assert np.shares_memory(again.keypoints, tracks.keypoints)
    turned = tracks.with_(track=tracks.track[[2, 1, 0, 3]])
    assert not np.shares_memory(turned.keypoints, tracks.keypoints)


def test_tracks_without_people_are_valid(tmp_path):
    empty = PoseTracks.build(np.zeros((0, 5, 2)), np.zeros((0, 5)), [], [], [], "box5", ["a"])
    assert empty.num_frames == empty.num_tracks == 0
    assert empty.clip_length.tolist() == [0]
    empty.save(tmp_path / "a.npz")
    assert PoseTracks.load(tmp_path / "a.npz", mmap=True).num_frames == 0


def test_nothing_half_written_is_left_behind(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not write"), atomic_path(tmp_path / "file" / "x"):
        pass
