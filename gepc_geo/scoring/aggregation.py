"""Scores of people, frames and clips from scores of windows (section 4 of the paper).

Protocol ``reference`` follows the frame aggregation of the public implementation in three points:

- the centre frame of a window gets its score (:func:`person_frame_scores`),
- the score of a frame is that of its most normal person (:func:`frame_scores`),
- smoothing runs across clip borders (:func:`smooth`).

It differs in others. The public implementation has an indexing error: it averages five consecutive
windows in place of the five augmentations of one window. Here the score of a window is the mean
over its own augmentations in both protocols. Frames without people, gaps and padded windows are as
in protocol ``corrected``. Results of ``reference`` are therefore close to those of the public
implementation, but not equal.
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

#: Ways to compute scores of frames from scores of windows.
PROTOCOLS = ("corrected", "reference")
#: What was judged: nobody is there; all windows of the people there are too short, or have
#: tracking faults; somebody was judged. A frame has the largest state of its people.
STATES = ("nobody", "too short", "tracking fault", "judged")
NOBODY, SHORT, FAULT, JUDGED = range(len(STATES))
# Windows that are processed at once; their frames fit into a CPU cache.
_CHUNK = 1 << 16


@dataclass
class FrameScores:
    r"""Scores of :math:`G` frames.

    Attributes:
        score: :math:`(G)`, higher is more abnormal.
        person: Person whose score the frame has, :math:`(G)`; -1 for frames without scored people.
        people: Number of scored people in the frame, :math:`(G)`.
        state: What was judged, :math:`(G)` int64, a position in :data:`STATES`. The score of a
            frame that was not judged is ``empty_score``.
    """

    score: Tensor
    person: Tensor
    people: Tensor
    state: Tensor


@dataclass
class TrackScores:
    r"""Scores of :math:`M` people in their clips.

    Attributes:
        clip: Clip of each person, :math:`(M)`.
        track: Id of each person, :math:`(M)`.
        max: Score of the most abnormal window of the person, :math:`(M)`; NaN if no window was
            judged.
        mean: Mean over the windows of each length, then over the lengths, :math:`(M)`.
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
        length: Frames of all windows, :math:`T`, or of each window, :math:`(W)`. With several
            lengths, a person-frame has the mean over the lengths of its windows.
        num_rows: Number of person-frames, :math:`R`.
        low: First row of the track piece of each window, :math:`(W)`; rows of padded windows are
            clamped to the piece. (default: :obj:`None`, no padded windows)
        high: Last row of the track piece of each window, :math:`(W)`. (default: :obj:`None`)
        placement: ``"mean"``: a person-frame has the mean over all windows that contain it.
            ``"center"``: it has the score of the window whose frame
            :math:`\lfloor T / 2 \rfloor`, from 0, it is (protocol ``reference``).
            (default: :obj:`"mean"`)

    Returns:
        :math:`(R)` float64; NaN for rows without a window.
    """
    if isinstance(length, Tensor):
        total = count = window_score.new_zeros(num_rows, dtype=torch.float64)
        for frames in torch.unique(length).tolist():
            chosen = length == frames
            score = person_frame_scores(
                window_score[chosen],
                first[chosen],
                frames,
                num_rows,
                low=None if low is None else low[chosen],
                high=None if high is None else high[chosen],
                placement=placement,
            )
            total = total + score.nan_to_num(0.0)
            count = count + ~score.isnan()
        return total / torch.where(count > 0, count, torch.nan)
    score = window_score.double()
    total = score.new_zeros(num_rows)
    count = score.new_zeros(num_rows)
    steps = torch.arange(length, device=score.device)
    steps = steps if placement == "mean" else steps[length // 2 :][:1]
    # In order of windows: the rounding of a row does not depend on other rows.
    for part in torch.split(torch.arange(len(score), device=score.device), _CHUNK):
        rows = first[part, None] + steps
        if low is not None and high is not None:
            rows = rows.clamp(low[part, None], high[part, None])
        row_score = score[part].repeat_interleave(len(steps))
        total.index_add_(0, rows.view(-1), row_score)
        count.index_add_(0, rows.view(-1), torch.ones_like(row_score))
    return total / torch.where(count > 0, count, torch.nan)


def person_frames(windows: PoseWindows, score: Tensor, *, placement: str = "mean") -> Tensor:
    r"""Scores of the person-frames of ``windows.table``, with :func:`person_frame_scores`.

    Args:
        windows: :math:`W` windows.
        score: :math:`(W)`, on the CPU: sums on a GPU differ between runs.
        placement: As in :func:`person_frame_scores`. (default: :obj:`"mean"`)

    Returns:
        :math:`(R)` float64; NaN for rows without a window.
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


def person_frame_states(windows: PoseWindows, used: np.ndarray, fault: np.ndarray) -> np.ndarray:
    r"""What was judged of the person-frames of ``windows.table``.

    Args:
        windows: :math:`W` windows.
        used: :math:`[W]` bool, windows that give scores.
        fault: :math:`[W]` bool, windows that give none because of tracking faults.

    Returns:
        :math:`[R]` int64, positions in :data:`STATES`.
    """
    states = np.full(len(windows.table.frame), SHORT)
    for chosen, state in ((fault, FAULT), (used, JUDGED)):
        part = windows.subset(chosen)
        covered = np.zeros(len(states) + 1, dtype=np.int64)
        np.add.at(covered, np.maximum(part.first, part.low), 1)
        np.add.at(covered, np.minimum(part.first + part.size - 1, part.high) + 1, -1)
        states[np.cumsum(covered[:-1]) > 0] = state
    return states


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
    state: Tensor | None = None,
) -> FrameScores:
    r"""Scores of frames from scores of the people in them.

    Args:
        score: Scores of person-frames :math:`(R)`; NaN: no score.
        slot: Frame of each person-frame, :math:`(R)`, counted over all clips.
        track: Person of each person-frame, :math:`(R)`.
        num_slots: Number of frames in all clips, :math:`G`.
        empty_score: Score of frames without scored people: the lowest score of training windows.
        protocol: ``"corrected"``: a frame has the score of its most abnormal person.
            ``"reference"``: of its most normal person (see the top of this module).
            (default: :obj:`"corrected"`)
        calibrator: Calibration of person-frame scores, for ``people_correction``.
            (default: :obj:`None`)
        people_correction: Replace the score of a frame by minus the log of the probability that the
            highest score of as many normal people is at least as high. (default: :obj:`False`)
        state: What was judged of each person-frame, :math:`(R)`, from
            :func:`person_frame_states`. (default: :obj:`None`, too short where there is no score)

    Raises:
        InputError: ``protocol`` is unknown, or ``people_correction`` lacks a ``calibrator``.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol must be {' or '.join(PROTOCOLS)}, got {protocol!r}")
    scored = ~score.isnan()
    if state is None:
        state = torch.where(scored, JUDGED, SHORT)
    frame_state = torch.zeros(num_slots, dtype=torch.long, device=slot.device)
    frame_state.scatter_reduce_(0, slot, state, "amax")
    score, slot, track = score[scored], slot[scored], track[scored]
    people = torch.bincount(slot, minlength=num_slots)
    sign = 1.0 if protocol == "corrected" else -1.0
    value, position = scatter_max_arg(sign * score, slot, num_slots)
    person = torch.full_like(people, -1)
    empty = position < 0
    person[~empty] = track[position[~empty]]
    value = sign * value
    value = torch.where(empty, empty_score, value)
    if people_correction:
        if calibrator is None:
            raise InputError("calibrator must be fitted for the people correction, got None")
        value = -correct_for_people(calibrator.log_tail(value), people.clamp(min=1))
    return FrameScores(value, person, people, frame_state)


def smooth(
    scores: np.ndarray, frame_offset: np.ndarray, sigma: float, *, across_clips: bool = False
) -> np.ndarray:
    r"""Gaussian smoothing of frame scores along time.

    Args:
        scores: :math:`(G)`, of the frames of all clips.
        frame_offset: Start of each clip, and the end of the last, :math:`(N + 1)`.
        sigma: Standard deviation in frames.
        across_clips: Smooth all clips as one series, as the public implementation does (protocol
            ``reference``); else each clip separately. (default: :obj:`False`)

    Returns:
        Smoothed scores, :math:`(G)`.
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
    r"""Scores of people from scores of their windows, sorted by clip, then track.

    Args:
        window_score: :math:`(W)`.
        clip: Clip of each window, :math:`(W)`.
        track: Person id of each window, :math:`(W)`.
        length: Frames of each window, :math:`(W)`. (default: :obj:`None`, one length)
    """
    length = torch.zeros_like(clip) if length is None else length
    keys = torch.stack([clip, track, length], 1)
    # A group: the windows of one person and one length.
    groups, group = torch.unique(keys, dim=0, return_inverse=True)
    people, person = torch.unique(groups[:, :2], dim=0, return_inverse=True)
    score = window_score.double()
    return TrackScores(
        clip=people[:, 0],
        track=people[:, 1],
        max=scatter_max_arg(score, person[group], len(people))[0],
        mean=_means(_means(score, group, len(groups)), person, len(people)),
    )


def _means(value: Tensor, group: Tensor, count: int) -> Tensor:
    """The mean of the values of each group."""
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
    r"""Scores of clips: the highest ``mean`` of :func:`track_scores` of its people.

    Args:
        window_score: :math:`(W)`.
        clip: Clip of each window, :math:`(W)`.
        track: Person id of each window, :math:`(W)`.
        num_clips: Number of clips, :math:`N`.
        empty_score: Score of clips without a window.
        length: Frames of each window, :math:`(W)`. (default: :obj:`None`, one length)

    Returns:
        Scores :math:`(N)` and the people with these scores :math:`(N)`; clips without a window get
        ``empty_score`` and -1.
    """
    people = track_scores(window_score, clip, track, length)
    value, position = scatter_max_arg(people.mean, people.clip, num_clips)
    person = torch.full((num_clips,), -1, dtype=torch.long, device=value.device)
    scored = position >= 0
    person[scored] = people.track[position[scored]]
    return torch.where(scored, value, empty_score), person
