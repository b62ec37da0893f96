"""What the sparse and the dense spatial attention convolution share: weights and arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.errors import InputError

BRANCHES = ("static", "global", "inferred")


class ChannelNorm(nn.BatchNorm2d):
    r"""Batch normalisation over the last dimension of :math:`(B, T, V, C)` (or :math:`(N, T, C)`).

    The input is viewed channels-first without a copy: PyTorch's kernels for the channels-last
    memory format then see contiguous channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        flat = x if x.dim() == 4 else x.unsqueeze(0)
        return super().forward(flat.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).view(x.shape)


class SpatialAttention(nn.Module):
    """Weights of the three branches, and the steps that do not depend on how a graph is stored.

    State (names are stable): ``weight`` (branches, relations x in, out), ``bias`` (without norm),
    ``adjacency`` (``global``), ``theta``/``phi`` (``inferred``), ``norm``, ``reduction``,
    ``shortcut`` and ``shortcut_norm`` (where sizes differ).
    """

    def _make(
        self,
        in_channels: int,
        out_channels: int,
        num_nodes: int | None,
        num_relations: int,
        branches: Sequence[str],
        attention_channels: int | None,
        norm: bool,
        residual: bool,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self.num_nodes, self.num_relations = num_nodes, num_relations
        wrong = sorted(set(branches) - set(BRANCHES))
        if wrong or not branches:
            raise InputError(
                f"branches are {list(branches)}, expected some of {', '.join(BRANCHES)}"
            )
        self.branches = tuple(name for name in BRANCHES if name in branches)
        if attention_channels is None:
            attention_channels = max(1, out_channels // 4)
        self.attention_channels = attention_channels
        self.residual = residual
        count, width = len(self.branches), num_relations * in_channels
        self.weight = nn.Parameter(torch.empty(count, width, out_channels))
        self.bias = None if norm else nn.Parameter(torch.empty(count * out_channels))
        if "global" in self.branches:
            if num_nodes is None:
                raise InputError("num_nodes is None, expected a number for the global adjacency")
            self.adjacency = nn.Parameter(torch.empty(num_relations, num_nodes, num_nodes))
        if "inferred" in self.branches:
            self.theta = nn.Linear(in_channels, num_relations * attention_channels)
            self.phi = nn.Linear(in_channels, num_relations * attention_channels)
        self.norm = ChannelNorm(count * out_channels) if norm else None
        self.reduction = nn.Linear(count * out_channels, out_channels)
        sizes_differ = residual and in_channels != out_channels
        self.shortcut = nn.Linear(in_channels, out_channels, bias=False) if sizes_differ else None
        self.shortcut_norm = ChannelNorm(out_channels) if sizes_differ else None

    def reset_parameters(self) -> None:
        """Draws all learned weights anew; ``global`` becomes uniform."""
        # As nn.Linear over the channels of all relations together.
        bound = 1 / math.sqrt(self.weight.size(1))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if "global" in self.branches:
            nn.init.constant_(self.adjacency, 1 / self.adjacency.size(1))
        for name in ("theta", "phi", "norm", "reduction", "shortcut", "shortcut_norm"):
            module = getattr(self, name, None)
            if module is not None:
                module.reset_parameters()

    def _infer(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The inferred adjacency [B, S, V (source), V (target)] of [B, T, V, C]."""
        batch, _, nodes, _ = x.shape

        def embed(layer: nn.Linear) -> Tensor:
            y = layer(x).unflatten(-1, (self.num_relations, -1))
            return y.permute(0, 3, 2, 1, 4).reshape(batch * self.num_relations, nodes, -1)

        logits = torch.bmm(embed(self.theta), embed(self.phi).transpose(1, 2))
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        logits = logits.view(batch, self.num_relations, nodes, nodes)
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, :, None], -torch.inf)
            # A graph without any node has no source to attend to.
            logits = logits.masked_fill(~mask.any(1)[:, None, None, None], 0.0)
        return logits.softmax(dim=2).to(x.dtype)

    def _gather(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Sums sources into targets: [B, T, V, C] and [(B,) S, V, V] -> [B, T, V, S * C]."""
        batch, frames, nodes, channels = x.shape
        # Rows (target, relation), so that a target's relations lie side by side in memory.
        if adjacency.dim() == 3:
            rows = adjacency.permute(2, 0, 1).reshape(-1, nodes).to(x.dtype)
            flat = x.reshape(batch * frames, nodes, channels)
            # An explicit bmm: torch.matmul would fold the batch and copy it to do so.
            out = torch.bmm(rows.expand(len(flat), -1, -1), flat)
        else:
            rows = adjacency.permute(0, 3, 1, 2).reshape(batch, 1, -1, nodes).to(x.dtype)
            out = torch.matmul(rows, x)
        return out.reshape(batch, frames, nodes, -1)

    def _combine(self, gathered: Sequence[Tensor], x: Tensor) -> Tensor:
        """Weights, norm and activation of each branch, the 1x1 reduction, the residual."""
        parts = [g @ w for g, w in zip(gathered, self.weight.unbind(), strict=True)]
        out = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        if self.norm is not None:
            out = F.relu(self.norm(out))
        elif self.bias is not None:
            out = out + self.bias
        out = self.reduction(out)
        if not self.residual:
            return out
        if self.shortcut is None or self.shortcut_norm is None:
            return out + x
        return out + self.shortcut_norm(self.shortcut(x))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, "
            f"num_relations={self.num_relations}, branches={list(self.branches)})"
        )
