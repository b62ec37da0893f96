"""Forms of attention between nodes, for the ``inferred`` branch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_count
from gepc_geo.nn.pointwise import Pointwise


class Attention(nn.Module):
    r"""Base class of attention forms: embeds each node twice and scores pairs of embeddings.

    A custom form subclasses this class, overrides :meth:`score` and is passed to the layer as
    ``attention=MyAttention(in_channels, channels, num_relations)``. A form with further weights
    initialises them in its constructor and in :meth:`reset_parameters`. The layer calls the module
    once on all node features. It then scores the embeddings along edges with :meth:`score`, or
    over all pairs of nodes with :meth:`score_pairs`, and normalises the logits by a softmax over
    the sources of each target. Logits are computed in float32 or better, also under autocast.

    ``theta`` embeds nodes as sources, ``phi`` as targets.

    Args:
        in_channels: Size of each input node feature.
        channels: Size of an embedding for each relation, :math:`D`.
        num_relations: Number of relations, :math:`S`.

    Shapes:
        - **input:** node features :math:`(*, C)`
        - **output:** embeddings as source and as target, each :math:`(*, S, D)`

    Raises:
        InputError: An argument is not a whole number of at least 1.
    """

    def __init__(self, in_channels: int, channels: int, num_relations: int) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("channels", channels),
            ("num_relations", num_relations),
        ):
            check_count(name, value)
        self.in_channels, self.channels = in_channels, channels
        self.num_relations = num_relations
        self.theta = Pointwise(in_channels, num_relations * channels)
        self.phi = Pointwise(in_channels, num_relations * channels)

    def reset_parameters(self) -> None:
        """Initialises all learned weights again."""
        self.theta.reset_parameters()
        self.phi.reset_parameters()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeds each node as a source and as a target."""
        shape = (self.num_relations, self.channels)
        return self.theta(x).unflatten(-1, shape), self.phi(x).unflatten(-1, shape)

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        r"""Logits :math:`(*)` of sources :math:`(*, T, D)` and targets :math:`(*, T, D)`.

        Leading dimensions broadcast against one another.
        """
        raise NotImplementedError

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        r"""Logits :math:`(B, S, V, V)` of all sources (first) and targets (second).

        Both embeddings are :math:`(B, S, V, T, D)`. Override this method if :meth:`score` over all
        pairs needs too much memory.
        """
        return self.score(source.unsqueeze(3), target.unsqueeze(2))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.channels}, "
            f"num_relations={self.num_relations})"
        )


class DotProductAttention(Attention):
    r"""Dot product of the paper, unscaled (section 3.2).

    .. math::
        \sum_t \langle \theta_s(\mathbf{x}_{v,t}), \phi_s(\mathbf{x}_{w,t}) \rangle

    See :class:`Attention` for arguments and shapes.
    """

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """Dot product over frames and channels."""
        return (source * target).sum((-2, -1))

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores all pairs by one matrix product for each graph and relation."""
        return source.flatten(3) @ target.flatten(3).transpose(2, 3)


class ScaledDotProductAttention(DotProductAttention):
    r"""Dot product divided by :math:`\sqrt{T D}`.

    The size of the logits does not depend on the number of frames and channels. See
    :class:`Attention` for arguments and shapes.
    """

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """Scaled dot product over frames and channels."""
        return super().score(source, target) * self._scale(source)

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores all pairs by one matrix product for each graph and relation."""
        return super().score_pairs(source * self._scale(source), target)

    def _scale(self, source: Tensor) -> float:
        return float((source.size(-2) * source.size(-1)) ** -0.5)


class AdditiveAttention(Attention):
    r"""Additive attention, as in :class:`~torch_geometric.nn.conv.GATConv`.

    .. math::
        \mathrm{LeakyReLU}\Big(\frac{1}{T}
        \sum_t \theta_s(\mathbf{x}_{v,t}) + \phi_s(\mathbf{x}_{w,t})\Big)

    Embeddings have size 1 and ``channels`` is not used: a learned vector times a larger embedding
    is again a linear map to one number. See :class:`Attention` for arguments and shapes.
    """

    def __init__(self, in_channels: int, channels: int, num_relations: int) -> None:
        super().__init__(in_channels, 1, num_relations)

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """LeakyReLU of the summed means over frames of both embeddings."""
        return F.leaky_relu(source.mean((-2, -1)) + target.mean((-2, -1)), 0.2)


ATTENTIONS = {
    "dot": DotProductAttention,
    "scaled_dot": ScaledDotProductAttention,
    "additive": AdditiveAttention,
}


def make_attention(
    attention: str | Attention, in_channels: int, channels: int, num_relations: int
) -> Attention:
    """Makes the attention form of a name; returns a module as it is.

    Raises:
        InputError: The name is unknown, or the module's sizes differ from the layer's.
    """
    if isinstance(attention, Attention):
        if (attention.in_channels, attention.num_relations) != (in_channels, num_relations):
            raise InputError(
                f"attention must have {in_channels} channels and {num_relations} relations, got "
                f"{attention.in_channels} and {attention.num_relations}"
            )
        return attention
    if attention not in ATTENTIONS:
        raise InputError(
            f"attention must be {', '.join(ATTENTIONS)} or an Attention, got {attention!r}"
        )
    return ATTENTIONS[attention](in_channels, channels, num_relations)


def full_precision(x: Tensor) -> Tensor:
    """Casts half precision to float32: sums in logits need its range and its digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
