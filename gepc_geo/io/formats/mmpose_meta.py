"""What MMPose's ``meta_info`` says of joints: their names and how they are connected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import SKELETONS, Skeleton

# Joints that distances are counted from, the first that there is.
_CENTERS = ("neck", "thorax", "neck_base", "root", "pelvis", "hip", "nose")


def skeleton_of_meta(meta: Any, joints: int, path: Path) -> Skeleton | None:
    """The built-in skeleton of these names, or one of the names and links; ``None`` where there are none.

    Args:
        meta: The file's ``meta_info``.
        joints: The number of joints that poses have.
        path: The file, for errors.

    Raises:
        InputError: Names of another number of joints, or links that do not connect them all.
    """
    found = meta.get("keypoint_id2name") if isinstance(meta, Mapping) else None
    if not isinstance(found, Mapping) or not found:
        return None
    names = [found.get(str(joint)) for joint in range(joints)]
    if len(found) != joints or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{path} has {len(found)} names of joints (keypoint_id2name) and poses of {joints}, expected a "
            "name for each, or a skeleton (--skeleton)"
        )
    known = next((one for one in SKELETONS.values() if list(one.joints) == names), None)
    return known or _linked(meta, [str(name) for name in names], path)


# -- inner -----------------------------------------------------------------------------------------


def _linked(meta: Mapping[str, Any], names: list[str], path: Path) -> Skeleton:
    """A skeleton of names, and of the links that the file draws between them."""
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
        raise InputError(f"{path}: {error}, or a skeleton (--skeleton)") from None
