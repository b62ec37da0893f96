"""Windows to persons, frames and clips: by hand, and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.density.tail_calibration import TailCalibrator
from gepc_geo.errors import InputError
from gepc_geo.scoring.aggregation import (
    clip_scores,
    frame_scores,
    person_frame_scores,
    smooth,
    track_scores,
)


def test_person_frames_are_means_over_their_windows():
    scores = person_frame_scores(torch.tensor([1.0, 3.0]), torch.tensor([0, 1]), 3, 5)
    np.testing.assert_allclose(scores, [1, 2, 2, 3, np.nan])
    centre = person_frame_scores(
        torch.tensor([1.0, 3.0]), torch.tensor([0, 1]), 3, 5, placement="center"
    )
    np.testing.assert_allclose(centre, [np.nan, 1, 3, np.nan, np.nan])


def test_padded_windows_stay_within_their_piece():
    """A piece of two rows (3 and 4) under a window of six."""
    scores = person_frame_scores(
        torch.tensor([2.0]),
        torch.tensor([1]),
        6,
        8,
        low=torch.tensor([3]),
        high=torch.tensor([4]),
    )
    np.testing.assert_allclose(scores, [np.nan] * 3 + [2, 2] + [np.nan] * 3)


def frames(**options):
    """Frame 0: persons 5 (1.0) and 7 (4.0); frame 1: nobody; frame 2: person 5 (2.0)."""
    return frame_scores(
        torch.tensor([1.0, 4.0, 2.0, math.nan], dtype=torch.float64),
        torch.tensor([0, 0, 2, 2]),
        torch.tensor([5, 7, 5, 9]),
        3,
        empty_score=-1.0,
        **options,
    )


def test_the_most_abnormal_person_decides_and_is_named():
    result = frames()
    assert result.score.tolist() == [4.0, -1.0, 2.0]
    assert result.person.tolist() == [7, -1, 5]
    assert result.people.tolist() == [2, 0, 1]


def test_reference_protocol_takes_the_most_normal_person():
    result = frames(protocol="reference")
    assert result.score.tolist() == [1.0, -1.0, 2.0]
    assert result.person.tolist() == [5, -1, 5]


def test_the_centre_of_an_even_window_is_the_later_middle_frame():
    scores = person_frame_scores(
        torch.tensor([1.0, 3.0]), torch.tensor([0, 1]), 4, 6, placement="center"
    )
    np.testing.assert_allclose(scores, [np.nan, np.nan, 1, 3, np.nan, np.nan])


def test_unknown_protocols_and_missing_calibrators_are_refused():
    with pytest.raises(InputError, match="protocol must be corrected or reference, got 'public'"):
        frames(protocol="public")
    with pytest.raises(
        InputError, match="calibrator must be fitted for the people correction, got None"
    ):
        frames(people_correction=True)


def test_people_correction_accounts_for_company():
    calibrator = TailCalibrator().fit(torch.linspace(0, 5, 500, dtype=torch.float64))
    result = frames(calibrator=calibrator, people_correction=True)
    tail = calibrator.log_tail(torch.tensor([4.0, 2.0])).exp()
    assert result.score[0].item() == pytest.approx(-math.log(1 - (1 - tail[0].item()) ** 2))
    assert result.score[2].item() == pytest.approx(-math.log(tail[1].item()))
    assert result.person.tolist() == [7, -1, 5]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_frames_equal_a_loop(data):
    count = data.draw(st.integers(0, 25))
    rows = [
        (
            data.draw(st.floats(-5, 5) | st.just(math.nan)),
            data.draw(st.integers(0, 5)),
            data.draw(st.integers(0, 9)),
        )
        for _ in range(count)
    ]
    sign = data.draw(st.sampled_from([1, -1]))
    expected = [(-9.0, -1)] * 6
    for slot in range(6):
        here = [(sign * s, i, t) for i, (s, f, t) in enumerate(rows) if f == slot and s == s]
        if here:
            best = max(here, key=lambda one: (one[0], -one[1]))
            expected[slot] = (sign * best[0], best[2])
    result = frame_scores(
        torch.tensor([s for s, _, _ in rows], dtype=torch.float64),
        torch.tensor([f for _, f, _ in rows], dtype=torch.long),
        torch.tensor([t for _, _, t in rows], dtype=torch.long),
        6,
        empty_score=-9.0,
        protocol="corrected" if sign == 1 else "reference",
    )
    assert list(zip(result.score.tolist(), result.person.tolist(), strict=True)) == expected


def test_smoothing_never_crosses_clips():
    scores = np.concatenate([np.zeros(20), np.full(30, 100.0), np.zeros(5)])
    offset = np.array([0, 20, 50, 50, 55])
    np.testing.assert_allclose(smooth(scores, offset, 5), scores)
    across = smooth(scores, offset, 5, across_clips=True)
    assert across[19] > 10 and across[20] < 90


def test_smoothing_is_a_gaussian():
    scores = np.zeros(41)
    scores[20] = 1
    weights = np.exp(-0.5 * ((np.arange(41) - 20) / 3) ** 2)
    np.testing.assert_allclose(
        smooth(scores, np.array([0, 41]), 3), weights / weights.sum(), atol=1e-4
    )


def test_scores_of_people_and_clips_equal_hand_worked_ones():
    score = torch.tensor([1.0, 3.0, 2.5, 9.0])
    clip = torch.tensor([0, 0, 0, 2])
    track = torch.tensor([4, 4, 1, 4])
    people = track_scores(score, clip, track)
    assert people.clip.tolist() == [0, 0, 2]
    assert people.track.tolist() == [1, 4, 4]
    assert people.max.tolist() == [2.5, 3.0, 9.0]
    assert people.mean.tolist() == [2.5, 2.0, 9.0]
    value, person = clip_scores(score, clip, track, 3, empty_score=-7.0)
    assert value.tolist() == [2.5, -7.0, 9.0]
    assert person.tolist() == [1, -1, 4]


def test_lengths_count_alike_however_many_windows_they_have():
    """For persons and clips, and for person-frames: row 3 is in no window of length 2."""
    score, length = torch.tensor([1.0, 3.0, 6.0]), torch.tensor([2, 2, 4])
    same = torch.zeros(3, dtype=torch.long)
    people = track_scores(score, same, same, length)
    assert people.mean.tolist() == [4.0] and people.max.tolist() == [6.0]
    value, _ = clip_scores(score, same, same, 1, empty_score=0.0, length=length)
    assert value.tolist() == [4.0]
    rows = person_frame_scores(score, torch.tensor([0, 1, 0]), length, 5)
    np.testing.assert_allclose(rows, [3.5, 4.0, 4.5, 6.0, np.nan])
