"""ShanghaiTech Campus person boxes: a header, then one box a row; poses of five joints (box5)."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import TWICE, Clips, Remark
from gepc_geo.io._common.duplicates import first_of_one_person
from gepc_geo.io._common.text import head, read_text
from gepc_geo.poses.tracks import PoseTracks

# All cameras of the campus have this image size and rate.
_IMAGE_SIZE, _FPS = (856.0, 480.0), 24.0


def detect(path: Path) -> bool:
    """Whether a file begins with the header line."""
    return head(path, 64).startswith("Frame_Number Person_ID")


def read_shanghaitech_boxes(path: Path) -> Clips:
    """Reads one clip; the camera is the part of the clip name before ``_``.

    Columns: frame number, person, state, left, top, right, bottom; then one label in training
    files, the person's and the frame's label in test files.

    Args:
        path: The file.

    Raises:
        InputError: Another kind of file, or values out of range.
    """
    kind = "a ShanghaiTech box file"
    header, _, body = read_text(path, kind).partition("\n")
    columns = len(header.split())
    if not header.startswith("Frame_Number Person_ID") or columns < 7:
        raise InputError(f"{path} must be {kind}, got header {header[:40]!r}")
    lines = [words for line in body.splitlines() if (words := line.split())]
    short = next((words for words in lines if len(words) != columns), None)
    if short is not None:
        raise InputError(
            f"{path}: row {' '.join(short)[:60]!r} must have {columns} values, got {len(short)}"
        )
    try:
        table = np.array(list(chain.from_iterable(lines)), dtype=np.float64).reshape(-1, columns)
    except ValueError as error:
        raise InputError(
            f"{path} must be {kind} with numbers only, got an error: {error}"
        ) from None
    if not np.isfinite(table).all() or (np.abs(table) > 1e9).any():
        raise InputError(f"{path}: values must be from -1e9 to 1e9, got NaN or larger ones")
    unique_rows = first_of_one_person(table[:, 0], table[:, 1])
    remarks = []
    if len(unique_rows) < len(table):
        remarks.append(Remark(TWICE, len(table) - len(unique_rows), len(table), path))
        table = table[unique_rows]
    left, top, right, bottom = table[:, 3:7].T
    if (right < left).any() or (bottom < top).any():
        row = int(np.flatnonzero((right < left) | (bottom < top))[0])
        raise InputError(
            f"{path}: a box must be left, top, right, bottom, got {table[row, 3:7].tolist()}"
        )
    keypoints = keypoints_of_boxes(left, top, right, bottom)
    frame = table[:, 0]
    tracks = PoseTracks.build(
        keypoints,
        np.ones(keypoints.shape[:2]),
        frame,
        table[:, 1],
        np.zeros(len(table), dtype=np.int64),
        "box5",
        [path.stem],
        image_size=[_IMAGE_SIZE],
        fps=[_FPS],
        camera=[path.stem.split("_")[0]],
        origin=str(path),
    )
    return Clips(tracks, [(path.stem,)], remarks=remarks)


def keypoints_of_boxes(
    left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray
) -> np.ndarray:
    """Converts boxes to poses of ``box5``: the centre, then the upper and lower corners.

    Returns:
        :math:`[F, 5, 2]`.
    """
    x = np.stack([(left + right) / 2, left, right, left, right], axis=1)
    y = np.stack([(top + bottom) / 2, top, top, bottom, bottom], axis=1)
    return np.stack([x, y], axis=2)
