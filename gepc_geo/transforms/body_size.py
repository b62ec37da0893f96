"""The size of a body in a window, which poses are divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.transforms.base import mean_position, weighted

#: What a pose can be divided by: :class:`ScaleByBody`.
SIZES = ("torso", "height", "rms")

# The smallest size of a body: a thousandth of a pixel, or a millimetre.
_TINY = 1e-3
# A torso or height below this share of the body's RMS extent is a joint out of place, ...
_LEAST_OF_EXTENT = 0.1
# ... and a body smaller than this share of its way through the window has but one joint seen.
_LEAST_OF_WAY = 0.01


def check_size(skeleton: Skeleton, by: str) -> None:
    if by not in SIZES:
        raise InputError(f"body size is {by!r}, expected one of {', '.join(SIZES)}")
    if by == "torso" and (skeleton.shoulders is None or skeleton.hips is None):
        raise InputError(
            f"skeleton {skeleton.name!r} has no torso to scale by, expected shoulders and hips, "
            "or scale height or rms"
        )


def body_size(
    skeleton: Skeleton, coordinates: Tensor, confidence: Tensor, by: str
) -> tuple[Tensor, Tensor]:
    """The body's size in the window [B] and in each frame [B, T], both well above 0."""
    extent = _extent(coordinates, confidence, (1,))
    if by == "rms":
        size = extent
        # Of a single frame unweighted, so that a joint that vanishes does not shrink the body.
        plain = coordinates - coordinates.mean(1, keepdim=True)
        sizes = plain.square().sum(-1).mean(1).sqrt()
    elif by == "height":
        sizes = coordinates[..., 1].amax(1) - coordinates[..., 1].amin(1)
        size = sizes.mean(1)
    else:
        assert skeleton.shoulders is not None and skeleton.hips is not None
        (a, b), (c, d) = skeleton.shoulders, skeleton.hips
        # Joint by joint: a list of joints as an index would have to come from the host.
        torso = coordinates[:, a] + coordinates[:, b] - coordinates[:, c] - coordinates[:, d]
        sizes = torso.norm(dim=-1) / 2
        seen = torch.stack([confidence[:, joint] for joint in (a, b, c, d)]).amin(0) > 0
        size = weighted(sizes, seen.to(sizes.dtype), (1,))
    way = _extent(coordinates, confidence, (1, 2))
    least = torch.maximum(_LEAST_OF_EXTENT * extent, _LEAST_OF_WAY * way).clamp(min=_TINY)
    size = torch.maximum(size, least)
    return size, torch.maximum(sizes, _LEAST_OF_EXTENT * size[:, None])


def _extent(coordinates: Tensor, confidence: Tensor, center: tuple[int, ...]) -> Tensor:
    """RMS distance [B] of the joints to each frame's (1,) or the window's (1, 2) centre.

    The larger of two means. Weighted by confidence, it is too small where only a hand is seen;
    plain, where most joints were never seen and lie at the centre.
    """
    both = []
    for weight in (confidence, torch.ones_like(confidence)):
        square = (coordinates - mean_position(coordinates, weight, center)).square().sum(-1)
        both.append(weighted(square, weight, (1, 2)))
    return torch.maximum(*both).sqrt()
