"""Annotation pickles of PYSKL and MMAction2's skeleton models: all clips in one file.

``{"split": {"xsub_train": [names], ...}, "annotations": [...]}``, or only the list. An annotation
has ``frame_dir`` (the clip's name), ``total_frames``, ``label``, ``keypoint`` [M, T, V, C] of M
people, and for 2D ``keypoint_score`` [M, T, V] and ``img_shape`` (height, width). Source: PYSKL's
data documentation. Files are untrusted: :mod:`gepc_geo.io._common.unpickle`.
"""

from __future__ import annotations

import math
import pickle
import re
from collections import Counter
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.clip import SCORELESS, UNSEEN, Clips, Remark
from gepc_geo.io._common.people import COCO, kind_of, skeleton_of
from gepc_geo.io._common.text import whole_number
from gepc_geo.io._common.unpickle import Array, read_pickle
from gepc_geo.io._common.writing import fine_poses
from gepc_geo.io.formats.ntu import NAME
from gepc_geo.poses.skeleton import SKELETONS, Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

_KIND = "an annotation file of PYSKL"
JOINTS_3D = {25: SKELETONS["ntu25"]}
_SPLITS = (("_train", "train"), ("_val", "test"), ("_test", "test"))


def detect(path: Path) -> bool:
    """Whether a file is a pickle of protocol 2 or later, or one of a dict or a list."""
    try:
        with path.open("rb") as stream:
            start = stream.read(2)
    except OSError:
        return False
    return (start[:1] == b"\x80" and start[1:] in (b"\2", b"\3", b"\4", b"\5")) or start in (
        b"(d",
        b"(l",
    )


def read_pyskl(path: Path, skeleton: Skeleton | None = None) -> Clips:
    """Reads all clips; person ``m`` of an annotation is track ``m``, its class the label as text.

    A joint at the origin is missing; a person without any joint in a frame is left out. The first
    protocol of the file gives the split (``xsub_train`` and ``xsub_val``: ``train`` and ``test``).

    PYSKL counts NTU's classes from 0. For a clip with a name of NTU (``S001C002P003R001A050``) the
    class is the number in the name (``"50"``), as in NTU's own files, unless its label is text.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: COCO's by their number, Kinect v2's in 3D.

    Raises:
        InputError: Another kind of file, another number of joints, or two clips of one name.
    """
    content = read_pickle(path, _KIND)
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not annotations:
        raise InputError(f"{path} must be {_KIND} with a list of annotations, got none")
    split = _splits(content.get("split") if isinstance(content, dict) else None, path)
    remarks: list[Remark] = []
    clips = [_clip(one, split, skeleton, path, remarks) for one in annotations]
    names = Counter(clip.clip_names[0] for clip in clips)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{path} must have annotations of different names (frame_dir), got {count} named "
            f"{name!r:.60}"
        )
    tracks = PoseTracks.concat(clips)
    return Clips(tracks, [(path.stem, name) for name in tracks.clip_names], remarks=remarks)


def write_pyskl(tracks: PoseTracks, path: Path) -> list[Path]:
    """Writes all clips into one file of plain containers and float32 arrays.

    3D files have no scores: a joint is present or missing. People are renumbered in the order of
    ids. A class is written as a number if it is one, otherwise as text. If it equals the class in a
    name of NTU it is decreased by 1, as in PYSKL; another number is not restored for such a name.
    Readers restore the splits ``train`` and ``test`` only. The frame rate is lost.

    Args:
        tracks: The poses.
        path: The file, ending in ``.pkl``.

    Returns:
        The written file.

    Raises:
        InputError: A clip without a name, or with arrays too large for the memory; a path that does
            not end in ``.pkl`` or cannot be written.
    """
    if path.suffix != ".pkl":
        raise InputError(f"{path} must have suffix .pkl, got {path.suffix!r}")
    if "" in tracks.clip_names:
        raise InputError("clips must have names in PYSKL's annotation files, got one without")
    # Readers use the first protocol in the file, which these two splits form.
    first = [one for one in ("train", "test") if one in tracks.clip_split]
    others = sorted(set(tracks.clip_split) - {"", *first})
    split: dict[str, list[str]] = {one: [] for one in (*first, *others)}
    for name, one in zip(tracks.clip_names, tracks.clip_split, strict=True):
        if one:
            split[one].append(name)
    content = {"split": split, "annotations": _annotations(tracks)}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(content, stream, protocol=4)
    return [path]


# -- inner -----------------------------------------------------------------------------------------


def _annotations(tracks: PoseTracks) -> list[dict[str, Any]]:
    """The annotation of each clip."""
    poses = fine_poses(tracks).astype(np.float32)
    annotations = []
    for clip, name in enumerate(tracks.clip_names):
        rows = np.flatnonzero(tracks.clip == clip)
        people = np.unique(tracks.track[rows])
        frames = int(tracks.clip_length[clip])
        shape = (len(people), frames, tracks.num_joints)
        try:
            keypoint = np.zeros((*shape, tracks.dims), dtype=np.float32)
            score = np.zeros(shape, dtype=np.float32)
        except MemoryError:
            raise InputError(
                f"clip {name!r:.80} must fit into memory as an array of all people in all frames, "
                f"got {len(people)} people in {frames} frames"
            ) from None
        at = np.searchsorted(people, tracks.track[rows]), tracks.frame[rows]
        keypoint[at], score[at] = poses[rows, :, :-1], poses[rows, :, -1]
        one: dict[str, Any] = {"frame_dir": name, "total_frames": frames}
        label = tracks.clip_label[clip]
        if label:
            number = re.fullmatch(r"0|[1-9][0-9]{0,8}", label)
            one["label"] = int(label) - (label == _ntu_class(name)) if number else label
        one["keypoint"] = keypoint
        if tracks.dims == 2:
            one["keypoint_score"] = score
            if not np.isnan(tracks.image_size[clip]).any():
                width, height = (math.ceil(side) for side in tracks.image_size[clip])
                one |= {"img_shape": (height, width), "original_shape": (height, width)}
        annotations.append(one)
    return annotations


def _ntu_class(name: str) -> str:
    """The class in a name of NTU, from 1 and without leading zeros; empty for other names."""
    match = NAME.fullmatch(name)
    return str(int(match[5])) if match else ""


def _splits(content: Any, path: Path) -> dict[str, str]:
    """Each clip's split in the first protocol."""
    split: dict[str, str] = {}
    protocol = None
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path}: split must be names by split, got {kind_of(content)}")
    for name, clips in (content or {}).items():
        if (
            not isinstance(name, str)
            or not isinstance(clips, list)
            or not all(isinstance(clip, str) for clip in clips)
        ):
            raise InputError(
                f"{path}: split {name!r:.60} must be a list of names, got other values"
            )
        for ending, half in _SPLITS:
            text = f"_{name}"
            if not text.endswith(ending):
                continue
            protocol = text.removesuffix(ending) if protocol is None else protocol
            if text.removesuffix(ending) == protocol:
                split |= dict.fromkeys(clips, half)
    return split


def _clip(
    one: Any,
    split: dict[str, str],
    wanted: Skeleton | None,
    path: Path,
    remarks: list[Remark],
) -> PoseTracks:
    name = one.get("frame_dir") if isinstance(one, dict) else None
    if not isinstance(name, str) or not name:
        raise InputError(
            f"{path} must be {_KIND} with names (frame_dir), got an annotation without"
        )
    where = f"{path}: clip {name!r:.60}"
    keypoint = _numbers(one.get("keypoint"), 4, where, "keypoint")
    _, frames, joints, dims = keypoint.shape
    if dims not in (2, 3):
        raise InputError(f"{where} must have 2 or 3 coordinates a joint, got {dims}")
    named = skeleton_of(joints, wanted, COCO if dims == 2 else JOINTS_3D, path)
    confidence = (keypoint != 0).any(-1).astype(np.float32)
    if one.get("keypoint_score") is not None:
        score = _numbers(one["keypoint_score"], 3, where, "keypoint_score")
        if score.shape != keypoint.shape[:3]:
            raise InputError(
                f"{where}: keypoint_score must have shape {list(keypoint.shape[:3])}, got "
                f"{list(score.shape)}"
            )
        people = int((confidence > 0).any(-1).sum())
        if people and not score.any():
            remarks.append(Remark(SCORELESS, people, people, path))
        else:
            confidence *= np.clip(score, 0, 1)
            unseen = people - int((confidence > 0).any(-1).sum())
            if unseen:
                remarks.append(Remark(UNSEEN, unseen, people, path))
    track, frame = np.nonzero((confidence > 0).any(-1))
    total = whole_number(one.get("total_frames", frames), path, "total_frames")
    size = one.get("img_shape")
    has_size = isinstance(size, tuple) and len(size) >= 2 and dims == 2
    if has_size and not all(isinstance(side, (int, float)) for side in size[:2]):
        raise InputError(f"{where}: img_shape must be two numbers, got {short(size):.40}")
    label = one.get("label", "")
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        raise InputError(f"{where}: label must be a number or text, got {short(label):.40}")
    if not label or isinstance(label, int):
        label = _ntu_class(name) or label
    return PoseTracks.build(
        keypoint[track, frame],
        confidence[track, frame],
        frame,
        track,
        np.zeros(len(frame), dtype=np.int64),
        named,
        [name],
        clip_length=[max(total, frames)],
        image_size=[[size[1], size[0]]] if has_size else None,
        clip_label=[str(label)],
        clip_split=[split.get(name, "")],
        origin=where,
    )


def _numbers(value: Any, dims: int, where: str, name: str) -> np.ndarray:
    array = value.value if isinstance(value, Array) else None
    if array is None:
        # Unlike JSON, a pickle may hold a tuple.
        found = "a tuple" if isinstance(value, tuple) else kind_of(value)
        found = "none" if value is None else found
        raise InputError(f"{where}: {name} must be an array of {dims} dimensions, got {found}")
    if array.ndim != dims or array.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: {name} must be an array of {dims} dimensions, got shape {list(array.shape)} "
            f"of {array.dtype}"
        )
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{where}: {name} must be finite, got NaN or infinity")
    return array
