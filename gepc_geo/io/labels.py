"""Frame labels: a folder of ``.npy`` masks, one a clip, 1 = abnormal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import read_npy

# By the name of the clip: the file, and 1 for each abnormal frame.
Masks = dict[str, tuple[Path, np.ndarray]]

# Frames that a clip may have more than its mask, as tools count the last one or not.
_SHORT = 2
# A mask that ends so many frames, and such a share of the clip, after the last pose is looked at.
_LATE, _LATE_SHARE = 25, 0.1


def read_frame_labels(
    folder: str | Path, tracks: PoseTracks, check_ends: bool = True
) -> PoseTracks:
    """The tracks with labels from ``folder/<clip name>.npy`` (or ``.NPY``).

    A clip becomes as long as its mask (frames with nobody at the end are frames too); the labels of
    clips without a mask are unknown. An :class:`~gepc_geo.errors.InputWarning` names a mask that goes on
    for more than 25 frames, and more than a tenth of the clip, after the last pose.

    Args:
        folder: The masks.
        tracks: The poses.
        check_ends: Whether to warn of masks that go on after the last pose; not of published masks.

    Raises:
        InputError: No such folder, no mask of any clip, a mask that is no list of 0 and 1 or shorter
            than its clip's last person-frame.
    """
    folder = Path(folder)
    return label_frames(folder, tracks, read_masks(folder, tracks.clip_names), check_ends)


def label_frames(
    folder: Path, tracks: PoseTracks, masks: Masks, check_ends: bool = True
) -> PoseTracks:
    """:func:`read_frame_labels` with masks that are read already."""
    last = np.zeros(tracks.num_clips, dtype=np.int64)
    np.maximum.at(last, tracks.clip, tracks.frame + 1)
    length = tracks.clip_length.copy()
    labels = []
    late: list[tuple[str, int, int]] = []
    short: list[tuple[str, int, int]] = []
    for clip, name in enumerate(tracks.clip_names):
        if name not in masks:
            labels.append(np.full(length[clip], -1, dtype=np.int8))
            continue
        path, mask = masks[name]
        if len(mask) < last[clip]:
            raise InputError(
                f"{path} has {len(mask)} frames, expected at least {last[clip]}, "
                f"the frames of clip {name!r}"
            )
        if length[clip] - len(mask) > _SHORT:
            short.append((name, len(mask), int(length[clip])))
        if len(mask) - last[clip] > max(_LATE, _LATE_SHARE * last[clip]):
            late.append((name, len(mask), int(last[clip])))
        length[clip] = len(mask)
        labels.append(mask)
    _warn_of_strangers(folder, masks, tracks.clip_names)
    if short:
        _warn_of_short(folder, short)
    if late and check_ends:
        _warn_of_late_ends(folder, late)
    if not masks:
        raise InputError(
            f"{folder} has no mask of any clip, expected files like {tracks.clip_names[0]}.npy"
            if tracks.num_clips
            else f"there are no clips to label from {folder}"
        )
    return tracks.with_(clip_length=length, frame_labels=np.concatenate(labels), origin=str(folder))


def read_masks(folder: Path, names: Sequence[str]) -> Masks:
    """The masks in a folder by the names of their clips, each with its file.

    Raises:
        InputError: No such folder, a mask that is no list of 0 and 1.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected one of frame masks (.npy)")
    masks = {}
    for name in names:
        paths = (folder / f"{name}.npy", folder / f"{name}.NPY")
        path = next((path for path in paths if path.exists()), None)
        if path is not None:
            masks[name] = path, _read_mask(path)
    return masks


def _warn_of_strangers(folder: Path, masks: Collection[str], names: Sequence[str]) -> None:
    """Of masks that fit no clip, where clips have no mask."""
    alone = [name for name in names if name not in masks]
    known = {folder / f"{name}.npy" for name in names} | {folder / f"{name}.NPY" for name in names}
    others = sorted(path for path in folder.rglob("*.[nN][pP][yY]") if path not in known)
    if masks and alone and others:
        warn_of_input(
            f"{len(alone)} of {len(names)} clips have no mask in {folder} ({alone[0]!r} and others), and "
            f"{len(others)} masks fit no clip ({others[0].name} and others): expected CLIP.npy"
        )


def _others(count: int) -> str:
    return f" (and {count} other clip{'s'[: count > 1]})" if count else ""


def _warn_of_short(folder: Path, short: Sequence[tuple[str, int, int]]) -> None:
    """Of masks (clip, length, frames of the clip) that end before the clip does."""
    name, length, frames = max(short, key=lambda one: one[2] - one[1])
    others = _others(len(short) - 1)
    warn_of_input(
        f"the mask of clip {name!r} in {folder} has {length} frames and the clip {frames}, the last of them "
        f"without anybody{others}: it is cut, check that masks and poses are of the same frames"
    )


def _warn_of_late_ends(folder: Path, late: Sequence[tuple[str, int, int]]) -> None:
    """Of masks (clip, length, frames to the last pose) that go on long after the last pose."""
    name, length, last = max(late, key=lambda one: one[1] - one[2])
    others = _others(len(late) - 1)
    warn_of_input(
        f"the mask of clip {name!r} in {folder} has {length} frames and the clip's last pose is in frame "
        f"{last - 1}{others}: frames without anybody are easy to get right, check that masks and poses are "
        "of the same frames"
    )


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
