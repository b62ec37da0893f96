"""The tracked poses of a data set as flat arrays, and their native file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.joining import joined
from gepc_geo.poses.native import read_native, write_native
from gepc_geo.poses.schema import STRINGS, as_array
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.validation import check, is_sorted, refuse_duplicates


@dataclass(frozen=True, repr=False, eq=False)
class PoseTracks:
    r"""Tracked poses: one row per person and frame.

    Rows are unique and sorted by clip, then track, then frame. :meth:`build`, :meth:`load` and
    :func:`gepc_geo.io.read` check their input; the plain constructor checks nothing.

    Attributes:
        keypoints: :math:`[F, V, C]` float32, pixels (``C = 2``) or metres (``C = 3``); undefined
            where the confidence is 0.
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
            paper's patch embeddings, section 4.1), unchanged by geometric transforms.
        frame_labels: :math:`[\sum` ``clip_length`` :math:`]` int8, the frames of all clips one
            after the other: 1 abnormal, 0 normal, -1 unknown; ``None`` without any label.
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
        """Sorts the rows, fills in defaults, and checks everything.

        Sorted arrays of the right types are not copied. Arguments without a description here are
        the attributes of the class.

        Args:
            keypoints: :math:`[F, V, C]`, pixels or metres.
            confidence: :math:`[F, V]` in [0, 1].
            frame: :math:`[F]` whole numbers from 0.
            track: :math:`[F]` person ids.
            clip: :math:`[F]` positions in ``clip_names``.
            skeleton: The skeleton, or the name of a built-in one.
            clip_names: :math:`N` different names.
            clip_length: :math:`[N]` frames; default: one more than each clip's last frame number.
            features: :math:`[F, V, D]`; default: none.
            image_size: :math:`[N, 2]` width and height in pixels; default: unknown.
            fps: :math:`[N]` frames a second; default: unknown.
            camera: :math:`N` names; default: unknown.
            clip_label: :math:`N` class names; default: unknown.
            clip_split: :math:`N` names; default: unknown.
            frame_labels: One label a frame of all clips; default: none.
            origin: Name of the data in errors, e.g. the file.

        Raises:
            InputError: Shapes that do not agree, key points that are NaN, infinite or over 1e9,
                confidences outside [0, 1], a person twice in a frame, frame numbers outside the
                clip.
        """
        skeleton = Skeleton.get(skeleton)
        names = tuple(str(name) for name in clip_names)
        count = len(names)
        clip = as_array(clip, "clip", origin)
        frame = as_array(frame, "frame", origin)
        if clip_length is None:
            clip_length = np.zeros(count, dtype=np.int64)
            if len(clip) == len(frame) and len(clip) and clip.min() >= 0 and clip.max() < count:
                np.maximum.at(clip_length, clip, frame + 1)
        unknown = ("",) * count
        tracks = cls(
            keypoints=as_array(keypoints, "keypoints", origin),
            confidence=as_array(confidence, "confidence", origin),
            frame=frame,
            track=as_array(track, "track", origin),
            clip=clip,
            skeleton=skeleton,
            clip_names=names,
            clip_length=as_array(clip_length, "clip_length", origin),
            image_size=as_array(
                np.full((count, 2), np.nan) if image_size is None else image_size,
                "image_size",
                origin,
            ),
            fps=as_array(np.full(count, np.nan) if fps is None else fps, "fps", origin),
            camera=unknown if camera is None else tuple(map(str, camera)),
            clip_label=unknown if clip_label is None else tuple(map(str, clip_label)),
            clip_split=unknown if clip_split is None else tuple(map(str, clip_split)),
            features=None if features is None else as_array(features, "features", origin),
            frame_labels=(
                None if frame_labels is None else as_array(frame_labels, "frame_labels", origin)
            ),
        )
        check(tracks, origin)
        if is_sorted(tracks):
            return tracks
        tracks = tracks.rows(np.lexsort((tracks.frame, tracks.track, tracks.clip)))
        refuse_duplicates(tracks, origin)
        return tracks

    # -- sizes ---------------------------------------------------------------------------------

    @property
    def num_frames(self) -> int:
        """The number of person-frames, :math:`F`."""
        return len(self.frame)

    @property
    def usual_fps(self) -> float:
        """Median frames a second of the clips with a known rate; NaN without any."""
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
        """:math:`[N + 1]` int64: start of each clip in the frames of all clips, end to end."""
        return np.concatenate([[0], np.cumsum(self.clip_length)]).astype(np.int64)

    @property
    def num_tracks(self) -> int:
        """The number of tracks, that is of people in each clip, summed over clips."""
        return len(self.track_starts)

    @property
    def track_starts(self) -> np.ndarray:
        """The first row of each track (rows of a track are consecutive)."""
        if not self.num_frames:
            return np.zeros(0, dtype=np.int64)
        new = (np.diff(self.clip) != 0) | (np.diff(self.track) != 0)
        return np.concatenate([[0], np.flatnonzero(new) + 1])

    # -- selection and concatenation -----------------------------------------------------------

    def select(
        self,
        *,
        split: str | None = None,
        labels: Iterable[str] | None = None,
        clips: Sequence[int] | np.ndarray | None = None,
    ) -> PoseTracks:
        """The clips that meet every given condition, in their order.

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
                known = ", ".join(sorted(set(self.clip_split) - {""})) or "none"
                raise InputError(f"split must be one of the data's ({known}), got {split!r}")
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
                    f"clips must be positions below {self.num_clips} or a mask of that length, "
                    f"got an error: {error}"
                ) from None
            keep &= chosen
        number = np.cumsum(keep) - 1
        rows = np.flatnonzero(keep[self.clip]) if self.num_frames else np.zeros(0, dtype=np.int64)
        part = self.rows(rows)
        slots = np.repeat(keep, self.clip_length)
        changes: dict[str, Any] = {
            name: tuple(value for value, k in zip(getattr(self, name), keep, strict=True) if k)
            for name in STRINGS
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
        """Checks that each of the classes has a clip.

        Args:
            names: The classes.

        Raises:
            InputError: A class that no clip has.
        """
        missing = sorted(set(names) - set(self.clip_label))
        if missing:
            known = ", ".join(sorted(set(self.clip_label) - {""})) or "none"
            raise InputError(f"class must be one of the data's ({known}), got {missing[0]!r}")

    def rows(self, keep: np.ndarray) -> PoseTracks:
        """Selects person-frames and keeps all clips.

        Args:
            keep: Positions in ascending order, or a boolean mask :math:`[F]`.
        """
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
        """A copy with changed attributes, checked as by :meth:`build`.

        Args:
            **changes: New values by name of the attribute.

        Raises:
            InputError: As :meth:`build`.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return PoseTracks.build(**{**values, **changes})

    @staticmethod
    def concat(parts: Sequence[PoseTracks]) -> PoseTracks:
        """Concatenates the clips of data sets of one skeleton, in order.

        Args:
            parts: The data sets.

        Raises:
            InputError: No data set, different skeletons or channels, a repeated clip name.
        """
        return joined(parts)

    # -- the native file -----------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes the native ``.npz``, a zip of arrays with the names and shapes of the attributes.

        Numbers have the attributes' types (float32, int64; ``frame_labels`` int8); ``clip_names``,
        ``camera``, ``clip_label`` and ``clip_split`` are arrays of unicode text, ``skeleton`` is
        the text of :meth:`Skeleton.to_dict` as JSON, ``format_version`` is the integer 1. Only
        ``features`` and ``frame_labels`` are optional. :meth:`load` takes rows in any order and
        refuses unknown arrays.

        Args:
            path: The file.

        Raises:
            InputError: A suffix other than ``.npz``, a folder that is not writable, a name with
                bytes of another encoding.
        """
        write_native(self, path)

    @classmethod
    def load(cls, path: str | Path, mmap: bool = False) -> PoseTracks:
        """Reads the native ``.npz``, without unpickling.

        Args:
            path: The file.
            mmap: Map the rows into memory, read-only, for data larger than memory. They are read
                once for the checks. The file must be uncompressed, as :meth:`save` writes it, and
                must not change while the tracks are in use. Unsorted rows are sorted in memory.

        Raises:
            InputError: A file that does not exist, another kind of file, another version, contents
                that do not agree.
        """
        return cls.build(**read_native(path, mmap))

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        """Refuses to become an array, e.g. in scikit-learn's cross-validation."""
        raise InputError(
            "PoseTracks must not be made an array: PoseTracks.select(clips=...) gives the clips of "
            "a training or test part"
        )

    def __repr__(self) -> str:
        parts = [
            f"{name}={sum(bool(v) for v in getattr(self, name))}"
            for name in ("clip_split", "clip_label", "camera")
            if any(getattr(self, name))
        ]
        if self.frame_labels is not None:
            parts.append(f"abnormal_frames={int((self.frame_labels == 1).sum())}")
        if self.features is not None:
            parts.append(f"features={self.features.shape[-1]}")
        size = (
            f"clips={self.num_clips}, frames={int(self.clip_length.sum())}, "
            f"tracks={self.num_tracks}, person_frames={self.num_frames}, "
            f"skeleton={self.skeleton.name!r}, joints={self.num_joints}, dims={self.dims}"
        )
        return f"{type(self).__name__}({', '.join([size, *parts])})"

    @property
    def num_features(self) -> int:
        """Features of a joint, :math:`D`; 0 without any."""
        return 0 if self.features is None else int(self.features.shape[-1])


def check_tracks(tracks: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless ``tracks`` are :class:`PoseTracks`."""
    if not isinstance(tracks, PoseTracks):
        raise InputError(
            "the poses must be PoseTracks (gepc_geo.io.read of files, PoseTracks.build of arrays), "
            f"got {type(tracks).__name__}"
        )
