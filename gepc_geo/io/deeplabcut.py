"""DeepLabCut CSV: the poses of any animals in one video, joints by name.

Rows of names (``scorer``, ``individuals`` where there are several animals, ``bodyparts``,
``coords``), then a row a frame: its number, and x, y, likelihood of each body part; empty where it was
not found. Source: the DeepLabCut documentation, ``analyze_videos(..., save_as_csv=True)``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.files import write_files
from gepc_geo.io.clip import Clips
from gepc_geo.io.names import file_names
from gepc_geo.io.text import head, read_text, whole_number
from gepc_geo.io.writing import flat_poses
from gepc_geo.skeleton import Skeleton
from gepc_geo.tracks import PoseTracks

_KIND = "a DeepLabCut table"
_HEADS = ("scorer", "individuals", "bodyparts", "coords")
_COORDS = ("x", "y", "likelihood")


def detect(path: Path) -> bool:
    """The first cell."""
    return head(path, 64).startswith("scorer,")


def read_deeplabcut(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads one video; the clip is named after it. Each animal is a track, in the table's order.

    Args:
        path: The file.
        skeleton: Names and connects the joints; they are found in the table by their names, and body
            parts that it lacks are left out. It must be given.
    """
    names, table = _table(path)
    if skeleton is None:
        parts = list(dict.fromkeys(names["bodyparts"]))
        raise InputError(
            f"{path} has the body parts {', '.join(parts):.120} and does not say how they are "
            "connected, expected a skeleton of them (--skeleton)"
        )
    column = {key: i for i, key in enumerate(zip(*names.values(), strict=True))}
    if len(column) < len(names["coords"]):
        raise InputError(f"{path} has two columns of one name, expected different names")
    # A part that is not of every animal (single objects of the arena) has columns for some only.
    animals = list(dict.fromkeys(names["individuals"])) if "individuals" in names else [""]
    animals = [
        animal
        for animal in animals
        if any(_key(animal, joint, "x") in column for joint in skeleton.joints)
    ]
    if not animals:
        raise InputError(
            f"{path} has no body part of skeleton {skeleton.name!r}, expected "
            f"{', '.join(skeleton.joints):.120}"
        )
    frames, joints = len(table), skeleton.num_joints
    values = np.full((len(animals), frames, joints, 3), np.nan)
    for a, animal in enumerate(animals):
        for v, joint in enumerate(skeleton.joints):
            for c, coordinate in enumerate(_COORDS):
                key = _key(animal, joint, coordinate)
                if key in column:
                    values[a, :, v, c] = table[:, 1 + column[key]]
                elif coordinate == "likelihood":
                    values[a, :, v, c] = 1
                else:
                    raise InputError(
                        f"{path} has no {coordinate} of {joint!r} {animal}".rstrip()
                        + f", expected all joints of skeleton {skeleton.name!r}"
                    )
    there = ~np.isnan(values).any(-1)
    confidence = np.where(there, np.clip(values[..., 2], 0, 1), 0)
    keypoints = np.where(confidence[..., None] > 0, values[..., :2], 0)
    number = np.array([whole_number(frame, path, "frame") for frame in table[:, 0].tolist()])
    track, row = np.nonzero((confidence > 0).any(-1))
    tracks = PoseTracks.build(
        keypoints[track, row],
        confidence[track, row],
        number[row] if frames else row,
        track,
        np.zeros(len(row), dtype=np.int64),
        skeleton,
        [_video(path.stem)],
        clip_length=[int(number.max(initial=-1)) + 1],
        origin=str(path),
    )
    return Clips(tracks, [(_video(path.stem),)])


def write_deeplabcut(tracks: PoseTracks, folder: Path) -> list[Path]:
    """Writes one table a clip, each person an individual in the order of their ids (which readers
    number anew); positions and scores to three decimals.

    Raises:
        InputError: A clip whose name has DeepLabCut's ``DLC_`` in it, where readers end it.
    """
    return write_files(folder, _files(tracks))


# -- inner -----------------------------------------------------------------------------------------


def _files(tracks: PoseTracks) -> Iterator[tuple[str, str]]:
    poses = flat_poses(tracks)
    joints = tracks.skeleton.joints
    for clip, name in enumerate(file_names(tracks.clip_names)):
        if _video(name) != name:
            raise InputError(
                f"clip {tracks.clip_names[clip]!r:.80} would be read back as {_video(name)!r:.80}, "
                "expected a name without 'DLC_', which ends the video's name in DeepLabCut's files"
            )
        rows = np.flatnonzero(tracks.clip == clip)
        # A table has columns even where nobody is.
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
    """The video's name in that of a table's file; behind it DeepLabCut puts its own."""
    return stem.split("DLC_")[0] or stem


def _key(animal: str, joint: str, coordinate: str) -> tuple[str, ...]:
    return (animal, joint, coordinate) if animal else (joint, coordinate)


def _table(path: Path) -> tuple[dict[str, list[str]], np.ndarray]:
    """The names of the columns, by row (without the scorer), and all numbers; NaN in empty cells."""
    try:
        rows = [row for row in csv.reader(read_text(path, _KIND).splitlines()) if row]
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV, expected {_KIND}: {error}") from None
    names = {row[0]: row[1:] for row in rows[:4] if row[0] in _HEADS}
    if not {"scorer", "bodyparts", "coords"} <= set(names) or not names["coords"]:
        raise InputError(f"{path} has no rows scorer, bodyparts and coords, expected {_KIND}")
    width = 1 + len(names["coords"])
    for row in rows:
        if len(row) != width:
            raise InputError(
                f"{path} has row {','.join(row)[:40]!r} of {len(row)} values, expected {width}"
            )
    body = [[cell or "nan" for cell in row] for row in rows[len(names) :]]
    empty = np.array([[not cell for cell in row] for row in rows[len(names) :]], dtype=bool)
    try:
        table = np.array(body, dtype=np.float64).reshape(len(body), width)
    except ValueError as error:
        raise InputError(
            f"{path} has a value that is no number, expected {_KIND}: {error}"
        ) from None
    if (~np.isfinite(table) & ~empty.reshape(table.shape)).any():
        raise InputError(
            f"{path} has NaN or infinite values, expected finite numbers or empty cells"
        )
    del names["scorer"]
    return names, table
