"""Weights and arithmetic shared by the sparse and the dense spatial attention convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.inits import reset

from gepc_geo.errors import InputError
from gepc_geo.nn.attention import Attention, full_precision, make_attention
from gepc_geo.nn.checks import check_count
from gepc_geo.nn.norm import ChannelNorm
from gepc_geo.nn.pointwise import Pointwise, pointwise

BRANCHES = ("static", "global", "inferred")
SCOPES = ("all", "edges")
NORMALIZATIONS = ("column", "none")


class SpatialAttention(nn.Module):
    """Weights of the three branches, and the steps common to sparse and dense graphs.

    :class:`~gepc_geo.nn.SpatialAttentionConv` describes options and state; they are the same in
    both layers.
    """

    # Arguments of the next class in the method resolution order (MessagePassing if sparse).
    _base_options: dict[str, Any] = {}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_nodes: int | None = None,
        num_relations: int = 3,
        branches: Sequence[str] = BRANCHES,
        scope: str = "all",
        attention: str | Attention = "dot",
        attention_channels: int | None = None,
        normalize: str = "column",
        norm: bool = True,
        residual: bool = True,
    ) -> None:
        super().__init__(**self._base_options)
        if isinstance(branches, str) or not branches or not set(branches) <= set(BRANCHES):
            shown = branches if isinstance(branches, str) else list(branches)
            raise InputError(f"branches must be some of {', '.join(BRANCHES)}, got {shown!r}")
        if scope not in SCOPES:
            raise InputError(f"scope must be {' or '.join(SCOPES)}, got {scope!r}")
        if normalize not in NORMALIZATIONS:
            raise InputError(f"normalize must be {' or '.join(NORMALIZATIONS)}, got {normalize!r}")
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("num_relations", num_relations),
            ("num_nodes", 1 if num_nodes is None else num_nodes),
            ("attention_channels", 1 if attention_channels is None else attention_channels),
        ):
            check_count(name, value)
        if "global" in branches and num_nodes is None:
            raise InputError("num_nodes must be a number for the global adjacency, got None")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.num_nodes, self.num_relations = num_nodes, num_relations
        self.branches = tuple(name for name in BRANCHES if name in branches)
        self.scope, self.normalize, self.residual = scope, normalize, residual
        if attention_channels is None:
            attention_channels = max(1, out_channels // 4)

        count, width = len(self.branches), num_relations * in_channels
        self.weight = nn.Parameter(torch.empty(count, width, out_channels))
        self.bias = None if norm else nn.Parameter(torch.empty(count, out_channels))
        self.adjacency: nn.Parameter | None = None
        if "global" in self.branches and num_nodes is not None:
            self.adjacency = nn.Parameter(torch.empty(num_relations, num_nodes, num_nodes))
        self.attention: Attention | None = None
        if "inferred" in self.branches:
            self.attention = make_attention(
                attention, in_channels, attention_channels, num_relations
            )
        self.norms: nn.ModuleList | None = None
        if norm:
            self.norms = nn.ModuleList(ChannelNorm(out_channels) for _ in self.branches)
        self.reduction = Pointwise(count * out_channels, out_channels)
        sizes_differ = residual and in_channels != out_channels
        self.shortcut = Pointwise(in_channels, out_channels, bias=False) if sizes_differ else None
        self.shortcut_norm = ChannelNorm(out_channels) if sizes_differ else None
        # An attention module passed in keeps its weights.
        self._reset(skip=attention)

    def reset_parameters(self) -> None:
        """Initialises all learned weights again; ``global`` becomes uniform."""
        self._reset()

    def _reset(self, skip: object = None) -> None:
        # As nn.Linear over the channels of all relations together.
        bound = 1 / math.sqrt(self.weight.size(1))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.adjacency is not None:
            nn.init.constant_(self.adjacency, 1 / self.adjacency.size(1))
        for module in self.children():
            if module is not skip:
                reset(module)

    def _infer(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The inferred adjacency [B, S, V (source), V (target)] of [B, T, V, C].

        ``allowed``, broadcastable to it, is True for sources that a target may attend to. Weights
        are zero for a target without any source.
        """
        assert self.attention is not None
        source, target = (y.permute(0, 3, 2, 1, 4) for y in self.attention(x))  # [B, S, V, T, D]
        with torch.autocast(x.device.type, enabled=False):
            logits = self.attention.score_pairs(full_precision(source), full_precision(target))
        if allowed is None:
            return logits.softmax(dim=2).to(x.dtype)
        logits = logits.masked_fill(~allowed, torch.finfo(logits.dtype).min)
        return logits.softmax(dim=2).masked_fill(~allowed, 0).to(x.dtype)

    def _convolve(self, branch: int, x: Tensor, adjacency: Tensor) -> Tensor:
        """Runs a branch up to its norm: [B, T, V, C], [(B,) S, V, V] -> [B, T, V, C_out]."""
        batch, frames, nodes, channels = x.shape
        relations = self.num_relations
        if self.out_channels >= channels:
            # Rows (target, relation): the relations of a target are contiguous in memory.
            rows = adjacency.movedim(-1, -3).flatten(-3, -2)
            gathered = _sum_sources(rows, x).view(batch, frames, nodes, relations * channels)
            return self._mix(branch, gathered)
        # Mixing first sums over fewer channels.
        weight, bias = self._branch_weights(branch)
        weight = weight.view(relations, channels, self.out_channels).transpose(1, 2)
        out = sum_relations(pointwise(x, weight.flatten(0, 1)), adjacency)
        return out if bias is None else out + bias

    def _mix(self, branch: int, gathered: Tensor) -> Tensor:
        """Applies the weights of a branch to summed source features: [*, S * C] -> [*, C_out]."""
        weight, bias = self._branch_weights(branch)
        return pointwise(gathered, weight.t(), bias)

    def _branch_weights(self, branch: int) -> tuple[Tensor, Tensor | None]:
        """Weight [S * C, C_out] and bias of a branch; in evaluation with its norm folded in."""
        if self.norms is None:
            return self.weight[branch], None if self.bias is None else self.bias[branch]
        norm = self.norms[branch]
        if norm.training:
            return self.weight[branch], None
        weight, bias = norm.fold(self.weight[branch], None)  # type: ignore[operator]
        return weight, bias

    def _combine(self, outputs: Sequence[Tensor], x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Applies norm and ReLU to each branch, then the 1x1 reduction and the residual."""
        out = x
        if self.shortcut is not None and self.shortcut_norm is not None:
            out = self.shortcut_norm(self.shortcut(x), mask)
        # The reduction runs branch by branch, so the branches are never concatenated.
        reductions = self.reduction.weight.chunk(len(self.branches), dim=1)
        for i, output in enumerate(outputs):
            if self.norms is not None:
                norm = self.norms[i]
                output = F.relu(norm(output, mask) if norm.training else output)
            output = pointwise(output, reductions[i], self.reduction.bias if i == 0 else None)
            out = out + output if i > 0 or self.residual else output
        return out

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, "
            f"num_relations={self.num_relations}, branches={list(self.branches)})"
        )


def sum_relations(mixed: Tensor, adjacency: Tensor) -> Tensor:
    """Sums sources over relations: [B, T, V, S * C], [(B,) S, V, V] -> [B, T, V, C]."""
    batch, frames, nodes, width = mixed.shape
    relations = adjacency.size(-3)
    # Rows (source, relation).
    sources = mixed.reshape(batch, frames, nodes * relations, width // relations)
    rows = adjacency.movedim(-3, -1).transpose(-3, -2).flatten(-2)
    return _sum_sources(rows, sources)


def _sum_sources(rows: Tensor, sources: Tensor) -> Tensor:
    """Multiplies [(B,) R, V] with [B, T, V, C] -> [B, T, R, C]."""
    rows = rows.to(sources.dtype)
    if rows.dim() == 3:
        return torch.matmul(rows.unsqueeze(1), sources)
    # torch.matmul would fold the batch, which copies it; bmm does not.
    batch, frames, nodes, channels = sources.shape
    flat = sources.reshape(batch * frames, nodes, channels)
    out = torch.bmm(rows.expand(batch * frames, -1, -1), flat)
    return out.view(batch, frames, rows.size(0), channels)
