"""All person-frames of a data set as flat arrays, and their native file format."""

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
        return joined(parts)

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
        write_native(self, path)

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
        return cls.build(**read_native(path, mmap))

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

    @property
    def num_features(self) -> int:
        """Features of a joint, :math:`D`; 0 where there are none."""
        return 0 if self.features is None else int(self.features.shape[-1])


def check_tracks(tracks: object) -> None:
    """Raises an :class:`~gepc_geo.errors.InputError` unless these are :class:`PoseTracks`, e.g. an array."""
    if not isinstance(tracks, PoseTracks):
        raise InputError(
            f"the poses are of type {type(tracks).__name__}, expected PoseTracks, as gepc_geo.io.read makes "
            "of files and PoseTracks.build of arrays"
        )
