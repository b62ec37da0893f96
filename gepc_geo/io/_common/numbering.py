"""The first frame number of a file, 0 or 1, where its tool may use both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gepc_geo.io._common.clip import Clips

#: Reasons for counting from 0 or 1.
ZERO = "counted from 0, as there is a frame 0"
ONE = "counted from 1, as there is no frame 0"
USUAL = "counted from 0, as is usual"
OTHERS = "counted from 0, as other files have a frame 0"
MASK_ZERO = "counted from 0, by the lengths of masks"
MASK_ONE = "counted from 1, by the lengths of masks"
#: The reasons for counting from 1.
FROM_ONE = (ONE, MASK_ONE)


def first_numbers(
    clips: Sequence[Clips],
    formats: Sequence[str],
    names: Sequence[Sequence[str]],
    masks: Mapping[str, int],
) -> list[str | None]:
    """The reason for counting the frames of each file from 0 or 1; ``None`` if its format says.

    A mask whose length is the last frame number means 1; a mask that is one longer means 0. Without
    masks, a file with a frame 0 counts from 0. A file without frame 0 follows other files of its
    format that have one, unless it lists every frame from 1. Some formats count from 0 unless masks
    show otherwise.

    Args:
        clips: The content of each file.
        formats: The format of each.
        names: The names of each file's clips.
        masks: Lengths of masks by name of the clip.
    """
    zero_based = {form for file, form in zip(clips, formats, strict=True) if file.first_frame == 0}
    by_mask: dict[str, str] = {}
    by_own_mask: list[str | None] = []
    for file, form, clip_names in zip(clips, formats, names, strict=True):
        reason = None
        for name, length in zip(clip_names, file.tracks.clip_length.tolist(), strict=True):
            found = {length - 1: MASK_ONE, length: MASK_ZERO}.get(masks.get(name, -1))
            reason = MASK_ONE if MASK_ONE in (found, reason) else found or reason
        by_own_mask.append(reason if file.first_frame else None)
        if reason and file.first_frame:
            # A mask too short for frames from 0 is proof; a longer one may end with empty frames.
            by_mask[form] = MASK_ONE if reason == MASK_ONE else by_mask.get(form, reason)
    result: list[str | None] = []
    for file, form, reason in zip(clips, formats, by_own_mask, strict=True):
        if file.first_frame is None:
            result.append(None)
        elif file.first_frame == 0:
            result.append(ZERO)
        elif file.first_frame == 1 and file.complete:
            result.append(reason or ONE)
        elif form in zero_based:
            result.append(MASK_ONE if reason == MASK_ONE else OTHERS)
        else:
            result.append(by_mask.get(form) or (ONE if file.usual_first else USUAL))
    return result


def from_zero(clips: Clips, reason: str | None) -> Clips:
    """Renumbers frames to start at 0, for a reason of :func:`first_numbers`."""
    if reason not in FROM_ONE:
        return clips
    tracks = clips.tracks
    length = (tracks.clip_length - 1).clip(min=0)
    return replace(clips, tracks=replace(tracks, frame=tracks.frame - 1, clip_length=length))
