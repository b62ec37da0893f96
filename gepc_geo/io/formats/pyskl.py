"""Annotation pickles of PYSKL and MMAction2's skeleton models: all clips in one file.

``{"split": {"xsub_train": [names], ...}, "annotations": [...]}``, or the list alone; an annotation has
``frame_dir`` (the clip's name), ``total_frames``, ``label``, ``keypoint`` [M, T, V, C] of M people, for
2D ``keypoint_score`` [M, T, V] and ``img_shape`` (height, width). Source: PYSKL's data documentation.
A file that is read is not trusted: :mod:`gepc_geo.io._common.unpickle`.
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
    """A pickle of protocol 2 or later, or one that begins with a dict or a list."""
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

    A joint at the origin is missing, a person without any joint in a frame is not there. The split is
    that of the first protocol in the file (``xsub_train`` and ``xsub_val``: ``train`` and ``test``).

    These files count NTU's classes from 0. The class of a clip that is named as NTU's are
    (``S001C002P003R001A050``) is the number in its name (``"50"``), as in NTU's own files, unless its label
    is text.

    Args:
        path: The file.
        skeleton: Names the joints; ``None``: by their number COCO's, in 3D Kinect v2's.

    Raises:
        InputError: Something else in the file, another number of joints, or two clips of one name.
    """
    content = read_pickle(path, _KIND)
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not annotations:
        raise InputError(f"{path} has no list of annotations, expected {_KIND}")
    split = _splits(content.get("split") if isinstance(content, dict) else None, path)
    remarks: list[Remark] = []
    clips = [_clip(one, split, skeleton, path, remarks) for one in annotations]
    names = Counter(clip.clip_names[0] for clip in clips)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{path} has {count} annotations named {name!r:.60} (frame_dir), expected different names"
        )
    tracks = PoseTracks.concat(clips)
    return Clips(tracks, [(path.stem, name) for name in tracks.clip_names], remarks=remarks)


def write_pyskl(tracks: PoseTracks, path: Path) -> list[Path]:
    """Writes all clips into one file: plain containers and float32 arrays. In 3D these files have no
    scores, and joints are there or missing.

    People are numbered anew, in the order of their ids. A class is written as a number where it is one,
    else as text; where it is the one in a name of NTU's, less 1, as PYSKL counts them (another number is not
    read back for such a name). Of splits ``train`` and ``test`` are read back. Frames a second are lost.

    Raises:
        InputError: A clip without a name, or of more people and frames than memory has room for; a path
            that does not end in ``.pkl`` or cannot be written to.
    """
    if path.suffix != ".pkl":
        raise InputError(f"{path} has suffix {path.suffix!r}, expected .pkl")
    if "" in tracks.clip_names:
        raise InputError("a clip has no name, which PYSKL's annotation files need")
    # Readers go by the first protocol in the file, and these two are one.
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
    """What the file says of each clip."""
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
                f"clip {name!r:.80} has {len(people)} people in {frames} frames, for which memory has "
                "no room, expected shorter clips: PYSKL's arrays have everyone in every frame"
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
    """The class in a name of NTU's, from 1 and without leading zeros; empty for other names."""
    match = NAME.fullmatch(name)
    return str(int(match[5])) if match else ""


def _splits(content: Any, path: Path) -> dict[str, str]:
    """Each clip's split in the first protocol."""
    split: dict[str, str] = {}
    protocol = None
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path} has a split that is no dict, expected names by split")
    for name, clips in (content or {}).items():
        if (
            not isinstance(name, str)
            or not isinstance(clips, list)
            or not all(isinstance(clip, str) for clip in clips)
        ):
            raise InputError(
                f"{path} has a split {name!r:.60} that is no list of names, expected names by split"
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
        raise InputError(f"{path} has an annotation without a name (frame_dir), expected {_KIND}")
    where = f"{path}: clip {name!r:.60}"
    keypoint = _numbers(one.get("keypoint"), 4, where, "keypoint")
    _, frames, joints, dims = keypoint.shape
    if dims not in (2, 3):
        raise InputError(f"{where} has {dims} coordinates a joint, expected 2 or 3")
    named = skeleton_of(joints, wanted, COCO if dims == 2 else JOINTS_3D, path)
    confidence = (keypoint != 0).any(-1).astype(np.float32)
    if one.get("keypoint_score") is not None:
        score = _numbers(one["keypoint_score"], 3, where, "keypoint_score")
        if score.shape != keypoint.shape[:3]:
            raise InputError(
                f"{where} has keypoint_score of shape {list(score.shape)}, expected "
                f"{list(keypoint.shape[:3])}"
            )
        people = int((confidence > 0).any(-1).sum())
        if people and not score.any():
            remarks.append(Remark(SCORELESS, people, people, path))
        else:
            confidence *= np.clip(score, 0, 1)
            lost = people - int((confidence > 0).any(-1).sum())
            if lost:
                remarks.append(Remark(UNSEEN, lost, people, path))
    track, frame = np.nonzero((confidence > 0).any(-1))
    total = whole_number(one.get("total_frames", frames), path, "total_frames")
    size = one.get("img_shape")
    known = isinstance(size, tuple) and len(size) >= 2 and dims == 2
    if known and not all(isinstance(side, (int, float)) for side in size[:2]):
        raise InputError(f"{where} has img_shape {short(size):.40}, expected two numbers")
    label = one.get("label", "")
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        raise InputError(f"{where} has label {short(label):.40}, expected a number or text")
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
        image_size=[[size[1], size[0]]] if known else None,
        clip_label=[str(label)],
        clip_split=[split.get(name, "")],
        origin=where,
    )


def _numbers(value: Any, dims: int, where: str, name: str) -> np.ndarray:
    array = value.value if isinstance(value, Array) else None
    if array is None:
        # What a pickle holds may be a tuple, which JSON has not.
        found = "a tuple" if isinstance(value, tuple) else kind_of(value)
        found = f"no {name}" if value is None else f"{found} as {name}"
        raise InputError(f"{where} has {found}, expected an array of {dims} dimensions")
    if array.ndim != dims or array.dtype.kind not in "iuf":
        raise InputError(
            f"{where} has an array of shape {list(array.shape)} of {array.dtype} as {name}, expected "
            f"one of {dims} dimensions"
        )
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{where} has {name} that is NaN or infinite, expected finite numbers")
    return array
