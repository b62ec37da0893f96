"""Selection of clips and of rows of a data set of poses.

``fields`` are the attributes of :class:`~gepc_geo.poses.tracks.PoseTracks` by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.poses.schema import ROWS, STRINGS


def clip_mask(
    fields: Mapping[str, Any],
    split: str | None,
    labels: Iterable[str] | None,
    clips: Sequence[int] | np.ndarray | None,
) -> np.ndarray:
    """The clips, :math:`[N]`, that :meth:`~gepc_geo.poses.tracks.PoseTracks.select` keeps."""
    count = len(fields["clip_names"])
    keep = np.ones(count, dtype=bool)
    if split is not None:
        keep &= np.array([name == split for name in fields["clip_split"]], dtype=bool)
        if not keep.any():
            known = _known(fields["clip_split"])
            raise InputError(f"split must be one of the data's ({known}), got {split!r}")
    if labels is not None:
        wanted = set(labels)
        check_classes(fields["clip_label"], wanted)
        keep &= np.array([name in wanted for name in fields["clip_label"]], dtype=bool)
    if clips is not None:
        chosen = np.zeros(count, dtype=bool)
        try:
            chosen[np.asarray(clips)] = True
        except IndexError as error:
            raise InputError(
                f"clips must be positions below {count} or a mask of that length, "
                f"got an error: {error}"
            ) from None
        keep &= chosen
    return keep


def check_classes(clip_label: Sequence[str], names: Iterable[str]) -> None:
    """Implements :meth:`~gepc_geo.poses.tracks.PoseTracks.check_classes`."""
    missing = sorted(set(names) - set(clip_label))
    if missing:
        raise InputError(
            f"class must be one of the data's ({_known(clip_label)}), got {missing[0]!r}"
        )


def rows_of(fields: Mapping[str, Any], keep: np.ndarray) -> dict[str, Any]:
    """The arrays of person-frames at positions, or of a boolean mask."""
    return {name: fields[name][keep] for name in ROWS if fields[name] is not None}


def clips_of(fields: Mapping[str, Any], keep: np.ndarray) -> dict[str, Any]:
    """The fields of the clips in a boolean mask; the others have no clips."""
    changes = rows_of(fields, np.flatnonzero(keep[fields["clip"]]))
    number = np.cumsum(keep) - 1
    changes["clip"] = number[changes["clip"]].astype(np.int64)
    changes |= {name: fields[name][keep] for name in ("clip_length", "image_size", "fps")}
    changes |= {
        name: tuple(value for value, k in zip(fields[name], keep, strict=True) if k)
        for name in STRINGS
    }
    if fields["frame_labels"] is not None:
        changes["frame_labels"] = fields["frame_labels"][np.repeat(keep, fields["clip_length"])]
    return changes


def _known(names: Iterable[str]) -> str:
    """The names that are not empty, as text."""
    return ", ".join(sorted(set(names) - {""})) or "none"
