"""Videos and pictures are distinguished from other files."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from gepc_geo.cli import main
from gepc_geo.datasets import simulate_crowd
from gepc_geo.errors import InputError
from gepc_geo.io import FORMATS, read
from gepc_geo.io._common.media import media_kind


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"RIFF\x10\x20\0\0AVI LIST", "a video"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"\0\0\0\x14ftypqt  ", "a video"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0", "a video"),
        (b"\0\0\1\xba\x44\0", "a video"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture"),
        (b"RIFF\x10\x20\0\0WEBPVP8 ", "a picture"),
        (b"\0\0\0\x18ftypheic", "a picture"),
        (b"GIF89a\1\0", "a picture"),
        (b"RIFF\x10\x20\0\0WAVEfmt ", ""),
        (b'{"a": 1}', ""),
        (b"BMI,x,y\n", ""),
        (b"", ""),
    ],
)
def test_pictures_and_videos_are_known_by_their_first_bytes(start, kind, tmp_path):
    for name in ("file", "file.json", "file.csv"):
        path = tmp_path / name
        path.write_bytes(start)
        assert media_kind(path) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "a video"),
        ("A.AVI", "a video"),
        ("a.MTS", "a video"),
        ("a.jpg", "a picture"),
        ("a.BMP", "a picture"),
        ("a.jpg.json", ""),
        ("mp4", ""),
    ],
)
def test_damaged_pictures_and_videos_are_known_by_their_suffix(name, kind, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\0" * 16)
    assert media_kind(path) == kind


def test_poses_and_missing_files_are_no_media(tmp_path):
    simulate_crowd("test", num_clips=1, frames_per_clip=48, random_state=0).save(
        tmp_path / "poses.npz"
    )
    np.save(tmp_path / "mask.npy", np.zeros(3))
    for name in ("poses.npz", "mask.npy", "none.mp4", "."):
        assert media_kind(tmp_path / name) == ""


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.mp4", b"\0\0\0\x20ftypisom", "a video: its poses must be estimated first "),
        ("a.json", b"\x89PNG\r\n\x1a\n", "a picture: its poses must be estimated first "),
        ("a.json", b"", "one that is empty "),
        ("a.json", b'{"a": 1}', "no known format "),
    ],
)
def test_a_refusal_says_what_was_found_in_place_of_poses(name, content, found, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    for given in (path, tmp_path):
        with pytest.raises(InputError) as caught:
            read(given)
        assert str(caught.value).startswith(f"{path} must be a file of poses, got {found}(")
        assert "docs/formats.md" in str(caught.value)
        assert len(str(caught.value)) < len(str(path)) + 150
    # The help lists what the message does not.
    text = CliRunner().invoke(main, ["convert", "--help"]).output
    assert all(form in text.replace("\n", "").replace(" ", "") for form in FORMATS)


def test_real_pictures_and_videos_are_known(real_data, tmp_path):
    assert media_kind(real_data("video") / "vtest.avi") == "a video"
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for ending in ("png", "jpeg", "bmp", "tiff", "gif", "webp"):
        path = tmp_path / f"picture.{ending}"
        image.new("RGB", (4, 4)).save(path)
        assert media_kind(path) == "a picture"
