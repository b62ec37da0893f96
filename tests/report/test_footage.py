"""Frames of videos and of folders of pictures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gepc_geo import InputError, PoseTracks, Skeleton
from gepc_geo.report import footage
from gepc_geo.report.footage import Footage, PictureFrames, VideoFrames, check_installed, pixels_of

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

WIDTH, HEIGHT = 64, 48


def shade(number: int) -> int:
    return 20 + 9 * number


def write_video(path: Path, count: int) -> Path:
    """A video at 10 frames a second; frame n has shade n."""
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (WIDTH, HEIGHT),
        fps=10,
        codec="libx264",
        macro_block_size=2,
        output_params=["-qp", "0"],
    )
    writer.send(None)
    for number in range(count):
        writer.send(np.full((HEIGHT, WIDTH, 3), shade(number), np.uint8))
    writer.close()
    return path


def write_pictures(folder: Path, count: int, first: int = 8) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (WIDTH, HEIGHT), (shade(i),) * 3).save(folder / f"f{first + i}.png")
    return folder


def shades(pictures) -> list[int]:
    return [round(float(np.asarray(one).mean())) for one in pictures]


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", 20)


def test_frames_of_a_video_come_by_number(video):
    frames = VideoFrames(video)
    assert frames.size == (WIDTH, HEIGHT) and frames.fps == 10
    numbers = [0, 3, 4, 5, 17, 19]
    np.testing.assert_allclose(shades(frames.read(numbers)), [shade(n) for n in numbers], atol=2)
    assert len(list(frames.read(range(20)))) == 20


def test_frames_of_a_varying_rate_are_neither_repeated_nor_dropped(video, tmp_path):
    # Without frames 3 to 7 there is a pause in the middle.
    path = tmp_path / "clip.mkv"
    select = ["-vf", "select='not(between(n,3,7))'", "-c:v", "libx264", "-qp", "0"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", video, *select, path]
    subprocess.run(command, check=True, capture_output=True)
    kept = [0, 1, 2, *range(8, 20)]
    frames = VideoFrames(path)
    frames.check_count(15)
    np.testing.assert_allclose(
        shades(frames.read(range(15))), [shade(number) for number in kept], atol=2
    )
    with pytest.raises(InputError, match=r"clip\.mkv must have 16 frames, .* got 15$"):
        list(frames.read(range(16)))


def test_pictures_come_in_natural_order(tmp_path):
    frames = PictureFrames(write_pictures(tmp_path / "frames", 6))
    assert frames.size == (WIDTH, HEIGHT) and np.isnan(frames.fps)
    assert shades(frames.read([0, 2, 5])) == [shade(0), shade(2), shade(5)]


def test_short_footage_is_refused(video, tmp_path):
    VideoFrames(video).check_count(20)
    with pytest.raises(InputError, match=r"clip\.mp4 must have 21 frames, as many as .*, got 20$"):
        VideoFrames(video).check_count(21)
    with pytest.raises(InputError, match=r"clip\.mp4 must have 22 frames, .* got 20$"):
        list(VideoFrames(video).read([18, 21]))
    folder = write_pictures(tmp_path / "frames", 6)
    with pytest.raises(InputError, match="must have 7 pictures, one for each frame .* got 6$"):
        PictureFrames(folder).check_count(7)


def test_files_that_are_no_video_are_refused(tmp_path):
    text, picture = tmp_path / "a.mp4", tmp_path / "b.png"
    text.write_text("no video")
    Image.new("RGB", (8, 8)).save(picture)
    with pytest.raises(InputError, match=r"a\.mp4 must be a video, got a file without frames that"):
        _ = VideoFrames(text).size
    with pytest.raises(InputError, match=r"b\.png must be a video, got a picture"):
        VideoFrames(picture)
    with pytest.raises(InputError, match="a.mp4 must be a folder of pictures"):
        Footage(text, "pictures")
    with pytest.raises(InputError, match="nowhere does not exist"):
        Footage(tmp_path / "nowhere", "video")
    with pytest.raises(InputError, match="kind must be video or pictures, got 'film'"):
        Footage(text, "film")


def test_missing_packages_are_named(video, monkeypatch):
    monkeypatch.setattr(footage, "find_spec", lambda name: None)
    with pytest.raises(
        InputError,
        match=r"^imageio_ffmpeg must be installed to read videos: pip install 'gepc_geo\[video\]'$",
    ):
        VideoFrames(video)
    with pytest.raises(InputError, match="^PIL must be installed to draw on frames: pip install"):
        Footage(video, "video")
    with pytest.raises(InputError, match="^a must be installed for b"):
        check_installed("a", "for b")


def test_one_file_is_of_the_only_clip_or_of_the_clip_with_its_name(video, tmp_path):
    one = Footage(video, "video")
    assert list(one.of_clips(["any name"])) == [0]
    found = one.of_clips(["other", "clip"])
    assert list(found) == [1] and found[1].path == video
    with pytest.raises(
        InputError,
        match=r"clip\.mp4 must have the name of one of the 2 clips, such as 'a', .*'clip'",
    ):
        one.of_clips(["a", "b"])
    folder = Footage(write_pictures(tmp_path / "b", 2), "pictures")
    assert list(folder.of_clips(["a", "b"])) == [1]


def test_folders_hold_the_footage_of_several_clips(video, tmp_path):
    (tmp_path / "videos" / "east").mkdir(parents=True)
    for name in ("a.MP4", "east/b.mp4", "a.txt"):
        (tmp_path / "videos" / name).write_bytes(video.read_bytes())
    found = Footage(tmp_path / "videos", "video").of_clips(["a", "east/b", "c", "../a"])
    assert {i: one.path.name for i, one in found.items()} == {0: "a.MP4", 1: "b.mp4"}
    write_pictures(tmp_path / "pictures" / "b", 2)
    write_pictures(tmp_path / "secret", 2)
    names = ["a", "b", "../secret", ""]
    assert list(Footage(tmp_path / "pictures", "pictures").of_clips(names)) == [1]
    with pytest.raises(InputError, match="must have folders of pictures with the names .* 'x'"):
        Footage(tmp_path / "pictures", "pictures").of_clips(["x", "y"])
    with pytest.raises(InputError, match="must have videos with the names of clips, such as 'x'"):
        Footage(tmp_path / "videos", "video").of_clips(["x"])


def test_poses_are_scaled_to_their_pictures():
    line = Skeleton("line", ("a", "b"), ((0, 1),), center=0)
    poses = PoseTracks.build(
        np.ones((2, 2, 2)),
        np.ones((2, 2)),
        [0, 0],
        [0, 0],
        [0, 1],
        line,
        ["a", "b"],
        image_size=[[100, 80], [np.nan, np.nan]],
    )
    assert pixels_of(poses, 0, (200, 40)) == (2.0, 0.5)
    assert pixels_of(poses, 1, (200, 40)) == (1.0, 1.0)
    space = poses.with_(keypoints=np.ones((2, 2, 3)), image_size=None)
    with pytest.raises(InputError, match="poses must be in 2D for the pictures .* 3 coordinates"):
        pixels_of(space, 0, (200, 40))
