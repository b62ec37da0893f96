"""Tables of scores and the scores of people in them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import only_clip

from gepc_geo import InputError
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.evaluation.tables import score_table, write_table
from gepc_geo.report.table import person_scores, read_scores
from gepc_geo.scoring.aggregation import STATES


def test_frame_scores_belong_to_the_person_who_decided(pair):
    given = only_clip(frame=range(6), score=[0, 1, 2, 3, 4, 5.0], person=[3, 3, 8, 8, -1, 3])
    found = person_scores(pair, given).score.reshape(2, 6)
    nan = np.nan
    np.testing.assert_array_equal(found, [[0, 1, nan, nan, nan, 5], [nan, nan, 2, 3, nan, nan]])


def test_scores_of_windows_are_means_over_windows_then_lengths(pair):
    given = only_clip(
        first_frame=[0, 1, 0, 3, 0, 1],
        length=[2, 2, 4, 2, 2, 2],
        person=[3, 3, 3, 3, 8, 8],
        score=[1.0, 3.0, 8.0, 5.0, 2.0, 9.0],
        padded=[0, 0, 0, 0, 0, 1],
    )
    found = person_scores(pair, given)
    # Frame 1: windows of length 2 have the mean 2, the one of length 4 has 8.
    expected = [[4.5, 5, 5.5, 6.5, 5, np.nan], [2, 2, np.nan, np.nan, np.nan, np.nan]]
    np.testing.assert_allclose(found.score.reshape(2, 6), expected)
    assert not found.fault.any()


def test_windows_with_faults_give_no_score(pair):
    given = only_clip(
        first_frame=[0, 2, 0, 3],
        length=[3, 3, 3, 3],
        person=[3, 3, 8, 8],
        score=[1.0, 3.0, 2.0, 9.0],
        fault=["", "jump", "", ""],
    )
    found = person_scores(pair, given)
    nan = np.nan
    expected = [[1, 1, 1, nan, nan, nan], [2, 2, 2, 9, 9, 9]]
    np.testing.assert_array_equal(found.score.reshape(2, 6), expected)
    np.testing.assert_array_equal(found.fault.reshape(2, 6)[0], [0, 0, 0, 1, 1, 0])
    line, state = found.of_frames(pair, 0)
    np.testing.assert_array_equal(line, [2, 2, 2, 9, 9, 9])
    assert [STATES[s] for s in state] == ["judged"] * 6


def test_a_person_with_one_window_has_its_score_throughout(pair):
    given = only_clip(
        first_frame=[0, 0], length=[2, 2], person=[3, 8], score=[1.0, 2.0], fault=["", "jump"]
    )
    found = person_scores(pair, given)
    np.testing.assert_array_equal(found.score.reshape(2, 6), [[1] * 6, [np.nan] * 6])
    np.testing.assert_array_equal(found.fault.reshape(2, 6), [[0] * 6, [1] * 6])


def test_frames_with_faults_only_have_no_score(pair):
    given = only_clip(
        frame=range(6),
        score=[1.0, np.nan, np.nan, 2.0, 2.0, 2.0],
        person=[3, -1, -1, 8, 8, 8],
        state=["judged", "tracking fault", "too short", "judged", "judged", "judged"],
    )
    found = person_scores(pair, given)
    np.testing.assert_array_equal(found.fault.reshape(2, 6), [[0, 1, 0, 0, 0, 0]] * 2)
    line, state = found.of_frames(pair, 0)
    np.testing.assert_array_equal(line, given["score"])
    assert [STATES[s] for s in state] == given["state"].tolist()


def test_frames_may_have_the_score_of_a_person_in_a_gap(pair):
    gappy = pair.rows(pair.frame != 3)
    line = [1.0, 1, 1, 1, 1, 1]
    given = only_clip(frame=range(6), score=line, person=[3] * 6)
    np.testing.assert_array_equal(person_scores(gappy, given).of_frames(gappy, 0)[0], line)
    given = only_clip(first_frame=[0, 1], length=[5, 5], person=[3, 3], score=[1.0, 1.0])
    found = person_scores(gappy, given)
    assert found.gap_frame.tolist() == [3, 3] and found.score.shape == (10,)
    np.testing.assert_array_equal(found.of_frames(gappy, 0)[0], line)


def test_windows_give_the_scores_of_frames(plain, crowd):
    """Of a crowd with gaps, short tracks and three lengths of windows."""
    rng = np.random.default_rng(0)
    tracks = crowd.rows(rng.uniform(size=crowd.num_frames) > 0.1)
    windows, frames = (
        score_table(plain, tracks, one, ScoreOptions()) for one in ("window", "frame")
    )
    for given in (windows, frames):
        found = person_scores(tracks, given)
        for clip, name in enumerate(tracks.clip_names):
            own = frames["clip"] == name
            line, state = found.of_frames(tracks, clip)
            np.testing.assert_allclose(line, frames["score"][own], atol=1e-9)
            np.testing.assert_array_equal(np.array(STATES)[state], frames["state"][own])


def test_windows_without_lengths_are_refused(pair):
    with pytest.raises(InputError, match="table of windows must have column 'length', got none"):
        person_scores(pair, only_clip(first_frame=[0], person=[3], score=[1.0]))


def test_scores_of_people_and_clips_hold_for_the_whole_clip(pair):
    found = person_scores(pair, only_clip(person=[8], score=[2.0])).score.reshape(2, 6)
    np.testing.assert_array_equal(found, [[np.nan] * 6, [2.0] * 6])


def test_scores_of_other_clips_do_not_count(pair):
    given = only_clip(person=[8, 3], score=[2.0, 4.0])
    given["clip"] = np.array(["other", "only"])
    np.testing.assert_array_equal(
        person_scores(pair, given).score.reshape(2, 6), [[4.0] * 6, [np.nan] * 6]
    )
    given["clip"][:] = "other"
    with pytest.raises(InputError, match="scores must be of clips of the poses, such as"):
        person_scores(pair, given)


@pytest.mark.parametrize("level", ["window", "person", "frame", "clip"])
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_tables_of_every_level_are_read(detector, walkers, tmp_path, level, suffix):
    columns = score_table(detector, walkers, level, ScoreOptions())
    path = tmp_path / f"scores{suffix}"
    write_table(columns, path)
    found = read_scores(path)
    np.testing.assert_allclose(found["score"], columns["score"], rtol=1e-5)
    score = person_scores(walkers, found).score
    if level == "person":
        for clip, person, value in zip(
            *(columns[n] for n in ("clip", "person", "score")), strict=True
        ):
            own = (walkers.clip == walkers.clip_names.index(clip)) & (walkers.track == person)
            np.testing.assert_allclose(score[own], value, rtol=1e-5)
    assert np.isfinite(score).any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip,person\na,1\n", "must have column 'score' .a table of scores"),
        (
            "clip,person,score\na,1,1\na,2,x\n",
            r"^'score' in row 3 of .*scores\.csv must be a number, got 'x'$",
        ),
        (
            "clip,person,score\na,1\n",
            r"^row 2 of .*scores\.csv must have 3 values, got 2$",
        ),
        (
            "clip,person,score\na,nan,1\n",
            r"^column 'person' of .*scores\.csv must be finite in each row, got NaN or infinity$",
        ),
        ("", "must have column 'clip'"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_scores(path)


def test_lost_tables_are_refused(tmp_path):
    for name, message in (
        ("a.csv", "does not exist"),
        ("a.txt", "must end with .csv or .npz, got '.txt'"),
    ):
        with pytest.raises(InputError, match=message):
            read_scores(tmp_path / name)
