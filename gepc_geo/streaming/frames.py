"""Frames of streams: their checks and their conversion to rows of tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_VALUE
from gepc_geo.windows.pipeline import InputPipeline

# Twelve years at 25 frames a second; larger numbers are time stamps or errors.
_LAST_FRAME = 10**10
_LAST_ID = np.iinfo(np.int64).max
# Names of the values of a joint, for messages.
_JOINT_VALUES = {"keypoints": "coordinates", "features": "features"}


@dataclass
class Frame:
    r"""The :math:`n` people in one frame of one camera; :math:`n` may be 0.

    Attributes:
        camera: Name of the camera (or clip).
        frame: Number of the frame, from 0; ``3.0`` and ``"3"`` are 3.
        ids: :math:`[n]` person ids, whole numbers; ``2.0`` and ``"2"`` are 2. People with ``None``
            or -1 are left out.
        keypoints: :math:`[n, V, C]`, in the units of the training poses.
        confidence: :math:`[n, V]` from 0 (a missing joint) to 1; larger values become 1.
            (default: ``None``, all joints are seen)
        features: :math:`[n, V, D]`, if the training poses have features. (default: ``None``)
        image_size: Width and height in pixels, needed for scale ``image``. (default: ``None``)
    """

    camera: str
    frame: int
    ids: Any
    keypoints: Any
    confidence: Any = None
    features: Any = None
    image_size: tuple[float, float] | None = None


@dataclass
class CheckedFrame:
    r"""A frame of :math:`n` people with different ids.

    Attributes:
        camera: Name of the camera.
        frame: Number of the frame.
        ids: :math:`n` person ids.
        rows: :math:`[n, V, C']` float32: coordinates, features and confidence of every joint;
            unseen joints are 0.
        image_size: :math:`[2]` float32, NaN if unknown.
        unnamed: Number of people without an id, who were left out.
        repeated: Number of poses with the id of another pose, which were left out.
    """

    camera: str
    frame: int
    ids: list[int]
    rows: np.ndarray
    image_size: np.ndarray
    unnamed: int
    repeated: int


def checked(frame: Frame, pipeline: InputPipeline) -> CheckedFrame:
    """Checks a frame and converts it to rows of tracks.

    Args:
        frame: The frame.
        pipeline: The pipeline of the detector.

    Raises:
        InputError: Shapes, ids or numbers are not valid.
    """
    number = _whole(frame.frame)
    if number is None:
        raise InputError(
            f"frame number of camera {frame.camera!r} must be a whole number from 0, got "
            f"{_shown(frame.frame)}"
        )
    if not 0 <= number <= _LAST_FRAME:
        raise InputError(
            f"frame number of camera {frame.camera!r} must be from 0 to {_LAST_FRAME}, got {number}"
        )
    where = f"frame {number} of camera {frame.camera!r}"
    ids = _ids(frame.ids, where)
    joints, dims = pipeline.skeleton.num_joints, pipeline.dims
    shapes = {
        "keypoints": (len(ids), joints, dims),
        "confidence": (len(ids), joints),
        "features": (len(ids), joints, pipeline.num_features),
    }
    arrays = {}
    for name, shape in shapes.items():
        value = getattr(frame, name)
        if value is None and name == "confidence":
            value = np.ones(shape)
        elif value is None and not pipeline.num_features:
            value = np.zeros(shape)
        array = _numbers(value, f"{where}: {name}")
        if not len(ids) and not array.size:
            array = array.reshape(shape)
        if array.shape != shape:
            people = "1 person" if len(ids) == 1 else f"{len(ids)} people"
            raise InputError(
                f"{where}: {name} must have shape {list(shape)}, "
                f"{people} with the {joints} joints of {pipeline.skeleton.name}"
                + (f" and {shape[2]} {_JOINT_VALUES[name]} each" if len(shape) > 2 else "")
                + f", got {list(array.shape)}"
            )
        arrays[name] = array.astype(np.float32)
    wrong = arrays["confidence"][~(arrays["confidence"] >= 0)]
    if wrong.size:
        raise InputError(f"{where}: confidence must be from 0 to 1, got {wrong[0]:g}")
    # Some pose estimators give a little more than 1.
    arrays["confidence"] = np.minimum(arrays["confidence"], 1)
    seen = arrays["confidence"] > 0
    # Coordinates of unseen joints have no meaning.
    arrays["keypoints"][~seen] = 0
    for name in ("keypoints", "features"):
        wrong = arrays[name][~(np.abs(arrays[name]) <= MAX_VALUE)]
        if wrong.size:
            raise InputError(
                f"{where}: {name} must be finite and at most {MAX_VALUE:g} (confidence 0 marks a "
                f"missing joint), got {wrong[0]:g}"
            )
    size = np.full(2, np.nan, np.float32)
    if frame.image_size is not None:
        size = _numbers(frame.image_size, f"{where}: image_size").astype(np.float32)
        if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
            raise InputError(
                f"{where}: image_size must be width and height, more than 0, got {frame.image_size}"
            )
    elif pipeline.options.scale == "image":
        raise InputError(f"{where} must have an image size for scale 'image', got none")
    rows = np.concatenate(
        [arrays["keypoints"], arrays["features"], arrays["confidence"][..., None]], axis=2
    )
    # A person without a seen joint is left out.
    present = np.flatnonzero(seen.any(1))
    named = [at for at in present.tolist() if ids[at] is not None]
    quality = arrays["confidence"].mean(1)
    best: dict[int | None, int] = {}
    for at in named:
        if quality[at] > quality[best.setdefault(ids[at], at)]:
            best[ids[at]] = at
    chosen = list(best.values())
    return CheckedFrame(
        camera=frame.camera,
        frame=number,
        ids=[person for person in best if person is not None],
        rows=rows[chosen],
        image_size=size,
        unnamed=len(present) - len(named),
        repeated=len(named) - len(chosen),
    )


def _ids(value: Any, where: str) -> list[int | None]:
    """The id of each person, ``None`` without one."""
    try:
        values = value.tolist() if isinstance(value, (np.ndarray, torch.Tensor)) else list(value)
    except TypeError:
        raise InputError(f"{where}: ids must be one id a person, got {_shown(value)}") from None
    ids = [None if item is None else _whole(item) for item in values]
    for item, number in zip(values, ids, strict=True):
        if item is not None and number is None:
            raise InputError(f"{where}: person id must be a whole number, got {_shown(item)}")
        if number is not None and not -_LAST_ID <= number <= _LAST_ID:
            raise InputError(f"{where}: person id must be at most {_LAST_ID}, got {number}")
    # Trackers write -1 for people without a track.
    return [None if number == -1 else number for number in ids]


def _whole(value: Any) -> int | None:
    """The whole number of ``3``, ``3.0`` or ``"3"``; ``None`` for other values."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and number != value else number


def _shown(value: Any) -> str:
    """A value in a message, with the null of JSON."""
    value = value.item() if isinstance(value, np.generic) else value
    return "null" if value is None else f"{value!r:.40}"


def _numbers(value: Any, name: str) -> np.ndarray:
    """An array of numbers; an InputError for other values."""
    try:
        array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    except ValueError:
        raise InputError(
            f"{name} must be an array of numbers, got lists of unequal length"
        ) from None
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        values = np.array(value, dtype=object).flat
        wrong = (item for item in values if type(item) not in (int, float))
        # Without a wrong type, a whole number is too large.
        raise InputError(f"{name} must have numbers, got {_shown(next(wrong, array.flat[0]))}")
    return array
