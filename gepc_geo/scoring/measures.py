"""Measures of windows that people understand: speed, posture, angles, dwell, distance to others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gepc_geo.scoring.body_frames import BodyFrames, BodyShape, blocks_of, stay
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.statistics import quantile

#: Units of the measures by name; ``time`` is second, or frame where the frame rate is unknown.
UNITS = {
    "speed": "body heights a {time}",
    "acceleration": "body heights a {time} squared",
    "across": "body heights a {time}",
    "approach": "share of the body height a {time}",
    "sideways": "body heights a {time}",
    "turn": "degrees",
    "posture": "body heights",
    "arms_up": "share of the frames",
    "knee_bend": "degrees",
    "knee_range": "degrees",
    "elbow_range": "degrees",
    "stride_range": "body heights",
    "dwell": "{time}s",
    "distance": "body heights",
}
# Parts of a window, whose mean places give its movement: places in single frames are noisy.
_PARTS = 4
# Least movement in a quarter of a window that has a direction, in body heights.
_LEAST_STEP = 0.05
# The window's body height is this quantile of those of its frames, as bones that point to the
# camera look short.
_HEIGHT = 0.75
# Ranges reach from the first to the last tenth.
_TENTH = 0.1
# Body heights within which a person stays in one place.
_PLACE = 1.0


def measure(
    windows: PoseWindows, shape: BodyShape, fps: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    r"""Measures of windows, from the filled poses alone.

    The body height of a frame is the length from head to ankle along the bones. Parts that are
    hidden are completed by ``shape``; if the torso is hidden, the height is interpolated in time.
    Without shoulders and hips it is the larger side of the pose. A window has the third quartile of
    its frames. The place of a person is the middle of shoulders and hips, or the mean of all
    joints; the mean places in the quarters of a window give its movement. In 2D all lengths and
    angles are those in the picture.

    - ``speed``: median of the speeds between quarters.
    - ``acceleration``: change of velocity from the first two to the last two quarters, by time.
    - ``across``: velocity to the right in the picture, negative to the left; only in 2D.
    - ``approach``: growth of the body height, positive towards the camera; only in 2D.
    - ``sideways``: speed along the line of the shoulders; in 2D times the squared part of the line
      that is seen.
    - ``turn``: angle between the movement in a quarter at the begin, or the last one before if the
      person stands, and the last one; NaN for people who stand from begin to end.
    - ``posture``: height of the head above the lower ankle, median; about 1 upright, 0 lying.
    - ``arms_up``: share of the frames with a wrist above the head.
    - ``knee_bend``: bend of the knees, median over the frames, mean of both; 0 is straight.
    - ``knee_range``: range of the bend without the lowest and the highest tenth, mean of both.
    - ``elbow_range``: the same of the elbow that moves more.
    - ``stride_range``: the same of the distance between the ankles.
    - ``dwell``: time up to the window's last frame in which the person, within the track, was never
      farther than one body height in any coordinate from the place in that frame.
    - ``distance``: distance to the nearest other person of the frame, in 2D of nearly the same
      height; it is less in nine tenths of the frames, as people who pass are near for a moment.

    A measure is NaN for padded windows, for skeletons without its joints, and if less than half of
    the window's frames show its joints (of ``distance``: another person).

    Args:
        windows: :math:`W` windows.
        shape: Proportions of people.
        fps: Frames a second of each window, :math:`[W]`. (default: ``None``, times are in frames)

    Returns:
        Values :math:`[W]` float64 by the names of :data:`UNITS`.
    """
    table = windows.table
    frames = BodyFrames.of(table, shape)
    found = {name: np.full(len(windows), np.nan) for name in UNITS}
    height = np.full(len(windows), np.nan)
    rate = np.ones(len(windows)) if fps is None else fps
    for length in windows.lengths:
        chosen = np.flatnonzero((windows.size == length) & ~windows.padded)
        found["turn"][chosen] = _turn(frames, windows.subset(chosen))
        for part in blocks_of(len(chosen)):
            index = chosen[part]
            rows = windows.rows(index)
            height[index] = tall = _known_quantile(frames.height[rows], _HEIGHT)
            with np.errstate(invalid="ignore", divide="ignore"):
                values = _movement(frames, rows, tall, rate[index], shape.width)
                values |= _pose(frames, rows, tall)
            for name, value in values.items():
                found[name][index] = value
    last = np.minimum(windows.first + windows.size - 1, windows.high)
    found["dwell"] = stay(table, frames.centre, last, _PLACE * height) / rate
    return found


def _movement(
    frames: BodyFrames, rows: np.ndarray, height: np.ndarray, rate: np.ndarray, width: float
) -> dict[str, np.ndarray]:
    """Measures of the movement of windows with rows [W, T] and body heights [W]."""
    length = rows.shape[1]
    parts = min(_PARTS, length)
    if parts < 2:
        return {}
    edges = np.linspace(0, length, parts + 1).round().astype(np.int64)
    spans = [slice(*edge) for edge in pairwise(edges)]
    place = np.stack([frames.centre[rows[:, span]].mean(1) for span in spans], 1)
    time = np.array([(span.start + span.stop - 1) / 2 for span in spans]) / rate[:, None]
    step = np.diff(place, axis=1) / height[:, None, None]
    velocity = step / np.diff(time, axis=1)[..., None]
    total = (place[:, -1] - place[:, 0]) / (height * (time[:, -1] - time[:, 0]))[:, None]
    line = _known_mean(frames.shoulders[rows]) / (height * width)[:, None]
    if place.shape[-1] == 2:
        # The line of people who walk forwards and towards the camera has a part in the picture.
        line *= np.linalg.norm(line, axis=1, keepdims=True)
    found = {
        "speed": np.median(np.linalg.norm(velocity, axis=-1), axis=1),
        "sideways": np.abs((total * line).sum(1)),
    }
    if parts > 2:
        change = np.linalg.norm(velocity[:, -1] - velocity[:, 0], axis=1)
        middle = (time[:, 1:] + time[:, :-1]) / 2
        found["acceleration"] = change / (middle[:, -1] - middle[:, 0])
    if place.shape[-1] == 2:
        found["across"] = total[:, 0]
        tall = [_known_mean(frames.height[rows[:, span]]) for span in (spans[0], spans[-1])]
        found["approach"] = np.log(tall[1] / tall[0]) / (time[:, -1] - time[:, 0])
    return found


def _turn(frames: BodyFrames, windows: PoseWindows) -> np.ndarray:
    """Measure ``turn`` of windows of one length."""
    if not len(windows):
        return np.zeros(0)
    lag = max(int(windows.size[0]) // _PARTS, 1)
    number = np.arange(len(frames.centre))
    piece = windows.table.piece
    start = np.repeat(piece[:-1], np.diff(piece))
    step = frames.centre - frames.centre[np.maximum(number - lag, 0)]
    moves = np.linalg.norm(step, axis=1) >= _LEAST_STEP * frames.height
    latest = np.maximum.accumulate(np.where(moves & (number - lag >= start), number, -1))
    last = windows.first + windows.size - 1
    now, before = latest[last], latest[np.minimum(windows.first + lag, last)]
    a, b = step[now], step[before]
    cosine = (a * b).sum(1) / np.maximum(
        np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12
    )
    known = (before >= windows.low) & (now > before)
    return np.where(known, np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.nan)


def _pose(frames: BodyFrames, rows: np.ndarray, height: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of the poses of windows with rows [W, T] and body heights [W]."""
    # Both sides at once: [W, 2, T].
    knees, elbows = (side[rows].transpose(0, 2, 1) for side in (frames.knees, frames.elbows))
    return {
        "posture": _known_quantile(frames.upright[rows], 0.5) / height,
        "arms_up": _known_mean(frames.arms_up[rows]),
        "knee_bend": _mean_of_both(_known_quantile(knees, 0.5)),
        "knee_range": _mean_of_both(_range(knees)),
        "elbow_range": np.fmax(*_range(elbows).T),
        "stride_range": _range(frames.stride[rows]) / height,
        "distance": _known_quantile(frames.distance[rows], 1 - _TENTH) / height,
    }


def _known_quantile(values: np.ndarray, level: float) -> np.ndarray:
    """A quantile over the last axis; NaN if less than half of the values are known."""
    return np.where(_enough(values, -1), quantile(values, level, -1), np.nan)


def _range(values: np.ndarray) -> np.ndarray:
    """The range over the last axis without both ends."""
    return _known_quantile(values, 1 - _TENTH) - _known_quantile(values, _TENTH)


def _known_mean(values: np.ndarray) -> np.ndarray:
    """The mean over frames, the second axis; NaN if less than half of the values are known."""
    count = (~np.isnan(values)).sum(1)
    mean = np.nan_to_num(values).sum(1) / np.maximum(count, 1)
    return np.where(_enough(values, 1), mean, np.nan)


def _enough(values: np.ndarray, axis: int) -> np.ndarray:
    enough: np.ndarray = 2 * (~np.isnan(values)).sum(axis) >= max(values.shape[axis], 1)
    return enough


def _mean_of_both(sides: np.ndarray) -> np.ndarray:
    """The mean of both sides [W, 2], or the side that is known."""
    left, right = sides.T
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))
