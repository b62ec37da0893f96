"""Skeletons from MMPose's ``meta_info``: names of joints and their links."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# Candidates for the centre of a skeleton, in order of preference.
_CENTERS = ("neck", "thorax", "neck_base", "root", "pelvis", "hip", "nose")


def skeleton_of_meta(meta: Any, joints: int, path: Path) -> Skeleton | None:
    """The built-in skeleton of the names, or a new one of names and links; ``None`` without names.

    Args:
        meta: The file's ``meta_info``.
        joints: Number of joints of the poses.
        path: The file, for errors.

    Raises:
        InputError: Another number of names, or links that do not connect all joints.
    """
    found = meta.get("keypoint_id2name") if isinstance(meta, Mapping) else None
    if not isinstance(found, Mapping) or not found:
        return None
    names = [found.get(str(joint)) for joint in range(joints)]
    if len(found) != joints or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{path} must have {joints} names of joints (keypoint_id2name), one for each joint, or "
            f"a skeleton (--skeleton), got {len(found)}"
        )
    known = next((one for one in SKELETONS.values() if list(one.joints) == names), None)
    return known or _linked(meta, [str(name) for name in names], path)


# -- inner -----------------------------------------------------------------------------------------


def _linked(meta: Mapping[str, Any], names: list[str], path: Path) -> Skeleton:
    """A skeleton of the names and links in the file."""
    number = {name: joint for joint, name in enumerate(names)}
    pairs = [
        (number[name], number[other])
        for name in names
        if (other := name.replace("left", "right", 1)) != name and other in number
    ]
    torso = {}
    for ends in ("shoulder", "hip"):
        left, right = f"left_{ends}", f"right_{ends}"
        if left in number and right in number:
            torso[f"{ends}s"] = (number[left], number[right])
    center = next((number[name] for name in _CENTERS if name in number), 0)
    try:
        return Skeleton.from_dict(
            {
                "name": str(meta.get("dataset_name") or "mmpose"),
                "joints": names,
                "bones": meta.get("skeleton_links", []),
                "center": center,
                "pairs": pairs,
                **torso,
            },
            "meta_info",
        )
    except InputError as error:
        raise InputError(f"{path}: {error}: give a skeleton (--skeleton)") from None
