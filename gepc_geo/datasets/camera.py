"""A camera that sees simulated people, and the faults of a pose tracker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gepc_geo.datasets.behaviour import Person
from gepc_geo.datasets.gait import smooth_noise

#: Size of the image in pixels.
WIDTH, HEIGHT = 856, 480


@dataclass
class Camera:
    """A pinhole camera above the origin that looks along y and slightly down.

    Attributes:
        height: Height above the ground in metres.
        pitch: Angle below the horizontal in radians.
        focal: Focal length in pixels.
    """

    height: float
    pitch: float
    focal: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels and depth ``[..., 3]`` of world points ``[..., 3]`` (metres)."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2] - self.height
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        depth = np.maximum(cos * y - sin * z, 0.1)
        below = -(sin * y + cos * z)
        u = WIDTH / 2 + self.focal * x / depth
        v = HEIGHT / 2 + self.focal * below / depth
        return np.stack([u, v, depth], -1)


@dataclass
class Observation:
    """One person as a pose tracker gives it, in ``F`` of the clip's ``T`` frames.

    Attributes:
        keypoints: Positions in pixels, ``[F, 17, 2]``.
        confidence: Confidence of each joint, ``[F, 17]``; 0 is a missing joint.
        frame: Frame numbers, ``[F]``.
        track: Track ids, ``[F]``.
        abnormal_frames: Whether the person is in view and abnormal, ``[T]`` bool.
    """

    keypoints: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    abnormal_frames: np.ndarray


def observe(
    rng: np.random.Generator, person: Person, camera: Camera, track: int, spare_track: int
) -> Observation:
    """Projects a person and adds the faults of a pose tracker.

    Args:
        rng: Draws the faults.
        person: The person.
        camera: The camera.
        track: The person's track id.
        spare_track: The id after a switch of ids.
    """
    projected = camera.project(person.joints)
    pixels, depth = projected[..., :2], projected[:, 0, 2]
    size = camera.focal * person.height / depth  # height of a standing body in pixels
    frames = len(pixels)
    inside = (pixels >= 0).all(-1) & (pixels[..., 0] < WIDTH) & (pixels[..., 1] < HEIGHT)
    # In view: most joints are inside the image, and the person is large enough to be detected.
    view = (inside.mean(1) > 0.7) & (size > 45) & (person.joints[:, 0, 1] > 3)
    noise = rng.normal(size=pixels.shape) + 0.6 * np.stack(
        [[smooth_noise(rng, frames, 6) for _ in range(pixels.shape[1])] for _ in range(2)]
    ).transpose(2, 1, 0)
    pixels = pixels + 0.008 * size[:, None, None] * noise
    confidence = np.clip(rng.normal(0.88, 0.06, size=pixels.shape[:2]), 0.3, 1.0)
    confidence[~inside] = 0
    for _ in range(rng.poisson(frames / 120)):
        # Something hides the legs, an arm, or a single joint for a while.
        first, length = int(rng.integers(0, frames)), int(rng.integers(4, 36))
        part = (range(11, 17), (7, 9), (8, 10), (int(rng.integers(0, 17)),))[rng.integers(0, 4)]
        confidence[first : first + length, list(part)] = 0
    missed = rng.uniform(size=frames) < 0.02
    if rng.uniform() < 0.3:
        first = int(rng.integers(0, frames))
        missed[first : first + int(rng.integers(4, 14))] = True
    ids = np.full(frames, track)
    if rng.uniform() < 0.1:
        ids[int(rng.integers(0, frames)) :] = spare_track
    keep = view & ~missed & (confidence > 0).any(1)
    return Observation(
        np.where(confidence[..., None] > 0, pixels, 0)[keep],
        confidence[keep],
        np.flatnonzero(keep),
        ids[keep],
        view & person.abnormal,
    )
