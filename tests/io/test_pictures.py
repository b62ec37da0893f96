"""Names of pictures: clips and frames from the differences of names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.io._common.pictures import series_of
from gepc_geo.io._common.times import frames_of_times

R = range(40)


def understood(names: list[str]) -> dict[tuple[str, ...], list[int]]:
    found = series_of(names, lambda i: names[i])
    members = sorted(i for one in found for i in one.members)
    assert members == list(range(len(names)))
    return {one.parts: one.frames for one in found}


def second(i: int) -> str:
    """25 pictures a second."""
    return f"{i // 25:02d}.{i % 25 * 40:03d}"


@pytest.mark.parametrize(
    ("names", "clips"),
    [
        ([f"{i}.jpg" for i in R], {(): list(R)}),
        ([f"gate_{i:04d}.png" for i in R], {("gate",): list(R)}),
        ([f"cam01.{i:04d}.json" for i in R], {("cam01",): list(R)}),
        ([f"frame_{i:04d}_1920x1080.jpg" for i in R], {(): list(R)}),
        (["frame_0007_1920x1080_keypoints.json"], {(): [7]}),
        (["yard_2_000000000005_keypoints.json"], {("yard_2",): [5]}),
        ([f"out-{i:03d}.png" for i in range(1, 9)], {(): list(range(1, 9))}),
        ([f"gate.mp4_{i}.jpg" for i in R], {("gate.mp4",): list(R)}),
        ([f"{i}_of_40.jpg" for i in R], {(): list(R)}),
        # Two digits that differ: the frame is behind its word, or last, but for a word for clips.
        (
            [f"cam{c}_{i:04d}.jpg" for c in (1, 2) for i in R],
            {("cam1",): list(R), ("cam2",): list(R)},
        ),
        (
            [f"{i:04d}_cam{c}.jpg" for i in R for c in (1, 2)],
            {("cam1",): list(R), ("cam2",): list(R)},
        ),
        (
            [f"frame{i}_{c}.jpg" for i in R for c in (1, 2)],
            {("frame_1",): list(R), ("frame_2",): list(R)},
        ),
        (
            [f"{c:04d}_{i:06d}.jpg" for c in range(30) for i in range(16)],
            {(f"{c:04d}",): list(range(16)) for c in range(30)},
        ),
        # Frames that are counted on from one camera to the next.
        (
            [f"cam{1 + i // 20}_{i:04d}.jpg" for i in R],
            {("cam1",): list(range(20)), ("cam2",): list(range(20, 40))},
        ),
        # What only says something of each picture.
        ([f"frame_{i:04d}_{i * 7 % 3}people.jpg" for i in R], {(): list(R)}),
        ([f"frame{i:06d}_conf0.{90 + i % 7}.jpg" for i in R], {(): list(R)}),
        (
            [f"gate_{i:04d}_jpg.rf.{i * 7919 + 0xABCDEF1234567:x}.jpg" for i in R],
            {("gate",): list(R)},
        ),
        # Cameras that take turns: each has numbers of its own.
        (
            [f"cam{1 + i % 2}_{i:04d}.jpg" for i in R],
            {("cam1",): list(range(0, 40, 2)), ("cam2",): list(range(1, 40, 2))},
        ),
        (
            [f"{1 + i % 2:02d}_{5 * i:04d}.jpg" for i in R],
            {("01",): list(range(0, 200, 10)), ("02",): list(range(5, 200, 10))},
        ),
        # One picture of each.
        (["cam1_0001.jpg", "cam2_0001.jpg"], {("cam1",): [1], ("cam2",): [1]}),
        (
            [f"cam{c}_000000000000_keypoints.json" for c in (1, 2, 3)],
            {("cam1",): [0], ("cam2",): [0], ("cam3",): [0]},
        ),
        # Numbers of two digits that are no time of the day, and decimals that are no seconds.
        (
            [f"{s:02d}_{t:02d}_{f:02d}.jpg" for s in (1, 2) for t in (1, 2) for f in range(30)],
            {(f"{s:02d}_{t:02d}",): list(range(30)) for s in (1, 2) for t in (1, 2)},
        ),
        (
            [f"{s}.{f:04d}.jpg" for s in (1, 2) for f in range(0, 200, 10)],
            {("1",): list(range(0, 200, 10)), ("2",): list(range(0, 200, 10))},
        ),
        (
            [
                f"walk{take}.{c}_{i:06d}.jpg"
                for take in ("", " 1")
                for c in (54138969, 55011271)
                for i in R
            ],
            {(f"walk{take}.{c}",): list(R) for take in ("", " 1") for c in (54138969, 55011271)},
        ),
        # Pictures of a collection.
        (
            ["81988.jpg", "397133.jpg", "87038.jpg", "252219.jpg"],
            {(): [81988, 87038, 252219, 397133]},
        ),
        # Random letters can name clips, too.
        (
            [f"{h}_{i:04d}.jpg" for h in ("a1b2c3d4", "99ffee12") for i in R],
            {("a1b2c3d4",): list(R), ("99ffee12",): list(R)},
        ),
        (
            [f"frame_{i:04d}_{s}.jpg" for i in R for s in ("left", "right")],
            {("frame_left",): list(R), ("frame_right",): list(R)},
        ),
        (
            ["gate_0001.jpg", "gate_0002.jpg", "yard_2_0005.jpg"],
            {("gate",): [1, 2], ("yard_2",): [5]},
        ),
        # Folders in the names, of any system; what they share says nothing.
        (
            [f"data/{c}/{i:04d}.jpg" for c in ("gate", "yard") for i in R],
            {("gate",): list(R), ("yard",): list(R)},
        ),
        (
            [rf"C:\data\{c}\{i:04d}.jpg" for c in ("gate", "yard") for i in R],
            {("gate",): list(R), ("yard",): list(R)},
        ),
        (["../../evil_1.jpg", "good_1.jpg"], {("evil",): [1], ("good",): [1]}),
        ([f"gate ({i}).jpg" for i in R], {("gate",): list(R)}),
        # Brackets of the clip's own.
        (
            [f"video ({c})_{i}.txt" for c in (1, 2, 10) for i in R],
            {(f"video ({c})",): list(R) for c in (1, 2, 10)},
        ),
        ([f"gate [HD]_{i:04d}.jpg" for i in R], {("gate [HD]",): list(R)}),
        ([f"results_{i:06d}.json" for i in R], {(): list(R)}),
        # The times at which recordings begin are words of their names.
        (
            [f"2021-03-04_12-{m}-00_{i:04d}.jpg" for m in ("00", "10") for i in R],
            {("2021-03-04_12-00-00",): list(R), ("2021-03-04_12-10-00",): list(R)},
        ),
        ([f"VID_20210304_120000_{i:05d}.jpg" for i in R], {("VID_20210304_120000",): list(R)}),
    ],
)
def test_names_of_pictures_give_clips_and_frames(names, clips):
    assert understood(names) == clips
    # Whatever the order of the names.
    assert understood(names[::-1]) == clips


@pytest.mark.parametrize(
    "name",
    [
        lambda i: f"cam_2021-03-04_12-00-{second(i)}.jpg",
        lambda i: f"2018-07-04T12_04_{second(i)}000.png",
        lambda i: f"frame_12-00-{second(i)}.jpg",
        lambda i: f"20210304T1200{second(i).replace('.', '')}.jpg",
        lambda i: f"IMG_20210304_1200{second(i).replace('.', '_')}.jpg",
        lambda i: f"20210304 12.00.{second(i)}.jpg",
        lambda i: f"{1614859200000 + 40 * i}.png",
        lambda i: f"{1614859200 + i * 0.04:.6f}.png",
        lambda i: f"{(1614859200000 + 40 * i) * 1000}.png",
        lambda i: f"frame_{i * 0.04:.3f}.png",
        # A year of two digits.
        lambda i: f"image21-03-04_12-00-{second(i).replace('.', '-')}.jpg",
        lambda i: f"210304_1200{second(i).replace('.', '_')}.jpg",
        # Nanoseconds.
        lambda i: f"{(1614859200000 + 40 * i) * 1000000}.png",
        # Without the zeros at their ends, or without a fraction that is zero.
        lambda i: f"{round(1614859200 + i * 0.04, 2)}.png",
        lambda i: f"2018-07-04T12_04_{second(i)}000.png".replace(".000000", ""),
        # Times of the day without gaps, over noon.
        lambda i: f"{'115959' if i < 25 else '120000'}_{i % 25 * 40:03d}.jpg",
        lambda i: f"{'115959' if i < 25 else '120000'}{i % 25 * 40:03d}.jpg",
        # With a unit, with a letter before them, in microseconds from the beginning.
        lambda i: f"frame_{40 * i}ms.jpg",
        lambda i: f"t{i * 0.04:.2f}.jpg",
        lambda i: f"frame{i * 0.04:.3f}.jpg",
        lambda i: f"{40000 * i:012d}.jpg",
        # Time codes: the number of the frame in its second.
        lambda i: f"2021-03-04_12-00-{i // 25:02d}-{i % 25:02d}.jpg",
        # A number that goes with the time is the frame's.
        lambda i: f"gate_{i:04d}_12-00-{second(i)}.jpg",
        # Over midnight.
        lambda i: ("23-59-" if i < 25 else "00-00-") + f"{59 if i < 25 else 0:02d}{second(i)[2:]}",
    ],
)
def test_times_in_names_give_order_and_frame_rate(name):
    names = [name(i) for i in R]
    (one,) = series_of(names[::-1], lambda i: names[::-1][i])
    assert one.frames == list(R)
    assert [names[::-1][i] for i in one.members] == names
    assert one.fps == pytest.approx(25, rel=1e-6)


def test_names_of_cameras_and_times_are_told_apart(tmp_path):
    names = [f"cam{c}_12-00-{second(i)}.jpg" for i in R for c in (1, 2)]
    assert understood(names) == {("cam1",): list(R), ("cam2",): list(R)}
    names = [f"cam{c}_{i:04d}_12-00-{second(i)}.jpg" for i in R for c in (1, 2)]
    assert understood(names) == {("cam1",): list(R), ("cam2",): list(R)}


def test_pictures_numbered_within_each_second_are_in_order():
    names = [f"2021-03-04 12.00.{s:02d}_{i}.jpg" for s in range(4) for i in range(1, 26)]
    (one,) = series_of(names, lambda i: names[i])
    assert (one.frames, one.fps) == (list(range(100)), 25)


def test_times_of_minutes_and_seconds_are_not_taken_for_hours():
    names = [
        f"image21-03-04_12-{i // 1500:02d}-{i // 25 % 60:02d}-{i % 25 * 4:02d}.jpg"
        for i in range(1480, 1540)
    ]
    (one,) = series_of(names, lambda i: names[i])
    assert (one.frames, one.fps) == (list(range(60)), 25)
    names = [f"cam01_12-{i // 60:02d}-{i % 60:02d}.jpg" for i in range(40, 80)]
    (one,) = series_of(names, lambda i: names[i])
    assert (one.parts, one.frames, one.fps) == (("cam01",), list(R), 1)


def test_times_without_gaps_are_told_from_numbers_of_frames():
    """The former run more evenly as times; six digits of frames do not."""

    def clock(seconds):
        return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}.jpg"

    names = [clock(43170 + i) for i in R]
    (one,) = series_of(names, lambda i: names[i])
    assert (one.frames, one.fps) == (list(R), 1)
    for numbers in (range(100000, 100040), range(100000, 104000, 100), [115958, 115959, 120001]):
        names = [f"{n:06d}.jpg" for n in numbers]
        (one,) = series_of(names, lambda i, names=names: names[i])
        assert (one.frames, one.fps) == (list(numbers), None) or numbers == [115958, 115959, 120001]


def test_times_without_a_date_are_understood():
    names = [f"gate_00-00-{i // 25:02d}-{i % 25:02d}.jpg" for i in range(100)]
    (one,) = series_of(names, lambda i: names[i])
    assert (one.parts, one.frames, one.fps) == (("gate",), list(range(100)), 25)


def test_names_over_4096_characters_are_refused():
    names = ["_" * 100_000 + f"{i}.jpg" for i in range(5)]
    with pytest.raises(InputError, match="must have a name of at most 4096 characters, got 100005"):
        series_of(names, lambda i: f"position {i}")


def test_recordings_may_begin_and_end_within_a_second():
    """Motion's names: the number of the picture in its second; the recording begins within one."""
    places = [(0, q) for q in range(4, 10)] + [(s, q) for s in (1, 2) for q in range(10)]
    places += [(3, q) for q in range(3)]
    names = [f"01-202103041200{s:02d}-{q:02d}.jpg" for s, q in places]
    (one,) = series_of(names, lambda i: names[i])
    assert one.frames == list(range(len(names))) and one.fps == pytest.approx(10)


@pytest.mark.parametrize("rate", [24, 30, 30000 / 1001, 60])
def test_times_rounded_to_milliseconds_do_not_drift(rate):
    """Of the rounded gaps the median is off by up to 3 %, which long gaps would add up."""
    numbers = [*range(150), *range(1950, 2100)]
    micros = np.array([round(n * 1000 / rate) * 1000 for n in numbers])
    frames, fps = frames_of_times(micros)
    assert fps == pytest.approx(rate, rel=2e-3)
    assert np.abs(frames - numbers).max() <= 1


def test_gaps_over_one_and_a_half_are_missing_frames():
    micros = np.array([0, 40, 80, 131, 171, 311, 351]) * 1000
    # 51 is late by a quarter; 140 is 3.5 usual gaps after it, which rounds to 4 frames.
    frames, fps = frames_of_times(micros)
    assert frames.tolist() == [0, 1, 2, 3, 4, 8, 9]
    assert fps == pytest.approx(25)
    assert frames_of_times(np.array([5]))[1] is None


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 200), min_size=3, max_size=40, unique=True),
    st.integers(5, 200),
    st.randoms(use_true_random=False),
)
def test_regular_times_with_jitter_give_the_frames_back(numbers, gap, random):
    """Frames of which at least half follow each other, each late or early by up to a fifth."""
    numbers = sorted({n for number in numbers for n in (number, number + 1)})
    micros = np.array([1000 * gap * n + random.randint(0, 200 * gap) for n in numbers])
    frames, _ = frames_of_times(micros)
    steps = np.diff(frames)
    assert ((np.diff(numbers) == 1) == (steps == 1)).all()
    assert (np.abs(steps - np.diff(numbers)) <= 1 + np.diff(numbers) // 3).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jpg", "b.jpg"], "a.jpg must have a frame number in its name, as in clip_12"),
        (["a_01.jpg", "a_1.jpg"], "one picture a frame, got a_01.jpg and a_1.jpg for frame 1"),
        (["a_1.jpg", "a_1.png"], "one picture a frame, got a_1.jpg and a_1.png for frame 1"),
        (["1" * 30 + ".jpg"], "must have a frame number"),
    ],
)
def test_pictures_without_different_frame_numbers_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        series_of(names, lambda i: names[i])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.text("a1_.-/x0T:", min_size=1, max_size=14), min_size=1, max_size=8, unique=True)
)
def test_any_names_are_understood_or_refused(names):
    """Each picture has one frame of one clip, or two are named."""
    try:
        found = series_of(names, lambda i: names[i])
    except InputError:
        return
    assert sorted(i for one in found for i in one.members) == list(range(len(names)))
    assert len({one.parts for one in found}) == len(found)
    assert all(len(set(one.frames)) == len(one.members) == len(one.frames) for one in found)
