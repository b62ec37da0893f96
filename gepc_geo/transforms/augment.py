"""Augmentations of pose windows: mirrored, turned, at another pace."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.transforms.base import PoseTransform, join_channels, turned

#: The sets of augmentations: :class:`Augment`.
AUGMENTATIONS = ("none", "flip", "vary", "paper")

# Variations of "vary", each also mirrored: the first is the window as it is, the second lacks this share of it
# at both ends, and the others are turned by up to so many degrees, and begin, end and bend in time by up to it.
_VARIATIONS, _TURN, _BEND = 32, {2: 5.0, 3: 15.0}, 0.1
# Of few windows so many copies are learned from, as long as that makes no more than so many rows.
_COPIES, _LEARNED = 10, 20_000


@functional_transform("pose_augment")
class Augment(PoseTransform):
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
        return self._with(data, turned(coordinates, confidence, turns))

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
