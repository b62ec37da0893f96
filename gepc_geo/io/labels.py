"""Frame labels: a folder of ``.npy`` masks, one for each clip, 1 = abnormal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import read_npy

# For each clip name: the file, and 1 for each abnormal frame.
Masks = dict[str, tuple[Path, np.ndarray]]

# Frames by which a mask may be shorter than its clip, as tools may omit the last frame.
_MAX_MISSING = 2
# Frames after the last pose, and their share of the clip, above which a mask is reported.
_MAX_EXTRA, _MAX_EXTRA_SHARE = 25, 0.1


def read_frame_labels(
    folder: str | Path, tracks: PoseTracks, check_ends: bool = True
) -> PoseTracks:
    """Reads labels from ``folder/<clip name>.npy`` (or ``.NPY``).

    A clip gets the length of its mask (frames without people at the end count); labels of clips
    without a mask are unknown. An :class:`~gepc_geo.errors.InputWarning` reports a mask that
    continues for more than 25 frames, and more than a tenth of the clip, after the last pose.

    Args:
        folder: The folder of the masks.
        tracks: The poses.
        check_ends: Whether to report masks that continue after the last pose; false for published
            masks.

    Returns:
        The tracks with ``frame_labels``.

    Raises:
        InputError: A folder that does not exist, no mask of any clip, a mask with other values than
            0 and 1 or shorter than its clip's last person-frame.
    """
    folder = Path(folder)
    return label_frames(folder, tracks, read_masks(folder, tracks.clip_names), check_ends)


def label_frames(
    folder: Path, tracks: PoseTracks, masks: Masks, check_ends: bool = True
) -> PoseTracks:
    """:func:`read_frame_labels` with given masks."""
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
                f"{path} must have at least {last[clip]} frames, as clip {name!r} has, "
                f"got {len(mask)}"
            )
        if length[clip] - len(mask) > _MAX_MISSING:
            short.append((name, len(mask), int(length[clip])))
        if len(mask) - last[clip] > max(_MAX_EXTRA, _MAX_EXTRA_SHARE * last[clip]):
            late.append((name, len(mask), int(last[clip])))
        length[clip] = len(mask)
        labels.append(mask)
    _warn_of_unmatched(folder, masks, tracks.clip_names)
    if short:
        _warn_of_short(folder, short)
    if late and check_ends:
        _warn_of_late_ends(folder, late)
    if not masks:
        raise InputError(
            f"{folder} must have masks of clips, such as {tracks.clip_names[0]}.npy, got none"
            if tracks.num_clips
            else f"poses must have clips for the labels in {folder}, got none"
        )
    return tracks.with_(clip_length=length, frame_labels=np.concatenate(labels), origin=str(folder))


def read_masks(folder: Path, names: Sequence[str]) -> Masks:
    """Reads the masks of clips, by clip name.

    Args:
        folder: The folder.
        names: The clip names.

    Returns:
        File and mask of each clip that has one.

    Raises:
        InputError: A folder that does not exist, a mask with other values than 0 and 1.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} must be a folder of frame masks (.npy), got a file"
            if folder.exists()
            else f"{folder} does not exist"
        )
    masks = {}
    for name in names:
        paths = (folder / f"{name}.npy", folder / f"{name}.NPY")
        path = next((path for path in paths if path.exists()), None)
        if path is not None:
            masks[name] = path, _read_mask(path)
    return masks


def _warn_of_unmatched(folder: Path, masks: Collection[str], names: Sequence[str]) -> None:
    """Warns of masks that match no clip, if clips have no mask."""
    unlabelled = [name for name in names if name not in masks]
    own_files = {folder / f"{name}.npy" for name in names} | {
        folder / f"{name}.NPY" for name in names
    }
    others = sorted(path for path in folder.rglob("*.[nN][pP][yY]") if path not in own_files)
    if masks and unlabelled and others:
        warn_of_input(
            f"{len(unlabelled)} of {len(names)} clips have no mask in {folder} "
            f"({unlabelled[0]!r} is the first), and {len(others)} masks match no clip "
            f"({others[0].name} is the first): masks must be named CLIP.npy"
        )


def _others(count: int) -> str:
    return f" (and {count} other clip{'s'[: count > 1]})" if count else ""


def _warn_of_short(folder: Path, short: Sequence[tuple[str, int, int]]) -> None:
    """Warns of masks (clip, length, frames of the clip) that end before the clip."""
    name, length, frames = max(short, key=lambda mask: mask[2] - mask[1])
    others = _others(len(short) - 1)
    warn_of_input(
        f"the mask of clip {name!r} in {folder} has {length} frames and the clip {frames}, the "
        f"last of them without people{others}: the clip is cut; masks and poses must have the "
        "same frames"
    )


def _warn_of_late_ends(folder: Path, late: Sequence[tuple[str, int, int]]) -> None:
    """Warns of masks (clip, length, frames to the last pose) that end long after that pose."""
    name, length, last = max(late, key=lambda mask: mask[1] - mask[2])
    others = _others(len(late) - 1)
    warn_of_input(
        f"the mask of clip {name!r} in {folder} has {length} frames and the clip's last pose is in "
        f"frame {last - 1}{others}: frames without people are easy to score, so check that masks "
        "and poses have the same frames"
    )


def _read_mask(path: Path) -> np.ndarray:
    mask = read_npy(path, "frame mask (.npy)")
    if mask.ndim != 1 or mask.dtype.kind not in "biuf":
        raise InputError(
            f"{path} must have one number for each frame, got shape {list(mask.shape)} of "
            f"{mask.dtype}"
        )
    if not np.isin(mask, (0, 1)).all():
        wrong = mask[~np.isin(mask, (0, 1))][0]
        raise InputError(f"{path} must have values 0 and 1 (abnormal frames), got {wrong}")
    return mask.astype(np.int8)
