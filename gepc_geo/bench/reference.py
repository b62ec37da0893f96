"""Ordinary implementation of the network, the reference of all speeds.

It stores channels first and uses a 1x1 ``Conv2d`` for all relations, an ``einsum`` with the
adjacency, and PyTorch's dropout and up-sampling. It copies the weights of a network of the library.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gepc_geo.nn import STGCAE, DenseSpatialAttentionConv


class OrdinaryConv(nn.Module):
    r"""Spatial attention convolution on :math:`(B, C, T, V)`.

    Args:
        layer: Layer to copy, with dot-product attention over all pairs.
    """

    def __init__(self, layer: DenseSpatialAttentionConv) -> None:
        super().__init__()
        relations, out, inner = layer.num_relations, layer.out_channels, layer.in_channels
        self.relations, self.branches, self.residual = relations, layer.branches, layer.residual
        self.theta: nn.Module | None = None
        self.phi: nn.Module | None = None
        if layer.attention is not None:
            self.theta, self.phi = _conv1x1(layer.attention.theta), _conv1x1(layer.attention.phi)
        self.adjacency: nn.Parameter | None = None
        if layer.adjacency is not None:
            self.adjacency = nn.Parameter(layer.adjacency.detach().clone())
        self.expand, self.norms = nn.ModuleList(), nn.ModuleList()
        for b, weight in enumerate(layer.weight.detach()):
            expand = nn.Conv2d(inner, relations * out, 1, bias=False)
            weight = weight.view(relations, inner, out).transpose(1, 2)
            expand.weight.data.copy_(weight.reshape(-1, inner, 1, 1))
            self.expand.append(expand)
            if layer.norms is not None:
                self.norms.append(_norm(layer.norms[b]))
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        self.reduction = _conv1x1(layer.reduction)
        self.shortcut = nn.Sequential()
        if layer.shortcut is not None and layer.shortcut_norm is not None:
            self.shortcut = nn.Sequential(_conv1x1(layer.shortcut), _norm(layer.shortcut_norm))

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Runs the layer with the adjacency :math:`(S, V, V)`."""
        outputs = []  # of each branch
        for b, branch in enumerate(self.branches):
            matrix, rule = adj, "nkctv,kvw->nctw"
            if branch == "global" and self.adjacency is not None:
                matrix = self.adjacency
            elif branch == "inferred":
                matrix, rule = self._infer(x), "nkctv,nkvw->nctw"
            output = torch.einsum(rule, self._split(self.expand[b](x)), matrix)
            if self.bias is not None:
                output = output + self.bias[b].view(-1, 1, 1)
            else:
                output = F.relu(self.norms[b](output))
            outputs.append(output)
        out: Tensor = self.reduction(torch.cat(outputs, dim=1))
        return out + self.shortcut(x) if self.residual else out

    def _infer(self, x: Tensor) -> Tensor:
        assert self.theta is not None and self.phi is not None
        theta, phi = self._split(self.theta(x)), self._split(self.phi(x))
        logits: Tensor = torch.einsum("nkctv,nkctw->nkvw", theta, phi)
        return logits.softmax(dim=2)

    def _split(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(1, (self.relations, -1))  # [B, K, C, T, V]
        return out


class OrdinaryBlock(nn.Module):
    r"""Spatio-temporal block on :math:`(B, C, T, V)`."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.spatial = OrdinaryConv(block.spatial)
        self.spatial_norm = _norm(block.spatial_norm)
        self.temporal = _temporal(block.temporal, 1)
        self.temporal_norm = _norm(block.temporal_norm)
        self.dropout = nn.Dropout(block.dropout)
        self.shortcut = nn.Sequential()
        if block.shortcut is not None and block.shortcut_norm is not None:
            strided = _temporal(block.shortcut, block.shortcut.skip)
            self.shortcut = nn.Sequential(strided, _norm(block.shortcut_norm))
        self.act = nn.ReLU() if block.act else nn.Identity()

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Runs the block."""
        out = F.relu(self.spatial_norm(self.spatial(x, adj)))
        out = self.dropout(self.temporal_norm(self.temporal(out)))
        activated: Tensor = self.act(out + self.shortcut(x))
        return activated


class OrdinarySTGCAE(nn.Module):
    r"""Autoencoder with the input and output shapes of :class:`~gepc_geo.nn.STGCAE`.

    Args:
        model: Network to copy.
    """

    adj: Tensor

    def __init__(self, model: STGCAE) -> None:
        super().__init__()
        self.register_buffer("adj", model.adj.clone())
        self.latent_dim = model.latent_dim
        self.input_norm = nn.BatchNorm1d(model.input_norm.num_features)
        self.input_norm.load_state_dict(model.input_norm.state_dict())
        self.encoder = nn.ModuleList(OrdinaryBlock(block) for block in model.encoder)
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i, block in enumerate(model.decoder):
            stretch = getattr(model, f"stretch_{i}", None)
            factor = 1 if stretch is None else stretch.size(0) // stretch.size(1)
            self.ups.append(nn.Upsample(scale_factor=(factor, 1), mode="bilinear"))
            self.decoder.append(OrdinaryBlock(block))
        self.output = OrdinaryConv(model.output)

    def encode(self, x: Tensor) -> Tensor:
        r"""Encodes windows :math:`(B, T, V, C)` to latents :math:`(B, D)`."""
        return self._encode(x).permute(0, 2, 3, 1).flatten(1)

    def _encode(self, x: Tensor) -> Tensor:
        batch, frames, nodes, channels = x.shape
        x = self.input_norm(x.reshape(batch * frames, -1))
        x = x.view(batch, frames, nodes, channels).permute(0, 3, 1, 2).contiguous()
        for block in self.encoder:
            x = block(x, self.adj)
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns reconstruction and latent."""
        z = x = self._encode(x)
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = block(up(x), self.adj)
        reconstruction = self.output(x, self.adj).permute(0, 2, 3, 1)
        return reconstruction, z.permute(0, 2, 3, 1).flatten(1)


def _conv1x1(linear: Any) -> nn.Conv2d:
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=linear.bias is not None)
    conv.weight.data.copy_(linear.weight[:, :, None, None])
    if linear.bias is not None and conv.bias is not None:
        conv.bias.data.copy_(linear.bias)
    return conv


def _norm(norm: Any) -> nn.BatchNorm2d:
    result = nn.BatchNorm2d(norm.num_features)
    result.load_state_dict(norm.state_dict())
    return result


def _temporal(conv: Any, skip: int) -> nn.Conv2d:
    result = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=(conv.stride[0] * skip, 1),
        padding=conv.padding,
    )
    result.load_state_dict(conv.state_dict())
    return result
