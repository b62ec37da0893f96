"""Videos: colours of people, positions in the picture, refused arguments."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gepc_geo import InputError, PoseTracks, Skeleton
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table, write_table
from gepc_geo.report.paint import colours, share_colours
from gepc_geo.report.video import person_scores, read_scores, render

RED = (208, 24, 48)
LINE = Skeleton("line", ("a", "b"), ((0, 1),), center=0)


@pytest.fixture
def pair() -> PoseTracks:
    """Two people for 6 frames: one left, one right, as upright lines in a picture of 100 x 80."""
    x = np.repeat([20.0, 70.0], 6)
    points = np.stack([np.stack([x, np.full(12, y)], -1) for y in (20.0, 60.0)], 1)
    return PoseTracks.build(
        points,
        np.ones((12, 2)),
        np.tile(np.arange(6), 2),
        np.repeat([3, 8], 6),
        np.zeros(12, int),
        LINE,
        ["only"],
        image_size=[[100, 80]],
        fps=[10],
    )


def table(**columns) -> dict[str, np.ndarray]:
    count = len(columns["score"])
    return {"clip": np.array(["only"] * count), **{k: np.array(v) for k, v in columns.items()}}


def test_frame_scores_belong_to_the_person_who_decided(pair):
    given = table(frame=range(6), score=[0, 1, 2, 3, 4, 5.0], person=[3, 3, 8, 8, -1, 3])
    found = person_scores(pair, given).reshape(2, 6)
    nan = np.nan
    np.testing.assert_array_equal(found, [[0, 1, nan, nan, nan, 5], [nan, nan, 2, 3, nan, nan]])


def test_window_scores_hold_until_the_next_window(pair):
    given = table(first_frame=[1, 3, 0], person=[3, 3, 8], score=[5.0, 7.0, 1.0])
    found = person_scores(pair, given).reshape(2, 6)
    np.testing.assert_array_equal(found, [[np.nan, 5, 5, 7, 7, 7], [1, 1, 1, 1, 1, 1]])


def test_scores_of_people_and_clips_hold_for_the_whole_clip(pair):
    found = person_scores(pair, table(person=[8], score=[2.0])).reshape(2, 6)
    np.testing.assert_array_equal(found, [[np.nan] * 6, [2.0] * 6])


def test_scores_of_other_clips_do_not_count(pair):
    given = table(person=[8, 3], score=[2.0, 4.0])
    given["clip"] = np.array(["other", "only"])
    np.testing.assert_array_equal(
        person_scores(pair, given).reshape(2, 6), [[4.0] * 6, [np.nan] * 6]
    )
    given["clip"][:] = "other"
    with pytest.raises(InputError, match="scores must be of clips of the poses, such as"):
        person_scores(pair, given)


@pytest.mark.parametrize("level", ["window", "person", "frame", "clip"])
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_tables_of_every_level_are_read(detector, walkers, tmp_path, level, suffix):
    columns = score_table(detector, walkers, level, ScoreOptions())
    path = tmp_path / f"scores{suffix}"
    write_table(columns, path)
    found = read_scores(path)
    np.testing.assert_allclose(found["score"], columns["score"], rtol=1e-5)
    score = person_scores(walkers, found)
    if level == "person":
        for clip, person, value in zip(
            *(columns[n] for n in ("clip", "person", "score")), strict=True
        ):
            own = (walkers.clip == walkers.clip_names.index(clip)) & (walkers.track == person)
            np.testing.assert_allclose(score[own], value, rtol=1e-5)
    assert np.isfinite(score).any()


def test_a_gif_shows_the_abnormal_person_red_where_they_are(pair, tmp_path):
    given = table(person=[3, 8], score=[0.0, 9.0])
    out = tmp_path / "film.gif"
    assert render(pair, given, out) == "only"
    with Image.open(out) as film:
        frames = [f.convert("RGB").copy() for f in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 100
    assert len(frames) == 6 and frames[0].size == (100, 80 + 40)
    for frame in frames:
        right, left = np.array(frame.getpixel((70, 40))), np.array(frame.getpixel((20, 40)))
        assert np.abs(right - RED).max() < 45
        # Grey: the channels have similar values.
        assert np.ptp(left) < 40 and left.max() < 200
        assert min(frame.getpixel((45, 40))) > 235
    # The mark of the strip moves.
    assert len({np.asarray(frame)[82:].tobytes() for frame in frames}) == 6


def test_frames_lie_under_the_skeletons(pair, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(6):
        # Natural order: 10 comes after 9. The pictures have twice the size of the poses.
        shade = (0, 40 * i, 0)
        Image.new("RGB", (200, 160), shade).save(folder / f"frame_{i + 8}.png")
    out = tmp_path / "film.gif"
    render(pair, table(person=[8, 3], score=[9.0, 0.0]), out, frames_dir=folder)
    with Image.open(out) as film:
        frames = [f.convert("RGB").copy() for f in ImageSequence.Iterator(film)]
    assert frames[0].size == (200, 200)
    for i, frame in enumerate(frames):
        assert np.abs(np.array(frame.getpixel((90, 10))) - [0, 40 * i, 0]).max() < 25
        assert np.abs(np.array(frame.getpixel((140, 80))) - RED).max() < 60


def test_an_mp4_has_as_many_frames_as_the_clip(pair, tmp_path):
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "film.mp4"
    render(pair, table(person=[8, 3], score=[9.0, 0.0]), out)
    with imageio.get_reader(out, format="FFMPEG") as reader:
        frames = [np.asarray(frame) for frame in reader]
        assert reader.get_meta_data()["fps"] == pytest.approx(10)
    assert len(frames) == 6 and frames[0].shape == (120, 100, 3)
    assert frames[0][40, 70, 0] > frames[0][40, 70, 1] + 80  # red
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_poses_without_a_picture_size_are_fitted(pair, tmp_path):
    free = pair.with_(image_size=[[np.nan, np.nan]], fps=[np.nan])
    render(free, table(person=[8, 3], score=[9.0, 0.0]), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert max(film.size) <= 1280 + 40 and film.size[0] % 2 == 0
        pixels = np.asarray(film.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90)
    assert red[:-40].any()


def test_colours_go_from_normal_to_red():
    assert colours(np.array(1.0)).tolist() == list(RED) == colours(np.array(7.0)).tolist()
    assert colours(np.array(np.nan)).tolist() == colours(np.array(0.0)).tolist()
    np.testing.assert_allclose(share_colours(np.array([1.0, 0, 0, 0, 0]))[0], RED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "film.avi"}, "film.avi must end with .mp4 or .gif, got '.avi'"),
        ({"clip": "none"}, "clip must be a clip of the poses, such as 'only', got 'none'"),
        ({"frames_dir": "nowhere"}, "nowhere must be a folder of pictures"),
        ({"frames_dir": "."}, "must have 6 pictures, one for each frame of the clip, got 0"),
    ],
)
def test_clips_that_cannot_be_rendered_are_refused(pair, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    options = {"out": "film.gif", **change}
    with pytest.raises(InputError, match=message):
        render(pair, table(person=[8], score=[9.0]), **options)
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
        render(pair, table(person=[8], score=[9.0]), tmp_path / "f.gif", frames_dir=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip,person\na,1\n", "must have column 'score' .a table of scores"),
        (
            "clip,person,score\na,1,1\na,2,x\n",
            r"^'score' in row 3 of .*scores\.csv must be a number, got 'x'$",
        ),
        (
            "clip,person,score\na,1\n",
            r"^row 2 of .*scores\.csv must have 3 values, got 2$",
        ),
        (
            "clip,person,score\na,nan,1\n",
            r"^column 'person' of .*scores\.csv must be finite in each row, got NaN or infinity$",
        ),
        ("", "must have column 'clip'"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_scores(path)


def test_lost_tables_are_refused(tmp_path):
    for name, message in (
        ("a.csv", "does not exist"),
        ("a.txt", "must end with .csv or .npz, got '.txt'"),
    ):
        with pytest.raises(InputError, match=message):
            read_scores(tmp_path / name)
