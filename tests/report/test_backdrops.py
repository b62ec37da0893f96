"""Real pictures behind the people of peaks."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from gepc_geo import InputError
from gepc_geo.report import backdrops, gather
from gepc_geo.report.footage import Footage
from gepc_geo.report.page import make_page


@pytest.fixture(scope="module")
def one(crowd):
    return crowd.select(clips=[0])


@pytest.fixture(scope="module")
def footage(one, tmp_path_factory) -> Footage:
    """Pictures at half the size of the poses: red is the frame, green the place across."""
    folder = tmp_path_factory.mktemp("frames")
    width, height = (one.image_size[0] / 2).astype(int).tolist()
    for number in range(int(one.clip_length[0])):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = 5 * number, np.arange(width) * 255 // width
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return Footage(folder, "pictures")


@pytest.fixture(scope="module")
def pictured(plain, one, footage):
    return gather(plain, one, footage=footage)


def opened(scene) -> np.ndarray:
    kind, text = scene["picture"]["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")).astype(float)


def test_pictures_are_of_the_frame_and_in_the_place_of_the_peak(pictured, one):
    assert pictured["scenes"]
    for scene in pictured["scenes"]:
        about, poses = scene["picture"], scene["poses"]
        assert about["frame"] == scene["frame"] - scene["start"]
        pixels = opened(scene)
        assert pixels[..., 0].mean() == pytest.approx(5 * scene["frame"], abs=4)
        # From steps to pixels of the poses.
        left = poses["origin"][0] + poses["step"] * about["x"]
        right = left + poses["step"] * about["width"]
        wide = one.image_size[0, 0]
        assert -1 <= left < right <= wide + 1
        ends = pixels[:, [0, -1], 1].mean(0)
        np.testing.assert_allclose(ends, [255 * left / wide, 255 * right / wide], atol=6)
        # The people are in the picture.
        assert about["x"] <= 0 or left < 1
        assert about["x"] + about["width"] >= poses["width"] or right > wide - 1


def test_no_picture_is_in_a_report_without_frames(pictured, plain, one):
    without = gather(plain, one)
    assert without["scenes"] and not any("picture" in scene for scene in without["scenes"])
    pytest.importorskip("plotly")
    assert not re.search(r"data:image/jpeg", make_page(without))
    assert len(re.findall(r"data:image/jpeg", make_page(pictured))) == len(pictured["scenes"])


def test_pictures_have_few_characters(plain, one, footage, monkeypatch):
    monkeypatch.setattr(backdrops, "MOST_CHARACTERS", 3000)
    noisy = gather(plain, one, footage=footage)
    assert max(len(scene["picture"]["src"]) for scene in noisy["scenes"]) <= 3000


def test_heads_are_blurred(plain, one, footage):
    shown = [
        gather(plain, one, footage=footage, blur_faces=blurred)["scenes"] for blurred in (0, 1)
    ]
    for sharp, blurred in zip(*shown, strict=True):
        assert sharp["picture"]["src"] != blurred["picture"]["src"]


def test_footage_that_does_not_suit_is_refused_before_scoring(plain, one, footage, tmp_path):
    long = one.with_(clip_length=[99], frame_labels=None)
    with pytest.raises(InputError, match="must have 99 pictures, one for each frame .* got 48"):
        gather(plain, long, footage=footage)
    with pytest.raises(InputError, match="must have 48 pictures, .* got 0"):
        gather(plain, one, footage=Footage(tmp_path, "pictures"))
