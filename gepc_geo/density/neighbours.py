"""Distances from a row to the nearest people of the reference set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

#: Largest number of reference rows, and of principal components.
MOST_ROWS, MOST_DIMS = 10_000, 64
# The spacing of a reference row is the RMS distance to the nearest row of this many other people.
_PEOPLE = 30
# Distances are divided by the spacing to this power. At 0, rare normal behaviour scores high; at 1
# (as in the local outlier factor), rows between dense rows score high. Kernel densities with
# adaptive widths use 1/2 (Abramson 1982). All constants here are chosen on halves of the training
# data (docs/results.md).
_POWER = 0.4
# Nearest people in a score: a tenth of all people, at most 3.
_NEAREST, _TENTH = 3, 10
#: Rows of one block of distances to all reference rows.
BLOCK = 256
# Attributes of a saved model.
_STATE = ("mean", "basis", "points", "person", "log_scale", "least")


class NearestDistance:
    r"""Mean log distance to the nearest people of the reference set, relative to local spacing.

    .. math::
        s(x) = \frac{1}{k} \sum_{j = 1}^{k} \log d_{(j)}(x), \qquad
        d_p(x) = \min_{i \in p} \frac{\lVert x - x_i \rVert}{h_i^{0.4}}

    :math:`d_p(x)` is the distance to person :math:`p`, by the nearest row, and
    :math:`d_{(1)} \le d_{(2)} \le \dots` are these distances in order. :math:`k` is 3, or a tenth
    of fewer than 30 people (at least 1). With several people in the mean, one abnormal person in
    the reference set does not make other abnormal people normal. :math:`h_i` is the spacing of
    :math:`x_i`: its RMS distance to the nearest row of each of the 30 nearest other people.
    Distances are in the first 64 principal components. A hundredth of the mean spacing, squared, is
    added to each squared distance, so scores of reference rows are finite. The reference set has at
    most 10,000 rows, spread evenly over all rows.
    """

    def __init__(self) -> None:
        self.mean = torch.zeros(0)
        self.basis = torch.zeros(0, 0)
        self.points = torch.zeros(0, 0)
        # Person index of each reference row, from 0 without gaps.
        self.person = torch.zeros(0, dtype=torch.long)
        self.log_scale = torch.zeros(0)
        # Added to squared distances: the square of a hundredth of the mean spacing.
        self.least = torch.zeros(())
        # Person id in fit of each person index, and the number of people.
        self._person_ids = torch.zeros(0, dtype=torch.long)
        self._num_people = 0
        # Left factor of the matrix product of squared distances, and the lower bound of its result.
        self._rows = torch.zeros(0, 0)
        self._floor = torch.zeros(())

    def measure(self, x: Tensor, random_state: int) -> NearestDistance:
        """Computes the principal components.

        Args:
            x: Rows, :math:`[N, D]`.
            random_state: Seed of the randomised decomposition.
        """
        x = pad_columns(x)
        self.mean = x.mean(0)
        keep = min(MOST_DIMS, *x.shape)
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(random_state)
            size = min(keep + 16, *x.shape)
            _, _, basis = torch.svd_lowrank(x - self.mean, q=size, niter=4)
        self.basis = basis[:, :keep]
        return self

    def project(self, x: Tensor) -> Tensor:
        """Projects rows :math:`[N, D]` to principal components :math:`[N, d]`."""
        return (pad_columns(x) - self.mean) @ self.basis

    def fit(self, points: Tensor, person: Tensor) -> NearestDistance:
        """Stores the reference set and its spacing.

        Distances within a person do not count, because windows of the same person overlap and look
        denser than normal behaviour is.

        Args:
            points: Projected rows, :math:`[N, d]`, from :meth:`project`.
            person: Person id of each row, :math:`[N]`.
        """
        kept = evenly_spaced(points, MOST_ROWS)
        self.points = points[kept]
        self._person_ids, self.person = person[kept].unique(return_inverse=True)
        square = _spacing(self.points, self.person, self.points, self.person)
        # Without other people, the spacing is the RMS distance to the mean.
        around = (self.points - self.points.mean(0)).double().square().sum(1).mean()
        square = square.where(square.isfinite(), around)
        self.least = 1e-4 * square.mean().clamp(min=1e-12)
        self.log_scale = _POWER * (square + self.least).log() / 2
        return self._prepare()

    def extended(self, points: Tensor, person: Tensor) -> NearestDistance:
        """Returns a copy with more reference rows; the scale of old rows does not change.

        The scale of a new row is at most the median of the old scales, so a rare new row makes only
        similar behaviour normal. The copy has at most 20,000 rows: at most 10,000 new rows, and old
        rows up to the total, both spread evenly.

        Args:
            points: Projected rows, :math:`[N, d]`, from :meth:`project`.
            person: Person id of each row, :math:`[N]`; all people are new.
        """
        chosen = evenly_spaced(points, MOST_ROWS)
        points, person = points[chosen], person[chosen].unique(return_inverse=True)[1]
        person = person + self._num_people
        references = torch.cat([self.points, points])
        square = _spacing(points, person, references, torch.cat([self.person, person]))
        scale = _POWER * (square + self.least).log() / 2
        kept = evenly_spaced(self.points, 2 * MOST_ROWS - len(points))
        copy = NearestDistance()
        copy.load_state_dict(self.state_dict())
        copy.points = torch.cat([self.points[kept], points.to(self.points)])
        person = torch.cat([self.person[kept], person])
        copy.person = person.unique(return_inverse=True)[1]
        copy.log_scale = torch.cat(
            [self.log_scale[kept], scale.to(self.log_scale).clamp(max=self.log_scale.median())]
        )
        return copy._prepare()

    def __call__(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """Scores rows in blocks of constant memory.

        Args:
            points: Projected rows, :math:`[N, d]`, from :meth:`project`.
            person: Person id of each row, :math:`[N]`, as in :meth:`fit`. Reference rows of the
                same person do not count, unless there is only one person. Not available after
                :meth:`load_state_dict`. (default: all reference rows count)

        Returns:
            Scores, :math:`[N]` float64; higher is more abnormal.
        """
        return score_in_blocks(self.score, points, person, BLOCK)

    def score(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """Scores rows as :meth:`__call__` does, in one block.

        Args:
            points: Projected rows, :math:`[N, d]`, from :meth:`project`.
            person: Person id of each row, as in :meth:`__call__`.

        Returns:
            Scores, :math:`[N]` float64.
        """
        x = points.double()
        x = torch.cat([x, x.square().sum(1, keepdim=True), torch.ones_like(x[:, :1])], 1)
        # Rows of the left factor: as columns of the right factor, their rounding would depend on
        # their position in the block.
        ratio = (x @ self._rows.T).T.contiguous()
        # [M, N] -> [P, N]: the nearest row of each person.
        ratio = _person_minimum(ratio, self.person, self._num_people)
        count = min(max(self._num_people // _TENTH, 1), _NEAREST)
        if person is not None and self._num_people > 1:
            ratio = ratio.masked_fill(self._person_ids[:, None] == person, torch.inf)
            count = min(count, self._num_people - 1)
        # The minimum comes before the logarithm, which then runs on few values.
        nearest = ratio.topk(count, dim=0, largest=False).values
        return nearest.clamp(min=self._floor).log().mean(0) / 2

    def to(self, device: torch.device) -> NearestDistance:
        """Moves the fitted tensors to a device."""
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})
        self._person_ids = self._person_ids.to(device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the fitted tensors."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores the result of :meth:`state_dict`."""
        for name in _STATE:
            setattr(self, name, state[name])
        self._prepare()

    def _prepare(self) -> NearestDistance:
        """Prepares scaled squared distances as one matrix product.

        (|x|^2 - 2 x.y + |y|^2 + least) w is the product of (-2 w y, w, w (|y|^2 + least)) and
        (x, |x|^2, 1), with w = h^-0.8. It is a difference of large numbers, so it needs float64: in
        float32, distances between close rows would be noise.
        """
        if not len(self.points):
            # Not fitted yet.
            return self
        y = self.points.double()
        weight = (-2 * self.log_scale.double()).exp()[:, None]
        constant = weight * (y.square().sum(1, keepdim=True) + self.least)
        self._rows = torch.cat([-2 * weight * y, weight, constant], 1)
        self._floor = self.least.double() * weight.min()
        self._num_people = int(self.person.max()) + 1
        return self


def pad_columns(x: Tensor) -> Tensor:
    """Adds columns of zeros up to a multiple of 4.

    With other widths, the rounding of MKL products depends on the position of a row in the batch.
    """
    return pad(x, (0, -x.size(-1) % 4))


def score_in_blocks(
    score: Callable[[Tensor, Tensor | None], Tensor],
    points: Tensor,
    person: Tensor | None,
    rows: int,
) -> Tensor:
    """Scores blocks of ``rows`` rows, with their people if given; :math:`[N]` float64."""
    blocks = points.split(rows)
    people = [None] * len(blocks) if person is None else person.split(rows)
    scores = [score(block, ids) for block, ids in zip(blocks, people, strict=True)]
    return torch.cat([points.new_zeros(0, dtype=torch.float64), *scores])


def _person_minimum(square: Tensor, person: Tensor, people: int) -> Tensor:
    """Minimum over the rows of each person: [M, N] -> [P, N]."""
    least = square.new_full((people, square.size(1)), torch.inf)
    return least.scatter_reduce(0, person[:, None].expand_as(square), square, "amin")


def evenly_spaced(points: Tensor, most: int) -> Tensor:
    """Indices of at most ``most`` rows, evenly spaced."""
    # float32 cannot represent all indices of many rows.
    count = min(len(points), most)
    index = torch.linspace(0, len(points) - 1, count, dtype=torch.float64, device=points.device)
    return index.round().long()


def _spacing(
    points: Tensor, person: Tensor, references: Tensor, reference_person: Tensor
) -> Tensor:
    """Mean squared distance of rows to the nearest other people; NaN without other people."""
    spacing, references = [], references.double()
    norms, people = references.square().sum(1)[:, None], int(reference_person.max()) + 1
    for rows, own in zip(points.split(BLOCK), person.split(BLOCK), strict=True):
        rows = rows.double()
        # In float32, this difference of large numbers would be noise for close rows.
        square = torch.addmm(norms, references, rows.T, alpha=-2) + rows.square().sum(1)
        square = _person_minimum(square.clamp_(min=0), reference_person, people)
        square[own, torch.arange(len(rows), device=rows.device)] = torch.inf
        nearest = square.topk(min(_PEOPLE, people), dim=0, largest=False).values
        finite = nearest.isfinite()
        spacing.append(nearest.where(finite, 0.0).sum(0) / finite.sum(0))
    return torch.cat(spacing)
