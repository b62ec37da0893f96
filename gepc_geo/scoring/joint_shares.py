"""Shares of joints in the scores of windows: which joints make a window abnormal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gepc_geo.density.normality import combine_views
from gepc_geo.options import COMBINED
from gepc_geo.scoring.scorer import WindowScorer, own_modes, scoring_loader
from gepc_geo.transforms.spectral import from_spectrum
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.pipeline import InputPipeline, Inputs

# Main joints of a window.
_MOST = 3


def input_shares(
    scorer: WindowScorer, windows: PoseWindows, mode: str
) -> Iterator[tuple[Tensor, Tensor]]:
    r"""Shares of frames and joints in the scores of windows, for batches of windows.

    A share is :math:`|x \cdot \partial s / \partial x|` of the anomaly score :math:`s`, summed over
    the views of a window and the channels of a joint (coordinates and features, not motion), and
    scaled to a sum of one. Coefficients are transformed to frames. If the score does not depend on
    the input, all shares are equal. Shares of ``combined`` are the mean of those of both window
    modes, weighted by their tails.

    Args:
        scorer: A fitted scorer.
        windows: The windows.
        mode: A scoring mode.

    Returns:
        For each batch: positions of the windows :math:`[B]` and shares :math:`[B, T, V]`.
    """
    encoder, own = scorer.encoder, own_modes([mode])
    augment = encoder.pipeline.augment
    for batch in scoring_loader(windows, scorer.device):
        length, normality = batch.x.size(1), scorer.normality[batch.x.size(1)]
        views = []
        for choice in range(augment.num_scored):
            choices = torch.full((batch.num_graphs,), choice, device=batch.x.device)
            inputs = encoder.pipeline(batch, choices)
            views.append(inputs._replace(body=inputs.body.requires_grad_(True)))
        with torch.enable_grad():
            by_view = [
                normality.scores(normality.project(encoder.of_inputs(x, own))) for x in views
            ]
            scores = {m: combine_views(m, torch.stack([view[m] for view in by_view])) for m in own}
        shares = {m: _share(encoder.pipeline, score, views, length) for m, score in scores.items()}
        if mode == COMBINED:
            tails = normality.tails({m: score.detach() for m, score in scores.items()})
            weighted = [tails[m][:, None, None] * share for m, share in shares.items()]
            share = torch.stack(weighted).sum(0).to(views[0].body.dtype)
            share = share / share.sum((1, 2), keepdim=True)
        else:
            share = shares[mode]
        yield batch.window, share


def joint_shares(scorer: WindowScorer, windows: PoseWindows, mode: str) -> np.ndarray:
    r"""Shares of joints in the scores of windows: the sum of :func:`input_shares` over frames.

    Args:
        scorer: A fitted scorer.
        windows: :math:`W` windows.
        mode: A scoring mode.

    Returns:
        :math:`[W, V]` float32; rows sum to one.
    """
    shares = np.zeros((len(windows), scorer.encoder.pipeline.skeleton.num_joints), np.float32)
    for index, share in input_shares(scorer, windows, mode):
        shares[index.cpu().numpy()] = share.sum(1).cpu().numpy()
    return shares


def main_joints(share: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    r"""The fewest joints that have half of a window's score, at most three, largest share first.

    Args:
        share: Shares of the joints, :math:`[V]`.
        names: Names of the joints.
    """
    order = np.argsort(-share, kind="stable")[:_MOST]
    count = 1 + int((np.cumsum(share[order])[:-1] < share.sum() / 2).sum())
    return tuple(names[joint] for joint in order[:count])


def _share(pipeline: InputPipeline, score: Tensor, views: list[Inputs], length: int) -> Tensor:
    """Shares [B, T, V] in a score [B] of views that require gradients."""
    gradients = torch.autograd.grad(score.sum(), [x.body for x in views], retain_graph=True)
    share = torch.zeros((), device=score.device)
    for choice, (x, gradient) in enumerate(zip(views, gradients, strict=True)):
        part = _in_frames(pipeline, gradient, length)
        part = part * _in_frames(pipeline, x.body.detach(), length)
        share = share + pipeline.augment.to_source(part.abs().sum(3), choice)
    # Equal shares without a gradient, a rounding error with one.
    share = share.clamp(min=1e-30)
    return share / share.sum((1, 2), keepdim=True)


def _in_frames(pipeline: InputPipeline, body: Tensor, length: int) -> Tensor:
    """Coefficients [B, S, V, C] as frames [B, T, V, C]; frames stay as they are."""
    if not pipeline.options.coefficients:
        return body
    frames: Tensor = from_spectrum(body.flatten(2), length)
    return torch.unflatten(frames, 2, body.shape[2:])
