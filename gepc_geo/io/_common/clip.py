"""From the people that a file lists to a clip: what all readers of pose estimators' files share.

A reader says what is in a file. What is made of it is decided here, for every format alike: which
joints and people are missing, which are there twice, and who is who.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.copies import better_of_one_person, better_of_one_pose
from gepc_geo.io._common.joint_names import listed
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracker import track_poses
from gepc_geo.poses.tracks import PoseTracks

#: Of poses that nobody has scored.
SCORELESS = "no joint of {count} poses has a score above 0: all scores count as 1"
#: Of people who are listed and not seen.
UNSEEN = "{count} of {total} poses have no joint that was seen and are left out"
#: Of a person who is in a frame more than once.
TWICE = "a person is several times in a frame: the better pose is kept, {count} of {total} poses are left out"
#: Of a body that is in a frame more than once.
COPIED = "the same body is several times in a frame: one pose of each is kept, {count} of {total} are left out"
# Room for people who are numbered after all others.
_MOST = 2**62


@dataclass(frozen=True)
class Remark:
    """Something of a file that was not taken as it is; :func:`gepc_geo.io.read` adds them up and warns.

    Attributes:
        text: What was done, with ``{count}`` and ``{total}``.
        count: How often.
        total: Of how many.
        path: The first file that it happened in.
    """

    text: str
    count: int
    total: int
    path: Path


@dataclass(frozen=True)
class FrameFiles:
    """The files of one clip of a format with a file for every frame.

    Attributes:
        paths: The files, in the order of their names.
        frames: The frame number of each, as the names have it.
        parts: What the files' names say of the clip's name; see :class:`Clips`.
        fps: Frames a second where the names have times, else ``None``.
        timed: Whether the frames come from times.
    """

    paths: list[Path]
    frames: list[int]
    parts: tuple[str, ...]
    fps: float | None = None
    timed: bool = False


@dataclass(frozen=True)
class Picture:
    """How a picture's name was understood, for people to check.

    Attributes:
        name: The name.
        clip: The position of its clip in the file.
        frame: The number in the name, or that of its time.
        timed: Whether the name is a time.
    """

    name: str
    clip: int
    frame: int
    timed: bool = False


@dataclass(frozen=True)
class Clips:
    """The clips of a file (or of the files of a clip's frames).

    Attributes:
        tracks: Their poses.
        parts: Of each clip, what names it within its folder, outermost first: as few of them as make
            it different from all other clips become its name. Empty where the folder names it.
        counted: The first frame number that the file lists, where its tool counts from 0 or from 1;
            ``None`` where frames are known to count from 0.
        complete: Whether the file lists frames without anybody, too.
        usual: The number that the first frame has where nothing tells.
        remarks: What was not taken as it is.
        picture: One of the pictures that the file names.
        columns: What columns of a table were understood as, in words.
    """

    tracks: PoseTracks
    parts: list[tuple[str, ...]]
    counted: int | None = None
    complete: bool = True
    usual: int = 1
    remarks: list[Remark] = field(default_factory=list)
    picture: Picture | None = None
    columns: str = ""


def passed_over(joints: Sequence[str], skeleton: Skeleton) -> str:
    """The text of a remark on joints that a skeleton does not have."""
    names = listed(joints).replace("{", "(").replace("}", ")")
    text = f"joints are passed over, as {skeleton.name} has none of them: {names}"
    return f"{{count}} of {{total}} {text}"


def join_clips(parts: Sequence[Clips]) -> Clips:
    """The clips of several sequences in one file.

    Raises:
        InputError: What :meth:`PoseTracks.concat` refuses.
    """
    counted = [one.counted for one in parts if one.counted is not None]
    return Clips(
        PoseTracks.concat([one.tracks for one in parts]),
        [name for one in parts for name in one.parts],
        min(counted, default=None),
        all(one.complete for one in parts),
        min((one.usual for one in parts), default=1),
        [remark for one in parts for remark in one.remarks],
        next((one.picture for one in parts if one.picture is not None), None),
    )


def build_clip(
    parts: tuple[str, ...],
    values: np.ndarray,
    frame: Sequence[int] | np.ndarray,
    person: Sequence[int | None] | None,
    skeleton: Skeleton,
    source: Path | Sequence[Path],
    *,
    listed: Sequence[int] | None = None,
    counted: bool = False,
    score: Sequence[float] | None = None,
    keep_unseen: bool = False,
    **clip: Any,
) -> Clips:
    """One clip of detected people; those without an id get one.

    Joints at the origin, where estimators put what they did not find, and joints of score 0 are missing;
    where no joint of the whole clip has a score, all scores count as 1. People without any joint are
    left out. The same body several times in a frame becomes one person, and of a person's poses in a
    frame the better one stays.

    Args:
        parts: What names the clip within its folder; see :class:`Clips`.
        values: :math:`[F, V, C + 1]`: the position and score of each joint; scores above 1 count as 1.
        frame: :math:`[F]` frame numbers, as the file has them.
        person: :math:`[F]` ids; ``None`` or -1 where there is none, ``None`` for nobody's.
        skeleton: Names the joints.
        source: The file, or the file of each row.
        listed: All frame numbers that the file lists, with or without people; ``None``: those of ``frame``.
        counted: Whether the format's tools count frames from 0 or from 1.
        score: :math:`[F]`: which of a person's poses in a frame is the better; ``None``, or all the same:
            the mean score of their joints.
        keep_unseen: Whether people without any joint stay.
        **clip: Further attributes of the clip (``image_size``, ``fps``, ...).

    Raises:
        InputError: Key points that are NaN, infinite or over 1e9, and what :meth:`PoseTracks.build`
            refuses.
    """
    values = np.asarray(values)
    values = values.reshape(
        len(frame), skeleton.num_joints, values.shape[-1] if values.ndim == 3 else 3
    )
    frames = np.asarray(frame, dtype=np.int64)
    first = source if isinstance(source, Path) else next(iter(source), Path("poses"))
    remarks: list[Remark] = []

    def path_of(row: int) -> Path:
        return source if isinstance(source, Path) else source[row]

    if not _is_sound(values):
        row = next(row for row, one in enumerate(values) if not _is_sound(one))
        who = "" if person is None or person[row] is None else f" of person {person[row]}"
        raise InputError(
            f"{path_of(row)} has a key point{who} in frame {frames[row]} that is NaN or infinite, or over "
            f"{MAX_VALUE:g}, expected finite numbers"
        )
    largest = max(frames.max(initial=0), max(listed or [0]))
    if largest >= MAX_FRAMES:
        raise InputError(f"{first} has frame number {largest}, expected less than {MAX_FRAMES}")
    keypoints, confidence = values[..., :-1], np.clip(values[..., -1], 0, 1)
    placed = (keypoints != 0).any(-1)
    if placed.any() and not confidence.any():
        confidence = np.ones_like(confidence)
        remarks.append(Remark(SCORELESS, len(frames), len(frames), first))
    confidence = np.where(placed, confidence, 0)
    keypoints = np.where(confidence[..., None] > 0, keypoints, 0)
    people = [None] * len(frames) if person is None else person
    # Trackers write -1 for those whom they do not follow.
    unnamed = np.array([one is None or one == -1 for one in people], dtype=bool)
    track = np.array([one or 0 for one in people], dtype=np.int64)
    rows = np.arange(len(frames))

    def leave(kept: np.ndarray, text: str) -> None:
        """Goes on with these of the rows, and remarks on the others."""
        nonlocal rows
        if len(kept) < len(rows):
            lost = np.setdiff1d(rows, rows[kept])
            remarks.append(Remark(text, len(lost), len(frames), path_of(int(lost[0]))))
            rows = rows[kept]

    if not keep_unseen:
        leave(np.flatnonzero((confidence > 0).any(-1)), UNSEEN)
    # Scores that do not differ (of files without them) tell nothing.
    known = score is not None and len(set(score)) > 1
    better = np.asarray(score if known else confidence.mean(-1), dtype=np.float64)
    leave(
        better_of_one_person(frames[rows], track[rows], unnamed[rows], better[rows]),
        TWICE,
    )
    leave(
        better_of_one_pose(
            keypoints[rows],
            confidence[rows],
            frames[rows],
            track[rows],
            unnamed[rows],
            better[rows],
        ),
        COPIED,
    )
    keypoints, confidence, track = keypoints[rows], confidence[rows], track[rows]
    frames, unnamed = frames[rows], unnamed[rows]
    if unnamed.any():
        last_id = int(track[~unnamed].max(initial=-1))
        if last_id >= _MOST:
            raise InputError(
                f"{first} has person {last_id} beside people without an id, who are numbered after "
                f"all others, expected ids below {_MOST}"
            )
        found = track_poses(keypoints[unnamed], confidence[unnamed], frames[unnamed])
        track[unnamed] = max(last_id + 1, 0) + found
    numbers = frames if listed is None else np.asarray(listed, dtype=np.int64)
    # A length that the file claims never hides a person.
    length = max(int(frames.max(initial=-1)), int(numbers.max(initial=-1))) + 1
    tracks = PoseTracks.build(
        keypoints,
        confidence,
        frames,
        track,
        np.zeros(len(frames), dtype=np.int64),
        skeleton,
        ["/".join(parts) or first.stem],
        clip_length=[length],
        origin=str(first),
        **clip,
    )
    smallest = int(numbers.min()) if counted and len(numbers) else None
    return Clips(tracks, [parts], smallest, listed is not None, remarks=remarks)


# -- inner -----------------------------------------------------------------------------------------


def _is_sound(values: np.ndarray) -> bool:
    return bool((np.abs(values) <= MAX_VALUE).all())
