"""DeepLabCut's tables: poses of animals in one video, with joints by name.

Header rows (``scorer``, ``individuals`` for several animals, ``bodyparts``, ``coords``) precede a
row for each frame: its number, and x, y, likelihood of each body part, empty if it was not found.
Source: the DeepLabCut documentation, ``analyze_videos(..., save_as_csv=True)``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.cells import Numbers, read_rows
from gepc_geo.io._common.clip import Clips, Remark, build_clip, passed_over
from gepc_geo.io._common.file_names import file_names
from gepc_geo.io._common.joint_names import built_in_of, joint_key, keys_of, listed, words_of
from gepc_geo.io._common.pictures import series_of
from gepc_geo.io._common.text import head, read_text, whole_number
from gepc_geo.io._common.writing import flat_poses
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import write_files

_KIND = "a DeepLabCut table"
_HEADS = ("scorer", "individuals", "bodyparts", "coords")
_COORDS = ("x", "y", "likelihood")
_OWN = re.compile(r"DLC_|DeepCut_")


@dataclass(frozen=True)
class Table:
    """The content of a table.

    Attributes:
        columns: For each column: individual (empty without individuals), body part, coordinate.
        frames: The frame number of each row.
        values: :math:`[F, K]`; NaN for empty cells.
    """

    columns: Sequence[tuple[str, str, str]]
    frames: np.ndarray
    values: np.ndarray


def detect(path: Path) -> bool:
    """Whether a file begins with DeepLabCut's first cell."""
    return bool(re.match(r"(sep=.\n)?\s*scorer[,;\t]", head(path, 64)))


def read_deeplabcut(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads one video, which names the clip. Each animal is a track, in the table's order.

    Args:
        path: The file.
        skeleton: Names and connects the joints, which the table's names must include; other body
            parts are ignored with a remark. ``None``: the largest built-in skeleton whose joints
            are all in the table.

    Raises:
        InputError: Another kind of file, or a table without all joints of a skeleton.
    """
    return clip_of_table(_table(path), path, skeleton)


def clip_of_table(table: Table, path: Path, skeleton: Skeleton | None) -> Clips:
    """Makes the clip of a table, as :func:`read_deeplabcut`."""
    column = {key: i for i, key in enumerate(table.columns)}
    if len(column) < len(table.columns):
        repeated = next(key for i, key in enumerate(table.columns) if column[key] != i)
        raise InputError(
            f"{path} must have different column names, got {' '.join(repeated).strip()!r} twice"
        )
    # Exact names, otherwise other spellings.
    parts = list(dict.fromkeys(part for _, part, _ in table.columns))
    by_key = {joint_key(words_of(part)): part for part in reversed(parts)}
    skeleton = skeleton or built_in_of(by_key)
    if skeleton is None:
        raise InputError(
            f"{path} must have the body parts of a built-in skeleton, or a skeleton of its own "
            f"(--skeleton), got {listed(parts)}"
        )
    keys = keys_of(skeleton)
    joints = [
        joint if joint in parts else by_key.get(key, joint)
        for joint, key in zip(skeleton.joints, keys, strict=True)
    ]
    # Body parts that not every animal has (single objects of the arena) have columns for some only.
    animals = list(dict.fromkeys(animal for animal, _, _ in table.columns))
    animals = [
        animal for animal in animals if any((animal, joint, "x") in column for joint in joints)
    ]
    if not animals:
        raise InputError(
            f"{path} must have the body parts of skeleton {skeleton.name!r}, got none of "
            f"{listed(skeleton.joints)}"
        )
    has_z = all((animal, joint, "z") in column for animal in animals for joint in joints)
    axes = ("x", "y", "z") if has_z else ("x", "y")
    values = np.zeros((len(animals), len(table.frames), len(joints), len(axes) + 1))
    for a, animal in enumerate(animals):
        for v, joint in enumerate(joints):
            for axis in axes:
                if (animal, joint, axis) not in column:
                    raise InputError(
                        f"{path} must have {axis} of {joint!r} {animal}".rstrip()
                        + f" for skeleton {skeleton.name!r}, got no such column"
                    )
            place = table.values[:, [column[animal, joint, axis] for axis in axes]]
            likelihood = column.get((animal, joint, "likelihood"))
            score = np.ones(len(place)) if likelihood is None else table.values[:, likelihood]
            visible = ~np.isnan(place).any(-1)
            values[a, visible, v, :-1] = place[visible]
            values[a, visible, v, -1] = np.where(np.isnan(score), 1, score)[visible]
    track, row = np.nonzero((values[..., :-1] != 0).any((-2, -1)))
    clips = build_clip(
        (_video(path.stem),),
        values[track, row],
        table.frames[row],
        track.tolist(),
        skeleton,
        path,
        listed=table.frames.tolist(),
    )
    ignored = [part for part in parts if part not in joints]
    if ignored:
        remark = Remark(passed_over(ignored, skeleton), len(ignored), len(parts), path)
        clips.remarks.append(remark)
    return clips


def write_deeplabcut(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one table for each clip, with values to three decimals.

    Each person is an individual, in the order of ids; readers renumber them.

    Raises:
        InputError: A clip name with ``DLC_`` or ``DeepCut_``, which end the video's name for
            readers.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = flat_poses(tracks)
    joints = tracks.skeleton.joints
    for clip, name in enumerate(file_names(tracks.clip_names)):
        if _video(name) != name:
            raise InputError(
                "the name of a clip must not contain 'DLC_' or 'DeepCut_', which end the video's "
                f"name in DeepLabCut's files, got {tracks.clip_names[clip]!r:.80}"
            )
        rows = np.flatnonzero(tracks.clip == clip)
        # A table without people has columns too.
        people = np.unique(tracks.track[rows]).tolist() or [0]
        columns = [(one, joint, c) for one in people for joint in joints for c in _COORDS]
        cells = {(tracks.track[row], tracks.frame[row]): poses[row] for row in rows}
        empty = [""] * (3 * len(joints))
        stream = io.StringIO()
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["scorer", *["gepc_geo"] * len(columns)])
        for label, values in zip(_HEADS[1:], zip(*columns, strict=True), strict=True):
            table.writerow([label, *values])
        for frame in range(tracks.clip_length[clip]):
            parts = (cells.get((one, frame), empty) for one in people)
            table.writerow([frame, *chain.from_iterable(parts)])
        yield f"{name}.csv", stream.getvalue()


def _video(stem: str) -> str:
    """The video's name in a table's file name, before DeepLabCut's addition."""
    return _OWN.split(stem)[0] or stem


def _table(path: Path) -> Table:
    separator, rows = read_rows(read_text(path, _KIND), path, _KIND)
    names: dict[str, list[str]] = {}
    numbers: Numbers | None = None
    columns: list[tuple[str, str, str]] = []
    index: list[str] = []
    for line, row in rows:
        if numbers is None and row[0] in _HEADS and row[0] not in names:
            names[row[0]] = row[1:]
            continue
        if numbers is None:
            columns = _columns(names, path)
            titles = [" ".join(filter(None, key)) for key in columns]
            numbers = Numbers(titles, separator, path)
        if any(row):
            numbers.add(line, row[1:])
            index.append(row[0])
    if numbers is None:
        columns = _columns(names, path)
        return Table(columns, np.zeros(0, dtype=np.int64), np.zeros((0, len(columns))))
    return Table(columns, frames_of_index(index, numbers.lines, path), numbers.array())


def frames_of_index(index: Sequence[str], lines: Sequence[int], path: Path) -> np.ndarray:
    """Frame numbers of a table's rows: its index, or the numbers in names of pictures.

    Args:
        index: The first cell of each row.
        lines: The line of each, for errors.
        path: The file, for errors.

    Raises:
        InputError: Rows without frame numbers.
    """
    if index and all(re.search(r"\.[A-Za-z]+$", one) for one in index):
        series = series_of(index, lambda i: f"{path}: picture {index[i]!r:.60}")
        if len(series) > 1:
            raise InputError(
                f"{path} must have pictures of one video, got "
                f"{index[series[0].members[0]]!r:.60} and {index[series[1].members[0]]!r:.60}"
            )
        frames = np.zeros(len(index), dtype=np.int64)
        frames[series[0].members] = series[0].frames
        return frames
    numbers = [
        whole_number(cell.removesuffix(".0"), path, f"frame in row {line}")
        for line, cell in zip(lines, index, strict=True)
    ]
    return np.array(numbers, dtype=np.int64)


def _columns(names: dict[str, list[str]], path: Path) -> list[tuple[str, str, str]]:
    if not {"scorer", "bodyparts", "coords"} <= set(names) or not names["coords"]:
        raise InputError(
            f"{path} must have the rows scorer, bodyparts and coords of {_KIND}, got "
            f"{', '.join(names) or 'none'}"
        )
    animals = names.get("individuals", [""] * len(names["coords"]))
    return list(zip(animals, names["bodyparts"], names["coords"], strict=True))
