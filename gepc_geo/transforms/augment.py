"""Augmentations of pose windows: mirror images, rotations, changes of speed."""

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

#: The names of augmentation sets; see :class:`Augment`.
AUGMENTATIONS = ("none", "flip", "vary", "paper")

# Variations of "vary", each also mirrored: the first is the identity, the second omits this share
# of the window at both ends, the others have up to this angle (degrees) and this change of time.
_VARIATIONS, _TURN, _BEND = 32, {2: 5.0, 3: 15.0}, 0.1
# Copies of each window in training, and the limit on rows for more than one copy beyond the views.
_MAX_COPIES, _MAX_ROWS = 10, 20_000


@functional_transform("pose_augment")
class Augment(PoseTransform):
    r"""Applies one augmentation of a set to each window.

    Mirroring reverses x and swaps left and right joints, with their confidence and features.
    Rotations turn 2D poses in the image plane and 3D poses about the vertical axis (y), both about
    the window's centre. A change of speed interpolates all channels linearly at the times
    :math:`a + (b - a) t + c \sin \pi t`; times outside the window take the first or last frame.
    Apply it to the original coordinates, before any normalisation.

    Args:
        skeleton: The joints.
        dims: Coordinates of a joint.
        name: ``"none"``: identity; ``"flip"``: identity, mirrored; ``"vary"``: identity, the window
            without its first and last tenth, and 30 fixed small rotations with changes of speed,
            each also mirrored; ``"paper"`` (the public implementation): identity, mirrored, turned
            by 90 degrees, mirrored and turned by 90, turned by 45.

    Attributes:
        generator: Random numbers of :meth:`forward`; ``None``: torch's global generator.
        num_scored: The first ``num_scored`` choices are a window's views, which are all scored
            (:func:`~gepc_geo.density.normality.combine_views`): with ``"vary"`` the identity, and
            the mirrored window without its first and last tenth; with other sets all choices.

    Raises:
        InputError: An unknown ``name``.
    """

    def __init__(self, skeleton: Skeleton, dims: int, name: str = "none") -> None:
        super().__init__(skeleton, dims)
        if name not in AUGMENTATIONS:
            raise InputError(f"augment must be one of {', '.join(AUGMENTATIONS)}, got {name!r}")
        self.name = name
        self.generator: torch.Generator | None = None
        # Each choice: mirrored, degrees, and the change of its times (a, b - 1, c).
        identity = (0.0, 0.0, 0.0)
        paper = [(False, 0), (True, 0), (False, 90), (True, 90), (False, 45)]
        choices = [
            (*turn, identity)
            for turn in paper[: {"none": 1, "flip": 2, "vary": 2, "paper": 5}[name]]
        ]
        self.num_scored = len(choices)
        if name == "vary":
            # The views come first, then the two other choices of these variations.
            middle = (_BEND, -_BEND, 0.0)
            choices = [
                (False, 0, identity),
                (True, 0, middle),
                (True, 0, identity),
                (False, 0, middle),
            ]
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
        """Moves the tables to a device, which avoids a transfer with each batch."""
        self._turns, self._order = self._turns.to(device), self._order.to(device)
        self._times = None if self._times is None else self._times.to(device)
        return self

    @property
    def num_choices(self) -> int:
        """The number of augmentations, identity (choice 0) included."""
        return len(self._turns)

    def copies(self, count: int) -> int:
        """The number of first choices that training uses as copies of each window.

        Copies are the views and, with ``"vary"``, the mirrored window; with few windows up to 10
        choices, as long as there are no more than 20,000 copies in all.

        Args:
            count: Number of training windows.
        """
        affordable = _MAX_ROWS // max(count, 1)
        return min(max(affordable, self.num_scored + 1), _MAX_COPIES, self.num_choices)

    def forward(self, data: Data) -> Data:
        """Applies a random augmentation to each window."""
        count = data.x.size(0) // self.skeleton.num_joints
        source = data.x.device if self.generator is None else self.generator.device
        choice = torch.randint(self.num_choices, (count,), generator=self.generator, device=source)
        return self.apply(data, choice)

    def apply(self, data: Data, choice: Tensor) -> Data:
        r"""Applies given augmentations.

        Args:
            data: A window or a batch; not modified.
            choice: :math:`[B]` int64, 0 to ``num_choices - 1``.
        """
        data = copy.copy(data)
        device = data.x.device
        if self._turns.device != device:
            # Only with the first batch.
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
        r"""Maps values of augmented frames and joints back to the original window.

        Args:
            values: :math:`[B, T, V]`.
            choice: The augmentation.

        Returns:
            :math:`[B, T, V]`: each value is added to its original frame and joint; between two
            frames it is divided in proportion. The sum is unchanged.
        """
        joints = self._order[choice].to(values.device)
        result = torch.zeros_like(values).index_add_(2, joints, values)
        if self._times is None:
            return result
        # Weight of each original frame (row) at each time (column).
        frames = torch.eye(values.size(1), dtype=values.dtype, device=values.device)
        weights = _read_at(frames[None, :, :, None], self._times[[choice]].to(values.device))
        return weights[0, :, :, 0] @ result

    def _options(self) -> dict[str, object]:
        return {"dims": self.dims, "name": self.name}


def _read_at(x: Tensor, times: Tensor) -> Tensor:
    """Interpolates windows [B, V, T, C] at times given by a, b - 1 and c [B, 3] of ``Augment``."""
    frames = x.size(2)
    begin, end, bend = times.to(x.dtype).T.unsqueeze(2)
    frame = torch.arange(frames, device=x.device, dtype=x.dtype)
    t = frame / max(frames - 1, 1)
    # The change is added, so that unchanged times remain whole frames without rounding.
    change = begin + (end - begin) * t + bend * torch.sin(math.pi * t)
    at = (frame + (frames - 1) * change).clamp(0, frames - 1)
    before = at.floor()
    share = (at - before)[:, None, :, None]
    index = before.long()[:, None, :, None].expand(-1, x.size(1), -1, x.size(3))
    early, late = x.gather(2, index), x.gather(2, (index + 1).clamp(max=frames - 1))
    interpolated: Tensor = early + share * (late - early)
    return interpolated


def _matrix(dims: int, mirrored: bool, degrees: float) -> Tensor:
    """The matrix that mirrors x, then turns in the image (x, y) or about y (x, z)."""
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
