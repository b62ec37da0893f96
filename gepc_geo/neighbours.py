"""How far a row is from the nearest of the rows that were learned, where those lie close or far apart."""

from __future__ import annotations

import torch
from torch import Tensor

# The most rows that are kept, and the most principal components of each.
_ROWS, _DIMS = 10_000, 128
# A learned row's spacing is its RMS distance to this many rows of other groups ...
_NEIGHBOURS = 10
# ... and distances to it are measured in that spacing to this power: at 0 they are plain, and rows of
# sparse normal behaviour count as abnormal; at 1 (relative, as the local outlier factor's) rows between
# dense ones do. Chosen on training halves of Penn Action and NW-UCLA; of kernel densities with widths
# that follow the data the classical power is 1/2 (Abramson 1982).
_POWER = 0.4
# Rows compared at once, each with all that are kept.
_BLOCK = 256
# What a file keeps.
_STATE = ("mean", "basis", "points", "log_scale", "least")


class NearestDistance:
    r"""Log distance to the nearest learned row, relative to how far apart rows are there.

    .. math::
        s(x) = \min_i \log \frac{\lVert x - x_i \rVert}{h_i^{0.4}}

    with :math:`h_i` the RMS distance of :math:`x_i` to the 10 nearest rows of other groups, all of it
    in the first 128 principal components. To every square a hundredth of the mean spacing, squared, is
    added, so that a learned row has a finite score too. Of many rows evenly chosen 10,000 are kept.
    """

    def __init__(self) -> None:
        self.mean = torch.zeros(0)
        self.basis = torch.zeros(0, 0)
        self.points = torch.zeros(0, 0)
        self.log_scale = torch.zeros(0)
        # Added to squared distances, a hundredth of the spacing: nearer than that is as good as equal.
        self.least = torch.zeros(())
        # Whose each learned row is; only calibration needs to know, so it is not kept in files.
        self.group = torch.zeros(0, dtype=torch.long)
        # The learned rows as columns of one matrix product, and the least that comes out of it.
        self._columns = torch.zeros(0, 0)
        self._floor = torch.zeros(())

    def measure(self, x: Tensor, seed: int) -> NearestDistance:
        """Finds the principal components of the rows of ``x``, :math:`[N, D]`."""
        self.mean = x.mean(0)
        keep = min(_DIMS, *x.shape)
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(seed)
            size = min(keep + 16, *x.shape)
            _, _, basis = torch.svd_lowrank(x - self.mean, q=size, niter=4)
        self.basis = basis[:, :keep]
        return self

    def project(self, x: Tensor) -> Tensor:
        """Rows in the principal components."""
        return (x - self.mean) @ self.basis

    def fit(self, points: Tensor, group: Tensor) -> NearestDistance:
        """Learns projected rows.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            group: :math:`[N]`; rows of one group are no neighbours of one another: windows of the
                same person overlap, and would make normal behaviour look denser than it is.
        """
        kept = _evenly(points, _ROWS)
        self.points, self.group = points[kept], group[kept]
        square = _spacing(self.points, self.group, self.points, self.group)
        # Rows of the only group there is have nobody to be compared with, but their own mean.
        around = (self.points - self.points.mean(0)).double().square().sum(1).mean()
        square = square.where(square.isfinite(), around)
        self.least = 1e-4 * square.mean().clamp(min=1e-12)
        self.log_scale = _POWER * (square + self.least).log() / 2
        return self._prepare()

    def extended(self, points: Tensor, group: Tensor) -> NearestDistance:
        """A copy that has learned more projected rows beside those it has, which stay as they are.

        A new row reaches no farther than half of the old ones do: of what is rare only its like becomes
        normal, not all that lies around it. At most twice as many rows are kept as :meth:`fit` keeps:
        of many new ones 10,000, and of the old ones as many as there is room for, evenly chosen.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            group: :math:`[N]`, as in :meth:`fit`.
        """
        chosen = _evenly(points, _ROWS)
        points, group = points[chosen], group[chosen]
        old = torch.full((len(self.points),), -1, device=group.device)
        square = _spacing(
            points, group, torch.cat([self.points, points]), torch.cat([old, group - group.min()])
        )
        scale = _POWER * (square + self.least).log() / 2
        kept = _evenly(self.points, 2 * _ROWS - len(points))
        more = NearestDistance()
        more.load_state_dict(self.state_dict())
        more.points = torch.cat([self.points[kept], points.to(self.points)])
        more.log_scale = torch.cat(
            [self.log_scale[kept], scale.to(self.log_scale).clamp(max=self.log_scale.median())]
        )
        return more._prepare()

    def __call__(self, points: Tensor, group: Tensor | None = None) -> Tensor:
        """The score of projected rows, :math:`[N]` float64; memory does not grow with their number.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            group: :math:`[N]`, of the groups that :meth:`fit` was given: learned rows of a row's own
                group do not count, as those of a person never seen before would not. Where there is no
                other group, they do. Not after a state was loaded.
        """
        scores = [points.new_zeros(0, dtype=torch.float64)]
        own = [None] * len(points) if group is None else group.split(_BLOCK)
        # One for all blocks: allocators do not always find the last one's again, and take another.
        room = None
        if not points.requires_grad:
            room = points.new_empty(min(_BLOCK, len(points)), len(self.points), dtype=torch.float64)
        scores += [
            self.compare(block, one, None if room is None else room[: len(block)])
            for block, one in zip(points.split(_BLOCK), own, strict=False)
        ]
        return torch.cat(scores)

    def compare(
        self, points: Tensor, group: Tensor | None = None, room: Tensor | None = None
    ) -> Tensor:
        """The score of projected rows, all compared with every learned row at once.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            group: As in :meth:`__call__`.
            room: :math:`[N, M]` float64 to work in, of M learned rows; not where gradients are asked for.
        """
        x = points.double()
        ratio = torch.cat([x, x.square().sum(1, keepdim=True), torch.ones_like(x[:, :1])], 1)
        ratio = torch.mm(ratio, self._columns, out=room)
        if group is not None:
            own = group[:, None] == self.group
            ratio.masked_fill_(own & ~own.all(1, keepdim=True), torch.inf)
        # The logarithm of the least, not the least of 10,000 logarithms.
        return ratio.amin(1).clamp(min=self._floor).log() / 2

    def to(self, device: torch.device) -> NearestDistance:
        """Moves everything learned to a device."""
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})
        self.group = self.group.to(device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over what :meth:`state_dict` gave."""
        for name in _STATE:
            setattr(self, name, state[name])
        self._prepare()

    def _prepare(self) -> NearestDistance:
        """Squared distances, plus the least, over h^0.8, as one product of matrices.

        (|x|^2 - 2 x.y + |y|^2 + least) w is the product of (x, |x|^2, 1) and (-2 w y, w, w (|y|^2 +
        least)): no pass over 10,000 numbers a row but the product and its minimum. In float64, as it
        is a difference of large numbers: in float32 rows close to one another would be at random ones.
        """
        if not len(self.points):
            # Measured, and not fitted yet.
            return self
        y = self.points.double()
        weight = (-2 * self.log_scale.double()).exp()[:, None]
        constant = weight * (y.square().sum(1, keepdim=True) + self.least)
        self._columns = torch.cat([-2 * weight * y, weight, constant], 1).T.contiguous()
        self._floor = self.least.double() * weight.min()
        return self


def _evenly(points: Tensor, most: int) -> Tensor:
    """Indices of at most so many rows, spread over all of them."""
    # In float64: float32 does not hold every index of many rows.
    count = min(len(points), most)
    place = torch.linspace(0, len(points) - 1, count, dtype=torch.float64, device=points.device)
    return place.round().long()


def _spacing(points: Tensor, group: Tensor, others: Tensor, of: Tensor) -> Tensor:
    """Mean squared distance of rows to their nearest of ``others`` in other groups; NaN: none are."""
    spacing, others = [], others.double()
    norms = others.square().sum(1)
    for rows, own in zip(points.split(_BLOCK), group.split(_BLOCK), strict=True):
        rows = rows.double()
        # As a difference of large numbers: in float32 rows close to one another would be at random ones.
        square = torch.addmm(norms, rows, others.T, alpha=-2) + rows.square().sum(1)[:, None]
        square.clamp_(min=0).masked_fill_(own[:, None] == of, torch.inf)
        nearest = square.topk(min(_NEIGHBOURS, len(of)), largest=False).values
        known = nearest.isfinite()
        spacing.append(nearest.where(known, 0.0).sum(1) / known.sum(1))
    return torch.cat(spacing)
