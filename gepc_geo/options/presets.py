"""Presets: named changes to the default options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gepc_geo.errors import InputError, warn_of_input

if TYPE_CHECKING:
    from gepc_geo.poses.tracks import PoseTracks

#: The changes of each preset to the default options.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "gepc": {"mode": "assignment"},
    "paper": {
        "lengths": ["12"],
        "coefficients": 0,
        "scale": "image",
        "center": "window",
        "align": False,
        "motion": False,
        "max_gap": 2,
        "skip_faults": False,
        "augment": "paper",
        "clusters": 20,
        "target": "paper",
        "density": "gaussian-p",
        "mode": "assignment",
        "dropout": 0.3,
        "lr": 1e-3,
        "cluster_lr": 8e-4,
        "batch_size": 512,
        "cluster_share": 25 / 35,
        "target_updates": 13,
    },
}


def preset_changes(name: str, tracks: PoseTracks | None = None) -> dict[str, Any]:
    """Changes of a preset to the defaults of :class:`~gepc_geo.options.Options`.

    Args:
        name: ``"default"``: no changes. ``"gepc"``: autoencoder, clusters and mixture of the paper
            with the default input. ``"paper"``: the published method with settings of the public
            implementation: image scaling, five augmentations, 20 clusters, eq. 3, Gaussians on
            ``p``, mode ``assignment``. Its clustering stage has at most 2.5 times the steps of the
            reconstruction stage, and new targets in every other of 25 epochs. Training ends when
            the loss has converged (section 4.2.2 of the paper).
        tracks: Poses to train on. If they have no image size (3D poses have none), ``"paper"``
            divides them by their RMS size, with a warning. (default: :obj:`None`)

    Returns:
        Values by name of the option.

    Raises:
        InputError: The name is unknown.
    """
    if name not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    changes = {
        option: list(value) if isinstance(value, list) else value
        for option, value in PRESETS[name].items()
    }
    if tracks is not None and changes.get("scale") == "image":
        lack = _without_image_size(tracks)
        if lack:
            changes["scale"] = "rms"
            warn_of_input(
                f"poses must have an image size for preset {name}, got {lack}: "
                "they are divided by their RMS size instead (scale rms)"
            )
    return changes


def _without_image_size(tracks: PoseTracks) -> str:
    """Names poses without an image size; empty if all poses have one."""
    if tracks.dims == 3:
        return "3D poses, which have none"
    lost = np.isnan(tracks.image_size).any(axis=1)
    if not lost.any():
        return ""
    return f"none in clip {tracks.clip_names[int(np.argmax(lost))]!r}"
