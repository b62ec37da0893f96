"""NTU RGB+D skeleton files: known answers, the rules of bodies, broken files."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read, read_all
from gepc_geo.poses.skeleton import SKELETONS

NAME = "S001C002P003R001A050.skeleton"


def body(number: int, x: float = 0.0, state: int = 2, joints: int = 25) -> str:
    """A body with joint j at (x, j / 10, 3), in the layout of the data set's MATLAB reader."""
    row = "\n".join(
        f"{x} {j / 10} 3.0 250.1 200.2 900.3 -1.#IND 0.1 0.2 0.3 0.4 {state}" for j in range(joints)
    )
    return f"{number} 0 1 1 1 1 0 0.01 -0.2 2\n{joints}\n{row}\n"


def clip(*frames: list[str]) -> str:
    return f"{len(frames)}\n" + "".join(f"{len(bodies)}\n{''.join(bodies)}" for bodies in frames)


def test_a_file_of_one_person_is_read(tmp_path):
    path = tmp_path / NAME
    path.write_text(clip([body(72057594037931101, 0.5)], [], [body(72057594037931101, 0.6, 1)]))
    tracks = read(path)
    assert tracks.clip_names == ("S001C002P003R001A050",)
    assert tracks.skeleton == SKELETONS["ntu25"]
    # Subject 3 tests, action 50, camera 2; Kinect records 30 frames a second.
    assert (tracks.clip_split, tracks.clip_label, tracks.camera) == (("test",), ("50",), ("c2",))
    assert tracks.fps[0] == 30
    # The frame in the middle has nobody, and is one.
    np.testing.assert_array_equal(tracks.frame, [0, 2])
    np.testing.assert_array_equal(tracks.clip_length, [3])
    np.testing.assert_array_equal(tracks.track, [0, 0])
    np.testing.assert_allclose(tracks.keypoints[1, 7], [0.6, 0.7, 3.0], rtol=1e-6)
    np.testing.assert_array_equal(tracks.confidence[:, 0], [1, 0.5])
    assert read_all(tmp_path).formats == {"ntu": 1}


def test_the_two_bodies_that_move_most_are_people(tmp_path):
    """A chair detected as a body, a person with little motion, and a person with much motion."""
    frames = [[body(11, 1.0), body(12, 2.0 + 0.01 * t), body(13, 3.0 + 0.5 * t)] for t in range(6)]
    path = tmp_path / "any_name.skeleton"
    path.write_text(clip(*frames))
    with pytest.warns(
        InputWarning,
        match="more than two people: the two with most motion are used, "
        "6 of 18 bodies are left out",
    ):
        tracks = read(path)
    assert tracks.num_tracks == 2
    assert tracks.keypoints[tracks.track == 0, 0, 0].max() == 5.5
    np.testing.assert_allclose(tracks.keypoints[tracks.track == 1, 0, 0].max(), 2.05)
    assert (tracks.clip_split, tracks.clip_label, tracks.camera) == (("",), ("",), ("",))


def test_bodies_at_the_origin_are_left_out_and_people_may_leave(tmp_path):
    nothing = body(5).split("\n")
    nothing[2:27] = ["0 0 0 " + "0 " * 8 + "2"] * 25
    path = tmp_path / NAME
    path.write_text(clip([body(4, 1.0), "\n".join(nothing)], [body(5, 2.0)], [body(4, 3.0)]))
    tracks = read(path)
    np.testing.assert_array_equal(tracks.track, [0, 0, 1])
    np.testing.assert_array_equal(tracks.frame, [0, 2, 1])


def test_a_body_that_gets_a_new_id_is_one_person(tmp_path):
    """Three consecutive ids, each near the last place of the previous one, and a second person."""
    frames = [
        [body(9, 5.0)] + ([body(1 + t // 4, 1.0 + 0.05 * t)] if t % 4 else []) for t in range(12)
    ]
    path = tmp_path / NAME
    path.write_text(clip(*frames))
    tracks = read(path)
    assert tracks.num_tracks == 2
    np.testing.assert_array_equal(np.bincount(tracks.track), [9, 12])


def test_bodies_far_from_each_other_are_two(tmp_path):
    """A person does not move by four metres within a frame."""
    path = tmp_path / NAME
    path.write_text(clip([body(1, 1.0)], [body(2, 5.0)]))
    assert read(path).num_tracks == 2


def test_a_body_twice_in_a_frame_counts_once(tmp_path):
    path = tmp_path / NAME
    path.write_text(clip([body(1, 1.0), body(1, 2.0)], [body(1, 1.1)]))
    with pytest.warns(
        InputWarning, match="several poses in a frame: the best is used, 1 of 3 poses are left out"
    ):
        tracks = read(path)
    assert tracks.frame.tolist() == [0, 1] and tracks.keypoints[0, 0, 0] == 1


def test_joints_that_were_not_tracked_are_missing(tmp_path):
    path = tmp_path / NAME
    path.write_text(clip([body(4).replace("0.4 2\n", "0.4 0\n", 1)]))
    assert np.flatnonzero(read(path).confidence[0] == 0).tolist() == [0]


def test_files_without_a_body_are_clips(tmp_path):
    (tmp_path / NAME).write_text(clip([], [], []))
    (tmp_path / NAME.replace("A050", "A051")).write_text(clip([body(1)]))
    tracks = read(tmp_path)
    assert (tracks.num_clips, tracks.num_frames) == (2, 1)
    np.testing.assert_array_equal(tracks.clip_length, [3, 1])


GOOD = clip([body(1)], [body(1)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got its end within a frame"),
        (GOOD[: len(GOOD) * 2 // 3].rsplit("\n", 1)[0] + "\n", "got its end within a frame"),
        (GOOD[: len(GOOD) * 2 // 3], "must have 12 values, got"),
        (clip([body(1, joints=20)]), "must have bodies of 25 joints, got 20"),
        (GOOD.replace("0.1 3.0", "nan 3.0", 1), "joints must be finite, got NaN"),
        (GOOD.replace("0.1 3.0", "x 3.0", 1), "with numbers only, got"),
        (GOOD.replace("0.4 2", "0.4 7", 1), "tracking state must be 0, 1 or 2, got 7"),
        (
            GOOD.replace("1 0 1 1 1 1", "1.5 0 1 1 1 1", 1),
            "body id must be a whole number, got '1.5'",
        ),
        ("-1\n", "number of frames must be 0 or more, got -1"),
        (GOOD + "3\n", "of 2 frames, got further lines"),
    ],
)
def test_broken_files_are_named(content, message, tmp_path):
    path = tmp_path / NAME
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert NAME in str(caught.value) and "\n" not in str(caught.value)
