"""All person-frames of a data set as flat arrays, and their native file format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.utils.files import atomic_path, read_npz

#: Version of the native file format, stored in every file.
FORMAT_VERSION = 1

#: The longest clip, in frames (46 days at 25 a second). Larger frame numbers are time stamps or
#: damage, and would only surface as exhausted memory.
MAX_FRAMES = 100_000_000

#: The largest coordinate (of a joint that was seen) or feature, either way: far outside of any image
#: or room, and small enough that what is computed of it stays finite in single precision.
MAX_VALUE = 1e9

# Every array of the file: its number of dimensions and its type.
_ARRAYS: dict[str, tuple[int, type]] = {
    "keypoints": (3, np.float32),
    "confidence": (2, np.float32),
    "frame": (1, np.int64),
    "track": (1, np.int64),
    "clip": (1, np.int64),
    "features": (3, np.float32),
    "clip_length": (1, np.int64),
    "image_size": (2, np.float32),
    "fps": (1, np.float32),
    "frame_labels": (1, np.int8),
}
_ROWS = ("keypoints", "confidence", "frame", "track", "clip", "features")
_OPTIONAL = ("features", "frame_labels")
_STRINGS = ("clip_names", "camera", "clip_label", "clip_split")


@dataclass(frozen=True, repr=False, eq=False)
class PoseTracks:
    r"""Tracked poses: one row per person and frame.

    Rows are sorted by clip, then track, then frame, and unique. Make one with :meth:`build`,
    :meth:`load` or :func:`gepc_geo.io.read`; the plain constructor checks nothing.

    Attributes:
        keypoints: :math:`[F, V, C]` float32, pixels (``C = 2``) or metres (``C = 3``). Where the
            confidence is 0 the value means nothing.
        confidence: :math:`[F, V]` float32 in [0, 1]; 0 marks a missing joint.
        frame: :math:`[F]` int64, frame number within the clip, from 0.
        track: :math:`[F]` int64, person id, unique within a clip.
        clip: :math:`[F]` int64, position in ``clip_names``.
        skeleton: The joints and their bones.
        clip_names: :math:`N` different names.
        clip_length: :math:`[N]` int64, frames in each clip (with or without people).
        image_size: :math:`[N, 2]` float32, width and height in pixels; NaN where unknown.
        fps: :math:`[N]` float32, frames a second; NaN where unknown.
        camera: :math:`N` names; empty where unknown.
        clip_label: :math:`N` class names; empty where unknown.
        clip_split: :math:`N` names (``"train"``, ``"test"``); empty where unknown.
        features: :math:`[F, V, D]` float32 or ``None``: further channels of each joint (the
            paper's patch embeddings, section 4.1), which geometric transforms leave alone.
        frame_labels: int8, all clips' frames one after the other (``clip_length.sum()``): 1 abnormal,
            0 normal, -1 unknown; ``None`` where nothing is known.
    """

    keypoints: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    clip: np.ndarray
    skeleton: Skeleton
    clip_names: tuple[str, ...]
    clip_length: np.ndarray
    image_size: np.ndarray
    fps: np.ndarray
    camera: tuple[str, ...]
    clip_label: tuple[str, ...]
    clip_split: tuple[str, ...]
    features: np.ndarray | None = None
    frame_labels: np.ndarray | None = None

    @classmethod
    def build(
        cls,
        keypoints: Any,
        confidence: Any,
        frame: Any,
        track: Any,
        clip: Any,
        skeleton: Skeleton | str,
        clip_names: Sequence[str],
        clip_length: Any = None,
        features: Any = None,
        image_size: Any = None,
        fps: Any = None,
        camera: Sequence[str] | None = None,
        clip_label: Sequence[str] | None = None,
        clip_split: Sequence[str] | None = None,
        frame_labels: Any = None,
        origin: str = "poses",
    ) -> PoseTracks:
        """Sorts the rows, fills in what is not given, and checks everything.

        Arrays of the right types whose rows are sorted already are taken as they are, not copied.

        Args:
            clip_length: Default: one more than each clip's last frame number.
            origin: What errors call the data, e.g. the file's name.

        Raises:
            InputError: Arrays that do not fit together, NaN, infinite or absurdly large key points
                (over 1e9), confidences outside [0, 1], a person twice in a frame, frame numbers
                outside the clip.
        """
        skeleton = Skeleton.get(skeleton)
        names = tuple(str(name) for name in clip_names)
        count = len(names)
        clip = _array(clip, "clip", origin)
        frame = _array(frame, "frame", origin)
        if clip_length is None:
            clip_length = np.zeros(count, dtype=np.int64)
            if len(clip) == len(frame) and len(clip) and clip.min() >= 0 and clip.max() < count:
                np.maximum.at(clip_length, clip, frame + 1)
        unknown = ("",) * count
        tracks = cls(
            keypoints=_array(keypoints, "keypoints", origin),
            confidence=_array(confidence, "confidence", origin),
            frame=frame,
            track=_array(track, "track", origin),
            clip=clip,
            skeleton=skeleton,
            clip_names=names,
            clip_length=_array(clip_length, "clip_length", origin),
            image_size=_array(
                np.full((count, 2), np.nan) if image_size is None else image_size,
                "image_size",
                origin,
            ),
            fps=_array(np.full(count, np.nan) if fps is None else fps, "fps", origin),
            camera=unknown if camera is None else tuple(map(str, camera)),
            clip_label=unknown if clip_label is None else tuple(map(str, clip_label)),
            clip_split=unknown if clip_split is None else tuple(map(str, clip_split)),
            features=None if features is None else _array(features, "features", origin),
            frame_labels=(
                None if frame_labels is None else _array(frame_labels, "frame_labels", origin)
            ),
        )
        tracks._check(origin)
        if _is_sorted(tracks):
            return tracks
        tracks = tracks.rows(np.lexsort((tracks.frame, tracks.track, tracks.clip)))
        _refuse_duplicates(tracks, origin)
        return tracks

    # -- sizes ---------------------------------------------------------------------------------

    @property
    def num_frames(self) -> int:
        """The number of person-frames, :math:`F`."""
        return len(self.frame)

    @property
    def usual_fps(self) -> float:
        """Median frames a second of the clips that have any; NaN if none has."""
        known = self.fps[~np.isnan(self.fps)]
        return float(np.median(known)) if len(known) else float("nan")

    @property
    def num_clips(self) -> int:
        """The number of clips, :math:`N`."""
        return len(self.clip_names)

    @property
    def num_joints(self) -> int:
        """The number of joints, :math:`V`."""
        return self.skeleton.num_joints

    @property
    def dims(self) -> int:
        """The number of coordinates of a joint, :math:`C` (2 or 3)."""
        return int(self.keypoints.shape[-1])

    @property
    def frame_offset(self) -> np.ndarray:
        """:math:`[N + 1]` int64: where each clip's frames start when all are laid end to end."""
        return np.concatenate([[0], np.cumsum(self.clip_length)]).astype(np.int64)

    @property
    def num_tracks(self) -> int:
        """The number of people, counted anew in each clip."""
        return len(self.track_starts)

    @property
    def track_starts(self) -> np.ndarray:
        """The first row of each person's track (rows of one track stand together)."""
        if not self.num_frames:
            return np.zeros(0, dtype=np.int64)
        new = (np.diff(self.clip) != 0) | (np.diff(self.track) != 0)
        return np.concatenate([[0], np.flatnonzero(new) + 1])

    # -- parts and wholes ----------------------------------------------------------------------

    def select(
        self,
        *,
        split: str | None = None,
        labels: Iterable[str] | None = None,
        clips: Sequence[int] | np.ndarray | None = None,
    ) -> PoseTracks:
        """The clips that meet every given condition, in their present order.

        Args:
            split: Keep clips of this split.
            labels: Keep clips of these classes.
            clips: Keep these clips: positions, or a boolean mask of length :math:`N`.

        Raises:
            InputError: A split or class that no clip has; a position out of range.
        """
        keep = np.ones(self.num_clips, dtype=bool)
        if split is not None:
            keep &= np.array([name == split for name in self.clip_split], dtype=bool)
            if not keep.any():
                there = ", ".join(sorted(set(self.clip_split) - {""})) or "no splits at all"
                raise InputError(f"no clip is of split {split!r}, the data has {there}")
        if labels is not None:
            wanted = set(labels)
            self.check_classes(wanted)
            keep &= np.array([name in wanted for name in self.clip_label], dtype=bool)
        if clips is not None:
            chosen = np.zeros(self.num_clips, dtype=bool)
            try:
                chosen[np.asarray(clips)] = True
            except IndexError as error:
                raise InputError(
                    f"clips cannot be selected from {self.num_clips}: {error}"
                ) from None
            keep &= chosen
        number = np.cumsum(keep) - 1
        rows = np.flatnonzero(keep[self.clip]) if self.num_frames else np.zeros(0, dtype=np.int64)
        part = self.rows(rows)
        slots = np.repeat(keep, self.clip_length)
        changes: dict[str, Any] = {
            name: tuple(value for value, k in zip(getattr(self, name), keep, strict=True) if k)
            for name in _STRINGS
        }
        return replace(
            part,
            clip=number[part.clip].astype(np.int64),
            clip_length=self.clip_length[keep],
            image_size=self.image_size[keep],
            fps=self.fps[keep],
            frame_labels=None if self.frame_labels is None else self.frame_labels[slots],
            **changes,
        )

    def check_classes(self, names: Iterable[str]) -> None:
        """Makes sure that each of the classes ``names`` has a clip.

        Raises:
            InputError: A class that no clip has.
        """
        lost = sorted(set(names) - set(self.clip_label))
        if lost:
            there = ", ".join(sorted(set(self.clip_label) - {""})) or "no class labels at all"
            raise InputError(f"no clip is of class {lost[0]!r}, the data has {there}")

    def rows(self, keep: np.ndarray) -> PoseTracks:
        """Some person-frames (positions or a boolean mask, in order); the clips stay as they are."""
        return replace(
            self,
            keypoints=self.keypoints[keep],
            confidence=self.confidence[keep],
            frame=self.frame[keep],
            track=self.track[keep],
            clip=self.clip[keep],
            features=None if self.features is None else self.features[keep],
        )

    def with_(self, **changes: Any) -> PoseTracks:
        """A copy with some attributes replaced, checked like a new one.

        Raises:
            InputError: As :meth:`build`.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return PoseTracks.build(**{**values, **changes})

    @staticmethod
    def concat(parts: Sequence[PoseTracks]) -> PoseTracks:
        """All clips of several data sets of the same skeleton, in the given order.

        Raises:
            InputError: Nothing to join, skeletons or channels that differ, a clip name twice.
        """
        if not parts:
            raise InputError("no poses to join, expected at least one data set")
        first = parts[0]
        for part in parts[1:]:
            if part.skeleton != first.skeleton or part.dims != first.dims:
                raise InputError(
                    f"poses of skeleton {part.skeleton.name!r} in {part.dims} dimensions cannot "
                    f"join those of {first.skeleton.name!r} in {first.dims}"
                )
            if part.num_features != first.num_features:
                raise InputError(
                    f"poses with {part.num_features} features a joint (clip "
                    f"{next(iter(part.clip_names), '')!r}) cannot join those with "
                    f"{first.num_features} (clip {next(iter(first.clip_names), '')!r})"
                )
        labels: np.ndarray | None = None
        if any(part.frame_labels is not None for part in parts):
            labels = np.concatenate(
                [
                    np.full(int(part.clip_length.sum()), -1, dtype=np.int8)
                    if part.frame_labels is None
                    else part.frame_labels
                    for part in parts
                ]
            )
        shift = np.cumsum([0, *(part.num_clips for part in parts[:-1])])

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        return PoseTracks.build(
            keypoints=joined("keypoints"),
            confidence=joined("confidence"),
            frame=joined("frame"),
            track=joined("track"),
            clip=np.concatenate([part.clip + s for part, s in zip(parts, shift, strict=True)]),
            skeleton=first.skeleton,
            clip_length=joined("clip_length"),
            image_size=joined("image_size"),
            fps=joined("fps"),
            features=None if first.features is None else joined("features"),
            frame_labels=labels,
            origin="joined poses",
            **{name: sum((getattr(part, name) for part in parts), ()) for name in _STRINGS},
        )

    # -- the native file -----------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes the native ``.npz``: a zip of plain arrays, named and shaped as the attributes.

        Numbers have the attributes' types (float32, int64; ``frame_labels`` int8); ``clip_names``,
        ``camera``, ``clip_label`` and ``clip_split`` are arrays of unicode text, ``skeleton`` is
        the text of :meth:`Skeleton.to_dict` as JSON, ``format_version`` is the integer 1. A file
        leaves out ``features`` and ``frame_labels`` where they are ``None``, and has every other
        array; :meth:`load` takes rows in any order and refuses arrays it does not know.

        Raises:
            InputError: A name that does not end in ``.npz``, a folder that cannot be written to, names
                that are no text (of files named in another encoding).
        """
        arrays: dict[str, Any] = {
            name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None
        }
        # An empty list of strings would become float64 without its type.
        arrays |= {name: np.array(getattr(self, name), dtype=np.str_) for name in _STRINGS}
        arrays["skeleton"] = np.array(json.dumps(self.skeleton.to_dict()))
        arrays["format_version"] = np.array(FORMAT_VERSION)
        path = Path(path)
        if path.suffix != ".npz":
            raise InputError(f"{path} has suffix {path.suffix!r}, expected .npz")
        for name in _STRINGS:
            _check_text(getattr(self, name), name, str(path))
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: str | Path, mmap: bool = False) -> PoseTracks:
        """Reads the native ``.npz``; nothing in it is ever unpickled.

        Args:
            path: The file.
            mmap: Leave the rows in the file and map them into memory, read-only; for data larger
                than memory. They are read once to be checked, but not held. The file must be as
                :meth:`save` writes it (not compressed) and stay as it is while the tracks are used.
                Rows that the file does not have in order are sorted, and so held after all.

        Raises:
            InputError: No such file, not a pose file, a wrong version, contents that do not fit.
        """
        mapped = _ROWS if mmap else ()
        arrays: dict[str, Any] = {**read_npz(path, "pose file (.npz)", mapped)}
        version = arrays.pop("format_version", None)
        if version is None or version.shape != () or version != FORMAT_VERSION:
            raise InputError(
                f"{path} has format version {None if version is None else version.tolist()}, "
                f"expected {FORMAT_VERSION}"
            )
        known = {*_ARRAYS, *_STRINGS, "skeleton"}
        wrong = sorted((known - set(_OPTIONAL) - set(arrays)) | (set(arrays) - known))
        if wrong:
            state = "lacks" if wrong[0] in known else "has the unknown"
            raise InputError(
                f"{path} {state} array {wrong[0]!r}, expected {', '.join(sorted(known))}"
            )
        try:
            skeleton = Skeleton.from_dict(
                json.loads(str(arrays.pop("skeleton"))), f"{path}: skeleton"
            )
        except json.JSONDecodeError as error:
            raise InputError(f"{path} has no readable skeleton, expected JSON: {error}") from None
        for name in _STRINGS:
            if arrays[name].ndim != 1 or arrays[name].dtype.kind != "U":
                raise InputError(f"{path}: {name} is not a list of strings, expected one per clip")
            arrays[name] = arrays[name].tolist()
        return cls.build(skeleton=skeleton, origin=str(path), **arrays)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        """Refuses to become an array, e.g. in scikit-learn's cross-validation."""
        raise InputError(
            "PoseTracks is not an array, expected PoseTracks.select(clips=...) for the clips of each "
            "training and test part"
        )

    def __repr__(self) -> str:
        known = [
            f"{name}={sum(bool(v) for v in getattr(self, name))}"
            for name in ("clip_split", "clip_label", "camera")
            if any(getattr(self, name))
        ]
        if self.frame_labels is not None:
            known.append(f"abnormal_frames={int((self.frame_labels == 1).sum())}")
        if self.features is not None:
            known.append(f"features={self.features.shape[-1]}")
        size = (
            f"clips={self.num_clips}, frames={int(self.clip_length.sum())}, "
            f"tracks={self.num_tracks}, person_frames={self.num_frames}, "
            f"skeleton={self.skeleton.name!r}, joints={self.num_joints}, dims={self.dims}"
        )
        return f"{type(self).__name__}({', '.join([size, *known])})"

    # -- inner ---------------------------------------------------------------------------------

    @property
    def num_features(self) -> int:
        """Features of a joint, :math:`D`; 0 where there are none."""
        return 0 if self.features is None else int(self.features.shape[-1])

    def _check(self, origin: str) -> None:
        """Raises an InputError for the first thing that does not fit."""
        count, rows, joints = self.num_clips, self.num_frames, self.num_joints
        dims = self.keypoints.shape[-1]
        if self.keypoints.shape[1] != joints:
            raise InputError(
                f"{origin} has {self.keypoints.shape[1]} joints, expected {joints} "
                f"(skeleton {self.skeleton.name!r})"
            )
        if dims not in (2, 3):
            raise InputError(f"{origin} has {dims} coordinates a joint, expected 2 or 3")
        expected: dict[str, tuple[int, ...]] = {
            "keypoints": (rows, joints, dims),
            "confidence": (rows, joints),
            "track": (rows,),
            "clip": (rows,),
            "clip_length": (count,),
            "image_size": (count, 2),
            "fps": (count,),
        }
        if self.features is not None:
            expected["features"] = (rows, joints, self.features.shape[-1])
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{origin}: {name} has shape {list(getattr(self, name).shape)}, "
                    f"expected {list(shape)}"
                )
        for name in _STRINGS:
            if len(getattr(self, name)) != count:
                raise InputError(
                    f"{origin}: {name} has {len(getattr(self, name))} entries, expected {count}"
                )
        if len(set(self.clip_names)) != count:
            twice = next(n for n in self.clip_names if self.clip_names.count(n) > 1)
            raise InputError(f"{origin} has two clips named {twice!r}, expected different names")
        for name in ("keypoints", "features"):
            array = getattr(self, name)
            # Nearly always the extremes say that all is well, without arrays of the same size.
            if array is None or _within(array, -MAX_VALUE, MAX_VALUE):
                continue
            if not np.isfinite(array).all():
                row, joint = np.argwhere(~np.isfinite(array))[0][:2]
                where = f"joint {self.skeleton.joints[joint]} of row {row}"
                raise InputError(
                    f"{origin} has a {name} value that is NaN or infinite ({where}), "
                    "expected finite numbers (confidence 0 marks a missing joint)"
                )
            # The coordinates of a joint that was not seen mean nothing, and are not used.
            seen = self.confidence > 0 if name == "keypoints" else np.ones((rows, joints), bool)
            if (np.abs(array[seen]) > MAX_VALUE).any():
                row, joint, _ = np.argwhere((np.abs(array) > MAX_VALUE) & seen[..., None])[0]
                worst = array[row, joint][np.abs(array[row, joint]).argmax()]
                raise InputError(
                    f"{origin} has a {name} value of {worst:g} (joint "
                    f"{self.skeleton.joints[joint]} of row {row}), "
                    f"expected -{MAX_VALUE:g} to {MAX_VALUE:g}"
                )
        if not _within(self.confidence, 0, 1):
            bad = self.confidence[~((self.confidence >= 0) & (self.confidence <= 1))][0]
            raise InputError(f"{origin} has confidence {bad}, expected 0 to 1")
        if rows and not (self.clip.min() >= 0 and self.clip.max() < count):
            bad = self.clip.min() if self.clip.min() < 0 else self.clip.max()
            raise InputError(f"{origin} has a row of clip {bad}, expected 0 to {count - 1}")
        longest = max(self.clip_length.max(initial=0) - 1, self.frame.max(initial=0))
        if longest >= MAX_FRAMES:
            raise InputError(
                f"{origin} has frame number {longest}, expected less than {MAX_FRAMES}"
            )
        if (self.clip_length < 0).any():
            raise InputError(
                f"{origin} has a clip of {self.clip_length.min()} frames, expected 0 or more"
            )
        outside = (self.frame < 0) | (self.frame >= self.clip_length[self.clip])
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise InputError(
                f"{origin}: clip {self.clip_names[self.clip[row]]!r} has frame number "
                f"{self.frame[row]}, expected 0 to {self.clip_length[self.clip[row]] - 1}"
            )
        for name in ("fps", "image_size"):
            array = getattr(self, name)
            wrong = array[(array <= 0) | np.isinf(array)]
            if wrong.size:
                raise InputError(f"{origin} has {name} {wrong[0]}, expected more than 0 and finite")
        if self.frame_labels is not None:
            total = int(self.clip_length.sum())
            if self.frame_labels.shape != (total,):
                raise InputError(
                    f"{origin} has {len(self.frame_labels)} frame labels, expected {total}"
                )
            if not _within(self.frame_labels, -1, 1):
                raise InputError(f"{origin} has frame labels other than 1, 0 and -1 (unknown)")


def check_tracks(tracks: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless these are :class:`PoseTracks`, e.g. an array."""
    if not isinstance(tracks, PoseTracks):
        raise InputError(
            f"the poses are of type {type(tracks).__name__}, expected PoseTracks, as gepc_geo.io.read makes "
            "of files and PoseTracks.build of arrays"
        )


def _within(array: np.ndarray, low: float, high: float) -> bool:
    """Whether no value is NaN or lies outside of ``low`` to ``high``."""
    return not array.size or bool(low <= array.min() and array.max() <= high)


def _is_sorted(tracks: PoseTracks) -> bool:
    """Whether every row comes after the one before it, by clip, track and frame; no two are equal."""
    after = np.zeros(max(tracks.num_frames - 1, 0), dtype=bool)
    for name in ("frame", "track", "clip"):
        one, other = getattr(tracks, name)[:-1], getattr(tracks, name)[1:]
        after = (one < other) | ((one == other) & after)
    return bool(after.all())


def _refuse_duplicates(tracks: PoseTracks, origin: str) -> None:
    """Raises an InputError where a person stands twice in a frame of (sorted) tracks."""
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0) & (np.diff(tracks.frame) == 0)
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise InputError(
            f"{origin}: clip {tracks.clip_names[tracks.clip[row]]!r} has person "
            f"{tracks.track[row]} twice in frame {tracks.frame[row]}, expected once"
        )


def _array(value: Any, name: str, origin: str) -> np.ndarray:
    ndim, dtype = _ARRAYS[name]
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biuf":
            raise ValueError("not numbers")
        # Values too large become infinite, and are refused as such.
        with np.errstate(invalid="ignore", over="ignore"):
            array: np.ndarray = raw.astype(dtype, copy=False)
        if array is not raw and array.dtype.kind == "i" and not np.array_equal(array, raw):
            raise ValueError("not whole numbers")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{origin}: {name} is not an array of {dtype.__name__}: {_line(error)}"
        ) from None
    if array.size == 0 and array.ndim < ndim:
        array = array.reshape((0,) * ndim)
    if array.ndim != ndim:
        raise InputError(f"{origin}: {name} has {array.ndim} dimensions, expected {ndim}")
    return array


def _check_text(values: Iterable[str], name: str, path: str) -> None:
    """Raises an InputError where a value has halves of characters, which :meth:`PoseTracks.load` refuses."""
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{path} cannot hold {value!r:.80} in {name}, expected text (is a file named in another "
                "encoding than UTF-8?)"
            ) from None


def _line(error: BaseException) -> str:
    """The first line of an error's text, for one-sentence messages."""
    return (str(error).splitlines() or [type(error).__name__])[0]
