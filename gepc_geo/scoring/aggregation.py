"""From windows to persons, frames and clips (section 4 of the paper). Higher is more abnormal.

Protocol ``reference`` follows the public implementation's frame aggregation in three things:

- a window's score goes to its centre frame alone (:func:`person_frame_scores`),
- the most normal person of a frame decides (:func:`frame_scores`),
- smoothing runs across clip borders (:func:`smooth`).

It does not follow it in a fourth: where the five augmentations of a window are to be averaged, an
indexing fault there averages five consecutive windows that have nothing to do with one another.
Here window scores are means over each window's own augmentations, in both protocols. Frames with
nobody, gaps and padded windows are treated as in ``corrected``, too. So numbers of ``reference`` can
be compared with the public implementation's, but are not expected to equal them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from gepc_geo.density.tail_calibration import TailCalibrator, correct_for_people
from gepc_geo.errors import InputError
from gepc_geo.scoring.scatter import scatter_max_arg
from gepc_geo.windows.dataset import PoseWindows

#: How scores of windows become scores of frames.
PROTOCOLS = ("corrected", "reference")
# Windows spread over their frames at once: few enough to stay in a CPU cache.
_CHUNK = 1 << 16


@dataclass
class FrameScores:
    r"""Scores of :math:`G` frames.

    Attributes:
        score: :math:`(G)`, higher is more abnormal.
        person: Track that decided, :math:`(G)`; -1 for frames with nobody scored.
        people: Persons scored in the frame, :math:`(G)`.
    """

    score: Tensor
    person: Tensor
    people: Tensor


@dataclass
class TrackScores:
    r"""Scores of :math:`M` persons in their clips.

    Attributes:
        clip: :math:`(M)`.
        track: :math:`(M)`.
        max: Score of the person's most abnormal window.
        mean: Mean over the person's windows of each length, then over the lengths.
    """

    clip: Tensor
    track: Tensor
    max: Tensor
    mean: Tensor


def person_frame_scores(
    window_score: Tensor,
    first: Tensor,
    length: int | Tensor,
    num_rows: int,
    *,
    low: Tensor | None = None,
    high: Tensor | None = None,
    placement: str = "mean",
) -> Tensor:
    r"""Scores of person-frames from scores of the windows that contain them.

    Args:
        window_score: :math:`(W)`.
        first: Row of each window's first frame, :math:`(W)`.
        length: Frames of the windows, :math:`T`, or of each, :math:`(W)`. Of several lengths each gives a
            score, and the person-frame has the mean of those it has.
        num_rows: Person-frames, :math:`R`.
        low: First row of each window's track piece; windows padded at its ends stay inside.
        high: Last row of the piece.
        placement: ``"mean"``: the mean over all windows that contain the frame; ``"center"``: the
            score of the window whose centre frame it is, frame :math:`\lfloor T / 2 \rfloor` counted
            from 0 (protocol ``reference``); frames near a track's ends then have none.
            (default: :obj:`"mean"`)

    Returns:
        :math:`(R)` float64; NaN for rows in no window.
    """
    if isinstance(length, Tensor):
        total = count = window_score.new_zeros(num_rows, dtype=torch.float64)
        for one in length.unique().tolist():
            of = length == one
            ends = [None if end is None else end[of] for end in (low, high)]
            row = person_frame_scores(
                window_score[of],
                first[of],
                one,
                num_rows,
                low=ends[0],
                high=ends[1],
                placement=placement,
            )
            total = total + row.nan_to_num(0.0)
            count = count + ~row.isnan()
        return total / torch.where(count > 0, count, torch.nan)
    score = window_score.double()
    total = score.new_zeros(num_rows)
    count = score.new_zeros(num_rows)
    steps = torch.arange(length, device=score.device)
    steps = steps if placement == "mean" else steps[length // 2 :][:1]
    # Window after window: every row adds up in the same order, whatever stands before and behind.
    for part in torch.arange(len(score), device=score.device).split(_CHUNK):
        rows = first[part, None] + steps
        if low is not None and high is not None:
            rows = rows.clamp(low[part, None], high[part, None])
        each = score[part].repeat_interleave(len(steps))
        total.index_add_(0, rows.view(-1), each)
        count.index_add_(0, rows.view(-1), torch.ones_like(each))
    return total / torch.where(count > 0, count, torch.nan)


def person_frames(windows: PoseWindows, score: Tensor, *, placement: str = "mean") -> Tensor:
    r"""As :func:`person_frame_scores`, of one score :math:`(W)` of each window.

    Args:
        windows: The windows; their rows are those of ``windows.table``.
        score: On the CPU, where equal runs give equal sums: a GPU adds in any order.
        placement: As in :func:`person_frame_scores`. (default: :obj:`"mean"`)
    """
    return person_frame_scores(
        score,
        torch.as_tensor(windows.first),
        torch.as_tensor(windows.size),
        len(windows.table.frame),
        low=torch.as_tensor(windows.low),
        high=torch.as_tensor(windows.high),
        placement=placement,
    )


def frame_scores(
    score: Tensor,
    slot: Tensor,
    track: Tensor,
    num_slots: int,
    *,
    empty_score: float,
    protocol: str = "corrected",
    calibrator: TailCalibrator | None = None,
    people_correction: bool = False,
) -> FrameScores:
    r"""Scores of frames from scores of the people in them.

    Args:
        score: Person-frame scores :math:`(R)`; NaN where nothing is known.
        slot: Frame of each, :math:`(R)`, counted over all clips end to end.
        track: Person of each, :math:`(R)`.
        num_slots: Frames in all clips, :math:`G`.
        empty_score: Score of frames with nobody: the most normal one seen in training.
        protocol: ``"corrected"``: the most abnormal person decides; ``"reference"``: the most normal
            one does, as in the public implementation. That is all that ``reference`` changes here;
            what else it follows, and what it does not, is said at the top of this module.
            (default: :obj:`"corrected"`)
        calibrator: Of person-frame scores; needed by ``people_correction``.
            (default: :obj:`None`)
        people_correction: Turn the deciding score into minus the log of the probability that, with
            as many normal people, somebody scores as high. (default: :obj:`False`)

    Raises:
        InputError: Another ``protocol``, ``people_correction`` without a ``calibrator``.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}, expected {' or '.join(PROTOCOLS)}")
    known = ~score.isnan()
    score, slot, track = score[known], slot[known], track[known]
    people = torch.bincount(slot, minlength=num_slots)
    sign = 1.0 if protocol == "corrected" else -1.0
    value, position = scatter_max_arg(sign * score, slot, num_slots)
    person = torch.full_like(people, -1)
    nobody = position < 0
    person[~nobody] = track[position[~nobody]]
    value = sign * value
    empty = torch.tensor(empty_score, dtype=value.dtype, device=value.device)
    if people_correction:
        if calibrator is None:
            raise InputError("calibrator is None, expected a fitted one for the people correction")
        tail = calibrator.log_tail(torch.where(nobody, empty, value))
        value = -correct_for_people(tail, people.clamp(min=1))
    else:
        value = torch.where(nobody, empty, value)
    return FrameScores(value, person, people)


def smooth(
    scores: np.ndarray, frame_offset: np.ndarray, sigma: float, *, across_clips: bool = False
) -> np.ndarray:
    r"""Gaussian smoothing of frame scores along time.

    Args:
        scores: :math:`(G)`, all clips end to end.
        frame_offset: Where each clip starts, :math:`(N + 1)`.
        sigma: Standard deviation in frames.
        across_clips: Smooth over clip borders, all clips as one series, as the public implementation
            does (protocol ``reference``); else each clip for itself. (default: :obj:`False`)
    """
    if across_clips:
        return gaussian_filter1d(scores, sigma, mode="nearest") if len(scores) else scores
    parts = np.split(scores, frame_offset[1:-1])
    return np.concatenate(
        [gaussian_filter1d(part, sigma, mode="nearest") if len(part) else part for part in parts]
    )


def track_scores(
    window_score: Tensor, clip: Tensor, track: Tensor, length: Tensor | None = None
) -> TrackScores:
    r"""Scores of persons from those of their windows, sorted by clip, then track.

    Args:
        window_score: :math:`(W)`.
        clip: Of each, :math:`(W)`.
        track: Of each, :math:`(W)`.
        length: Frames of each, :math:`(W)`. (default: the same of all)
    """
    length = torch.zeros_like(clip) if length is None else length
    of = torch.stack([clip, track, length], 1)
    parts, part = torch.unique(of, dim=0, return_inverse=True)
    people, whose = torch.unique(parts[:, :2], dim=0, return_inverse=True)
    score = window_score.double()
    return TrackScores(
        clip=people[:, 0],
        track=people[:, 1],
        max=scatter_max_arg(score, whose[part], len(people))[0],
        mean=_means(_means(score, part, len(parts)), whose, len(people)),
    )


def _means(value: Tensor, group: Tensor, count: int) -> Tensor:
    """The mean of each group's values."""
    total = value.new_zeros(count).index_add_(0, group, value)
    return total / torch.bincount(group, minlength=count)


def clip_scores(
    window_score: Tensor,
    clip: Tensor,
    track: Tensor,
    num_clips: int,
    *,
    empty_score: float,
    length: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Scores of clips: the most abnormal person decides, by the ``mean`` of :func:`track_scores`.

    (Of a clip-level set every person has one window, so that mean is its score.)

    Args:
        window_score: As in :func:`track_scores`.
        clip: As there.
        track: As there.
        num_clips: Clips, :math:`N`.
        empty_score: Score of clips without any window.
        length: As in :func:`track_scores`.

    Returns:
        Scores :math:`(N)` and the deciding persons :math:`(N)`; clips without any window get
        ``empty_score`` and -1.
    """
    people = track_scores(window_score, clip, track, length)
    value, position = scatter_max_arg(people.mean, people.clip, num_clips)
    person = torch.full((num_clips,), -1, dtype=torch.long, device=value.device)
    known = position >= 0
    person[known] = people.track[position[known]]
    return torch.where(known, value, empty_score), person
