"""Videos: colours of people, positions in the picture, refused arguments."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import only_clip
from PIL import Image, ImageSequence

from gepc_geo import InputError
from gepc_geo.report.film import STRIP, amounts
from gepc_geo.report.footage import Footage
from gepc_geo.report.paint import colours, share_colours
from gepc_geo.report.video import render

RED = (208, 24, 48)


def test_a_gif_shows_the_abnormal_person_red_where_they_are(pair, tmp_path):
    given = only_clip(person=[3, 8], score=[0.0, 9.0])
    out = tmp_path / "film.gif"
    assert render(pair, given, out) == "only"
    with Image.open(out) as film:
        frames = [f.convert("RGB").copy() for f in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 100
    assert len(frames) == 6 and frames[0].size == (100, 80 + STRIP)
    for frame in frames:
        right, left = np.array(frame.getpixel((70, 40))), np.array(frame.getpixel((20, 40)))
        assert np.abs(right - RED).max() < 45
        # Grey: the channels have similar values.
        assert np.ptp(left) < 40 and left.max() < 200
        assert min(frame.getpixel((45, 40))) > 235
    # The mark of the strip moves.
    assert len({np.asarray(frame)[80:].tobytes() for frame in frames}) == 6


def test_frames_lie_under_the_skeletons(pair, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(6):
        # Natural order: 10 comes after 9. The pictures have twice the size of the poses.
        shade = (0, 40 * i, 0)
        Image.new("RGB", (200, 160), shade).save(folder / f"frame_{i + 8}.png")
    out = tmp_path / "film.gif"
    render(
        pair, only_clip(person=[8, 3], score=[9.0, 0.0]), out, footage=Footage(folder, "pictures")
    )
    with Image.open(out) as film:
        frames = [f.convert("RGB").copy() for f in ImageSequence.Iterator(film)]
    assert frames[0].size == (200, 160 + STRIP)
    for i, frame in enumerate(frames):
        assert np.abs(np.array(frame.getpixel((90, 10))) - [0, 40 * i, 0]).max() < 25
        assert np.abs(np.array(frame.getpixel((140, 80))) - RED).max() < 60


def test_an_mp4_has_as_many_frames_as_the_clip(pair, tmp_path):
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "film.mp4"
    render(pair, only_clip(person=[8, 3], score=[9.0, 0.0]), out)
    with imageio.get_reader(out, format="FFMPEG") as reader:
        frames = [np.asarray(frame) for frame in reader]
        assert reader.get_meta_data()["fps"] == pytest.approx(10)
    assert len(frames) == 6 and frames[0].shape == (80 + STRIP, 100, 3)
    assert frames[0][40, 70, 0] > frames[0][40, 70, 1] + 80  # red
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_poses_without_a_picture_size_are_fitted(pair, tmp_path):
    free = pair.with_(image_size=[[np.nan, np.nan]], fps=[np.nan])
    render(free, only_clip(person=[8, 3], score=[9.0, 0.0]), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert max(film.size) <= 1280 + STRIP and film.size[0] % 2 == 0
        pixels = np.asarray(film.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90)
    assert red[:-STRIP].any()


def test_colours_go_from_normal_to_red():
    assert colours(np.array(1.0)).tolist() == list(RED) == colours(np.array(7.0)).tolist()
    assert colours(np.array(np.nan)).tolist() == colours(np.array(0.0)).tolist()
    np.testing.assert_allclose(share_colours(np.array([1.0, 0, 0, 0, 0]))[0], RED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "film.avi"}, "film.avi must end with .mp4 or .gif, got '.avi'"),
        ({"clip": "none"}, "clip must be a clip of the poses, such as 'only', got 'none'"),
        ({"footage": "."}, "must have 6 pictures, one for each frame of the clip, got 0"),
        ({"start": "x"}, "--from must be seconds as 12.5, minutes and seconds .* got 'x'"),
        (
            {"start": "0.7"},
            "--from must be before --to and the end of the clip, frame 6, got frames 7 to 6",
        ),
        ({"start": "3f", "end": "0.3"}, "--from must be before --to .* got frames 3 to 3"),
        ({"only_alarms": True}, "threshold must be given to film only alarms, got none"),
        (
            {"only_alarms": True, "threshold": 9.5},
            "scores of clip 'only' must reach the threshold 9.5 for .* got at most 9$",
        ),
    ],
)
def test_clips_that_cannot_be_rendered_are_refused(pair, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    options = {"out": "film.gif", **change}
    if "footage" in options:
        options["footage"] = Footage(options["footage"], "pictures")
    with pytest.raises(InputError, match=message):
        render(pair, only_clip(person=[8], score=[9.0]), **options)
    assert not list(tmp_path.iterdir())


def test_a_broken_picture_leaves_no_video(pair, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (100, 80)).save(folder / f"{i}.png")
    (folder / "4.png").write_bytes((folder / "3.png").read_bytes()[:60])
    with pytest.raises(
        InputError, match=r"^could not read picture .*4\.png: image file is truncated"
    ):
        render(
            pair,
            only_clip(person=[8], score=[9.0]),
            tmp_path / "f.gif",
            footage=Footage(folder, "pictures"),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def film_of(path) -> list[np.ndarray]:
    with Image.open(path) as film:
        return [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(film)]


def numbers_of(frames: list[np.ndarray]) -> list[int]:
    """Frames of a film of pictures with the shades 0, 40, 80, ..."""
    return [round(float(frame[40, 45].mean()) / 40) for frame in frames]


@pytest.fixture
def grey(tmp_path) -> Footage:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (100, 80), (40 * i,) * 3).save(folder / f"{i}.png")
    return Footage(folder, "pictures")


def test_a_film_is_cut_to_moments(pair, grey, tmp_path):
    given, out = only_clip(person=[8, 3], score=[9.0, 0.0]), tmp_path / "film.gif"
    for start, end, expected in (
        ("0.2", "5f", [2, 3, 4]),
        (None, "0:00.1", [0]),
        ("4f", None, [4, 5]),
        (None, "1:00", list(range(6))),
    ):
        render(pair, given, out, footage=grey, start=start, end=end)
        assert numbers_of(film_of(out)) == expected


def test_a_film_of_alarms_has_two_seconds_around_them(pair, grey, tmp_path):
    # At one frame a second, two frames before and after the alarm in frame 5 are kept.
    slow, out = pair.with_(fps=[1]), tmp_path / "film.gif"
    given = only_clip(frame=range(6), score=[0.0, 0, np.nan, 0, 0, 7], person=[3] * 6)
    render(slow, given, out, footage=grey, threshold=7.0, only_alarms=True)
    assert numbers_of(film_of(out)) == [3, 4, 5]
    render(slow, given, out, footage=grey, threshold=7.0, only_alarms=True, start="4f")
    assert numbers_of(film_of(out)) == [4, 5]
    with pytest.raises(InputError, match="must reach the threshold 7 for .* got at most 0$"):
        render(slow, given, out, footage=grey, threshold=7.0, only_alarms=True, end="4f")


def test_people_with_faults_are_violet_and_frames_without_scores_have_no_bar(pair, tmp_path):
    given = only_clip(
        frame=range(6),
        score=[1.0, 1.0, np.nan, np.nan, 5.0, 5.0],
        person=[3, 3, -1, -1, 3, 3],
        state=["judged"] * 2 + ["tracking fault", "too short"] + ["judged"] * 2,
    )
    out = tmp_path / "film.gif"
    render(pair, given, out)
    frames = film_of(out)
    violet = [
        ((f[:80, :, 2] > 130) & (f[:80, :, 1] < 110) & (f[:80, :, 0] < 160)).sum() for f in frames
    ]
    assert violet[2] > 30 and max(violet[:2] + violet[3:]) < 10
    # The strip has bars at its foot: 14 pixels for each frame; the fault is a violet one.
    foot = frames[0][80 + STRIP - 7]
    bars = [foot[8 + 14 * n + 9] for n in range(6)]
    assert bars[2][2] > bars[2][1] + 50 and bars[3].min() > 240
    assert bars[1].max() < 200 and bars[5][0] > bars[5][1] + 100


def test_heads_are_blurred_in_the_film(walkers, tmp_path):
    few = walkers.rows((walkers.clip == 0) & (walkers.frame < 2)).select(clips=[0])
    few = few.with_(clip_length=[2], frame_labels=None)
    width, height = few.image_size[0].astype(int).tolist()
    folder = tmp_path / "frames"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for i in range(2):
        Image.fromarray(noise).save(folder / f"{i}.png")
    people = np.unique(few.track)
    given = {
        "clip": np.array([few.clip_names[0]] * len(people)),
        "person": people,
        "score": np.ones(len(people)),
    }
    shown = {}
    for blurred in (False, True):
        out = tmp_path / "film.gif"
        render(few, given, out, footage=Footage(folder, "pictures"), blur_faces=blurred)
        shown[blurred] = film_of(out)[0]
    changed = np.abs(shown[True] - shown[False]).sum(2)[:height] > 150
    nose = few.skeleton.joints.index("nose")
    for row in np.flatnonzero(few.frame == 0):
        x, y = few.keypoints[row, nose].astype(int)
        if 5 < x < width - 5 and 5 < y < height - 5:
            assert changed[y - 4 : y + 5, x - 4 : x + 5].any()
    assert changed.mean() < 0.1


def test_videos_are_read_directly(pair, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    given = only_clip(person=[8, 3], score=[9.0, 0.0])
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    render(pair, given, first)
    free = pair.with_(image_size=None, fps=None)
    render(free, given, second, footage=Footage(first, "video"))
    from gepc_geo.report.footage import VideoFrames

    # The film has the size and the rate of the video below it.
    found = VideoFrames(second)
    found.check_count(6)
    assert found.size == (100, 80 + 2 * STRIP) and found.fps == 10


def test_amounts_rise_to_the_threshold_and_above_it():
    scores = np.arange(101.0)
    found = amounts(np.array([50.0, 99, 74.5, np.nan]), scores, None)
    np.testing.assert_allclose(found, [0, 1, 0.5, np.nan])
    found = amounts(np.array([50.0, 80, 110, np.nan]), scores, 80.0)
    np.testing.assert_allclose(found, [0, 0.55, 1, np.nan])
    assert amounts(np.array([1.0]), np.array([np.nan]), 5.0)[0] < 0.55
