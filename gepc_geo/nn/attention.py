"""How much a source matters to a target: the replaceable part of the ``inferred`` branch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.errors import InputError
from gepc_geo.nn.checks import check_count
from gepc_geo.nn.pointwise import Pointwise


class Attention(nn.Module):
    r"""The form of an attention: two embeddings of each node, and a logit for each pair of them.

    This is the protocol. A form of your own is a subclass with :meth:`score`, and is given to the
    layer as ``attention=MyAttention(in_channels, channels, num_relations)``; with weights of its own
    it has to draw them in its constructor and in :meth:`reset_parameters`. The layer calls the
    module once on all node features, hands pairs of what comes back to :meth:`score`, along edges,
    or to :meth:`score_pairs`, over all pairs of nodes, and normalises the logits by a softmax over
    the sources of each target. Logits are computed in float32 or better, whatever autocast says.

    Args:
        in_channels: Size of each input node feature.
        channels: Size of an embedding for each relation, :math:`D`.
        num_relations: Relations, :math:`S`.

    State: ``theta`` embeds nodes as sources, ``phi`` as targets.

    Shapes:
        - **input:** node features :math:`(*, C)`
        - **output:** embeddings as source and as target, each :math:`(*, S, D)`
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
        """Draws all learned weights anew."""
        self.theta.reset_parameters()
        self.phi.reset_parameters()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two embeddings of each node."""
        shape = (self.num_relations, self.channels)
        return self.theta(x).unflatten(-1, shape), self.phi(x).unflatten(-1, shape)

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        r"""Logits :math:`(*)` of sources :math:`(*, T, D)` and targets :math:`(*, T, D)`.

        Leading dimensions broadcast against one another.
        """
        raise NotImplementedError

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        r"""Logits :math:`(B, S, V, V)` of all sources (first) and targets (second).

        Both embeddings are :math:`(B, S, V, T, D)`. Override it where :meth:`score` over all pairs
        would need much memory.
        """
        return self.score(source.unsqueeze(3), target.unsqueeze(2))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.channels}, "
            f"num_relations={self.num_relations})"
        )


class DotProductAttention(Attention):
    r"""The paper's: :math:`\sum_t \langle \theta_s(\mathbf{x}_{v,t}), \phi_s(\mathbf{x}_{w,t})
    \rangle`, unscaled. See :class:`Attention`."""

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """The dot product over frames and channels."""
        return (source * target).sum((-2, -1))

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        """One matrix product for each graph and relation."""
        return source.flatten(3) @ target.flatten(3).transpose(2, 3)


class ScaledDotProductAttention(DotProductAttention):
    r"""The dot product divided by :math:`\sqrt{T D}`, so that logits keep their size however many
    frames and channels it sums over. See :class:`Attention`."""

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """The scaled dot product over frames and channels."""
        return super().score(source, target) * self._scale(source)

    def score_pairs(self, source: Tensor, target: Tensor) -> Tensor:
        """One matrix product for each graph and relation."""
        return super().score_pairs(source * self._scale(source), target)

    def _scale(self, source: Tensor) -> float:
        return (source.size(-2) * source.size(-1)) ** -0.5


class AdditiveAttention(Attention):
    r"""As in :class:`~torch_geometric.nn.conv.GATConv`: :math:`\mathrm{LeakyReLU}(\frac{1}{T}
    \sum_t \theta_s(\mathbf{x}_{v,t}) + \phi_s(\mathbf{x}_{w,t}))`.

    Its embeddings are single numbers, whatever ``channels``: a vector's product with an embedding
    is no more than an embedding of size one. See :class:`Attention`.
    """

    def __init__(self, in_channels: int, channels: int, num_relations: int) -> None:
        super().__init__(in_channels, 1, num_relations)

    def score(self, source: Tensor, target: Tensor) -> Tensor:
        """The activated sum of both embeddings' means over frames."""
        return F.leaky_relu(source.mean((-2, -1)) + target.mean((-2, -1)), 0.2)


ATTENTIONS = {
    "dot": DotProductAttention,
    "scaled_dot": ScaledDotProductAttention,
    "additive": AdditiveAttention,
}


def make_attention(
    attention: str | Attention, in_channels: int, channels: int, num_relations: int
) -> Attention:
    """The form of that name, or the module itself.

    Raises:
        InputError: An unknown name, or a module of other sizes than the layer's.
    """
    if isinstance(attention, Attention):
        if (attention.in_channels, attention.num_relations) != (in_channels, num_relations):
            raise InputError(
                f"attention has {attention.in_channels} channels and {attention.num_relations} "
                f"relations, expected {in_channels} and {num_relations}"
            )
        return attention
    if attention not in ATTENTIONS:
        raise InputError(
            f"attention is {attention!r}, expected {', '.join(ATTENTIONS)} or an Attention"
        )
    return ATTENTIONS[attention](in_channels, channels, num_relations)


def full_precision(x: Tensor) -> Tensor:
    """Float32 of half precision: logits are sums too large, and too fine, for fewer bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
