"""How far a row is from the nearest people that were learned, where those lie close or far apart."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

# The most rows that are kept, and the most principal components of each.
_ROWS, _DIMS = 10_000, 64
# A learned row's spacing is its RMS distance to the nearest row of each of this many other people ...
_PEOPLE = 30
# ... and distances to it are measured in that spacing to this power: at 0 they are plain, and rows of
# sparse normal behaviour count as abnormal; at 1 (relative, as the local outlier factor's) rows between
# dense ones do. Of kernel densities with widths that follow the data the classical power is 1/2 (Abramson
# 1982). Chosen, as the numbers above and below, on training halves alone (docs/results.md).
_POWER = 0.4
# So many people, each by the nearest row, make the score; of few people one for every ten.
_NEAREST, _TENTH = 3, 10
# Rows compared at once, each with all that are kept.
_BLOCK = 256
# What a file keeps.
_STATE = ("mean", "basis", "points", "person", "log_scale", "least")


class NearestDistance:
    r"""Mean log distance to the nearest learned people, relative to how far apart people are there.

    .. math::
        s(x) = \frac{1}{k} \sum_{j = 1}^{k} \log d_{(j)}(x), \qquad
        d_p(x) = \min_{i \in p} \frac{\lVert x - x_i \rVert}{h_i^{0.4}}

    with :math:`d_{(1)} \le d_{(2)} \le \dots` the distances to people, each by the nearest row, :math:`k`
    3 (of fewer than 30 people one for every ten, at least 1): an abnormal person among those that were
    learned makes no other one normal. :math:`h_i` is the RMS distance of :math:`x_i` to the nearest
    rows of the 30 nearest other people. All of it is in the first 64 principal components. To every square a
    hundredth of the mean spacing, squared, is added, so that a learned row has a finite score too. Of
    many rows evenly chosen 10,000 are kept.
    """

    def __init__(self) -> None:
        self.mean = torch.zeros(0)
        self.basis = torch.zeros(0, 0)
        self.points = torch.zeros(0, 0)
        # Whose each learned row is, numbered from 0 without gaps.
        self.person = torch.zeros(0, dtype=torch.long)
        self.log_scale = torch.zeros(0)
        # Added to squared distances, a hundredth of the spacing: nearer than that is as good as equal.
        self.least = torch.zeros(())
        # Their numbers in fit, by number here, and how many people there are.
        self._known = torch.zeros(0, dtype=torch.long)
        self._people = 0
        # The learned rows as rows of one matrix product, and the least that comes out of it.
        self._rows = torch.zeros(0, 0)
        self._floor = torch.zeros(())

    def measure(self, x: Tensor, random_state: int) -> NearestDistance:
        """Finds the principal components of the rows of ``x``, :math:`[N, D]`."""
        x = padded(x)
        self.mean = x.mean(0)
        keep = min(_DIMS, *x.shape)
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(random_state)
            size = min(keep + 16, *x.shape)
            _, _, basis = torch.svd_lowrank(x - self.mean, q=size, niter=4)
        self.basis = basis[:, :keep]
        return self

    def project(self, x: Tensor) -> Tensor:
        """Rows in the principal components."""
        return (padded(x) - self.mean) @ self.basis

    def fit(self, points: Tensor, person: Tensor) -> NearestDistance:
        """Learns projected rows.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            person: :math:`[N]`, whose each is: windows of the same person overlap, and would make normal
                behaviour look denser than it is.
        """
        kept = evenly(points, _ROWS)
        self.points = points[kept]
        self._known, self.person = person[kept].unique(return_inverse=True)
        square = _spacing(self.points, self.person, self.points, self.person)
        # Rows of the only person there is have nobody to be compared with, but their own mean.
        around = (self.points - self.points.mean(0)).double().square().sum(1).mean()
        square = square.where(square.isfinite(), around)
        self.least = 1e-4 * square.mean().clamp(min=1e-12)
        self.log_scale = _POWER * (square + self.least).log() / 2
        return self._prepare()

    def extended(self, points: Tensor, person: Tensor) -> NearestDistance:
        """A copy that has learned more projected rows beside those it has, which stay as they are.

        A new row reaches no farther than half of the old ones do: of what is rare only its like becomes
        normal, not all that lies around it. At most twice as many rows are kept as :meth:`fit` keeps:
        of many new ones 10,000, and of the old ones as many as there is room for, evenly chosen.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            person: :math:`[N]`, whose each is, as in :meth:`fit`; none is one of those known.
        """
        chosen = evenly(points, _ROWS)
        points, person = points[chosen], person[chosen].unique(return_inverse=True)[1]
        whose = torch.cat([self.person, person + self._people])
        square = _spacing(points, person + self._people, torch.cat([self.points, points]), whose)
        scale = _POWER * (square + self.least).log() / 2
        kept = evenly(self.points, 2 * _ROWS - len(points))
        more = NearestDistance()
        more.load_state_dict(self.state_dict())
        more.points = torch.cat([self.points[kept], points.to(self.points)])
        whose = torch.cat([self.person[kept], person + self._people])
        more.person = whose.unique(return_inverse=True)[1]
        more.log_scale = torch.cat(
            [self.log_scale[kept], scale.to(self.log_scale).clamp(max=self.log_scale.median())]
        )
        return more._prepare()

    def __call__(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """The score of projected rows, :math:`[N]` float64; memory does not grow with their number.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            person: :math:`[N]`, of the people that :meth:`fit` was given: a person's own rows do not
                count, as those of a person never seen before would not. Where there is nobody else, they
                do. Not after a state was loaded.
        """
        return in_blocks(self.compare, points, person, _BLOCK)

    def compare(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """The score of projected rows, all compared with every learned row at once.

        Args:
            points: :math:`[N, d]`, from :meth:`project`.
            person: As in :meth:`__call__`.
        """
        x = points.double()
        x = torch.cat([x, x.square().sum(1, keepdim=True), torch.ones_like(x[:, :1])], 1)
        # As rows of the left factor: as columns of the right one they round by their place among others.
        ratio = (x @ self._rows.T).T.contiguous()
        # [M, N], then [P, N]: of each person the nearest row.
        ratio = _of_people(ratio, self.person, self._people)
        count = min(max(self._people // _TENTH, 1), _NEAREST)
        if person is not None and self._people > 1:
            ratio = ratio.masked_fill(self._known[:, None] == person, torch.inf)
            count = min(count, self._people - 1)
        # Logarithms of the least, not the least of 10,000 logarithms.
        nearest = ratio.topk(count, dim=0, largest=False).values
        return nearest.clamp(min=self._floor).log().mean(0) / 2

    def to(self, device: torch.device) -> NearestDistance:
        """Moves everything learned to a device."""
        known = self._known.to(device)
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})
        self._known = known
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

        (|x|^2 - 2 x.y + |y|^2 + least) w is the product of (-2 w y, w, w (|y|^2 + least)) and (x, |x|^2,
        1): no pass over 10,000 numbers a row but the product and people's minima. In float64, as it is a
        difference of large numbers: in float32 rows close to one another would be at random ones.
        """
        if not len(self.points):
            # Measured, and not fitted yet.
            return self
        y = self.points.double()
        weight = (-2 * self.log_scale.double()).exp()[:, None]
        constant = weight * (y.square().sum(1, keepdim=True) + self.least)
        self._rows = torch.cat([-2 * weight * y, weight, constant], 1)
        self._floor = self.least.double() * weight.min()
        self._people = int(self.person.max()) + 1
        return self


def padded(x: Tensor) -> Tensor:
    """Columns of zeros up to a multiple of 4: products of others round by a row's place in the batch (MKL)."""
    return pad(x, (0, -x.size(-1) % 4))


def in_blocks(
    score: Callable[[Tensor, Tensor | None], Tensor],
    points: Tensor,
    person: Tensor | None,
    rows: int,
) -> Tensor:
    """Scores of so many rows at once, :math:`[N]` float64, each with its person where these are given."""
    own = [None] * len(points) if person is None else person.split(rows)
    scores = [score(block, one) for block, one in zip(points.split(rows), own, strict=False)]
    return torch.cat([points.new_zeros(0, dtype=torch.float64), *scores])


def _of_people(square: Tensor, person: Tensor, people: int) -> Tensor:
    """Of each person the least of the rows: [M, N] -> [P, N]."""
    least = square.new_full((people, square.size(1)), torch.inf)
    return least.scatter_reduce(0, person[:, None].expand_as(square), square, "amin")


def evenly(points: Tensor, most: int) -> Tensor:
    """Indices of at most so many rows, spread over all of them."""
    # In float64: float32 does not hold every index of many rows.
    count = min(len(points), most)
    place = torch.linspace(0, len(points) - 1, count, dtype=torch.float64, device=points.device)
    return place.round().long()


def _spacing(points: Tensor, person: Tensor, others: Tensor, whose: Tensor) -> Tensor:
    """Mean squared distance of rows to the nearest other people of ``others``; NaN: there are none."""
    spacing, others = [], others.double()
    norms, people = others.square().sum(1)[:, None], int(whose.max()) + 1
    for rows, own in zip(points.split(_BLOCK), person.split(_BLOCK), strict=True):
        rows = rows.double()
        # As a difference of large numbers: in float32 rows close to one another would be at random ones.
        square = torch.addmm(norms, others, rows.T, alpha=-2) + rows.square().sum(1)
        square = _of_people(square.clamp_(min=0), whose, people)
        square[own, torch.arange(len(rows), device=rows.device)] = torch.inf
        nearest = square.topk(min(_PEOPLE, people), dim=0, largest=False).values
        known = nearest.isfinite()
        spacing.append(nearest.where(known, 0.0).sum(0) / known.sum(0))
    return torch.cat(spacing)
