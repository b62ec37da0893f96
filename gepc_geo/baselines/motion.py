"""Mixture of motion features of bounding boxes, without joints."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gepc_geo.baselines.base import WindowBaseline
from gepc_geo.options import Options
from gepc_geo.windows.dataset import PoseWindows

# Windows of one block.
_CHUNK = 1 << 16


def motion_features(windows: PoseWindows) -> np.ndarray:
    r"""Eleven motion features of the bounding box of each window.

    Velocities are those of the centre of the box, in body heights a frame. The body height is the
    mean height of the box (in y) over the window. The features do not depend on position, size and
    horizontal direction.

    - length of the mean horizontal velocity, and the mean vertical velocity (signed);
    - standard deviations of horizontal (all horizontal axes together) and vertical velocity;
    - mean, standard deviation and maximum of the speed;
    - mean and standard deviation of the logarithm of width over height (in 3D the width is the
      horizontal diagonal of the box);
    - slope of the logarithm of the height per frame (towards the camera or away, up or down), and
      the standard deviation of that logarithm.

    Args:
        windows: Windows; padded windows repeat the first and the last frame of the track.

    Returns:
        Features, :math:`[W, 11]` float64.
    """
    table = windows.table
    low, high = table.keypoints.min(1), table.keypoints.max(1)
    boxes = np.stack([low, high], 1).astype(np.float64)
    features = [
        _features(boxes[windows.rows(slice(start, start + _CHUNK))])
        for start in range(0, len(windows), _CHUNK)
    ]
    return np.concatenate([np.zeros((0, 11)), *features])


def _features(boxes: np.ndarray) -> np.ndarray:
    """Features [W, 11] of boxes [W, T, 2, C], given as lowest and highest corner."""
    size = boxes[:, :, 1] - boxes[:, :, 0]
    # At least a thousandth of a pixel, or a millimetre, to avoid a division by 0.
    size = np.maximum(size, 1e-3)
    height = size[..., 1]
    across = np.linalg.norm(np.delete(size, 1, axis=2), axis=2)
    body = height.mean(1)[:, None, None]
    velocity = np.diff(boxes.mean(2), axis=1) / body
    horizontal, vertical = np.delete(velocity, 1, axis=2), velocity[..., 1]
    speed = np.linalg.norm(velocity, axis=2)
    aspect, tall = np.log(across / height), np.log(height)
    time = np.arange(tall.shape[1]) - (tall.shape[1] - 1) / 2
    return np.stack(
        [
            np.linalg.norm(horizontal.mean(1), axis=1),
            vertical.mean(1),
            np.sqrt(horizontal.var(1).sum(1)),
            vertical.std(1),
            speed.mean(1),
            speed.std(1),
            speed.max(1),
            aspect.mean(1),
            aspect.std(1),
            tall @ time / (time @ time),
            tall.std(1),
        ],
        axis=1,
    )


class MotionMixture(WindowBaseline):
    r"""Minus the log density of standardised :func:`motion_features` under a Gaussian mixture.

    It uses boxes only, so it works on any skeleton (also ``box5``).

    Args:
        options: As in :class:`~gepc_geo.baselines.base.WindowBaseline`.
            (default: all defaults)
        components: Number of Gaussians, at most one for each training window. (default: :obj:`20`)

    Attributes:
        model\_: Scaler and mixture of scikit-learn.
    """

    levels: ClassVar[tuple[str, ...]] = ("frame",)

    def __init__(self, options: Options | None = None, components: int = 20) -> None:
        super().__init__(options)
        self.components = components

    def _fit(self, windows: PoseWindows) -> None:
        x = motion_features(windows)
        mixture = GaussianMixture(
            min(self.components, len(x)), reg_covar=1e-3, random_state=self._options.random_state
        )
        self.model_ = make_pipeline(StandardScaler(), mixture).fit(x)

    def _score_windows(self, windows: PoseWindows) -> np.ndarray:
        x = motion_features(windows)
        return -self.model_.score_samples(x) if len(x) else np.zeros(0)
