"""Whether the frames of a file are counted from 0 or from 1, where its tool does both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gepc_geo.io._common.clip import Clips

#: Why frames are counted as they are.
ZERO = "counted from 0, as there is a frame 0"
ONE = "counted from 1, as there is no frame 0"
USUAL = "counted from 0, as is usual"
OTHERS = "counted from 0, as other files have a frame 0"
MASK_ZERO = "counted from 0, as the masks' lengths say"
MASK_ONE = "counted from 1, as the masks' lengths say"
#: Those of them that count from 1.
FROM_ONE = (ONE, MASK_ONE)


def first_numbers(
    clips: Sequence[Clips],
    formats: Sequence[str],
    names: Sequence[Sequence[str]],
    masks: Mapping[str, int],
) -> list[str | None]:
    """How the frames of each file are counted; ``None`` where its format says.

    A mask as long as the last frame's number is one of frames counted from 1; a mask one longer, of
    frames counted from 0. Else frames are counted from 0 where the file has a frame 0. Where it has none,
    it follows other files of its format that have one, unless it lists every frame from 1. Some formats are
    counted from 0 unless masks say otherwise.

    Args:
        clips: What was read of each file.
        formats: The format of each.
        names: The names of each file's clips.
        masks: Lengths of masks by the name of the clip.
    """
    has_zero = {form for one, form in zip(clips, formats, strict=True) if one.counted == 0}
    by_mask: dict[str, str] = {}
    own_mask: list[str | None] = []
    for one, form, called in zip(clips, formats, names, strict=True):
        told = None
        for name, length in zip(called, one.tracks.clip_length.tolist(), strict=True):
            says = {length - 1: MASK_ONE, length: MASK_ZERO}.get(masks.get(name, -1))
            told = MASK_ONE if MASK_ONE in (says, told) else says or told
        own_mask.append(told if one.counted else None)
        if told and one.counted:
            # That a mask is too short for frames from 0 is sure; that one is longer may be an empty end.
            by_mask[form] = MASK_ONE if told == MASK_ONE else by_mask.get(form, told)
    result: list[str | None] = []
    for one, form, told in zip(clips, formats, own_mask, strict=True):
        if one.counted is None:
            result.append(None)
        elif one.counted == 0:
            result.append(ZERO)
        elif one.counted == 1 and one.complete:
            result.append(told or ONE)
        elif form in has_zero:
            result.append(MASK_ONE if told == MASK_ONE else OTHERS)
        else:
            result.append(by_mask.get(form) or (ONE if one.usual else USUAL))
    return result


def from_zero(clips: Clips, how: str | None) -> Clips:
    """The clips with their first frame as number 0."""
    if how not in FROM_ONE:
        return clips
    tracks = clips.tracks
    length = (tracks.clip_length - 1).clip(min=0)
    return replace(clips, tracks=replace(tracks, frame=tracks.frame - 1, clip_length=length))
