"""Clips from the people that a file lists, with the same rules for all formats.

Readers return the content of a file. The rules here decide which joints and people are missing,
which poses are duplicates, and which ids people get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.duplicates import better_of_one_person, better_of_one_pose
from gepc_geo.io._common.joint_names import listed
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracker import track_poses
from gepc_geo.poses.tracks import PoseTracks

#: Remark on poses without scores.
SCORELESS = "no joint of {count} poses has a score above 0: all scores count as 1"
#: Remark on people without a visible joint.
UNSEEN = "{count} of {total} poses have no visible joint and are left out"
#: Remark on several poses of one person in a frame.
TWICE = (
    "a person has several poses in a frame: the best is used, {count} of {total} poses are left out"
)
#: Remark on several poses of one body in a frame.
COPIED = "a body has several poses in a frame: one is used, {count} of {total} are left out"
# The limit of given ids leaves the larger numbers to people without an id.
_MAX_ID = 2**62


@dataclass(frozen=True)
class Remark:
    """A correction of a file's content; :func:`gepc_geo.io.read` sums remarks up and warns.

    Attributes:
        text: The correction, with ``{count}`` and ``{total}``.
        count: Number of corrected items.
        total: Number of items.
        path: The first file with a corrected item.
    """

    text: str
    count: int
    total: int
    path: Path


@dataclass(frozen=True)
class FrameFiles:
    """The files of one clip, in a format with a file for each frame.

    Attributes:
        paths: The files, in the order of their names.
        frames: The frame number of each, from its name.
        parts: The clip's name in the files' names; see :class:`Clips`.
        fps: Frames a second if the names have times, else ``None``.
        timed: Whether the frame numbers come from times.
    """

    paths: list[Path]
    frames: list[int]
    parts: tuple[str, ...]
    fps: float | None = None
    timed: bool = False


@dataclass(frozen=True)
class Picture:
    """The interpretation of a picture's name, reported to the user.

    Attributes:
        name: The name.
        clip: Position of its clip in the file.
        frame: The frame number in the name, or that of its time.
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
        tracks: The poses.
        parts: For each clip, its names within its folder, outermost first; the clip's name consists
            of as few of them as make it unique. Empty if the folder names the clip.
        first_frame: The first frame number in the file, if its tool may count from 0 or from 1;
            ``None`` if frames count from 0.
        complete: Whether the file also lists frames without people.
        usual_first: The first frame number that is assumed without further evidence.
        remarks: Corrections of the file's content.
        picture: One of the pictures that the file names.
        columns: The interpretation of a table's columns, in words.
    """

    tracks: PoseTracks
    parts: list[tuple[str, ...]]
    first_frame: int | None = None
    complete: bool = True
    usual_first: int = 1
    remarks: list[Remark] = field(default_factory=list)
    picture: Picture | None = None
    columns: str = ""


def passed_over(joints: Sequence[str], skeleton: Skeleton) -> str:
    """The text of a remark on joints that the skeleton does not have."""
    names = listed(joints).replace("{", "(").replace("}", ")")
    text = f"joints are ignored, as {skeleton.name} has none of them: {names}"
    return f"{{count}} of {{total}} {text}"


def join_clips(parts: Sequence[Clips]) -> Clips:
    """Joins the clips of several sequences in one file.

    Raises:
        InputError: As :meth:`PoseTracks.concat`.
    """
    first_frames = [part.first_frame for part in parts if part.first_frame is not None]
    return Clips(
        PoseTracks.concat([part.tracks for part in parts]),
        [names for part in parts for names in part.parts],
        min(first_frames, default=None),
        all(part.complete for part in parts),
        min((part.usual_first for part in parts), default=1),
        [remark for part in parts for remark in part.remarks],
        next((part.picture for part in parts if part.picture is not None), None),
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
    """Makes one clip of detected people; people without an id get one.

    A joint at the origin, where estimators put missing joints, or of score 0 is missing; if no
    joint of the clip has a score, all scores count as 1. People without any joint are left out.
    Several poses of one body in a frame become one person, and of several poses of one person in a
    frame the best is used.

    Args:
        parts: Names of the clip within its folder; see :class:`Clips`.
        values: :math:`[F, V, C + 1]`: position and score of each joint; scores above 1 count as 1.
        frame: :math:`[F]` frame numbers of the file.
        person: :math:`[F]` ids; ``None`` or -1 without an id; ``None`` if no person has one.
        skeleton: Names the joints.
        source: The file, or the file of each row.
        listed: All frame numbers in the file, with or without people; ``None``: those of ``frame``.
        counted: Whether tools of the format may count frames from 0 or from 1.
        score: :math:`[F]` quality of each pose, to choose among a person's poses in a frame;
            ``None`` or equal scores: the mean score of the joints.
        keep_unseen: Whether people without any joint are included.
        **clip: Further attributes of the clip (``image_size``, ``fps``, ...).

    Raises:
        InputError: Key points that are NaN, infinite or over 1e9, or errors of
            :meth:`PoseTracks.build`.
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
        row = next(row for row, pose in enumerate(values) if not _is_sound(pose))
        worst = values[row][~(np.abs(values[row]) <= MAX_VALUE)][0]
        who = "" if person is None or person[row] is None else f" of person {person[row]}"
        raise InputError(
            f"{path_of(row)}: key points{who} in frame {frames[row]} must be from "
            f"-{MAX_VALUE:g} to {MAX_VALUE:g}, got {worst:g}"
        )
    largest = max(frames.max(initial=0), max(listed or [0]))
    if largest >= MAX_FRAMES:
        raise InputError(f"{first}: frame number must be less than {MAX_FRAMES}, got {largest}")
    keypoints, confidence = values[..., :-1], np.clip(values[..., -1], 0, 1)
    placed = (keypoints != 0).any(-1)
    if placed.any() and not confidence.any():
        confidence = np.ones_like(confidence)
        remarks.append(Remark(SCORELESS, len(frames), len(frames), first))
    confidence = np.where(placed, confidence, 0)
    keypoints = np.where(confidence[..., None] > 0, keypoints, 0)
    people = [None] * len(frames) if person is None else person
    # Trackers write -1 for people without a track.
    without_id = np.array([number is None or number == -1 for number in people], dtype=bool)
    track = np.array([number or 0 for number in people], dtype=np.int64)
    rows = np.arange(len(frames))

    def select(chosen: np.ndarray, text: str) -> None:
        """Selects rows, and adds a remark on the others."""
        nonlocal rows
        if len(chosen) < len(rows):
            removed = np.setdiff1d(rows, rows[chosen])
            remarks.append(Remark(text, len(removed), len(frames), path_of(int(removed[0]))))
            rows = rows[chosen]

    if not keep_unseen:
        select(np.flatnonzero((confidence > 0).any(-1)), UNSEEN)
    # Equal scores (of files without scores) give no order.
    scored = score is not None and len(set(score)) > 1
    quality = np.asarray(score if scored else confidence.mean(-1), dtype=np.float64)
    select(
        better_of_one_person(frames[rows], track[rows], without_id[rows], quality[rows]),
        TWICE,
    )
    select(
        better_of_one_pose(
            keypoints[rows],
            confidence[rows],
            frames[rows],
            track[rows],
            without_id[rows],
            quality[rows],
        ),
        COPIED,
    )
    keypoints, confidence, track = keypoints[rows], confidence[rows], track[rows]
    frames, without_id = frames[rows], without_id[rows]
    if without_id.any():
        last_id = int(track[~without_id].max(initial=-1))
        if last_id >= _MAX_ID:
            raise InputError(
                f"{first}: person ids must be below {_MAX_ID} beside people without an id, who are "
                f"numbered after them, got {last_id}"
            )
        new_ids = track_poses(keypoints[without_id], confidence[without_id], frames[without_id])
        track[without_id] = max(last_id + 1, 0) + new_ids
    numbers = frames if listed is None else np.asarray(listed, dtype=np.int64)
    # The length covers all people, whatever length the file gives.
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
    first_frame = int(numbers.min()) if counted and len(numbers) else None
    return Clips(tracks, [parts], first_frame, listed is not None, remarks=remarks)


# -- inner -----------------------------------------------------------------------------------------


def _is_sound(values: np.ndarray) -> bool:
    return bool((np.abs(values) <= MAX_VALUE).all())
