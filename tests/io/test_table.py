"""Tables of poses with a header: clips, people, frames, joints by name or number, broken tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gepc_geo.errors import InputError, InputWarning
from gepc_geo.io import read_all
from gepc_geo.io._common.clip import Clips
from gepc_geo.io.formats import table
from gepc_geo.poses.schema import MAX_FRAMES
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks

COCO = SKELETONS["coco17"].joints
NAMED = [f"{joint}_{one}" for joint in COCO for one in ("x", "y", "confidence")]
ROD = Skeleton("rod", ("nose", "tail"), ((0, 1),), 0)


def pose(frame: int, joints: int = 17, values: int = 3, person: int = 0) -> list[float]:
    """Flat x, y, score of each joint, different for each joint, frame and person."""
    place = [(10.5 * v + frame + 400 * person, 200.25 + 3 * v, 0.9) for v in range(joints)]
    return [value for one in place for value in one[:values]]


def text(header: list[str], rows: list[list[object]], separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in [header, *rows])


def read(folder: Path, content: str, skeleton: Skeleton | None = None, **how: str) -> Clips:
    path = folder / how.pop("name", "gate.csv")
    path.write_text(content, encoding=how.pop("encoding", "utf-8"))
    assert table.detect(path)
    return table.read_csv(path, skeleton)


def assert_pose(tracks: PoseTracks, row: int, frame: int, person: int = 0) -> None:
    expected = np.array(pose(frame, person=person), dtype=np.float32).reshape(17, 3)
    np.testing.assert_array_equal(tracks.keypoints[row], expected[:, :2])


def test_columns_of_clips_people_and_frames_are_understood(tmp_path):
    rows = [["a", 4, f, *pose(f)] for f in (1, 2)] + [["b", 2, 0, *pose(7)]]
    clips = read(tmp_path, text(["clip", "person", "frame", *NAMED], rows))
    tracks = clips.tracks
    assert clips.parts == [("gate", "a"), ("gate", "b")]
    assert clips.first_frame == 0 and not clips.complete and not clips.remarks
    assert tracks.skeleton.name == "coco17"
    np.testing.assert_array_equal(tracks.clip, [0, 0, 1])
    np.testing.assert_array_equal(tracks.track, [4, 4, 2])
    np.testing.assert_array_equal(tracks.frame, [1, 2, 0])
    for row, frame in enumerate((1, 2, 7)):
        assert_pose(tracks, row, frame)
    np.testing.assert_allclose(tracks.confidence, 0.9)


@pytest.mark.parametrize(
    "spell",
    [
        lambda joint, one: f"{joint.title().replace('_', '')}.{one.upper()}",
        lambda joint, one: f"{joint.upper()}_{one}",
        lambda joint, one: f"{joint.replace('_', ' ')} {one}",
        lambda joint, one: joint.replace("left_", "L").replace("right_", "R") + f"_{one}",
        lambda joint, one: joint.replace("left_", "l_").replace("right_", "r_") + f".{one} (px)",
        lambda joint, one: "_".join(reversed(joint.split("_"))) + f"_{one}",
        lambda joint, one: f"kp_{joint}_{one}",
        lambda joint, one: f"{one}_{joint}",
        lambda joint, one: f"{joint.title().replace('_', '')}{one.upper()}",
    ],
)
def test_joints_are_found_by_name_in_any_order(spell, tmp_path):
    header = [spell(joint, one) for joint in reversed(COCO) for one in ("y", "x")]
    values = np.array(pose(5)).reshape(17, 3)[::-1, 1::-1].ravel()
    clips = read(tmp_path, text(["frame", *header], [[5, *values]]))
    assert clips.tracks.skeleton.name == "coco17"
    assert_pose(clips.tracks, 0, 5)
    np.testing.assert_array_equal(clips.tracks.confidence, 1)


@pytest.mark.parametrize(
    "form",
    [
        "x{} y{} p{}",
        "x_{} y_{} score_{}",
        "Joint{}_X Joint{}_Y Joint{}_C",
        "kp_{}_x kp_{}_y kp_{}_conf",
        "keypoint[{}].x keypoint[{}].y keypoint[{}].visibility",
        "p{}.x p{}.y p{}.likelihood",
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_joints_are_found_by_number(form, first, tmp_path):
    header = [form.replace("{}", str(v)) for v in range(first, first + 17)]
    clips = read(tmp_path, text(" ".join(header).split(), [pose(0), pose(1)]))
    assert clips.tracks.skeleton.name == "coco17"
    # Without frames, rows are frames in their order.
    np.testing.assert_array_equal(clips.tracks.frame, [0, 1])
    assert clips.first_frame is None
    assert_pose(clips.tracks, 1, 1)
    np.testing.assert_allclose(clips.tracks.confidence, 0.9)


@pytest.mark.parametrize(("count", "name"), [(18, "coco18"), (26, "halpe26"), (33, "mediapipe33")])
def test_the_number_of_joints_names_the_skeleton_if_only_one_has_it(count, name, tmp_path):
    header = [f"{one}{v}" for v in range(count) for one in "xyc"]
    assert read(tmp_path, text(header, [pose(0, count)])).tracks.skeleton.name == name


def test_joints_of_the_users_skeleton_are_found_by_name(tmp_path):
    swapped = Skeleton("rod", ("j2", "j1"), ((0, 1),), 0)
    tracks = read(tmp_path, "frame,j1_x,j1_y,j2_x,j2_y\n0,1,2,30,40\n", swapped).tracks
    np.testing.assert_array_equal(tracks.keypoints, [[[30, 40], [1, 2]]])
    # By their numbers, whatever the order of the columns.
    tracks = read(tmp_path, "frame,x2,y2,x1,y1\n0,1,2,30,40\n", ROD).tracks
    np.testing.assert_array_equal(tracks.keypoints, [[[30, 40], [1, 2]]])
    clips = read(tmp_path, "tail.x,tail.y,hat.x,hat.y,nose.x,nose.y\n30,40,9,9,1,2\n", ROD)
    np.testing.assert_array_equal(clips.tracks.keypoints, [[[1, 2], [30, 40]]])


def test_boxes_are_ignored_and_unknown_joints_are_counted(tmp_path):
    header = ["frame", "id", "x1", "y1", "x2", "y2", "bbox_x", "bbox_y", *NAMED, "tail_x", "tail_y"]
    clips = read(tmp_path, text(header, [[0, 1, 5, 6, 7, 8, 1, 2, *pose(0), 3, 4]]))
    assert_pose(clips.tracks, 0, 0)
    with pytest.raises(InputError, match="got no x and y of hand, foot"):
        read(tmp_path, text(header, []), Skeleton("rod", ("hand", "foot"), ((0, 1),), 0))
    (remark,) = clips.remarks
    assert remark.text.format(count=remark.count, total=remark.total) == (
        "1 of 18 joints are ignored, as coco17 has none of them: tail"
    )


@pytest.mark.parametrize(("separator", "note"), [(";", ""), (";", "sep=;\n"), ("\t", "")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_decimal_commas_are_read(separator, note, encoding, tmp_path):
    values = [str(value).replace(".", ",") for value in pose(3)]
    content = note + text(["frame", *NAMED], [[3, *values]], separator)
    tracks = read(tmp_path, content, encoding=encoding).tracks
    assert_pose(tracks, 0, 3)
    np.testing.assert_allclose(tracks.confidence, 0.9)


def test_commas_in_names_are_no_separators(tmp_path):
    header = [f"('{joint}', '{one}')" for joint in COCO for one in ("x", "y", "likelihood")]
    tracks = read(tmp_path, text(header, [pose(0)], ";")).tracks
    assert_pose(tracks, 0, 0)


def test_quoted_cells_and_empty_lines_are_read(tmp_path):
    header = ['"clip"', *(f'"{name}"' for name in NAMED), ""]
    content = text(header, [['"a, ""b"""', *pose(0), ""], [""] * 53, ['"a, ""b"""', *pose(1), ""]])
    clips = read(tmp_path, content)
    assert clips.parts == [("gate", 'a, "b"')] and len(clips.tracks.frame) == 2


def test_empty_cells_are_missing_joints_or_frames_with_nobody(tmp_path):
    first = ["nan", "", 0.9, *pose(2)[3:]]
    unsure = pose(3)
    unsure[2] = ""
    clips = read(
        tmp_path,
        text(["frame", *NAMED], [[1, *[""] * 51], [2, *first], [3, *unsure], [9, *["NaN"] * 51]]),
    )
    tracks = clips.tracks
    np.testing.assert_array_equal(tracks.frame, [2, 3])
    np.testing.assert_array_equal(tracks.clip_length, [10])
    assert clips.first_frame == 1 and clips.complete and not clips.remarks
    # A joint without a place is missing; one without a score counts as seen.
    assert tracks.confidence[0, 0] == 0 and tracks.confidence[1, 0] == 1


def test_ids_are_numbers_or_numbered_names(tmp_path):
    def ids(*names: object, column: str = "track") -> list[int]:
        rows = [[f, name, *pose(f, person=p)] for f in (0, 1) for p, name in enumerate(names)]
        tracks = read(tmp_path, text(["frame", column, *NAMED], rows)).tracks
        return tracks.track[tracks.frame == 1].tolist()

    assert ids("track_3", "track_7") == [3, 7]
    assert ids("3.0", "5") == [3, 5]
    assert ids("ann", "bob2") == [0, 1]
    # Nobody is followed under -1 and nothing; they are told apart by where they are.
    assert ids("-1", "") == [0, 1]
    # Numbers of rows are no ids.
    rows = [[row, row, *pose(row)] for row in range(3)]
    assert set(read(tmp_path, text(["frame", "id", *NAMED], rows)).tracks.track) == {0}


def test_rows_without_frames_are_counted_for_each_person(tmp_path):
    rows = [[p, *pose(f, person=p)] for f in range(3) for p in range(2)]
    tracks = read(tmp_path, text(["person", *NAMED], rows)).tracks
    np.testing.assert_array_equal(tracks.frame, [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("cells", "fps"),
    [
        (["0.0", "0.04", "0.08", "0.16"], 25),
        (["0", "40", "80", "160"], 25),
        (["1700000000000", "1700000000040", "1700000000080", "1700000000160"], 25),
        (["0:59,96", "1:00,00", "1:00,04", "1:00,12"], 25),
        ([f"2024-05-01 12:00:0{s}" for s in ("0", "1", "2", "4")], 1),
    ],
)
def test_times_in_place_of_frame_numbers_give_frames(cells, fps, tmp_path):
    rows = [[cell.replace(",", "."), *pose(i)] for i, cell in enumerate(cells)]
    clips = read(tmp_path, text(["timestamp", *NAMED], rows))
    np.testing.assert_array_equal(clips.tracks.frame, [0, 1, 2, 4])
    np.testing.assert_allclose(clips.tracks.fps, [fps], rtol=1e-5)
    assert clips.first_frame is None


def test_repeated_times_are_refused(tmp_path):
    people = [[0.04 * f, *pose(f, person=p)] for f in range(2) for p in range(2)]
    tracks = read(tmp_path, text(["time", *NAMED], people)).tracks
    np.testing.assert_array_equal(tracks.frame, [0, 1, 0, 1])
    for rows, header in (
        ([[f // 2, *pose(f)] for f in range(4)], ["time"]),
        ([[0.5, 1, *pose(f)] for f in range(2)], ["time", "person"]),
    ):
        with pytest.raises(InputError, match="got a repeated time in row 3"):
            read(tmp_path, text([*header, *NAMED], rows))
    with pytest.raises(
        InputError,
        match=r"time in row 2 must be seconds, or as in 12:05:59\.5 or "
        r"2024-05-01 12:05:59\.5, got 'noon'",
    ):
        read(tmp_path, text(["time", *NAMED], [["noon", *pose(0)]]))


def test_names_of_pictures_give_frames(tmp_path):
    rows = [[f"cam{c}/frame_{f:03d}.jpg", *pose(f)] for c in (1, 2) for f in (4, 5)]
    clips = read(tmp_path, text(["image_name", *NAMED], rows))
    assert clips.parts == [("gate", "cam1"), ("gate", "cam2")]
    np.testing.assert_array_equal(clips.tracks.frame, [4, 5, 4, 5])
    with pytest.raises(InputError, match="'door.jpg' must have a frame number"):
        read(tmp_path, text(["image_name", *NAMED], [["door.jpg", *pose(0)]]))


@pytest.mark.parametrize("column", ["file", "filename", "path", "image", "video"])
def test_a_column_of_pictures_says_clips_and_frames(column, tmp_path):
    """Whatever it is called; of clips there are two, not one for each picture."""
    joints = ",".join(f"{name}_{one}" for name in SKELETONS["coco17"].joints for one in "xy")
    rows = [
        f"cam{camera}_{i:04d}.jpg,{person},{','.join([str(100.0 * person + i)] * 34)}"
        for camera in (1, 2)
        for i in (1, 2, 3)
        for person in (1, 2)
    ]
    text = "\n".join([f"{column},person,{joints}", *rows, ""])
    (tmp_path / "poses.csv").write_text(text)
    tracks = read_all(tmp_path / "poses.csv").tracks
    assert tracks.clip_names == ("cam1", "cam2")
    assert (
        tracks.frame.tolist() == [0, 1, 2] * 4 and tracks.track.tolist() == [1, 1, 1, 2, 2, 2] * 2
    )


def numbers(*rows, names=SKELETONS["coco17"].joints):
    """A header, and a row for each pose at x, with a score; ``None`` gives empty cells."""
    columns = [f"{name}_{one}" for name in names for one in ("x", "y", "score")]
    lines = [",".join(columns)]
    for place in rows:
        cells = [""] * 51
        if place is not None:
            x, score = place
            cells = [v for j in range(17) for v in (x + 7 * (j % 3), 50 + 5 * j, score)]
        lines.append(",".join(map(str, cells)))
    return "\n".join([*lines, ""])


def table_of(path, text):
    path.write_text(text)
    return read_all(path).tracks


def test_rows_of_empty_cells_are_frames_with_nobody(tmp_path):
    """As pandas writes them; a spreadsheet's empty rows at the end are ignored."""
    rows = [None, (100, 1), None, None, (104, 1), None]
    tracks = table_of(tmp_path / "a.csv", numbers(*rows) + "\n\n")
    assert tracks.frame.tolist() == [1, 4] and tracks.clip_length.tolist() == [5]


def test_scores_of_zero_in_tables_are_warned_of(tmp_path):
    with pytest.warns(InputWarning, match="no joint of 2 poses has a score above 0"):
        assert table_of(tmp_path / "a.csv", numbers((100, 0), (104, 0))).num_frames == 2
    with pytest.warns(InputWarning, match="1 of 2 poses have no visible joint"):
        assert table_of(tmp_path / "b.csv", numbers((100, 1), (104, 0))).frame.tolist() == [0]


def test_times_beside_frames_give_the_rate(tmp_path):
    head, *rows = numbers(*[(100 + i, 1) for i in range(6)]).splitlines()
    frames = [0, 1, 2, 5, 6, 7]
    lines = [f"{f},{40 * f},{row}" for f, row in zip(frames, rows, strict=True)]
    tracks = table_of(tmp_path / "a.csv", "\n".join([f"frame,timestamp_ms,{head}", *lines, ""]))
    assert tracks.frame.tolist() == frames and tracks.fps.tolist() == [25]


@pytest.mark.parametrize(
    ("ending", "encoding"), [(".tsv", "utf-8"), (".txt", "utf-16"), (".TSV", "utf-8")]
)
def test_tables_with_other_suffixes_are_read(ending, encoding, tmp_path):
    text = numbers((100, 1), (104, 1))
    (tmp_path / "gate.csv").write_text(text)
    (tmp_path / f"yard{ending}").write_text(text.replace(",", "\t"), encoding=encoding)
    tracks = read_all(tmp_path).tracks
    assert tracks.clip_names == ("gate", "yard") and tracks.num_frames == 4


@pytest.mark.parametrize("column", ["trial", "source_id", "session", "View", "stream"])
def test_columns_of_recordings_give_clips(column, tmp_path):
    head, *rows = numbers(*[(100 + i, 1) for i in range(3)]).splitlines()
    lines = [f"{take},{f},{row}" for take in (1, 2) for f, row in enumerate(rows)]
    tracks = table_of(tmp_path / "a.csv", "\n".join([f"{column},frame,{head}", *lines, ""]))
    assert tracks.clip_names == ("1", "2") and tracks.frame.tolist() == [0, 1, 2] * 2


@pytest.mark.parametrize(
    "frame", ["video_frame", "image_number", "Frame No.", "frame_counter", "FrameIdx"]
)
@pytest.mark.parametrize("person", ["skeleton_id", "human id", "PersonNo", "obj_id"])
def test_names_of_columns_are_understood_by_their_words(frame, person, tmp_path):
    """The second person comes later, and both have ids of their own."""
    head, *rows = numbers(*[(100 + i, 1) for i in range(4)]).splitlines()
    places = [(0, 3), (1, 3), (2, 3), (2, 7)]
    lines = [f"{f},{i},{row}" for (f, i), row in zip(places, rows, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join([f"{frame},{person},{head}", *lines, ""]))
    found = read_all(tmp_path / "a.csv")
    assert found.tracks.frame.tolist() == [0, 1, 2, 2] and found.tracks.track.tolist() == [
        3,
        3,
        3,
        7,
    ]
    assert (
        f"people come from column {person!r}, frames come from column {frame!r}" in found.names[0]
    )


def test_ignored_columns_are_named_if_rows_are_counted_as_frames(tmp_path):
    head, *rows = numbers(*[(100 + i, 1) for i in range(3)]).splitlines()
    lines = [f"{tick},{row}" for tick, row in zip((5, 7, 9), rows, strict=True)]
    with pytest.warns(
        InputWarning,
        match="rows are counted as frames, as no column is named after frames; ignored: tick",
    ):
        table_of(tmp_path / "a.csv", "\n".join([f"tick,{head}", *lines, ""]))


@pytest.mark.parametrize(
    ("column", "step", "fps"),
    [("timestamp_ms", 1, 1000), ("seconds", 5, 0.2), ("timestamp_us", 40000, 25), ("time", 40, 25)],
)
def test_units_of_times_are_those_of_the_column(column, step, fps, tmp_path):
    head, *rows = numbers(*[(100 + i, 1) for i in range(5)]).splitlines()
    lines = [f"{step * i},{row}" for i, row in enumerate(rows)]
    tracks = table_of(tmp_path / "a.csv", "\n".join([f"{column},{head}", *lines, ""]))
    assert tracks.fps[0] == pytest.approx(fps) and tracks.frame.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["walk.png", "a_1.jpg"])
def test_clips_named_like_pictures_are_read_back(name, tmp_path):
    tracks = table_of(tmp_path / "a.csv", numbers((100, 1), (104, 1))).with_(clip_names=[name])
    table.write_csv(tracks, tmp_path / "b.csv")
    again = read_all(tmp_path / "b.csv").tracks
    assert again.clip_names == (name,) and again.num_frames == 2
    with pytest.raises(InputError, match=r"must have at least one frame in a table, got none"):
        table.write_csv(tracks.rows(np.zeros(2, bool)).with_(clip_length=[0]), tmp_path / "c.csv")


@pytest.mark.parametrize("form", ["{:.18e}", "{:.4E}", "{}", "{}.0"])
def test_numbers_in_any_spelling_are_no_pictures(form, tmp_path):
    """``numpy.savetxt`` writes 1.000000000000000000e+00."""
    head, *rows = numbers(*[(100 + i, 1) for i in range(12)]).splitlines()
    lines = [f"{form.format(f)},{form.format(3 + f % 2)},{row}" for f, row in enumerate(rows)]
    tracks = table_of(tmp_path / "a.csv", "\n".join([f"frame,person,{head}", *lines, ""]))
    assert tracks.clip_names == ("a",) and sorted(tracks.frame) == list(range(12))
    assert set(tracks.track) == {3, 4}


def test_ids_of_64_bits_are_kept(tmp_path):
    """DeepStream's ids: an unsigned -1 means no id, other ids are as long."""
    head, *rows = numbers((100, 1), (400, 1), (700, 1)).splitlines()
    ids = [4_000_000_000_000_000_000, 2**64 - 1, 2**64 - 1]
    lines = [f"{f},{i},{row}" for f in range(2) for i, row in zip(ids, rows, strict=True)]
    tracks = table_of(tmp_path / "a.csv", "\n".join([f"frame_num,object_id,{head}", *lines, ""]))
    assert tracks.num_frames == 6 and len(set(tracks.track)) == 3 and ids[0] in tracks.track


@pytest.mark.parametrize(
    "name",
    [
        "labels.v001.000_gate.analysis",
        "gate.mp4.predictions.000_gate.analysis",
        "mice_labels.012_gate.analysis",
    ],
)
def test_names_of_sleap_tables_give_names_of_clips(name, tmp_path):
    assert table_of(tmp_path / f"{name}.csv", numbers((100, 1))).clip_names == ("gate",)


def test_columns_of_videos_and_cameras_give_clips(tmp_path):
    rows = [[f"C:\\films\\{day}\\gate.mp4", "../left", 0, *pose(0)] for day in ("mon", "tue")]
    clips = read(tmp_path, text(["video_path", "camera", "frame", *NAMED], rows))
    assert clips.parts == [("gate", "films", day, "gate", "../left") for day in ("mon", "tue")]


def test_sleap_tables_are_read(tmp_path):
    header = ["track", "frame_idx", "instance.score"]
    header += [f"{joint}.{one}" for joint in COCO for one in ("x", "y", "score")]
    rows = [[f"track_{p}", f, 0.97, *pose(f, person=p)] for f in (1, 2) for p in (0, 1)]
    clips = read(tmp_path, text(header, rows), name="labels.v001.000_gate_2.analysis.csv")
    assert clips.parts == [("labels.v001.000", "gate_2")]
    # SLEAP counts from 0.
    assert clips.first_frame is None
    np.testing.assert_array_equal(clips.tracks.track, [0, 0, 1, 1])
    np.testing.assert_array_equal(clips.tracks.frame, [1, 2, 1, 2])


def test_columns_of_depth_give_3d_poses_only_if_they_are_no_shares(tmp_path):
    header = [f"{one}{v}" for v in range(1, 34) for one in "xyzv"]
    generator = np.random.default_rng(0)

    def first(low: float, high: float, scale: float = 1.0) -> PoseTracks:
        values = generator.uniform(low, high, (1, 33, 4)) * [scale, scale, 1, 1]
        values[..., 3] = 0.5
        return read(tmp_path, text(["class", *header], [["up", *values.ravel()]])).tracks

    # MediaPipe's landmarks in shares of the image, in pixels with z left as it was, and in metres.
    assert first(0.1, 0.9).dims == 2
    assert first(0.1, 0.9, 1000).dims == 2
    assert first(-0.8, 0.8).dims == 3
    solid = "nose_x,nose_y,nose_z,tail_x,tail_y,tail_z\n100,200,300,101,201,301\n"
    np.testing.assert_array_equal(
        read(tmp_path, solid, ROD).tracks.keypoints, [[[100, 200, 300], [101, 201, 301]]]
    )
    flat = "nose_x,nose_y,nose_z,tail_x,tail_y,tail_z\n100,200,0,101,201,0\n"
    assert read(tmp_path, flat, ROD).tracks.dims == 2
    partly = "nose_x,nose_y,nose_z,tail_x,tail_y\n100,200,5,101,201\n"
    clips = read(tmp_path, partly, ROD)
    assert clips.tracks.dims == 2 and [one.count for one in clips.remarks] == [1]


def test_numbered_joints_in_3d_are_read(tmp_path):
    header = [f"joint{v}_{one}" for v in range(25) for one in "xyz"]
    tracks = read(tmp_path, text(header, [np.arange(75).tolist()])).tracks
    assert tracks.skeleton.name == "ntu25" and tracks.dims == 3
    with pytest.raises(InputError, match="got 17 joints numbered 0 to 16"):
        read(tmp_path, text(header[:51], [list(range(51))]))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS.keys())
def test_what_is_written_is_read_back(dims, skeleton, tmp_path):
    generator = np.random.default_rng(dims)
    keypoints = generator.normal(100, 50, (6, skeleton.num_joints, dims))
    confidence = generator.uniform(0.1, 1, (6, skeleton.num_joints))
    confidence[0, 1] = keypoints[0, 1] = 0
    tracks = PoseTracks.build(
        keypoints,
        confidence,
        [3, 4, 7, 1, 2, 2],
        [5, 5, 5, 0, 0, 2],
        [0, 0, 0, 1, 1, 1],
        skeleton,
        ["../a, b/c", "gate.mp4", '"empty"'],
        clip_length=[12, 5, 3],
    )
    path = tmp_path / "all.csv"
    assert table.write_csv(tracks, path) == [path]
    clips = table.read_csv(path, None)
    assert clips.parts == [("all", name) for name in tracks.clip_names]
    assert clips.first_frame == 0 and clips.complete and clips.tracks.skeleton == skeleton
    for name in ("keypoints", "confidence", "frame", "track", "clip", "clip_length"):
        np.testing.assert_array_equal(getattr(clips.tracks, name), getattr(tracks, name), name)


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "a\0b", "\ud800"])
def test_names_that_are_not_read_back_are_not_written(name, tmp_path):
    tracks = PoseTracks.build(np.ones((1, 5, 2)), np.ones((1, 5)), [0], [0], [0], "box5", [name])
    with pytest.raises(
        InputError, match="must be printable and without blanks around it in a table"
    ):
        table.write_csv(tracks, tmp_path / "all.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "",
            "must have columns for x and y of joints, as in clip, person, frame, nose_x, nose_y, "
            "nose_confidence, got none",
        ),
        (
            "frame,person,x,y\n0,1,2,3\n",
            "must have columns for x and y of joints, as in clip, person, frame, nose_x, nose_y, "
            "nose_confidence, got none",
        ),
        ("frame,bodypart,x,y\n0,nose,2,3\n", r"got a row for each joint \(column 'bodypart'\)"),
        (
            text(["frame", *NAMED[:-3]], []),
            r"all joints of a built-in skeleton, or a skeleton of its own \(--skeleton\), "
            "got nose, left_eye, ",
        ),
        (
            text([f"j{v}{one}" for v in range(13) for one in "xy"], []),
            "got 13 joints numbered 0 to 12",
        ),
        (
            text(["frame", *NAMED], [[0, "a", *pose(0)[1:]]]),
            "'nose_x' in row 2 must be a number, got 'a'",
        ),
        (
            text(["frame", *NAMED], [[0, *pose(0)], [1, "inf", *pose(0)[1:]]]),
            r"in row 3 must be from -1e\+09 to 1e\+09, got inf",
        ),
        (
            text(["frame", *NAMED], [[0, 2e9, *pose(0)[1:]]]),
            r"'nose_x' in row 2 must be from -1e\+09 to 1e\+09, got 2e\+09",
        ),
        (text(["frame", *NAMED], [[0, *pose(0), 4]]), "must have 52 values in row 2, got 53"),
        (
            text(["frame", *NAMED], [[1.5, *pose(0)]]),
            "frame in row 2 must be a whole number, or in all rows the name of a picture, "
            "got '1.5'",
        ),
        (
            text(["frame", *NAMED], [[0, *pose(0)], ["", *pose(0)]]),
            "frame in row 3 must be a whole number, or in all rows the name of a picture, got ''",
        ),
        (
            text(["frame", *NAMED], [[0, *pose(0)], ["a1", *pose(0)]]),
            "frame in row 3 must be a whole number, or in all rows the name of a picture, got 'a1'",
        ),
        (
            text(["frame", *NAMED], [[-1, *pose(0)]]),
            "frame in row 2 must be from 0 to 99999999, got -1",
        ),
        (
            text(["frame", *NAMED], [[MAX_FRAMES, *pose(0)]]),
            f"frame in row 2 must be from 0 to 99999999, got {MAX_FRAMES}",
        ),
        (
            text(["frame", *NAMED, "nose.x"], []),
            "must have one x of each joint, got columns 'nose_x' and 'nose.x'",
        ),
        (text([f"x{v}" for v in range(10_001)], []), "must have at most 10000 columns, got 10001"),
        (
            text([f"{one}{v}" for v in range(1001) for one in "xy"], []),
            "must have at most 1000 joints, got 1001",
        ),
        (text(NAMED, [['"1', *pose(0)[1:]]]), "got invalid CSV"),
        (
            text(["frame", *NAMED], [[0, "1,5", *pose(0)[1:]]], ";"),
            "got a comma in row 2 and a point in row 2",
        ),
        (
            text(["frame", *NAMED], [[0, "1.234,5", *["1"] * 50]], ";"),
            "'nose_x' in row 2 must be a number, got '1.234,5'",
        ),
    ],
)
def test_broken_tables_are_named(content, message, tmp_path):
    path = tmp_path / "gate.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        table.read_csv(path, None)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_joints_that_the_given_skeleton_lacks_are_refused(tmp_path):
    content = text(["frame", *NAMED], [[0, *pose(0)]])
    with pytest.raises(
        InputError, match="must have all joints of skeleton 'penn13', got no x and y of head"
    ):
        read(tmp_path, content, SKELETONS["penn13"])
    header = [f"{one}{v}" for v in range(17) for one in "xyc"]
    with pytest.raises(
        InputError, match="all joints of skeleton 'box5' \\(5\\), got 17 joints numbered 0 to 16"
    ):
        read(tmp_path, text(header, [pose(0)]), SKELETONS["box5"])


def test_other_tables_are_not_taken_for_poses(tmp_path):
    for content in ("clip,label\na,1\n", "frame,id,x,y,w,h\n0,1,2,3,4,5\n", "scorer,a\n", ""):
        path = tmp_path / "labels.csv"
        path.write_text(content)
        assert not table.detect(path)


def test_clips_of_several_tables_are_told_apart_and_start_at_frame_0(tmp_path):
    rows = [[name, 1, f, *pose(f)] for name in ("a", "b") for f in (1, 2)]
    (tmp_path / "gate.csv").write_text(text(["clip", "person", "frame", *NAMED], rows))
    reading = read_all(tmp_path)
    assert reading.formats == {"csv": 1} and reading.tracks.clip_names == ("a", "b")
    np.testing.assert_array_equal(reading.tracks.frame, [0, 1, 0, 1])
    # Names of clips in two tables are told apart by the tables' names.
    (tmp_path / "door.csv").write_text(text(["clip", "frame", *NAMED], [["a", 0, *pose(3)]]))
    assert sorted(read_all(tmp_path).tracks.clip_names) == ["b", "door/a", "gate/a"]


def test_a_missing_neck_is_added(tmp_path):
    (tmp_path / "gate.csv").write_text(text(["frame", *NAMED], [[0, *pose(0)]]))
    tracks = read_all(tmp_path, skeleton="coco18").tracks
    assert tracks.skeleton.name == "coco18"
    np.testing.assert_allclose(tracks.keypoints[0, 1], [57.75, 216.75])


def test_shares_of_the_image_become_pixels(tmp_path):
    values = np.array(pose(0)).reshape(17, 3) / [1000, 500, 1]
    (tmp_path / "gate.csv").write_text(text(["frame", *NAMED], [[0, *values.ravel()]]))
    tracks = read_all(tmp_path, image_size=(1000, 500)).tracks
    np.testing.assert_allclose(tracks.keypoints[0, 16], [168, 248.25], rtol=1e-5)


def test_real_tables_of_mediapipe_and_sleap_are_read(real_data):
    cases = real_data("cases")
    reading = read_all(cases / "21_mp_csv")
    tracks = reading.tracks
    assert reading.formats == {"csv": 1} and tracks.clip_names == ("gate",)
    assert tracks.skeleton.name == "mediapipe33" and tracks.dims == 2
    assert tracks.num_frames == 40 and tracks.image_size.tolist() == [[1, 1]]
    tracks = read_all(cases / "22_sleap_csv").tracks
    assert tracks.clip_names == ("gate",) and tracks.num_frames == 80
    assert set(tracks.track) == {0, 1} and tracks.skeleton.name == "coco17"
