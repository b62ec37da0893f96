"""Joints and bones of a pose, and the graph that they form.

:meth:`Skeleton.partition` assigns edges to the three subsets of a spatial graph convolution (root,
centripetal, centrifugal; spatial configuration partitioning, Yan et al. 2018, section 3.3), as
``edge_index``, ``edge_type`` and ``edge_weight``, which any PyG layer takes.
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
        center: The joint from which the partition counts distances.
        pairs: Left/right pairs of joint numbers, swapped when a pose is mirrored.
        shoulders: Two joints: their mid point is the upper end of the torso, their line the
            heading of a 3D pose; ``None`` if the skeleton has no torso.
        hips: Two joints: their mid point is the lower end of the torso; ``None`` as above.

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
        # JSON gives lists; tuples make skeletons hashable and comparable.
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
            raise InputError(f"skeleton {self.name!r} must have at least one joint, got none")
        used = [*self.bones, *self.pairs, (self.center,), self.shoulders or (), self.hips or ()]
        for joint in (joint for group in used for joint in group):
            if not 0 <= joint < self.num_joints:
                raise InputError(
                    f"joint of skeleton {self.name!r} must be a number from 0 to "
                    f"{self.num_joints - 1}, got {joint}"
                )
        repeated = [name for name, count in Counter(self.joints).items() if count > 1]
        if repeated:
            raise InputError(
                f"joints of skeleton {self.name!r} must have different names, got {repeated[0]!r} "
                "more than once"
            )
        # Swaps of overlapping pairs would not give a mirror image.
        shared = [
            v for v, count in Counter(v for pair in self.pairs for v in pair).items() if count > 1
        ]
        if shared:
            raise InputError(
                f"left/right pairs of skeleton {self.name!r} must not share joints, got "
                f"{self.joints[shared[0]]!r} more than once"
            )
        isolated = [self.joints[v] for v, hops in enumerate(self.hops()) if hops < 0]
        if isolated:
            raise InputError(
                f"joints of skeleton {self.name!r} must all be connected to the centre, got "
                f"no path from {', '.join(isolated):.120}"
            )

    @property
    def num_joints(self) -> int:
        """The number of joints, :math:`V`."""
        return len(self.joints)

    def hops(self) -> list[int]:
        """The number of bones between each joint and the centre; -1 without a path."""
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
        r"""The edges of the skeleton, assigned to subsets.

        Edges run from source to target (PyG's ``source_to_target``). The subset compares the
        distances of source and target from the centre: *root* (0) is a self loop or an equal
        distance, *centripetal* (1) a nearer source, *centrifugal* (2) a farther source. The weight
        is one over the target's number of incoming edges, self loop included, so that columns of
        the summed adjacency add up to one.

        Returns:
            ``edge_index`` :math:`[2, E]` (int64), ``edge_type`` :math:`[E]` (int64),
            ``edge_weight`` :math:`[E]` (float32), sorted by target, then source.
        """
        hops = self.hops()
        neighbours = {pair for a, b in self.bones if a != b for pair in ((a, b), (b, a))}
        loops = {(v, v) for v in range(self.num_joints)}
        edges = sorted(neighbours | loops, key=lambda edge: (edge[1], edge[0]))
        degree = [0] * self.num_joints
        for _, target in edges:
            degree[target] += 1
        subsets = [
            0 if hops[source] == hops[target] else 1 if hops[source] < hops[target] else 2
            for source, target in edges
        ]
        return (
            torch.tensor(edges, dtype=torch.long).t().contiguous(),
            torch.tensor(subsets, dtype=torch.long),
            torch.tensor([1.0 / degree[target] for _, target in edges]),
        )

    def adjacency(self) -> Tensor:
        r"""The dense form of :meth:`partition`.

        Returns:
            :math:`[S, V, V]`, indexed by subset, source and target.
        """
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
        """The skeleton as plain lists and strings, the form of :meth:`from_dict` and JSON."""
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
        """Builds a skeleton from the form of :meth:`to_dict`.

        Args:
            data: The entries.
            origin: Name of the data in errors.

        Raises:
            InputError: A missing or unknown entry, or one of the wrong type.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"{origin} must be a mapping of entries, got {type(data).__name__}")
        known = set(cls.__dataclass_fields__)
        missing = {"name", "joints", "bones", "center"} - set(data)
        if missing or set(data) - known:
            wrong = sorted(missing) or sorted(map(str, set(data) - known))
            raise InputError(
                f"{origin} must have entry {wrong[0]!r}, got {', '.join(map(str, data)):.120}"
                if missing
                else f"entries of {origin} must be among {', '.join(sorted(known))}, "
                f"got {wrong[0]!r}"
            )
        try:
            return cls(**{**data, "name": str(data["name"]), "center": int(data["center"])})
        except InputError:
            raise
        except (TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"entries of {origin} must have the form of Skeleton.to_dict(), got an error: "
                f"{error}"
            ) from None

    @classmethod
    def from_json(cls, path: str | Path) -> Skeleton:
        """Reads a skeleton from a JSON file in the form of :meth:`to_dict`.

        Raises:
            InputError: A file that cannot be read, or another form.
        """
        try:
            # From bytes, json detects UTF-8, UTF-16 and UTF-32, and a byte order mark.
            data = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise InputError(f"could not read {path} as a skeleton: {error}") from None
        except ValueError as error:
            raise InputError(f"{path} must be a skeleton in JSON, got an error: {error}") from None
        return cls.from_dict(data, origin=str(path))

    @classmethod
    def get(cls, skeleton: str | Path | Mapping[str, Any] | Skeleton) -> Skeleton:
        """The skeleton of a built-in name, a JSON file or a dict; a skeleton is returned unchanged.

        Raises:
            InputError: Neither a built-in name nor an existing file, or a file of another form.
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
            raise InputError(f"{skeleton} does not exist")
        raise InputError(
            f"skeleton must be one of {', '.join(SKELETONS)} or a JSON file, got {str(skeleton)!r}"
        )


#: The built-in skeletons by name.
SKELETONS: dict[str, Skeleton] = {layout["name"]: Skeleton.from_dict(layout) for layout in LAYOUTS}


def coco17_to_coco18(
    keypoints: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Reorders 17 COCO key points to 18, with the mean of the shoulders as the neck.

    Args:
        keypoints: :math:`[..., 17, C]`.
        confidence: :math:`[..., 17]`; the neck gets the lower of the shoulders' confidences.

    Returns:
        Key points :math:`[..., 18, C]` and confidence :math:`[..., 18]`.
    """
    number = {joint: v for v, joint in enumerate(SKELETONS["coco17"].joints)}
    order: Sequence[int] = [number[j] for j in SKELETONS["coco18"].joints if j != "neck"]
    left, right = number["left_shoulder"], number["right_shoulder"]
    neck = (keypoints[..., left, :] + keypoints[..., right, :]) / 2
    neck_confidence = np.minimum(confidence[..., left], confidence[..., right])
    place = SKELETONS["coco18"].joints.index("neck")
    return (
        np.insert(keypoints[..., order, :], place, neck, axis=-2),
        np.insert(confidence[..., order], place, neck_confidence, axis=-1),
    )
