"""Moments as text."""

from __future__ import annotations

import math

import pytest

from gepc_geo import InputError
from gepc_geo.report.times import frame_of, time_text


@pytest.mark.parametrize(
    ("frame", "fps", "text"),
    [(769, 10, "1:16.9"), (0, 25, "0:00.0"), (1799, 30, "1:00.0"), (36000, 10, "60:00.0")],
)
def test_moments_are_minutes_and_seconds(frame, fps, text):
    assert time_text(frame, fps) == text
    assert time_text(frame, math.nan) == ""


@pytest.mark.parametrize(
    ("text", "fps", "frame"),
    [
        ("12.5", 10, 125),
        ("1:16.9", 10, 769),
        ("300f", math.nan, 300),
        ("0", 25, 0),
        ("0.05", 10, 1),
        # A rate in single precision.
        ("10", 29.97002983, 300),
    ],
)
def test_texts_name_the_first_frame_at_or_after_them(text, fps, frame):
    assert frame_of(text, fps, "--from") == frame


@pytest.mark.parametrize("text", ["", "f", "-1", "1:2:3", "12.5f", "nan", "1e3", "٣"])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="--to must be seconds as 12.5, minutes .* got '"):
        frame_of(text, 10, "--to")


def test_times_need_a_rate():
    with pytest.raises(InputError, match="--to must be a frame as 300f, because .* got '1:00'"):
        frame_of("1:00", math.nan, "--to")
