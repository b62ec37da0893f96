"""Normalisation of pose windows: place, size and heading."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform, Compose

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.transforms.base import PoseTransform, mean_position, turned
from gepc_geo.transforms.body_size import SIZES, body_size, check_size
from gepc_geo.transforms.motion import AddMotion


@functional_transform("pose_scale_by_image")
class ScaleByImage(PoseTransform):
    r"""Maps pixels to :math:`[-1, 1]` of the image: :math:`2 x / \text{size} - 1`, per axis.

    This is the public implementation's normalisation. ``data`` needs ``image_size``
    :math:`[B, 2]`.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint; must be 2.

    Raises:
        InputError: 3D poses, whose unit is metres.
    """

    def __init__(self, skeleton: Skeleton, dims: int) -> None:
        super().__init__(skeleton, dims)
        if dims != 2:
            raise InputError(
                "scale must be rms for 3D poses, which have no image size, got 'image'"
            )

    def forward(self, data: Data) -> Data:
        """Scales the coordinates."""
        coordinates, _ = self._split(data)
        return self._with(data, 2 * coordinates / data.image_size[:, None, None, :] - 1)


@functional_transform("pose_center")
class Center(PoseTransform):
    r"""Subtracts the confidence-weighted mean position of the joints.

    Without confidence in any joint it is the plain mean.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: Range of the mean: ``"window"`` (keeps movement within the window) or ``"frame"``.

    Raises:
        InputError: Another ``by``.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "window") -> None:
        super().__init__(skeleton, dims)
        if by not in ("window", "frame"):
            raise InputError(f"center must be window or frame, got {by!r}")
        self.by = by

    def forward(self, data: Data) -> Data:
        """Centres the coordinates."""
        coordinates, confidence = self._split(data)
        over = (1, 2) if self.by == "window" else (1,)
        return self._with(data, coordinates - mean_position(coordinates, confidence, over))

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


@functional_transform("pose_scale_by_body")
class ScaleByBody(PoseTransform):
    r"""Divides a window by one size of the body.

    A detector divides by ``"rms"``. ``"torso"`` and ``"height"`` are for pipelines of your own.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: ``"torso"``: mean distance of mid shoulders to mid hips, over the frames with all four
            joints (all frames if there are none); ``"height"``: mean height (extent in y) of the
            joints' bounding box; ``"rms"``: root mean square distance of the joints from the
            frame's centre, the larger of the confidence-weighted and the plain mean.

    A torso or height is at least a tenth of the RMS size; any size is at least a hundredth of the
    window's RMS extent and a thousandth of a unit.

    Raises:
        InputError: Another ``by``, or a torso that the skeleton does not have.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "rms") -> None:
        super().__init__(skeleton, dims)
        check_size(skeleton, by)
        self.by = by

    def forward(self, data: Data) -> Data:
        """Scales the coordinates."""
        coordinates, confidence = self._split(data)
        size, _ = body_size(self.skeleton, coordinates, confidence, self.by)
        return self._with(data, coordinates / size[:, None, None, None])

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


@functional_transform("pose_align_root")
class AlignRoot(PoseTransform):
    r"""Turns a 3D window about the vertical axis (y) until the mean shoulder line is along x.

    The first of the skeleton's shoulders gets the smaller x. The window turns about its centre. A
    shoulder line that is vertical or has no length leaves the window unchanged; 2D windows are
    always unchanged.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.

    Raises:
        InputError: 3D poses of a skeleton without shoulders.
    """

    def __init__(self, skeleton: Skeleton, dims: int) -> None:
        super().__init__(skeleton, dims)
        if dims == 3 and skeleton.shoulders is None:
            raise InputError(
                f"skeleton {skeleton.name!r} must have shoulders to align 3D poses, got none: "
                "turn align off"
            )

    def forward(self, data: Data) -> Data:
        """Turns the coordinates."""
        if self.dims == 2 or self.skeleton.shoulders is None:
            return data
        coordinates, confidence = self._split(data)
        first, second = self.skeleton.shoulders
        line = coordinates[:, second] - coordinates[:, first]
        seen = torch.minimum(confidence[:, first], confidence[:, second])
        # The horizontal shoulder line, as the only joint of a frame: [B, 1, 1].
        x, _, z = mean_position(line[:, None], seen[:, None], (1, 2)).squeeze((1, 2)).unbind(-1)
        length = torch.hypot(x, z)
        extent, _ = body_size(self.skeleton, coordinates, confidence, "rms")
        sound = length > 1e-3 * extent
        safe = torch.where(sound, length, 1.0)
        cos = torch.where(sound, x / safe, 1.0)
        sin = torch.where(sound, z / safe, 0.0)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotation = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], dim=-1)
        rotation = torch.unflatten(rotation, -1, (3, 3))
        return self._with(data, turned(coordinates, confidence, rotation))


def normalize(
    skeleton: Skeleton,
    dims: int,
    scale: str = "rms",
    center: str = "window",
    align: bool = True,
    motion: bool = True,
) -> Compose:
    """The normalisation of windows.

    A detector has ``scale`` ``"rms"`` or ``"image"``. ``"torso"`` and ``"height"`` are for
    pipelines of your own.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        scale: ``"torso"``, ``"height"``, ``"rms"`` (:class:`ScaleByBody`) or ``"image"``
            (:class:`ScaleByImage`).
        center: ``"window"`` or ``"frame"`` (:class:`Center`).
        align: Whether to turn 3D poses (:class:`AlignRoot`).
        motion: Whether to append motion channels (:class:`AddMotion`), in units of ``scale``, or of
            RMS sizes with ``"image"``.

    Returns:
        The steps in order: alignment, motion, scaling and centring.

    Raises:
        InputError: An unknown option, or one that the skeleton or ``dims`` does not allow.
    """
    if scale not in (*SIZES, "image"):
        raise InputError(f"scale must be one of {', '.join((*SIZES, 'image'))}, got {scale!r}")
    steps: list[BaseTransform] = []
    if align:
        # Alignment comes first, so that velocities too are relative to the heading.
        steps.append(AlignRoot(skeleton, dims))
    if motion:
        steps.append(AddMotion(skeleton, dims, by="rms" if scale == "image" else scale))
    if scale == "image":
        steps += [ScaleByImage(skeleton, dims), Center(skeleton, dims, by=center)]
    else:
        # Centring first keeps more digits; the size does not depend on the position.
        steps += [Center(skeleton, dims, by=center), ScaleByBody(skeleton, dims, by=scale)]
    return Compose(steps)
