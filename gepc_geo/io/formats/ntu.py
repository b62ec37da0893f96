"""NTU RGB+D skeleton files (Shahroudy et al., CVPR 2016): text, one clip a file, Kinect v2.

The number of frames; for each frame the number of bodies; for each body a line of ten values (the
first is its id), the number of joints (25), and a line of twelve values a joint: x, y, z in metres,
positions in the depth and colour images, orientation, and the tracking state (0 not tracked, 1
inferred, 2 tracked). Source: the data set's published MATLAB reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import TWICE, Clips, Remark
from gepc_geo.io._common.copies import first_of_one_person
from gepc_geo.io._common.text import head, read_text, whole_number
from gepc_geo.io._common.writing import clips_by_frame, fine_poses
from gepc_geo.io.formats.ntu_people import people_of
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "an NTU RGB+D skeleton file"
#: The data set's names of clips: setup, camera, subject, repetition, action.
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_JOINTS = 25
JOINTS = {_JOINTS: SKELETONS["ntu25"]}
_FPS = 30.0
# Bodies of a clip that are people.
_PEOPLE = 2
# The training subjects of the cross-subject protocols; those up to 40 are NTU RGB+D 60's.
_TRAIN = frozenset(
    [1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50]
    + [52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94]
    + [95, 97, 98, 100, 103]
)
_CONFIDENCE = np.array([0.0, 0.5, 1.0])
# The confidence from which on a joint is written as tracked: it is nearer to 1 than to 0.5.
_TRACKED = 0.75


def detect(path: Path) -> bool:
    """Two counts and a body's line of ten values (or no body), or the data set's name of a clip."""
    return bool(
        re.match(r"\s*\d+\s*\n\s*(0\s*(\n|$)|\d+\s*\n\s*\d+( -?\S+){9}\s*\n)", head(path, 1024))
    ) or (bool(NAME.fullmatch(path.stem)) and path.suffix.lower() == ".skeleton")


def read_ntu(path: Path) -> Clips:
    """Reads one clip: 25 joints in metres; the confidence of an inferred joint is 0.5.

    Kinect gives a person that it lost a new id: bodies that do not overlap in time, and are near enough to
    each other for one person's way, are one person. At most two are kept: of more, the two that move most
    (the standard deviations of x, y and z over joints and frames, added up), as Kinect takes furniture for
    people. Person 0 is the one that moves most. A frame without a body is a frame with nobody, a body whose
    joints all lie at the origin is not there, and a clip without any body is an empty clip.

    From the name ``SsssCcccPpppRrrrAaaa``, where the file has it: the class is the action's number as
    text (``"43"``), the camera ``"c1"`` to ``"c3"``, the split the cross-subject protocol's.
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
                raise InputError(f"{path} has a body of {count} joints, expected {_JOINTS}")
            lines = [_values(rows, path, 12) for _ in range(_JOINTS)]
            # Positions in the images and orientations are not always numbers, and not needed.
            joints.append([[*line[:3], line[11]] for line in lines])
    if any(row.strip() for row in rows):
        raise InputError(f"{path} goes on after its {frames} frames, expected {_KIND}")
    try:
        table = np.array(joints, dtype=np.float64).reshape(len(joints), _JOINTS, 4)
    except ValueError as error:
        raise InputError(
            f"{path} has a value that is no number, expected {_KIND}: {error}"
        ) from None
    keypoints, state = table[..., :3], table[..., 3]
    if not np.isin(state, (0, 1, 2)).all():
        bad = state[~np.isin(state, (0, 1, 2))][0]
        raise InputError(f"{path} has tracking state {bad:g}, expected 0, 1 or 2")
    if not np.isfinite(keypoints).all():
        raise InputError(f"{path} has a joint that is NaN or infinite, expected finite numbers")
    confidence = _CONFIDENCE[state.astype(np.int64)]
    confidence[(keypoints == 0).all(-1)] = 0
    frames_of_rows, bodies = np.array(frame, dtype=np.int64), np.array(body, dtype=np.int64)
    remarks = []
    kept = first_of_one_person(frames_of_rows, bodies)
    if len(kept) < len(bodies):
        remarks.append(Remark(TWICE, len(bodies) - len(kept), len(bodies), path))
        keypoints, confidence = keypoints[kept], confidence[kept]
        frames_of_rows, bodies = frames_of_rows[kept], bodies[kept]
    track, people = people_of(keypoints, confidence, frames_of_rows, bodies)
    keep = (track >= 0) & (track < _PEOPLE)
    if people > _PEOPLE:
        text = (
            "more than two people are in a clip, of whom the two who move most are kept: {count} of {total} "
            "bodies are left out"
        )
        there = int((track >= 0).sum())
        remarks.append(Remark(text, there - int(keep.sum()), there, path))
    match = NAME.fullmatch(path.stem)
    known = {}
    if match is not None:
        known = {
            "camera": [f"c{int(match[2])}"],
            "clip_label": [str(int(match[5]))],
            "clip_split": ["train" if int(match[3]) in _TRAIN else "test"],
        }
    tracks = PoseTracks.build(
        keypoints[keep],
        confidence[keep],
        frames_of_rows[keep],
        track[keep],
        np.zeros(int(keep.sum()), dtype=np.int64),
        "ntu25",
        [path.stem],
        clip_length=[frames],
        fps=[_FPS],
        origin=str(path),
        **known,
    )
    return Clips(tracks, [(path.stem,)], remarks=remarks)


def write_ntu(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one file a clip: positions to micrometres, what Kinect alone knows as zeros.

    A joint with confidence 0.75 or more is tracked, with less inferred. People are the bodies of their
    places in the order of ids, and readers number them anew; class, camera and split are lost but where
    the clip's name has them.

    Raises:
        InputError: A clip with more than two people, of whom readers take two only, or with other than
            30 frames a second.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = fine_poses(tracks)
    state = np.where(poses[..., 3] >= _TRACKED, 2, (poses[..., 3] > 0).astype(int))
    for name, clip, frames in clips_by_frame(tracks):
        people = sorted({int(tracks.track[row]) for rows in frames for row in rows})
        fps = tracks.fps[clip]
        if len(people) > _PEOPLE:
            raise InputError(
                f"clip {tracks.clip_names[clip]!r} has {len(people)} people, expected at most "
                f"{_PEOPLE}: of an NTU RGB+D file those two are read that move most"
            )
        if not np.isnan(fps) and fps != _FPS:
            raise InputError(
                f"clip {tracks.clip_names[clip]!r} has {fps:g} frames a second, NTU RGB+D files "
                f"have {_FPS:g}"
            )
        lines = [str(len(frames))]
        for rows in frames:
            lines.append(str(len(rows)))
            for row in rows:
                # Edges, hands and lean are unknown; the body is tracked.
                lines.append(f"{people.index(tracks.track[row])} 0 0 0 0 0 0 0 0 2")
                lines.append(str(_JOINTS))
                for (x, y, z, _), seen in zip(poses[row], state[row], strict=True):
                    lines.append(f"{x:.6f} {y:.6f} {z:.6f} 0 0 0 0 0 0 0 0 {seen}")
        yield f"{name}.skeleton", "\n".join(lines) + "\n"


def _values(rows: Iterator[str], path: Path, count: int) -> list[str]:
    row = next(rows, None)
    if row is None:
        raise InputError(f"{path} ends in the middle of a frame, expected {_KIND}")
    values = row.split()
    if len(values) != count:
        raise InputError(
            f"{path} has row {row.strip()[:40]!r} of {len(values)} values, expected {count}"
        )
    return values


def _count(rows: Iterator[str], path: Path, what: str) -> int:
    count = whole_number(_values(rows, path, 1)[0], path, f"number of {what}")
    if count < 0:
        raise InputError(f"{path} has {count} {what}, expected 0 or more")
    return count
