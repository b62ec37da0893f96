"""Frame labels: a folder of ``.npy`` masks, one a clip, 1 = abnormal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.files import read_npy
from gepc_geo.tracks import PoseTracks


def read_frame_labels(folder: str | Path, tracks: PoseTracks) -> PoseTracks:
    """The tracks with labels from ``folder/<clip name>.npy`` (or ``.NPY``).

    A clip becomes as long as its mask (frames with nobody at the end are frames too); the labels of
    clips without a mask are unknown.

    Raises:
        InputError: No such folder, no mask of any clip, a mask that is no list of 0 and 1 or shorter
            than its clip's last person-frame.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected one of frame masks (.npy)")
    last = np.zeros(tracks.num_clips, dtype=np.int64)
    np.maximum.at(last, tracks.clip, tracks.frame + 1)
    length = tracks.clip_length.copy()
    labels, found = [], 0
    for clip, name in enumerate(tracks.clip_names):
        paths = (folder / f"{name}.npy", folder / f"{name}.NPY")
        path = next((path for path in paths if path.exists()), None)
        if path is None:
            labels.append(np.full(length[clip], -1, dtype=np.int8))
            continue
        mask = _read_mask(path)
        if len(mask) < last[clip]:
            raise InputError(
                f"{path} has {len(mask)} frames, expected at least {last[clip]}, "
                f"the frames of clip {name!r}"
            )
        length[clip] = len(mask)
        labels.append(mask)
        found += 1
    if not found:
        raise InputError(
            f"{folder} has no mask of any clip, expected files like {tracks.clip_names[0]}.npy"
            if tracks.num_clips
            else f"there are no clips to label from {folder}"
        )
    return tracks.with_(clip_length=length, frame_labels=np.concatenate(labels), origin=str(folder))


def _read_mask(path: Path) -> np.ndarray:
    mask = read_npy(path, "frame mask (.npy)")
    if mask.ndim != 1 or mask.dtype.kind not in "biuf":
        raise InputError(
            f"{path} has shape {list(mask.shape)} of {mask.dtype}, "
            "expected one number for each frame"
        )
    if not np.isin(mask, (0, 1)).all():
        raise InputError(f"{path} has values other than 0 and 1, expected 1 for abnormal frames")
    return mask.astype(np.int8)
