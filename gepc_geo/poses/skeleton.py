"""Which joints a pose has and how they are connected.

A :class:`Skeleton` turns bones into the three partition subsets of a spatial graph convolution
(root, centripetal, centrifugal; spatial configuration partitioning, Yan et al. 2018, section 3.3),
given as ``edge_index`` + ``edge_type`` + ``edge_weight`` so that any PyG layer can use them.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.poses.layouts import LAYOUTS

#: Names of the partition subsets, in the order of ``edge_type``.
SUBSETS = ("root", "centripetal", "centrifugal")


@dataclass(frozen=True)
class Skeleton:
    r"""Joints, bones and symmetry of a pose.

    Args:
        name: A short name, e.g. ``"coco17"``.
        joints: The joint names, in key-point order (length :math:`V`).
        bones: Pairs of joint numbers; undirected, must connect all joints.
        center: The joint that distances are counted from when bones are sorted into subsets.
        pairs: Left/right pairs of joint numbers, swapped when a pose is mirrored.
        shoulders: The two joints whose mid point is the upper end of the torso and whose line
            gives the heading of a 3D pose; ``None`` if the skeleton has no torso.
        hips: The two joints whose mid point is the lower end of the torso, or ``None``.

    Raises:
        InputError: A joint number out of range, an unconnected joint, no joints at all, two joints
            of one name, a joint in two pairs.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    center: int
    pairs: tuple[tuple[int, int], ...] = ()
    shoulders: tuple[int, int] | None = None
    hips: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        # Lists (from JSON) become tuples, so that skeletons are hashable and comparable.
        for field in ("bones", "pairs"):
            object.__setattr__(
                self, field, tuple((int(a), int(b)) for a, b in getattr(self, field))
            )
        object.__setattr__(self, "joints", tuple(str(joint) for joint in self.joints))
        for field in ("shoulders", "hips"):
            value = getattr(self, field)
            object.__setattr__(
                self, field, None if value is None else (int(value[0]), int(value[1]))
            )
        if not self.joints:
            raise InputError(f"skeleton {self.name!r} has no joints, expected at least one")
        used = [*self.bones, *self.pairs, (self.center,), self.shoulders or (), self.hips or ()]
        for joint in (joint for group in used for joint in group):
            if not 0 <= joint < self.num_joints:
                raise InputError(
                    f"skeleton {self.name!r} names joint {joint}, "
                    f"expected a number from 0 to {self.num_joints - 1}"
                )
        twice = [name for name, count in Counter(self.joints).items() if count > 1]
        if twice:
            raise InputError(
                f"skeleton {self.name!r} has more than one joint {twice[0]!r}, "
                "expected different names"
            )
        # Swapping overlapping pairs one after the other would be no mirror image.
        often = [
            v for v, count in Counter(v for pair in self.pairs for v in pair).items() if count > 1
        ]
        if often:
            raise InputError(
                f"skeleton {self.name!r} names joint {self.joints[often[0]]!r} more than once in "
                "its left/right pairs, expected at most once"
            )
        lost = [self.joints[v] for v, hops in enumerate(self.hops()) if hops < 0]
        if lost:
            raise InputError(
                f"skeleton {self.name!r} has joints without a bone towards its centre: "
                f"{', '.join(lost):.120}; expected all joints connected"
            )

    @property
    def num_joints(self) -> int:
        """The number of joints, :math:`V`."""
        return len(self.joints)

    def hops(self) -> list[int]:
        """The number of bones between each joint and the centre; -1 where there is no way."""
        neighbours: list[list[int]] = [[] for _ in self.joints]
        for a, b in self.bones:
            neighbours[a].append(b)
            neighbours[b].append(a)
        hops = [-1] * self.num_joints
        hops[self.center] = 0
        queue = deque([self.center])
        while queue:
            joint = queue.popleft()
            for other in neighbours[joint]:
                if hops[other] < 0:
                    hops[other] = hops[joint] + 1
                    queue.append(other)
        return hops

    def partition(self) -> tuple[Tensor, Tensor, Tensor]:
        r"""The skeleton's edges, sorted into subsets.

        Edges run from source to target (PyG's ``source_to_target``). A self loop, or a neighbour
        as far from the centre as the target, is *root* (0); a source nearer to the centre is
        *centripetal* (1), one farther away *centrifugal* (2). The weight is one over the target's
        number of incoming edges, self loop included: columns of the summed adjacency add up to one.

        Returns:
            ``edge_index`` :math:`[2, E]` (int64), ``edge_type`` :math:`[E]` (int64),
            ``edge_weight`` :math:`[E]` (float32), sorted by target, then source.
        """
        hops = self.hops()
        both = {(a, b) for a, b in self.bones if a != b} | {(b, a) for a, b in self.bones if a != b}
        edges = sorted(both | {(v, v) for v in range(self.num_joints)}, key=lambda e: (e[1], e[0]))
        degree = [0] * self.num_joints
        for _, target in edges:
            degree[target] += 1
        kinds = [
            0 if hops[source] == hops[target] else 1 if hops[source] < hops[target] else 2
            for source, target in edges
        ]
        return (
            torch.tensor(edges, dtype=torch.long).t().contiguous(),
            torch.tensor(kinds, dtype=torch.long),
            torch.tensor([1.0 / degree[target] for _, target in edges]),
        )

    def adjacency(self) -> Tensor:
        r"""The dense form of :meth:`partition`: :math:`[S, V, V]`, indexed (subset, source, target)."""
        edge_index, edge_type, edge_weight = self.partition()
        adjacency = torch.zeros(len(SUBSETS), self.num_joints, self.num_joints)
        adjacency[edge_type, edge_index[0], edge_index[1]] = edge_weight
        return adjacency

    def mirror(self) -> list[int]:
        """The joint order of a mirrored pose: ``keypoints[..., skeleton.mirror(), :]``."""
        order = list(range(self.num_joints))
        for left, right in self.pairs:
            order[left], order[right] = right, left
        return order

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and strings, as :meth:`from_dict` and the JSON form take them."""
        return {
            "name": self.name,
            "joints": list(self.joints),
            "bones": [list(bone) for bone in self.bones],
            "center": self.center,
            "pairs": [list(pair) for pair in self.pairs],
            "shoulders": None if self.shoulders is None else list(self.shoulders),
            "hips": None if self.hips is None else list(self.hips),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], origin: str = "skeleton") -> Skeleton:
        """Builds a skeleton from :meth:`to_dict`'s form; ``origin`` is named in errors.

        Raises:
            InputError: A missing or unknown entry, or one of the wrong type.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"{origin} is a {type(data).__name__}, expected a mapping of entries")
        known = set(cls.__dataclass_fields__)
        missing = {"name", "joints", "bones", "center"} - set(data)
        if missing or set(data) - known:
            wrong = sorted(missing) or sorted(set(data) - known)
            what = "lacks" if missing else "has the unknown"
            raise InputError(
                f"{origin} {what} entry {wrong[0]!r}, expected {', '.join(sorted(known))}"
            )
        try:
            return cls(**{**data, "name": str(data["name"]), "center": int(data["center"])})
        except InputError:
            raise
        except (TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{origin} has an entry of the wrong form ({error}), expected the form of "
                "Skeleton.to_dict()"
            ) from None

    @classmethod
    def from_json(cls, path: str | Path) -> Skeleton:
        """Reads a user's own skeleton from a JSON file in :meth:`to_dict`'s form."""
        try:
            # JSON in bytes may be in any of its encodings, with a byte order mark or without.
            data = json.loads(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as a skeleton, expected JSON: {error}"
            ) from None
        return cls.from_dict(data, origin=str(path))

    @classmethod
    def get(cls, skeleton: str | Path | Mapping[str, Any] | Skeleton) -> Skeleton:
        """A built-in by name, a JSON file by path, a dict, or a skeleton as it is.

        Raises:
            InputError: Neither a built-in's name nor an existing file.
        """
        if isinstance(skeleton, Skeleton):
            return skeleton
        if isinstance(skeleton, Mapping):
            return cls.from_dict(skeleton)
        if str(skeleton) in SKELETONS:
            return SKELETONS[str(skeleton)]
        if Path(skeleton).is_file():
            return cls.from_json(skeleton)
        if str(skeleton).lower().endswith(".json"):
            raise InputError(f"{skeleton} does not exist, expected a skeleton in JSON")
        raise InputError(
            f"unknown skeleton {str(skeleton)!r}, expected one of {', '.join(SKELETONS)} "
            "or a JSON file"
        )


#: The built-in skeletons by name.
SKELETONS: dict[str, Skeleton] = {layout["name"]: Skeleton.from_dict(layout) for layout in LAYOUTS}


def coco17_to_coco18(
    keypoints: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Reorders 17 COCO key points to 18 and adds the neck, the mean of the shoulders.

    Args:
        keypoints: :math:`[..., 17, C]`.
        confidence: :math:`[..., 17]`; the neck gets the lower of the two shoulders' confidences.

    Returns:
        Key points :math:`[..., 18, C]` and confidence :math:`[..., 18]`.
    """
    old = {joint: v for v, joint in enumerate(SKELETONS["coco17"].joints)}
    order: Sequence[int] = [old[j] for j in SKELETONS["coco18"].joints if j != "neck"]
    left, right = old["left_shoulder"], old["right_shoulder"]
    neck = (keypoints[..., left, :] + keypoints[..., right, :]) / 2
    neck_confidence = np.minimum(confidence[..., left], confidence[..., right])
    place = SKELETONS["coco18"].joints.index("neck")
    return (
        np.insert(keypoints[..., order, :], place, neck, axis=-2),
        np.insert(confidence[..., order], place, neck_confidence, axis=-1),
    )
