"""Frames of streams: what a camera shows, checked and put in the form of tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import MAX_VALUE
from gepc_geo.windows.pipeline import InputPipeline

# Twelve years at 25 a second; larger frame numbers are time stamps or damage.
_LAST_FRAME = 10**10
_LAST_ID = np.iinfo(np.int64).max
# What key points and features have of every joint.
_EACH = {"keypoints": "coordinates", "features": "features"}


@dataclass
class Frame:
    r"""The people in one frame of one camera; :math:`n` of them, or nobody.

    Attributes:
        camera: Name of the camera (or clip).
        frame: Number of the frame, from 0; as in files ``3.0`` and ``"3"`` are 3.
        ids: :math:`[n]` person ids, whole numbers, ``2.0`` and ``"2"`` among them; ``None``: somebody
            without an id, who is left out.
        keypoints: :math:`[n, V, C]`, in the units of the training poses.
        confidence: :math:`[n, V]` from 0 (a missing joint) to 1, larger ones count as 1; ``None``: every
            joint was seen.
        features: :math:`[n, V, D]` for detectors whose poses have such.
        image_size: Width and height in pixels, for detectors with scale ``image``.
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
    r"""A frame of :math:`n` people who each have an id of their own.

    Attributes:
        camera: Name of the camera.
        frame: Number of the frame.
        ids: Person ids, :math:`n` of them.
        rows: :math:`[n, V, C']` float32, coordinates, features and confidence of every joint; what was not
            seen is 0.
        image_size: :math:`[2]` float32, NaN where nobody knows.
        unnamed: How many people without an id were left out.
        repeated: How many people were left out as their id was there twice.
    """

    camera: str
    frame: int
    ids: list[int]
    rows: np.ndarray
    image_size: np.ndarray
    unnamed: int
    repeated: int


def checked(frame: Frame, pipeline: InputPipeline) -> CheckedFrame:
    """A frame in the form that tracks keep.

    Args:
        frame: Somebody's.
        pipeline: Of the detector that the frame is for.

    Raises:
        InputError: What is wrong with it: shapes, ids, numbers that are not finite.
    """
    number = _whole(frame.frame)
    if number is None:
        raise InputError(
            f"a frame of camera {frame.camera!r} has number {_shown(frame.frame)}, which is not whole, "
            "expected one from 0"
        )
    where = f"frame {number} of camera {frame.camera!r}"
    if not 0 <= number <= _LAST_FRAME:
        raise InputError(f"{where} is out of range, expected 0 to {_LAST_FRAME}")
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
            raise InputError(
                f"{where}: {name} has shape {list(array.shape)}, expected {list(shape)}: "
                f"{len(ids)} people with the {joints} joints of {pipeline.skeleton.name}"
                + (f", {shape[2]} {_EACH[name]} each" if len(shape) > 2 else "")
            )
        arrays[name] = array.astype(np.float32)
    if not (arrays["confidence"] >= 0).all():
        raise InputError(f"{where} has a confidence below 0 or NaN, expected 0 to 1")
    # Some pose estimators exceed 1 a little.
    arrays["confidence"] = np.minimum(arrays["confidence"], 1)
    seen = arrays["confidence"] > 0
    # What stands at a joint that was not seen means nothing, and may be anything.
    arrays["keypoints"][~seen] = 0
    for name in ("keypoints", "features"):
        if not (np.abs(arrays[name]) <= MAX_VALUE).all():
            raise InputError(
                f"{where} has a {name} value that is not finite or over {MAX_VALUE:g}, "
                "expected confidence 0 for a missing joint"
            )
    size = np.full(2, np.nan, np.float32)
    if frame.image_size is not None:
        size = _numbers(frame.image_size, f"{where}: image_size").astype(np.float32)
        if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
            raise InputError(f"{where} has image size {frame.image_size}, expected width, height")
    elif pipeline.options.scale == "image":
        raise InputError(f"{where} has no image size, which scale 'image' needs")
    rows = np.concatenate(
        [arrays["keypoints"], arrays["features"], arrays["confidence"][..., None]], axis=2
    )
    # Nobody whose joints are all missing is there.
    there = np.flatnonzero(seen.any(1))
    named = [at for at in there.tolist() if ids[at] is not None]
    better = arrays["confidence"].mean(1)
    best: dict[int | None, int] = {}
    for at in named:
        if better[at] > better[best.setdefault(ids[at], at)]:
            best[ids[at]] = at
    kept = list(best.values())
    return CheckedFrame(
        camera=frame.camera,
        frame=number,
        ids=[one for one in best if one is not None],
        rows=rows[kept],
        image_size=size,
        unnamed=len(there) - len(named),
        repeated=len(named) - len(kept),
    )


def _ids(value: Any, where: str) -> list[int | None]:
    """One id a person, ``None`` for those without one."""
    try:
        values = value.tolist() if isinstance(value, (np.ndarray, torch.Tensor)) else list(value)
    except TypeError:
        raise InputError(f"{where} has ids {_shown(value)}, expected one id a person") from None
    ids = [None if one is None else _whole(one) for one in values]
    for one, number in zip(values, ids, strict=True):
        if one is not None and number is None:
            raise InputError(f"{where} has person id {_shown(one)}, expected a whole number")
        if number is not None and not -_LAST_ID <= number <= _LAST_ID:
            raise InputError(f"{where} has person id {number}, expected at most {_LAST_ID}")
    # Trackers write -1 for those whom they do not follow.
    return [None if number == -1 else number for number in ids]


def _whole(value: Any) -> int | None:
    """A whole number, as files may have it too: ``3``, ``3.0``, ``"3"``; of anything else ``None``."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and number != value else number


def _shown(value: Any) -> str:
    """A value in an error, as JSON has it."""
    value = value.item() if isinstance(value, np.generic) else value
    return "null" if value is None else f"{value!r:.40}"


def _numbers(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    except ValueError:
        raise InputError(f"{what} are of uneven lengths, expected an array of numbers") from None
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        values = np.array(value, dtype=object).flat
        wrong = (one for one in values if type(one) not in (int, float))
        # Whole numbers alone are here only where they are too large.
        raise InputError(f"{what} has {_shown(next(wrong, array.flat[0]))} in it, expected numbers")
    return array
