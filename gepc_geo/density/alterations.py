"""How badly a classifier that knows normal windows tells a window from altered copies of it."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout, log_softmax, pad

from gepc_geo.density.neighbours import evenly, in_blocks, padded
from gepc_geo.windows.pipeline import InputPipeline, Inputs

# Classifiers, each trained without the people of one part in so many; width of the two hidden layers.
_PARTS, _WIDTH = 3, 128
# Steps of Adam, windows of each classifier a step, the learning rate, which falls to 0 as a cosine, and weight
# decay. Chosen, as the numbers below, on training halves alone (docs/results.md).
_STEPS, _BATCH, _RATE, _DECAY = 1200, 64, 1e-3, 1e-4
# Deviation of the noise that is added in training, in mean deviations of a column, and the share left out.
_NOISE, _DROPOUT = 0.3, 0.1
# How much more the second copy moves.
_FASTER = 2.0
# Windows that are kept for another fit.
_KEPT = 2500
# Windows that go through the classifiers at once.
_ROWS = 4096


def alterations(inputs: Inputs, pipeline: InputPipeline) -> list[Inputs]:
    """Altered copies of standardised windows: reversed in time, and with twice the motion of the whole person.

    Twice the motion is twice the velocity and growth, and a log speed that rises by log 2: limbs keep
    their pace, and the log speed of who hardly moves, of which :class:`~gepc_geo.transforms.motion.AddMotion` takes
    the logarithm of the speed plus 0.01, rises less in truth. Without motion channels there is the
    reversed one alone.

    Args:
        inputs: Of the pipeline.
        pipeline: A fitted one.
    """
    body = inputs.body * pipeline.std + pipeline.mean
    motion = inputs.motion * pipeline.motion_std + pipeline.motion_mean
    dims, turned = pipeline.dims, _reversed(motion, pipeline)
    turned = torch.cat([-turned[..., :dims], turned[..., dims:]], dim=2)
    copies = [(_reversed(body, pipeline), turned)]
    if motion.size(2):
        forwards, speed, growth = motion.split([dims, 1, 1], dim=2)
        # A mean of logarithms, the first coefficient, rises by that of the factor; frames all do.
        steps = 1 if pipeline.options.coefficients else speed.size(1)
        rise = pad(speed.new_full((steps, 1), math.log(_FASTER)), (0, 0, 0, speed.size(1) - steps))
        faster = torch.cat([_FASTER * forwards, speed + rise, _FASTER * growth], dim=2)
        copies.append((body, faster))
    return [
        Inputs(
            (one - pipeline.mean) / pipeline.std,
            (moved - pipeline.motion_mean) / pipeline.motion_std,
            inputs.confidence,
        )
        for one, moved in copies
    ]


def _reversed(x: Tensor, pipeline: InputPipeline) -> Tensor:
    """Coefficients or frames :math:`[B, S, ...]` of the same series read backwards."""
    if not pipeline.options.coefficients:
        return x.flip(1)
    # Cosines of odd order are odd about the middle of the window.
    sign = 1 - 2 * (torch.arange(x.size(1), device=x.device) % 2)
    return x * sign.to(x.dtype).view(-1, *[1] * (x.dim() - 2))


class AlterationClassifier:
    r"""Tells windows from altered copies of them; of behaviour that it does not know it is less sure.

    .. math::
        s(x) = -\sum_{a = 0}^{A} \log p(a \mid T_a(x))

    with :math:`T_0(x) = x` and :math:`T_1, \dots, T_A` the :func:`alterations`: the score of `Golan and El-Yaniv
    (2018) <https://arxiv.org/abs/1805.10917>`_ with transformations of movements in place of those of
    images. It is the mean over three classifiers (two hidden layers of 128), each trained without a third
    of the people. A person who was learned from is scored by the classifier trained without them.

    Args:
        random_state: Seed of the weights, the order of the windows and the parts.
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state
        #: Mean deviation of the columns in training.
        self.scale = torch.ones(())
        #: Of each layer :math:`[P, D, D']` and :math:`[P, 1, D']`, :math:`P` classifiers.
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        #: Some of the windows of fit, :math:`[n, A + 1, d]` float16, and the person of each, from 0.
        self.rows, self.person = torch.zeros(0, 1, 0), torch.zeros(0, dtype=torch.long)
        # Numbers of people in fit, and the classifier that was trained without each.
        self._known = torch.zeros(0, dtype=torch.long)
        self._part = torch.zeros(0, dtype=torch.long)

    def fit(self, points: Tensor, person: Tensor) -> AlterationClassifier:
        """Learns from normal windows.

        Args:
            points: :math:`[N, A + 1, d]`, each window and its altered copies.
            person: :math:`[N]`, the person of each.
        """
        device = points.device
        self._known, person = person.unique(return_inverse=True)
        kept = evenly(points, _KEPT)
        self.rows, self.person = points[kept].half(), person[kept].unique(return_inverse=True)[1]
        parts = min(_PARTS, len(self._known))
        with torch.random.fork_rng(devices=[device] if points.is_cuda else []):
            torch.manual_seed(self.random_state)
            # Drawn on the CPU: the same on every device.
            self._part = torch.randperm(len(self._known)).to(device) % parts
            self.scale = points[:, 0].std(0, correction=0).mean().clamp(min=1e-6)
            self._start(points, parts)
            # Without a second person there is nobody to be left out.
            chosen = [
                torch.nonzero((self._part != part)[person] | (parts == 1)).view(-1)
                for part in range(parts)
            ]
            self._train(points, chosen)
        return self

    def extended(self, points: Tensor, person: Tensor) -> AlterationClassifier:
        """A classifier of the windows that were kept and of new ones, of each at most 2,500.

        Args:
            points: New windows, as in :meth:`fit`.
            person: :math:`[N]`, the person of each, from 0; to the result they have the numbers from
                :attr:`people` of this one on.
        """
        chosen = evenly(points, _KEPT)
        rows = torch.cat([self.rows.to(points), points[chosen]])
        whose = torch.cat([self.person, person[chosen] + self.people])
        return AlterationClassifier(self.random_state).fit(rows, whose)

    @property
    def people(self) -> int:
        """How many people the kept windows are of."""
        return int(self.person.max()) + 1

    def __call__(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """The score of windows, :math:`[N]` float64.

        Args:
            points: As in :meth:`fit`.
            person: :math:`[N]`, numbers of people as in :meth:`fit`: whoever was learned from is scored by
                the classifier trained without them. Not after a state was loaded.
        """
        return in_blocks(self.tell, points, person, _ROWS)

    def tell(self, points: Tensor, person: Tensor | None = None) -> Tensor:
        """The score of windows, all of them at once; arguments are those of :meth:`__call__`."""
        x = padded(points / self.scale)
        scores = torch.zeros((), dtype=torch.float64, device=x.device)
        for number in range(x.size(1)):
            logits = self._logits(x[None, :, number].expand(len(self.weights[0]), -1, -1))
            scores = scores - log_softmax(logits.double(), dim=2)[..., number]
        if person is None:
            return scores.mean(0)
        place = torch.searchsorted(self._known, person).clamp(max=len(self._known) - 1)
        own = scores.gather(0, self._part[place][None])[0]
        return torch.where(self._known[place] == person, own, scores.mean(0))

    def to(self, device: torch.device) -> AlterationClassifier:
        """Moves everything learned to a device."""
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})
        self._known, self._part = self._known.to(device), self._part.to(device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors."""
        state = {"scale": self.scale, "rows": self.rows, "person": self.person}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            state |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over what :meth:`state_dict` gave."""
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
        x = padded(points / self.scale)
        optimizer = torch.optim.Adam(
            [*self.weights, *self.biases], lr=_RATE, weight_decay=_DECAY, fused=True
        )
        truth = torch.arange(classes, device=x.device).repeat(_BATCH * len(chosen))
        for step in range(_STEPS):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / _STEPS))
            # [P, batch, classes, D], then [P, batch * classes, D].
            batch = torch.stack(
                [x[one[torch.randint(len(one), (_BATCH,), device=x.device)]] for one in chosen]
            ).flatten(1, 2)
            noisy = batch + _NOISE * torch.randn_like(batch)
            # Without the rise that makes up for what is left out.
            noisy = (1 - _DROPOUT) * dropout(noisy, _DROPOUT)
            loss = cross_entropy(self._logits(noisy).flatten(0, 1), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.weights, self.biases = (
            [one.detach() for one in group] for group in (self.weights, self.biases)
        )

    def _logits(self, x: Tensor) -> Tensor:
        """Of rows [P, n, D] for each classifier: [P, n, classes]."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if number < len(self.weights) - 1:
                x = x.relu()
        return x
