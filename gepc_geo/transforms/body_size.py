"""The size of a body, by which poses are divided."""

from __future__ import annotations

import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.transforms.base import mean_position, weighted

#: The names of sizes; see :class:`ScaleByBody`. A detector uses ``"rms"``, the others are for
#: pipelines of your own.
SIZES = ("torso", "height", "rms")

# The smallest size: a thousandth of a pixel, or a millimetre.
_TINY = 1e-3
# A torso or height below this share of the RMS extent is a misplaced joint.
_LEAST_OF_EXTENT = 0.1
# A body smaller than this share of its path through the window has only one seen joint.
_LEAST_OF_PATH = 0.01


def check_size(skeleton: Skeleton, by: str) -> None:
    """Raises an InputError unless ``by`` is a size that the skeleton has."""
    if by not in SIZES:
        raise InputError(f"body size must be one of {', '.join(SIZES)}, got {by!r}")
    if by == "torso" and (skeleton.shoulders is None or skeleton.hips is None):
        raise InputError(
            f"skeleton {skeleton.name!r} must have shoulders and hips for scale torso, got none: "
            "use height or rms"
        )


def body_size(
    skeleton: Skeleton, coordinates: Tensor, confidence: Tensor, by: str
) -> tuple[Tensor, Tensor]:
    """The body's size in each window and frame.

    Args:
        skeleton: The joints.
        coordinates: :math:`[B, V, T, C]`.
        confidence: :math:`[B, V, T]`.
        by: One of :data:`SIZES`.

    Returns:
        :math:`[B]` and :math:`[B, T]`, both bounded away from 0.
    """
    extent = _extent(coordinates, confidence, (1,))
    if by == "rms":
        size = extent
        # Unweighted within a frame, so that a vanishing joint does not shrink the body.
        plain = coordinates - coordinates.mean(1, keepdim=True)
        sizes = plain.square().sum(-1).mean(1).sqrt()
    elif by == "height":
        sizes = coordinates[..., 1].amax(1) - coordinates[..., 1].amin(1)
        size = sizes.mean(1)
    else:
        assert skeleton.shoulders is not None and skeleton.hips is not None
        (a, b), (c, d) = skeleton.shoulders, skeleton.hips
        # Joint by joint: a list as an index would be copied from the host.
        torso = coordinates[:, a] + coordinates[:, b] - coordinates[:, c] - coordinates[:, d]
        sizes = torso.norm(dim=-1) / 2
        seen = torch.stack([confidence[:, joint] for joint in (a, b, c, d)]).amin(0) > 0
        size = weighted(sizes, seen.to(sizes.dtype), (1,))
    path = _extent(coordinates, confidence, (1, 2))
    least = torch.maximum(_LEAST_OF_EXTENT * extent, _LEAST_OF_PATH * path).clamp(min=_TINY)
    size = torch.maximum(size, least)
    return size, torch.maximum(sizes, _LEAST_OF_EXTENT * size[:, None])


def _extent(coordinates: Tensor, confidence: Tensor, center: tuple[int, ...]) -> Tensor:
    """RMS distance [B] of the joints to each frame's (1,) or the window's (1, 2) centre.

    The maximum of two means: the weighted one is too small where only a hand is seen, the plain
    one where most joints are never seen and lie at the centre.
    """
    extents = []
    for weight in (confidence, torch.ones_like(confidence)):
        square = (coordinates - mean_position(coordinates, weight, center)).square().sum(-1)
        extents.append(weighted(square, weight, (1, 2)))
    return torch.maximum(*extents).sqrt()
