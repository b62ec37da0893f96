"""Tables of poses that any script may write: a row for each person in each frame.

.. code-block:: text

    clip,person,frame,nose_x,nose_y,nose_confidence,left_eye_x,...
    gate,1,0,100.5,200.25,0.9,...

Each of ``clip``, ``person`` and ``frame`` may be missing, and so may confidences; with a ``z`` of every joint
poses are in 3D. Cells are separated by commas, semicolons or tabs; a joint with an empty cell is missing.
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
from gepc_geo.io._common.orders import ORDERS, nearest_order
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
# A header is within this.
_HEAD = 1 << 20
# The most that a depth in shares of the image is of pixels.
_SHALLOW = 0.02


def detect(path: Path) -> bool:
    """A header with x and y of a joint."""
    return is_header(first_cells(head(path, _HEAD))[1])


def read_csv(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads the clips of one table.

    Args:
        path: The file.
        skeleton: Names the joints, which are found by name, or by number where they have no names;
            ``None``: the largest built-in skeleton that the table has all joints of.

    Raises:
        InputError: No table of poses, or one without all joints of a skeleton.
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
        # Rows without anything are frames with nobody only where rows are frames.
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
    there = np.array((values[..., :-1] != 0).any((-2, -1)))
    clips = []
    for clip in clips_of_rows(keys, person):
        kept = there[clip.rows]
        seen = clip.rows[kept]
        clips.append(
            build_clip(
                clip.parts,
                values[seen],
                clip.frames[kept],
                [person[row] for row in seen] if person else None,
                named,
                path,
                listed=None if kept.all() else clip.frames.tolist(),
                counted=clip.counted,
                fps=None if clip.fps is None else [clip.fps],
            )
        )
    joined = join_clips(clips)
    joined.remarks.extend(_left(choice, path))
    if header.frame is None and header.time is None and header.unread and keys.frame is None:
        names = listed(header.unread).replace("{", "(").replace("}", ")")
        text = (
            f"rows are counted as frames, as no column is named after frames; passed over: {names}"
        )
        joined.remarks.append(Remark(text, len(lines), len(lines), path))
    return replace(joined, columns=header.told)


def write_csv(tracks: PoseTracks, path: Path) -> list[Path]:
    """Writes all clips into one table; a frame with nobody is a row without a person.

    People without any joint in a frame are not in it, as readers see it too.

    Raises:
        InputError: A clip whose name a table does not give back.
    """
    for name in tracks.clip_names:
        if not name.isprintable() or not name.strip() or name != name.strip():
            raise InputError(
                f"clip {name!r:.80} cannot be read back from a table, expected a printable name without "
                "blanks around it"
            )
    if not tracks.clip_length.all():
        name = tracks.clip_names[int(np.argmin(tracks.clip_length))]
        raise InputError(f"clip {name!r:.80} has no frames, which a table has no row for")
    joints, dims = tracks.skeleton.joints, tracks.dims
    coordinates = ["x", "y", "z"][:dims]
    seen = tracks.confidence > 0
    values = np.concatenate([tracks.keypoints, tracks.confidence[..., None]], axis=2)
    # A joint at the origin would be read as missing.
    values[seen & (tracks.keypoints == 0).all(-1), 0] = 1e-6
    there = np.flatnonzero(seen.any(-1))
    there = there[np.lexsort((tracks.track[there], tracks.frame[there], tracks.clip[there]))]
    bounds = np.searchsorted(tracks.clip[there], np.arange(tracks.num_clips + 1))
    nobody = [""] * (tracks.num_joints * (dims + 1))
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
            rows = there[bounds[clip] : bounds[clip + 1]]
            frames = tracks.frame[rows]
            empty = np.setdiff1d(np.arange(tracks.clip_length[clip]), frames)
            order = np.argsort(np.concatenate([frames, empty]), kind="stable")
            for i in order.tolist():
                if i < len(rows):
                    row = rows[i]
                    # float32 as text has the digits by which it is read back.
                    texts = np.where(seen[row, :, None], values[row].astype(str), "")
                    table.writerow([name, tracks.track[row], tracks.frame[row], *texts.ravel()])
                else:
                    table.writerow([name, "", empty[i - len(rows)], *nobody])
    return [path]


# -- inner -----------------------------------------------------------------------------------------


def _poses(numbers: np.ndarray, choice: Choice) -> np.ndarray:
    """:math:`[N, V, C + 1]`: the position and score of each joint; missing ones have none."""
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
        there = ~np.isnan(place).any(-1)
        # A position without a score counts as one of score 1.
        score = joint.get("score", np.ones(len(numbers)))
        values[there, v, :-1] = place[there]
        values[there, v, -1] = np.where(np.isnan(score), 1, np.clip(score, 0, 1))[there]
    return values


def _is_depth(plane: np.ndarray, depth: np.ndarray, skeleton: Skeleton) -> bool:
    """Whether z goes with x and y. MediaPipe gives one along with shares of the image, which is none of
    these; its world landmarks are metres around the hips, to all sides."""
    plane, depth = (values[~np.isnan(values)] for values in (plane, depth))
    if not depth.any():
        return False
    if skeleton != SKELETONS["mediapipe33"]:
        return True
    shares = are_shares(plane) and (plane < 0).mean() <= 0.1
    return not shares and np.ptp(depth) > _SHALLOW * np.ptp(plane)


def _keys(header: Header, cells: dict[int, list[str]], lines: list[int], path: Path) -> Keys:
    def column(one: int | None) -> list[str] | None:
        return None if one is None else cells[one]

    person = column(header.person)
    if person and header.is_row_number and len(set(person)) == len(person):
        person = None
    parts: list[tuple[str, ...]] = [()] * len(lines)
    # Names of pictures say the frame, and the clip.
    # The name of a clip is no file's.
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


def _left(choice: Choice, path: Path) -> list[Remark]:
    """What of the joints is not taken."""
    remarks = []
    count, total = len(choice.left), len(choice.left) + choice.skeleton.num_joints
    if count:
        remarks.append(Remark(passed_over(choice.left, choice.skeleton), count, total, path))
    count, total = sum("z" in joint for joint in choice.joints), len(choice.joints)
    if 0 < count < total:
        text = "{count} of {total} joints have a z, which is passed over: poses in 3D have one of each joint"
        remarks.append(Remark(text, count, total, path))
    return remarks
