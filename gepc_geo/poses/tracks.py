"""The tracked poses of a data set as flat arrays, and their native file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.joining import joined
from gepc_geo.poses.native import read_native, write_native
from gepc_geo.poses.schema import as_fields
from gepc_geo.poses.selection import check_classes, clip_mask, clips_of, rows_of
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
        fields = as_fields(
            {
                "keypoints": keypoints,
                "confidence": confidence,
                "frame": frame,
                "track": track,
                "clip": clip,
                "skeleton": skeleton,
                "clip_names": clip_names,
                "clip_length": clip_length,
                "features": features,
                "image_size": image_size,
                "fps": fps,
                "camera": camera,
                "clip_label": clip_label,
                "clip_split": clip_split,
                "frame_labels": frame_labels,
            },
            origin,
        )
        check(fields, origin)
        tracks = cls(**fields)
        if is_sorted(tracks.clip, tracks.track, tracks.frame):
            return tracks
        tracks = tracks.rows(np.lexsort((tracks.frame, tracks.track, tracks.clip)))
        refuse_duplicates(tracks.clip, tracks.track, tracks.frame, tracks.clip_names, origin)
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
    def num_features(self) -> int:
        """Features of a joint, :math:`D`; 0 without any."""
        return 0 if self.features is None else int(self.features.shape[-1])

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
        keep = clip_mask(vars(self), split, labels, clips)
        return replace(self, **clips_of(vars(self), keep))

    def check_classes(self, names: Iterable[str]) -> None:
        """Checks that each of the classes has a clip.

        Args:
            names: The classes.

        Raises:
            InputError: A class that no clip has.
        """
        check_classes(self.clip_label, names)

    def rows(self, keep: np.ndarray) -> PoseTracks:
        """Selects person-frames and keeps all clips.

        Args:
            keep: Positions in ascending order, or a boolean mask :math:`[F]`.
        """
        return replace(self, **rows_of(vars(self), keep))

    def with_(self, **changes: Any) -> PoseTracks:
        """A copy with changed attributes, checked as by :meth:`build`.

        Args:
            **changes: New values by name of the attribute.

        Raises:
            InputError: As :meth:`build`.
        """
        return PoseTracks.build(**{**vars(self), **changes})

    @staticmethod
    def concat(parts: Sequence[PoseTracks]) -> PoseTracks:
        """Concatenates the clips of data sets of one skeleton, in order.

        Args:
            parts: The data sets.

        Raises:
            InputError: No data set, different skeletons or channels, a repeated clip name.
        """
        if not parts:
            raise InputError("parts must have at least one data set, got none")
        return type(parts[0]).build(**joined([vars(part) for part in parts]))

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
        write_native(vars(self), path)

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


def check_tracks(tracks: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless ``tracks`` are :class:`PoseTracks`."""
    if not isinstance(tracks, PoseTracks):
        raise InputError(
            "the poses must be PoseTracks (gepc_geo.io.read of files, PoseTracks.build of arrays), "
            f"got {type(tracks).__name__}"
        )
