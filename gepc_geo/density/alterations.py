"""Classifier of windows and altered copies; its loss is the score of a window."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout, log_softmax, pad

from gepc_geo.density.neighbours import evenly_spaced, pad_columns, score_in_blocks
from gepc_geo.windows.pipeline import InputPipeline, Inputs

# Number of parts of people, one classifier for each; width of the two hidden layers.
_PARTS, _WIDTH = 3, 128
#: Steps of Adam.
STEPS = 1200
# Windows of each classifier in a step, learning rate (it falls to 0 as a cosine) and weight decay.
# All constants here are chosen on halves of the training data (docs/results.md).
_BATCH, _RATE, _DECAY = 64, 1e-3, 1e-4
# Standard deviation of training noise, relative to the mean deviation of a column, and dropout.
_NOISE, _DROPOUT = 0.3, 0.1
# Factor of the whole-body motion of the second copy.
_FASTER = 2.0
# Windows stored for an update.
_KEPT = 2500
# Windows of one block.
_ROWS = 4096


def alterations(inputs: Inputs, pipeline: InputPipeline) -> list[Inputs]:
    """Makes altered copies of standardised windows: reversed in time, and with doubled motion.

    Doubled motion doubles velocity and growth of the whole body and adds log 2 to its log speed.
    Limbs do not change. The sum is exact except for people who hardly move, since
    :class:`~gepc_geo.transforms.motion.AddMotion` takes the logarithm of the speed plus 0.01.

    Args:
        inputs: Windows of the pipeline.
        pipeline: A fitted pipeline.

    Returns:
        The reversed copy and, if the pipeline has motion channels, the copy with doubled motion.
    """
    body = inputs.body * pipeline.std + pipeline.mean
    motion = inputs.motion * pipeline.motion_std + pipeline.motion_mean
    dims, turned = pipeline.dims, _reversed(motion, pipeline)
    turned = torch.cat([-turned[..., :dims], turned[..., dims:]], dim=2)
    copies = [(_reversed(body, pipeline), turned)]
    if motion.size(2):
        forwards, speed, growth = motion.split([dims, 1, 1], dim=2)
        # The mean, which is the first coefficient, or else every frame rises by log 2.
        steps = 1 if pipeline.options.coefficients else speed.size(1)
        rise = pad(speed.new_full((steps, 1), math.log(_FASTER)), (0, 0, 0, speed.size(1) - steps))
        faster = torch.cat([_FASTER * forwards, speed + rise, _FASTER * growth], dim=2)
        copies.append((body, faster))
    return [
        Inputs(
            (body - pipeline.mean) / pipeline.std,
            (motion - pipeline.motion_mean) / pipeline.motion_std,
            inputs.confidence,
        )
        for body, motion in copies
    ]


def _reversed(x: Tensor, pipeline: InputPipeline) -> Tensor:
    """Coefficients or frames :math:`[B, S, ...]` of the time-reversed series."""
    if not pipeline.options.coefficients:
        return x.flip(1)
    # Cosines of odd order change sign under time reversal.
    sign = 1 - 2 * (torch.arange(x.size(1), device=x.device) % 2)
    return x * sign.to(x.dtype).view(-1, *[1] * (x.dim() - 2))


class AlterationClassifier:
    r"""Classifies windows and their altered copies; the loss is high for unknown behaviour.

    .. math::
        s(x) = -\sum_{a = 0}^{A} \log p(a \mid T_a(x))

    :math:`T_0(x) = x`, and :math:`T_1, \dots, T_A` are the :func:`alterations`. This is the score
    of `Golan and El-Yaniv (2018) <https://arxiv.org/abs/1805.10917>`_ for movements in place of
    images. It is the mean over three classifiers (two hidden layers of 128), each trained without a
    third of the people. For a person of the training set, it is the score of the classifier trained
    without them.

    Args:
        random_state: Seed of the weights, the order of windows and the parts.

    Attributes:
        scale: Mean standard deviation of the columns in training.
        weights: Weights of each layer, :math:`[P, D, D']` for :math:`P` classifiers.
        biases: Biases of each layer, :math:`[P, 1, D']`.
        rows: Training windows stored for an update, :math:`[n, A + 1, d]` float16.
        person: Person index of each stored window, from 0.
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state
        self.scale = torch.ones(())
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        self.rows, self.person = torch.zeros(0, 1, 0), torch.zeros(0, dtype=torch.long)
        # Person ids in fit, and the classifier trained without each person.
        self._person_ids = torch.zeros(0, dtype=torch.long)
        self._part = torch.zeros(0, dtype=torch.long)

    def fit(self, points: Tensor, person: Tensor) -> AlterationClassifier:
        """Trains the classifiers on normal windows.

        Args:
            points: Each window and its altered copies, :math:`[N, A + 1, d]`.
            person: Person id of each window, :math:`[N]`.
        """
        device = points.device
        self._person_ids, person = person.unique(return_inverse=True)
        kept = evenly_spaced(points, _KEPT)
        self.rows, self.person = points[kept].half(), person[kept].unique(return_inverse=True)[1]
        parts = min(_PARTS, len(self._person_ids))
        with torch.random.fork_rng(devices=[device] if points.is_cuda else []):
            torch.manual_seed(self.random_state)
            # Drawn on the CPU, so that all devices have the same parts.
            self._part = torch.randperm(len(self._person_ids)).to(device) % parts
            self.scale = points[:, 0].std(0, correction=0).mean().clamp(min=1e-6)
            self._start(points, parts)
            # A single person is not left out.
            chosen = [
                torch.nonzero((self._part != part)[person] | (parts == 1)).view(-1)
                for part in range(parts)
            ]
            self._train(points, chosen)
        return self

    def extended(self, points: Tensor, person: Tensor) -> AlterationClassifier:
        """Returns a classifier trained on stored and new windows, at most 2,500 of each.

        Args:
            points: New windows and their altered copies, :math:`[N, A + 1, d]`.
            person: Person index of each new window, :math:`[N]`, from 0. The person ids of the
                result start at :attr:`people`.
        """
        chosen = evenly_spaced(points, _KEPT)
        rows = torch.cat([self.rows.to(points), points[chosen]])
        person = torch.cat([self.person, person[chosen] + self.people])
        return AlterationClassifier(self.random_state).fit(rows, person)

    @property
    def people(self) -> int:
        """Number of people in the stored windows."""
        return int(self.person.max()) + 1

    def __call__(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """Scores windows in blocks of constant memory.

        Args:
            points: Each window and its altered copies, :math:`[N, A + 1, d]`.
            person: Person id of each window, :math:`[N]`, as in :meth:`fit`. Windows of a person of
                the training set get the score of the classifier trained without them. Not available
                after :meth:`load_state_dict`. (default: the mean over classifiers)

        Returns:
            Scores, :math:`[N]` float64; higher is more abnormal.
        """
        return score_in_blocks(self.score, points, person, _ROWS)

    def score(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """Scores windows as :meth:`__call__` does, in one block."""
        x = pad_columns(points / self.scale)
        scores = torch.zeros((), dtype=torch.float64, device=x.device)
        for alteration in range(x.size(1)):
            logits = self._logits(x[None, :, alteration].expand(len(self.weights[0]), -1, -1))
            scores = scores - log_softmax(logits.double(), dim=2)[..., alteration]
        if person is None:
            return scores.mean(0)
        index = torch.searchsorted(self._person_ids, person).clamp(max=len(self._person_ids) - 1)
        held_out = scores.gather(0, self._part[index][None])[0]
        return torch.where(self._person_ids[index] == person, held_out, scores.mean(0))

    def to(self, device: torch.device) -> AlterationClassifier:
        """Moves the fitted tensors to a device."""
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})
        self._person_ids, self._part = self._person_ids.to(device), self._part.to(device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the fitted tensors."""
        state = {"scale": self.scale, "rows": self.rows, "person": self.person}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            state |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores the result of :meth:`state_dict`."""
        self.scale, self.rows, self.person = state["scale"], state["rows"], state["person"]
        layers = range((len(state) - 3) // 2)
        self.weights = [state[f"weight_{number}"] for number in layers]
        self.biases = [state[f"bias_{number}"] for number in layers]

    def _start(self, points: Tensor, parts: int) -> None:
        _, classes, columns = points.shape
        sizes = (columns + -columns % 4, _WIDTH, _WIDTH, classes)
        pairs = list(itertools.pairwise(sizes))
        self.weights = [
            (torch.randn(parts, a, b) * math.sqrt(2 / a)).to(points).requires_grad_()
            for a, b in pairs
        ]
        self.biases = [torch.zeros(parts, 1, b).to(points).requires_grad_() for _, b in pairs]

    @torch.enable_grad()
    def _train(self, points: Tensor, chosen: list[Tensor]) -> None:
        classes = points.size(1)
        x = pad_columns(points / self.scale)
        optimizer = torch.optim.Adam(
            [*self.weights, *self.biases], lr=_RATE, weight_decay=_DECAY, fused=True
        )
        target = torch.arange(classes, device=x.device).repeat(_BATCH * len(chosen))
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            # [P, batch, classes, D], then [P, batch * classes, D].
            batch = torch.stack(
                [x[rows[torch.randint(len(rows), (_BATCH,), device=x.device)]] for rows in chosen]
            ).flatten(1, 2)
            noisy = batch + _NOISE * torch.randn_like(batch)
            # Undoes the rescaling of dropout: the remaining values do not grow.
            noisy = (1 - _DROPOUT) * dropout(noisy, _DROPOUT)
            loss = cross_entropy(self._logits(noisy).flatten(0, 1), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.weights, self.biases = (
            [tensor.detach() for tensor in group] for group in (self.weights, self.biases)
        )

    def _logits(self, x: Tensor) -> Tensor:
        """Logits of each classifier: [P, n, D] -> [P, n, classes]."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if number < len(self.weights) - 1:
                x = x.relu()
        return x
