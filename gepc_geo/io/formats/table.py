"""Tables of poses from any script: a row for each person in each frame.

.. code-block:: text

    clip,person,frame,nose_x,nose_y,nose_confidence,left_eye_x,...
    gate,1,0,100.5,200.25,0.9,...

``clip``, ``person``, ``frame`` and confidences are optional; with a ``z`` of every joint, poses are
in 3D. Commas, semicolons or tabs separate cells; a joint with an empty cell is missing.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.cells import Numbers, first_cells, read_rows
from gepc_geo.io._common.clip import Clips, Remark, build_clip, join_clips, passed_over
from gepc_geo.io._common.joint_names import listed
from gepc_geo.io._common.joint_orders import ORDERS, nearest_order
from gepc_geo.io._common.text import head, read_text
from gepc_geo.io._common.units import are_shares
from gepc_geo.io.formats.table_header import Header, is_header, read_header
from gepc_geo.io.formats.table_joints import Choice, choose_joints
from gepc_geo.io.formats.table_keys import (
    Keys,
    are_pictures,
    clips_of_rows,
    ids_of,
    parts_of,
    unit_of,
)
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

_KIND = "a table of poses"
# Characters that contain the header.
_HEAD = 1 << 20
# Largest ratio of a depth in shares of the image to pixels.
_MAX_DEPTH_RATIO = 0.02


def detect(path: Path) -> bool:
    """Whether a file begins with a header that has x and y of a joint."""
    return is_header(first_cells(head(path, _HEAD))[1])


def read_csv(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads the clips of one table.

    Args:
        path: The file.
        skeleton: Names the joints, which are found by name, or by number without names; ``None``:
            the largest built-in skeleton whose joints are all in the table.

    Raises:
        InputError: Another kind of file, or a table without all joints of a skeleton.
    """
    separator, rows = read_rows(read_text(path, _KIND), path, _KIND)
    header = read_header(next(rows, (0, []))[1], path)
    choice = choose_joints(header, skeleton, path)
    columns = [column for joint in choice.joints for column in joint.values()]
    numbers = Numbers([header.names[column] for column in columns], separator, path)
    pick = itemgetter(*columns)
    lines: list[int] = []
    cells: dict[int, list[str]] = {column: [] for column in header.keys}
    for line, row in rows:
        # Empty rows are frames without people only if there is no column of keys.
        if header.keys and not any(row):
            continue
        numbers.add(line, pick(row))
        lines.append(line)
        for column, texts in cells.items():
            texts.append(row[column])
    values = _poses(numbers.array(), choice)
    named = choice.skeleton
    if choice.guessed and named in ORDERS:
        named = nearest_order(values, ORDERS)
    keys = _keys(header, cells, lines, path)
    person = ids_of(keys.person)
    visible = np.array((values[..., :-1] != 0).any((-2, -1)))
    clips = []
    for clip in clips_of_rows(keys, person):
        chosen = visible[clip.rows]
        rows_seen = clip.rows[chosen]
        clips.append(
            build_clip(
                clip.parts,
                values[rows_seen],
                clip.frames[chosen],
                [person[row] for row in rows_seen] if person else None,
                named,
                path,
                listed=None if chosen.all() else clip.frames.tolist(),
                counted=clip.counted,
                fps=None if clip.fps is None else [clip.fps],
            )
        )
    joined = join_clips(clips)
    joined.remarks.extend(_ignored(choice, path))
    if header.frame is None and header.time is None and header.unread and keys.frame is None:
        names = listed(header.unread).replace("{", "(").replace("}", ")")
        text = f"rows are counted as frames, as no column is named after frames; ignored: {names}"
        joined.remarks.append(Remark(text, len(lines), len(lines), path))
    return replace(joined, columns=header.description)


def write_csv(tracks: PoseTracks, path: Path) -> list[Path]:
    """Writes all clips into one table; a frame without people is a row without a person.

    People without any joint in a frame are left out, as in readers.

    Args:
        tracks: The poses.
        path: The file.

    Returns:
        The written file.

    Raises:
        InputError: A clip without frames, or with a name that a table does not restore.
    """
    for name in tracks.clip_names:
        if not name.isprintable() or not name.strip() or name != name.strip():
            raise InputError(
                "the name of a clip must be printable and without blanks around it in a table, got "
                f"{name!r:.80}"
            )
    if not tracks.clip_length.all():
        name = tracks.clip_names[int(np.argmin(tracks.clip_length))]
        raise InputError(f"clip {name!r:.80} must have at least one frame in a table, got none")
    joints, dims = tracks.skeleton.joints, tracks.dims
    coordinates = ["x", "y", "z"][:dims]
    seen = tracks.confidence > 0
    values = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    # A joint at the origin would be read as missing.
    values[seen & (tracks.keypoints == 0).all(-1), 0] = 1e-6
    people = np.flatnonzero(seen.any(-1))
    people = people[np.lexsort((tracks.track[people], tracks.frame[people], tracks.clip[people]))]
    bounds = np.searchsorted(tracks.clip[people], np.arange(tracks.num_clips + 1))
    empty_cells = [""] * (tracks.num_joints * (dims + 1))
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(
            ["clip", "person", "frame"]
            + [f"{joint}_{one}" for joint in joints for one in (*coordinates, "confidence")]
        )
        for clip, name in enumerate(tracks.clip_names):
            rows = people[bounds[clip] : bounds[clip + 1]]
            frames = tracks.frame[rows]
            empty = np.setdiff1d(np.arange(tracks.clip_length[clip]), frames)
            order = np.argsort(np.concatenate([frames, empty]), kind="stable")
            for i in order.tolist():
                if i < len(rows):
                    row = rows[i]
                    # numpy writes as many digits as float32 needs to be restored.
                    texts = np.where(seen[row, :, None], values[row].astype(str), "")
                    table.writerow([name, tracks.track[row], tracks.frame[row], *texts.ravel()])
                else:
                    table.writerow([name, "", empty[i - len(rows)], *empty_cells])
    return [path]


# -- inner -----------------------------------------------------------------------------------------


def _poses(numbers: np.ndarray, choice: Choice) -> np.ndarray:
    """:math:`[N, V, C + 1]`: position and score of each joint; 0 for missing joints."""
    column = iter(numbers.T)
    joints = [{name: next(column) for name in joint} for joint in choice.joints]
    names = ["x", "y"]
    if all("z" in joint for joint in joints):
        depth = np.stack([joint["z"] for joint in joints])
        plane = np.stack([joint[name] for joint in joints for name in names])
        if _is_depth(plane, depth, choice.skeleton):
            names.append("z")
    values = np.zeros((len(numbers), len(joints), len(names) + 1))
    for v, joint in enumerate(joints):
        place = np.stack([joint[name] for name in names], axis=-1)
        visible = ~np.isnan(place).any(-1)
        # A position without a score gets score 1.
        score = joint.get("score", np.ones(len(numbers)))
        values[visible, v, :-1] = place[visible]
        values[visible, v, -1] = np.where(np.isnan(score), 1, np.clip(score, 0, 1))[visible]
    return values


def _is_depth(plane: np.ndarray, depth: np.ndarray, skeleton: Skeleton) -> bool:
    """Whether z has the unit of x and y.

    MediaPipe adds a z of another unit to shares of the image; its world landmarks are in metres
    around the hips, in all directions.
    """
    plane, depth = (values[~np.isnan(values)] for values in (plane, depth))
    if not depth.any():
        return False
    if skeleton != SKELETONS["mediapipe33"]:
        return True
    shares = are_shares(plane) and (plane < 0).mean() <= 0.1
    return not shares and np.ptp(depth) > _MAX_DEPTH_RATIO * np.ptp(plane)


def _keys(header: Header, cells: dict[int, list[str]], lines: list[int], path: Path) -> Keys:
    def column(one: int | None) -> list[str] | None:
        return None if one is None else cells[one]

    person = column(header.person)
    if person and header.is_row_number and len(set(person)) == len(person):
        person = None
    parts: list[tuple[str, ...]] = [()] * len(lines)
    # Names of pictures give the frame and the clip; a column named after clips has no file names.
    files = [one for one in header.clip if not header.names[one].lower().startswith("clip")]
    pictures = next((one for one in files if are_pictures(cells[one])), header.frame)
    for one in header.clip:
        if one == pictures:
            continue
        of_file = one in files
        found = {text: parts_of(text) if of_file else (text,) for text in set(cells[one])}
        parts = [(*before, *found[text]) for before, text in zip(parts, cells[one], strict=True)]
    return Keys(
        path,
        lines,
        [tuple(filter(None, one)) for one in parts],
        person,
        column(pictures),
        column(header.time),
        header.from_zero,
        None if header.time is None else unit_of(header.names[header.time]),
    )


def _ignored(choice: Choice, path: Path) -> list[Remark]:
    """Remarks on joints and coordinates that are ignored."""
    remarks = []
    count, total = len(choice.ignored), len(choice.ignored) + choice.skeleton.num_joints
    if count:
        remarks.append(Remark(passed_over(choice.ignored, choice.skeleton), count, total, path))
    count, total = sum("z" in joint for joint in choice.joints), len(choice.joints)
    if 0 < count < total:
        text = "{count} of {total} joints have a z, which is ignored: 3D poses have z of each joint"
        remarks.append(Remark(text, count, total, path))
    return remarks
