"""Named protocols: which options differ from the defaults."""

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
    """The changes a named protocol makes to the defaults of :class:`~gepc_geo.options.Options`.

    Args:
        name: ``"default"`` (none); ``"gepc"``: the paper's chain of autoencoder, clusters and mixture on
            the default's input; or ``"paper"``: the published method with the public implementation's
            training facts (image scaling, five augmentations, 20 clusters, eq. 3, Gaussians on p, scored
            by ``assignment``; at most 2.5 times the steps of reconstruction for clustering, with new
            targets every other of 25 epochs). It is trained until it has converged (section 4.2.2 of the
            paper), at a learning rate that gets there.
        tracks: The poses it is for: where they have no image size (those in 3D have none), ``"paper"``
            divides them by their RMS size, with a warning. (default: :obj:`None`)

    Raises:
        InputError: Another name.
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
                f"{lack}, which preset {name} divides by: poses are divided by their RMS size "
                "(scale rms)"
            )
    return changes


def _without_image_size(tracks: PoseTracks) -> str:
    """What has no image size, as the beginning of a sentence; empty where everything has one."""
    if tracks.dims == 3:
        return "3D poses have no image size"
    lost = np.isnan(tracks.image_size).any(axis=1)
    if not lost.any():
        return ""
    return f"clip {tracks.clip_names[int(np.argmax(lost))]!r} has no image size"
