"""Moments of a clip, as text."""

from __future__ import annotations

import math
import re

from gepc_geo.errors import InputError

_FRAME = re.compile(r"(\d{1,9})f", re.ASCII)
_TIME = re.compile(r"(?:(\d{1,6}):)?(\d{1,9}(?:\.\d*)?)", re.ASCII)


def time_text(frame: int, fps: float) -> str:
    """A moment as minutes and seconds, ``1:16.9``; empty if the frame rate is unknown.

    Args:
        frame: Frame number.
        fps: Frames a second; NaN if unknown.
    """
    if math.isnan(fps):
        return ""
    minutes, tenths = divmod(round(10 * frame / fps), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def check_moment(text: str, name: str) -> None:
    """Checks that a text is a moment.

    Args:
        text: Seconds (``12.5``), minutes and seconds (``1:16.9``), or a frame (``300f``).
        name: Name of the value in messages.

    Raises:
        InputError: It is none.
    """
    if not (_FRAME.fullmatch(text) or _TIME.fullmatch(text)):
        raise InputError(
            f"{name} must be seconds as 12.5, minutes and seconds as 1:16.9, or a frame as 300f, "
            f"got {text!r}"
        )


def frame_of(text: str, fps: float, name: str) -> int:
    """The first frame at a moment or after it.

    Args:
        text: As in :func:`check_moment`.
        fps: Frames a second; NaN if unknown.
        name: Name of the value in messages.

    Raises:
        InputError: The text is no moment, or is a time without a known frame rate.
    """
    check_moment(text, name)
    frame = _FRAME.fullmatch(text)
    if frame:
        return int(frame[1])
    if math.isnan(fps):
        raise InputError(
            f"{name} must be a frame as 300f, because the frame rate is unknown (--fps), got "
            f"{text!r}"
        )
    minutes, seconds = re.fullmatch(_TIME, text).groups()  # type: ignore[union-attr]
    # Rates are stored in single precision.
    return math.ceil((60 * int(minutes or 0) + float(seconds)) * fps - 1e-3)
