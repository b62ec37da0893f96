r"""Geometric transforms of pose windows.

Each is a PyG :class:`~torch_geometric.transforms.BaseTransform` and works alike on one window
(``x`` :math:`[V, T, C]`) and on a whole batch (``x`` :math:`[B V, T, C]`), on the tensors' device.
Channels are laid out as coordinates (``dims``), confidence (1), features, and then what
:class:`AddMotion` appends; only the coordinates are ever transformed.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform, Compose

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton

#: What a pose can be divided by: :class:`ScaleByBody`.
SIZES = ("torso", "height", "rms")
#: The sets of augmentations: :class:`Augment`.
AUGMENTATIONS = ("none", "flip", "vary", "paper")

# The smallest size of a body: a thousandth of a pixel, or a millimetre.
_TINY = 1e-3
# A torso or height below this share of the body's RMS extent is a joint out of place, ...
_LEAST_OF_EXTENT = 0.1
# ... and a body smaller than this share of its way through the window has but one joint seen.
_LEAST_OF_WAY = 0.01
# Variations of "vary", each also mirrored: the first is the window as it is, the second lacks this share of it
# at both ends, and the others are turned by up to so many degrees, and begin, end and bend in time by up to it.
_VARIATIONS, _TURN, _BEND = 32, {2: 5.0, 3: 15.0}, 0.1
# Of few windows so many copies are learned from, as long as that makes no more than so many rows.
_COPIES, _LEARNED = 10, 20_000
# Added to speeds (body sizes a frame) before the logarithm: about the noise of standing still.
_SPEED_FLOOR = 0.01


class _PoseTransform(BaseTransform):
    """A transform that knows the skeleton and the number of coordinates."""

    def __init__(self, skeleton: Skeleton, dims: int) -> None:
        if dims not in (2, 3):
            raise InputError(f"dims is {dims}, expected 2 or 3 coordinates")
        self.skeleton, self.dims = skeleton, dims

    def _split(self, data: Data) -> tuple[Tensor, Tensor]:
        """Coordinates [B, V, T, dims] and confidence [B, V, T] of a window (B = 1) or a batch."""
        x = data.x.unflatten(0, (-1, self.skeleton.num_joints))
        return x[..., : self.dims], x[..., self.dims]

    def _with(self, data: Data, coordinates: Tensor) -> Data:
        """The data with new coordinates, in a new ``x``."""
        data.x = join_channels(coordinates.flatten(0, 1), data.x[..., self.dims :])
        return data

    def __repr__(self) -> str:
        options = {"skeleton": self.skeleton.name, **self._options()}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in options.items())})"

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims}


@functional_transform("pose_scale_by_image")
class ScaleByImage(_PoseTransform):
    r"""Pixels to :math:`[-1, 1]` of the image: :math:`2 x / \text{size} - 1`, per axis.

    The protocol of the public implementation. Needs ``image_size`` :math:`[B, 2]`.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint; must be 2.

    Raises:
        InputError: 3D poses, which are in metres.
    """

    def __init__(self, skeleton: Skeleton, dims: int) -> None:
        super().__init__(skeleton, dims)
        if dims != 2:
            raise InputError(
                f"scale is 'image' for poses with {dims} coordinates, expected 2 (3D poses have "
                f"no image size) or one of {', '.join(SIZES)}"
            )

    def forward(self, data: Data) -> Data:
        coordinates, _ = self._split(data)
        return self._with(data, 2 * coordinates / data.image_size[:, None, None, :] - 1)


@functional_transform("pose_center")
class Center(_PoseTransform):
    r"""Subtracts the confidence-weighted mean position of the joints.

    Where no joint has confidence it is the plain mean.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: ``"window"`` (movement through the window stays) or ``"frame"``.

    Raises:
        InputError: Another ``by``.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "window") -> None:
        super().__init__(skeleton, dims)
        if by not in ("window", "frame"):
            raise InputError(f"center is {by!r}, expected window or frame")
        self.by = by

    def forward(self, data: Data) -> Data:
        coordinates, confidence = self._split(data)
        over = (1, 2) if self.by == "window" else (1,)
        return self._with(data, coordinates - _mean(coordinates, confidence, over))

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


@functional_transform("pose_scale_by_body")
class ScaleByBody(_PoseTransform):
    r"""Divides a window by one size of the body.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: ``"torso"``: mean distance of mid shoulders to mid hips, over the frames in which all
            four are seen (all frames if there are none); ``"height"``: mean height (extent in y) of
            the joints' bounding box; ``"rms"``: root mean square distance of the joints to the
            frame's centre; the larger of the confidence-weighted and the plain mean.

    Sizes are kept away from 0: a torso or height is at least a tenth of the RMS size, and any size
    at least a hundredth of the window's RMS extent and a thousandth of a unit.

    Raises:
        InputError: Another ``by``, or a torso that the skeleton does not have.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "torso") -> None:
        super().__init__(skeleton, dims)
        _check_size(skeleton, by)
        self.by = by

    def forward(self, data: Data) -> Data:
        coordinates, confidence = self._split(data)
        size, _ = _body_size(self.skeleton, coordinates, confidence, self.by)
        return self._with(data, coordinates / size[:, None, None, None])

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


@functional_transform("pose_align_root")
class AlignRoot(_PoseTransform):
    r"""Turns a 3D window about the vertical axis (y) so that the mean shoulder line lies along x.

    The first of the skeleton's two shoulders ends up at the smaller x. The window turns about its
    centre; one whose shoulder line is vertical, or has no length, stays as it is, and so does a
    2D window.

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
                f"skeleton {skeleton.name!r} has no shoulders to align 3D poses by, "
                "expected shoulders, or align off"
            )

    def forward(self, data: Data) -> Data:
        if self.dims == 2 or self.skeleton.shoulders is None:
            return data
        coordinates, confidence = self._split(data)
        first, second = self.skeleton.shoulders
        line = coordinates[:, second] - coordinates[:, first]
        seen = torch.minimum(confidence[:, first], confidence[:, second])
        # [B, 1, 1]: the horizontal shoulder line, as a frame's only "joint".
        x, _, z = _mean(line[:, None], seen[:, None], (1, 2)).squeeze((1, 2)).unbind(-1)
        length = torch.hypot(x, z)
        extent, _ = _body_size(self.skeleton, coordinates, confidence, "rms")
        sound = length > 1e-3 * extent
        safe = torch.where(sound, length, 1.0)
        cos = torch.where(sound, x / safe, 1.0)
        sin = torch.where(sound, z / safe, 0.0)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotation = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], dim=-1)
        rotation = rotation.unflatten(-1, (3, 3))
        return self._with(data, _turn(coordinates, confidence, rotation))


@functional_transform("pose_add_motion")
class AddMotion(_PoseTransform):
    r"""Appends the body's movement through the scene, which centring throws away, as channels.

    The same for all joints, for each frame: the velocity of the body's centre in body sizes a frame
    (``dims`` channels; central differences, one-sided at the ends), the logarithm of the speed plus
    0.01, and the logarithm of the frame's body size less its mean over the window (walking towards
    the camera). None of them depends on where the person is or how large. Apply it to the original
    coordinates, before :class:`Center` and :class:`ScaleByBody`.

    The centre here is the plain mean of all joints, interpolated ones included: weighted by
    confidence it would jump whenever a joint appears or vanishes.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        by: The size of the body, as in :class:`ScaleByBody`.

    Raises:
        InputError: Another ``by``, or a torso that the skeleton does not have.
    """

    def __init__(self, skeleton: Skeleton, dims: int, by: str = "rms") -> None:
        super().__init__(skeleton, dims)
        _check_size(skeleton, by)
        self.by = by

    def forward(self, data: Data) -> Data:
        coordinates, confidence = self._split(data)
        size, sizes = _body_size(self.skeleton, coordinates, confidence, self.by)
        center = coordinates.mean(dim=1)
        velocity = _differences(center) / size[:, None, None]
        speed = (velocity.norm(dim=-1, keepdim=True) + _SPEED_FLOOR).log()
        growth = sizes.log()
        growth = (growth - growth.mean(dim=1, keepdim=True))[..., None]
        motion = torch.cat([velocity, speed, growth], dim=-1)
        joints = self.skeleton.num_joints
        motion = motion[:, None].expand(-1, joints, -1, -1).flatten(0, 1)
        data.x = join_channels(data.x, motion)
        return data

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "by": self.by}


@functional_transform("pose_augment")
class Augment(_PoseTransform):
    r"""Applies one of a set of augmentations to each window.

    Mirroring reverses x and swaps left and right joints, with their confidence and features.
    Rotations turn 2D poses in the image plane and 3D poses about the vertical axis (y), both about
    the window's centre. A change of speed reads all channels at the times
    :math:`a + (b - a) t + c \sin \pi t`, between frames linearly, before the first and after the last
    frame that frame. Apply it to the original coordinates, before any normalisation.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        name: ``"none"``: identity; ``"flip"``: identity, mirrored; ``"vary"``: identity,
            the window without its first and last tenth, and 30 small turns and changes of speed, the
            same ones always, each also mirrored; ``"paper"``: identity,
            mirrored, turned by 90 degrees, mirrored and turned by 90, turned by 45 (the public
            implementation's set).

    Attributes:
        generator: Random numbers of :meth:`forward`; ``None``: torch's global generator.
        num_scored: The first choices are a window's views, all of which are scored
            (:func:`~gepc_geo.density.normality.of_views`): of ``"vary"`` the window as it is and,
            mirrored, without its first and last tenth; else all.

    Raises:
        InputError: Another ``name``.
    """

    def __init__(self, skeleton: Skeleton, dims: int, name: str = "none") -> None:
        super().__init__(skeleton, dims)
        if name not in AUGMENTATIONS:
            raise InputError(f"augment is {name!r}, expected one of {', '.join(AUGMENTATIONS)}")
        self.name = name
        self.generator: torch.Generator | None = None
        # Of each choice: mirrored?, degrees, and by how much its times differ: a, b - 1, c.
        still = (0.0, 0.0, 0.0)
        paper = [(False, 0), (True, 0), (False, 90), (True, 90), (False, 45)]
        choices = [
            (*one, still) for one in paper[: {"none": 1, "flip": 2, "vary": 2, "paper": 5}[name]]
        ]
        self.num_scored = len(choices)
        if name == "vary":
            # The scored ones first, then the others of these two variations.
            middle = (_BEND, -_BEND, 0.0)
            choices = [(False, 0, still), (True, 0, middle), (True, 0, still), (False, 0, middle)]
            generator = torch.Generator().manual_seed(0)
            drawn = 2 * torch.rand(_VARIATIONS - 2, 4, generator=generator, dtype=torch.float64) - 1
            for turn, begin, end, bend in (
                drawn * torch.tensor([_TURN[dims], *[_BEND] * 3])
            ).tolist():
                choices += [(mirrored, turn, (begin, end, bend)) for mirrored in (False, True)]
        self._turns = torch.stack([_matrix(dims, m, degrees) for m, degrees, _ in choices])
        self._times = torch.tensor([times for _, _, times in choices]) if name == "vary" else None
        order = {False: list(range(skeleton.num_joints)), True: skeleton.mirror()}
        self._order = torch.tensor([order[mirrored] for mirrored, _, _ in choices])

    def to(self, device: torch.device) -> Augment:
        """Moves the tables to a device, so that no batch there has to wait for them."""
        self._turns, self._order = self._turns.to(device), self._order.to(device)
        self._times = None if self._times is None else self._times.to(device)
        return self

    @property
    def num_choices(self) -> int:
        """How many augmentations there are, the identity (choice 0) included."""
        return len(self._turns)

    def copies(self, count: int) -> int:
        """How many of the first choices are learned from beside one another, of ``count`` windows.

        Those that are scored, of ``"vary"`` the mirrored window, and of few windows up to 10, as long as
        that makes no more than 20,000 copies in all.
        """
        room = _LEARNED // max(count, 1)
        return min(max(room, self.num_scored + 1), _COPIES, self.num_choices)

    def forward(self, data: Data) -> Data:
        """Applies an augmentation drawn at random for each window."""
        count = data.x.size(0) // self.skeleton.num_joints
        source = data.x.device if self.generator is None else self.generator.device
        choice = torch.randint(self.num_choices, (count,), generator=self.generator, device=source)
        return self.apply(data, choice)

    def apply(self, data: Data, choice: Tensor) -> Data:
        r"""Applies given augmentations.

        Args:
            data: A window or a batch; stays as it is.
            choice: :math:`[B]` int64, 0 to ``num_choices - 1``.
        """
        data = copy.copy(data)
        device = data.x.device
        if self._turns.device != device:
            # Once; after that a batch needs nothing from the host.
            self.to(device)
        choice = choice.to(device)
        x = data.x.unflatten(0, (-1, self.skeleton.num_joints))
        graph = torch.arange(x.size(0), device=device)[:, None]
        x = x[graph, self._order[choice]]
        if self._times is not None:
            x = _read_at(x, self._times[choice])
        data.x = join_channels(x.flatten(0, 1))
        coordinates, confidence = self._split(data)
        turns = self._turns[choice].to(coordinates.dtype)
        return self._with(data, _turn(coordinates, confidence, turns))

    def to_source(self, values: Tensor, choice: int) -> Tensor:
        r"""Values of an augmented window's frames and joints, given back to where these come from.

        Args:
            values: :math:`[B, T, V]`.
            choice: The augmentation.

        Returns:
            :math:`[B, T, V]`: at each frame and joint of the windows themselves what was read from there,
            of a time between two frames to both in proportion; the sum stays.
        """
        joints = self._order[choice].to(values.device)
        result = torch.zeros_like(values).index_add_(2, joints, values)
        if self._times is None:
            return result
        # How much of each frame (row) is read at each time (column).
        frames = torch.eye(values.size(1), dtype=values.dtype, device=values.device)
        weights = _read_at(frames[None, :, :, None], self._times[[choice]].to(values.device))
        return weights[0, :, :, 0] @ result

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "name": self.name}


def normalize(
    skeleton: Skeleton,
    dims: int,
    scale: str = "torso",
    center: str = "window",
    align: bool = True,
    motion: bool = True,
) -> Compose:
    """The normalisation of windows, its steps in the order in which they make sense.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        scale: ``"torso"``, ``"height"``, ``"rms"`` (:class:`ScaleByBody`) or ``"image"``
            (:class:`ScaleByImage`).
        center: ``"window"`` or ``"frame"`` (:class:`Center`).
        align: Turn 3D poses (:class:`AlignRoot`); 2D poses stay as they are.
        motion: Append motion channels (:class:`AddMotion`), in units of ``scale``; with ``"image"``
            in RMS sizes.

    Raises:
        InputError: An unknown option, or one that skeleton or ``dims`` do not allow.
    """
    if scale not in (*SIZES, "image"):
        raise InputError(f"scale is {scale!r}, expected one of {', '.join((*SIZES, 'image'))}")
    steps: list[BaseTransform] = []
    if align:
        # First, so that velocities too are seen from the body, not from the room.
        steps.append(AlignRoot(skeleton, dims))
    if motion:
        steps.append(AddMotion(skeleton, dims, by="rms" if scale == "image" else scale))
    if scale == "image":
        steps += [ScaleByImage(skeleton, dims), Center(skeleton, dims, by=center)]
    else:
        # The size does not depend on the place, but small numbers keep more digits.
        steps += [Center(skeleton, dims, by=center), ScaleByBody(skeleton, dims, by=scale)]
    return Compose(steps)


def join_channels(*parts: Tensor) -> Tensor:
    """Channels [..., C] side by side, each by itself in memory: what runs over frames runs several times as fast."""
    return torch.cat([part.movedim(-1, 0) for part in parts]).movedim(0, -1)


def _check_size(skeleton: Skeleton, by: str) -> None:
    if by not in SIZES:
        raise InputError(f"body size is {by!r}, expected one of {', '.join(SIZES)}")
    if by == "torso" and (skeleton.shoulders is None or skeleton.hips is None):
        raise InputError(
            f"skeleton {skeleton.name!r} has no torso to scale by, expected shoulders and hips, "
            "or scale height or rms"
        )


def _mean(coordinates: Tensor, weight: Tensor, over: tuple[int, ...]) -> Tensor:
    """Weighted mean over joints and frames, dimensions kept; plain where all weights are 0."""
    weight = weight[..., None]
    weight = torch.where(weight.sum(over, keepdim=True) > 0, weight, 1.0)
    return (weight * coordinates).sum(over, keepdim=True) / weight.sum(over, keepdim=True)


def _differences(x: Tensor) -> Tensor:
    """Differences of [B, T, C] from frame to frame: central ones, one-sided at the ends, of one frame 0.

    ``torch.gradient`` gives the same, and cannot be exported for batches of any size.
    """
    if x.size(1) < 2:
        return torch.zeros_like(x)
    inner = (x[:, 2:] - x[:, :-2]) / 2
    return torch.cat([x[:, 1:2] - x[:, :1], inner, x[:, -1:] - x[:, -2:-1]], dim=1)


def _turn(coordinates: Tensor, confidence: Tensor, matrix: Tensor) -> Tensor:
    """Applies a matrix [B, dims, dims] about each window's centre."""
    away = coordinates - _mean(coordinates, confidence, (1, 2))
    # What changes is added, so that the identity changes nothing at all. No matrix product: it
    # might run in reduced precision, and pixels need all digits.
    change = matrix - torch.eye(matrix.size(-1), dtype=matrix.dtype, device=matrix.device)
    change = change[:, None, None]
    parts = [(change[..., row, :] * away).unbind(-1) for row in range(matrix.size(-1))]
    return coordinates + torch.stack([torch.stack(part).sum(0) for part in parts]).movedim(0, -1)


def _read_at(x: Tensor, times: Tensor) -> Tensor:
    """Windows [B, V, T, C] at other times: a, b - 1 and c [B, 3] of ``Augment``."""
    frames = x.size(2)
    begin, end, bend = times.to(x.dtype).T.unsqueeze(2)
    frame = torch.arange(frames, device=x.device, dtype=x.dtype)
    t = frame / max(frames - 1, 1)
    # What changes is added: times as they are are whole frames, without any rounding.
    change = begin + (end - begin) * t + bend * torch.sin(math.pi * t)
    at = (frame + (frames - 1) * change).clamp(0, frames - 1)
    before = at.floor()
    share = (at - before)[:, None, :, None]
    index = before.long()[:, None, :, None].expand(-1, x.size(1), -1, x.size(3))
    early, late = x.gather(2, index), x.gather(2, (index + 1).clamp(max=frames - 1))
    return early + share * (late - early)


def _matrix(dims: int, mirrored: bool, degrees: float) -> Tensor:
    """Mirrors x, then turns: in the image (x, y), or about the vertical axis (x, z)."""
    # Exact for right angles, where cos(pi / 2) would not be.
    exact: dict[float, tuple[float, float]] = {
        0: (1.0, 0.0),
        45: (math.sqrt(0.5),) * 2,
        90: (0.0, 1.0),
    }
    angle = math.radians(degrees)
    cos, sin = exact.get(degrees, (math.cos(angle), math.sin(angle)))
    matrix = torch.eye(dims, dtype=torch.float64)
    last = dims - 1
    matrix[0, 0], matrix[0, last], matrix[last, 0], matrix[last, last] = cos, -sin, sin, cos
    if mirrored:
        matrix[:, 0] *= -1
    return matrix


def _body_size(
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
        size = _weighted(sizes, seen.to(sizes.dtype), (1,))
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
        square = (coordinates - _mean(coordinates, weight, center)).square().sum(-1)
        both.append(_weighted(square, weight, (1, 2)))
    return torch.maximum(*both).sqrt()


def _weighted(value: Tensor, weight: Tensor, over: tuple[int, ...]) -> Tensor:
    """Weighted mean; plain where all weights are 0."""
    return _mean(value[..., None], weight, over).squeeze((*over, -1))
