"""NTU RGB+D skeleton files (Shahroudy et al., CVPR 2016): text, one file for each clip, Kinect v2.

A file has the number of frames; for each frame the number of bodies; for each body a line of ten
values (the first is its id), the number of joints (25), and a line of twelve values for each joint:
x, y, z in metres, positions in the depth and colour images, orientation, and the tracking state (0
not tracked, 1 inferred, 2 tracked). Source: the data set's published MATLAB reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import TWICE, Clips, Remark
from gepc_geo.io._common.duplicates import first_of_one_person
from gepc_geo.io._common.text import head, read_text, whole_number
from gepc_geo.io._common.writing import clips_by_frame, fine_poses
from gepc_geo.io.formats.ntu_people import people_of
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "an NTU RGB+D skeleton file"
#: Clip names of the data set: setup, camera, subject, repetition, action.
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_JOINTS = 25
JOINTS = {_JOINTS: SKELETONS["ntu25"]}
_FPS = 30.0
# The largest number of people in a clip.
_MAX_PEOPLE = 2
# Training subjects of the cross-subject protocols; those up to 40 are in NTU RGB+D 60.
_TRAIN = frozenset(
    [1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50]
    + [52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94]
    + [95, 97, 98, 100, 103]
)
_CONFIDENCE = np.array([0.0, 0.5, 1.0])
# Joints of at least this confidence are written as tracked: it is nearer to 1 than to 0.5.
_TRACKED = 0.75


def detect(path: Path) -> bool:
    """Whether a file begins as an NTU clip, or has the name of one."""
    return bool(
        re.match(r"\s*\d+\s*\n\s*(0\s*(\n|$)|\d+\s*\n\s*\d+( -?\S+){9}\s*\n)", head(path, 1024))
    ) or (bool(NAME.fullmatch(path.stem)) and path.suffix.lower() == ".skeleton")


def read_ntu(path: Path) -> Clips:
    """Reads one clip: 25 joints in metres; the confidence of an inferred joint is 0.5.

    Kinect gives a lost person a new id. Bodies that do not overlap in time and are close enough for
    one person's path are therefore one person. At most two people are used, the two with most
    motion (sum of the standard deviations of x, y and z over joints and frames), as Kinect may
    detect furniture as people. Person 0 has most motion. A body with all joints at the origin is
    left out; frames and clips may be empty.

    A name of the form ``SsssCcccPpppRrrrAaaa`` gives the class, the action's number as text
    (``"43"``), the camera, ``"c1"`` to ``"c3"``, and the split of the cross-subject protocol.

    Args:
        path: The file.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    rows = iter(read_text(path, _KIND).splitlines())
    frames = _count(rows, path, "frames")
    frame: list[int] = []
    body: list[int] = []
    joints: list[list[list[str]]] = []
    for number in range(frames):
        for _ in range(_count(rows, path, "bodies")):
            head_line = _values(rows, path, 10)
            frame.append(number)
            body.append(whole_number(head_line[0], path, "body id"))
            count = _count(rows, path, "joints")
            if count != _JOINTS:
                raise InputError(f"{path} must have bodies of {_JOINTS} joints, got {count}")
            lines = [_values(rows, path, 12) for _ in range(_JOINTS)]
            # Positions in images and orientations are not used, and not always numbers.
            joints.append([[*line[:3], line[11]] for line in lines])
    if any(row.strip() for row in rows):
        raise InputError(f"{path} must be {_KIND} of {frames} frames, got further lines")
    try:
        table = np.array(joints, dtype=np.float64).reshape(len(joints), _JOINTS, 4)
    except ValueError as error:
        raise InputError(
            f"{path} must be {_KIND} with numbers only, got an error: {error}"
        ) from None
    keypoints, state = table[..., :3], table[..., 3]
    if not np.isin(state, (0, 1, 2)).all():
        bad = state[~np.isin(state, (0, 1, 2))][0]
        raise InputError(f"{path}: tracking state must be 0, 1 or 2, got {bad:g}")
    if not np.isfinite(keypoints).all():
        raise InputError(f"{path}: joints must be finite, got NaN or infinity")
    confidence = _CONFIDENCE[state.astype(np.int64)]
    confidence[(keypoints == 0).all(-1)] = 0
    frames_of_rows, bodies = np.array(frame, dtype=np.int64), np.array(body, dtype=np.int64)
    remarks = []
    unique_rows = first_of_one_person(frames_of_rows, bodies)
    if len(unique_rows) < len(bodies):
        remarks.append(Remark(TWICE, len(bodies) - len(unique_rows), len(bodies), path))
        keypoints, confidence = keypoints[unique_rows], confidence[unique_rows]
        frames_of_rows, bodies = frames_of_rows[unique_rows], bodies[unique_rows]
    track, people = people_of(keypoints, confidence, frames_of_rows, bodies)
    chosen = (track >= 0) & (track < _MAX_PEOPLE)
    if people > _MAX_PEOPLE:
        text = (
            "a clip has more than two people: the two with most motion are used, {count} of "
            "{total} bodies are left out"
        )
        total = int((track >= 0).sum())
        remarks.append(Remark(text, total - int(chosen.sum()), total, path))
    match = NAME.fullmatch(path.stem)
    attributes = {}
    if match is not None:
        attributes = {
            "camera": [f"c{int(match[2])}"],
            "clip_label": [str(int(match[5]))],
            "clip_split": ["train" if int(match[3]) in _TRAIN else "test"],
        }
    tracks = PoseTracks.build(
        keypoints[chosen],
        confidence[chosen],
        frames_of_rows[chosen],
        track[chosen],
        np.zeros(int(chosen.sum()), dtype=np.int64),
        "ntu25",
        [path.stem],
        clip_length=[frames],
        fps=[_FPS],
        origin=str(path),
        **attributes,
    )
    return Clips(tracks, [(path.stem,)], remarks=remarks)


def write_ntu(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one file for each clip: positions to micrometres, unknown values of Kinect as 0.

    A joint of confidence 0.75 or more is tracked, of less inferred. People are numbered in the
    order of ids, and readers renumber them. Class, camera and split are lost unless they are in the
    clip's name.

    Raises:
        InputError: A clip with more than two people or with a rate other than 30 frames a second.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = fine_poses(tracks)
    state = np.where(poses[..., 3] >= _TRACKED, 2, (poses[..., 3] > 0).astype(int))
    for name, clip, frames in clips_by_frame(tracks):
        people = sorted({int(tracks.track[row]) for rows in frames for row in rows})
        fps = tracks.fps[clip]
        if len(people) > _MAX_PEOPLE:
            raise InputError(
                f"clip {tracks.clip_names[clip]!r} must have at most {_MAX_PEOPLE} people in an "
                f"NTU RGB+D file, got {len(people)}"
            )
        if not np.isnan(fps) and fps != _FPS:
            raise InputError(
                f"clip {tracks.clip_names[clip]!r} must have {_FPS:g} frames a second in an NTU "
                f"RGB+D file, got {fps:g}"
            )
        lines = [str(len(frames))]
        for rows in frames:
            lines.append(str(len(rows)))
            for row in rows:
                # The body is tracked; edges, hands and lean are unknown.
                lines.append(f"{people.index(tracks.track[row])} 0 0 0 0 0 0 0 0 2")
                lines.append(str(_JOINTS))
                for (x, y, z, _), seen in zip(poses[row], state[row], strict=True):
                    lines.append(f"{x:.6f} {y:.6f} {z:.6f} 0 0 0 0 0 0 0 0 {seen}")
        yield f"{name}.skeleton", "\n".join(lines) + "\n"


def _values(rows: Iterator[str], path: Path, count: int) -> list[str]:
    row = next(rows, None)
    if row is None:
        raise InputError(f"{path} must be {_KIND}, got its end within a frame")
    values = row.split()
    if len(values) != count:
        raise InputError(
            f"{path}: row {row.strip()[:40]!r} must have {count} values, got {len(values)}"
        )
    return values


def _count(rows: Iterator[str], path: Path, what: str) -> int:
    count = whole_number(_values(rows, path, 1)[0], path, f"number of {what}")
    if count < 0:
        raise InputError(f"{path}: number of {what} must be 0 or more, got {count}")
    return count
