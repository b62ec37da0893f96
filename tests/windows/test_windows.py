"""Filling, resampling and windows, against plain Python and np.interp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.filling import fill
from gepc_geo.windows.resampling import resample_clips

CHAIN = Skeleton("chain3", ("a", "b", "c"), ((0, 1), (1, 2)), center=1, pairs=((0, 2),))


def tracks_of(people: dict[tuple[int, int], list[int]], seed: int = 0, **more: Any) -> PoseTracks:
    """Random poses of people (clip, track) in the given frames, everything seen."""
    rng = np.random.default_rng(seed)
    rows = [(clip, track, frame) for (clip, track), frames in people.items() for frame in frames]
    clip, track, frame = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    count = int(clip.max(initial=-1)) + 1
    values: dict[str, Any] = {
        "keypoints": rng.normal(size=(len(rows), 3, 2)) * 10 + 100,
        "confidence": rng.uniform(0.1, 1, size=(len(rows), 3)),
        "frame": frame,
        "track": track,
        "clip": clip,
        "skeleton": CHAIN,
        "clip_names": [f"clip{n}" for n in range(count)],
        "image_size": np.array([[640 + n, 480] for n in range(count)]).reshape(-1, 2),
    }
    return PoseTracks.build(**{**values, **more})


@st.composite
def holey_tracks(draw: st.DrawFn) -> PoseTracks:
    """People with missing frames, missing joints and rows without any joint."""
    people = {
        (clip, track): draw(st.lists(st.integers(0, 24), max_size=18, unique=True).map(sorted))
        for clip in range(2)
        for track in (3, 7)
    }
    tracks = tracks_of(people, seed=draw(st.integers(0, 1000)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    confidence = tracks.confidence * (
        rng.uniform(size=tracks.confidence.shape) < draw(st.sampled_from([0.4, 0.8, 1.0]))
    )
    features = rng.normal(size=(tracks.num_frames, 3, 2))
    return tracks.with_(confidence=confidence, features=features)


def pieces_by_hand(tracks: PoseTracks, max_gap: int) -> list[tuple[int, int, list[int]]]:
    """(clip, track, rows with something seen) of each piece, one row after the other."""
    pieces: list[tuple[int, int, list[int]]] = []
    for row in range(tracks.num_frames):
        if not tracks.confidence[row].any():
            continue
        who = (int(tracks.clip[row]), int(tracks.track[row]))
        last = pieces[-1] if pieces else None
        gap = tracks.frame[row] - tracks.frame[last[2][-1]] - 1 if last else 0
        if last and last[:2] == who and gap <= max_gap:
            last[2].append(row)
        else:
            pieces.append((*who, [row]))
    return pieces


@settings(max_examples=60, deadline=None)
@given(holey_tracks(), st.integers(0, 4))
def test_fill_is_interpolation_of_what_was_seen(tracks, max_gap):
    table = fill(tracks, max_gap)
    expected = pieces_by_hand(tracks, max_gap)
    assert len(table.piece) == len(expected) + 1
    assert table.piece[0] == 0 and table.piece[-1] == len(table.frame)
    for number, (clip, track, rows) in enumerate(expected):
        part = slice(table.piece[number], table.piece[number + 1])
        frames = np.arange(tracks.frame[rows[0]], tracks.frame[rows[-1]] + 1)
        np.testing.assert_array_equal(table.frame[part], frames)
        assert (table.clip[part] == clip).all() and (table.track[part] == track).all()
        here = np.isin(frames, tracks.frame[rows])
        np.testing.assert_array_equal(table.confidence[part][here], tracks.confidence[rows])
        assert not table.confidence[part][~here].any()
        full = np.full((len(frames), 3, 2), np.nan)
        for joint in range(3):
            seen = [row for row in rows if tracks.confidence[row, joint] > 0]
            for axis in range(2):
                if seen:
                    full[:, joint, axis] = np.interp(
                        frames, tracks.frame[seen], tracks.keypoints[seen, joint, axis]
                    )
                np.testing.assert_allclose(
                    table.features[part][:, joint, axis],
                    np.interp(frames, tracks.frame[rows], tracks.features[rows, joint, axis]),
                    atol=1e-6,
                )
        mean = np.nanmean(full, axis=1, keepdims=True)
        full = np.where(np.isnan(full), mean, full)
        np.testing.assert_allclose(table.keypoints[part], full, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(holey_tracks(), st.integers(1, 9), st.integers(1, 5), st.integers(0, 3))
def test_windows_equal_a_plain_loop(tracks, length, stride, max_gap):
    windows = PoseWindows(tracks, length=length, stride=stride, max_gap=max_gap)
    table = windows.table
    expected = []
    for piece in range(len(table.piece) - 1):
        low, end = int(table.piece[piece]), int(table.piece[piece + 1])
        starts = [s for s in range(low, end, stride) if s + length <= end]
        if end - low < length:
            starts = [low - (length - (end - low)) // 2]
        elif starts[-1] != end - length:
            starts.append(end - length)
        for start in starts:
            rows = [min(max(start + t, low), end - 1) for t in range(length)]
            expected.append((rows, end - low < length))
    assert len(windows) == len(expected)
    for number, (rows, padded) in enumerate(expected):
        np.testing.assert_array_equal(windows.rows(number), rows)
        assert windows.padded[number] == padded
        data = windows[number]
        real = table.frame[rows[0]]
        assert (data.window, data.frame, data.padded) == (number, real, padded)
        assert (data.clip, data.track) == (table.clip[rows[0]], table.track[rows[0]])
        assert data.x.shape == (3, length, windows.num_channels) and data.x.dtype == torch.float32
        for t, row in enumerate(rows):
            frame = np.concatenate(
                [table.keypoints[row], table.confidence[row, :, None], table.features[row]], axis=1
            )
            np.testing.assert_array_equal(data.x[:, t], frame)


def starts(frames: list[int], **options: int) -> list[int]:
    return PoseWindows(tracks_of({(0, 1): frames}), **options).first.tolist()


def test_a_track_of_exactly_the_length_is_one_window():
    windows = PoseWindows(tracks_of({(0, 1): list(range(5, 17))}), length=12, stride=8)
    assert windows.first.tolist() == [0] and not windows.padded.any()
    assert windows.frame.tolist() == [5]


def test_the_last_window_is_kept_and_never_twice():
    assert starts(list(range(21)), length=12, stride=8) == [0, 8, 9]
    assert starts(list(range(20)), length=12, stride=8) == [0, 8]
    assert starts(list(range(13)), length=12, stride=8) == [0, 1]
    assert starts(list(range(14)), length=12, stride=1) == [0, 1, 2]


def test_a_gap_at_the_tolerance_is_filled_a_longer_one_splits():
    at = fill(tracks_of({(0, 1): [0, 1, 5, 6]}), max_gap=3)
    assert at.piece.tolist() == [0, 7]
    assert at.frame.tolist() == [0, 1, 2, 3, 4, 5, 6]
    # Inserted rows, and no others, are without confidence.
    assert (at.confidence > 0).all(1).tolist() == [True, True, False, False, False, True, True]
    assert not at.confidence[2:5].any()
    over = fill(tracks_of({(0, 1): [0, 1, 6, 7]}), max_gap=3)
    assert over.piece.tolist() == [0, 2, 4] and (over.confidence > 0).all()
    assert over.frame.tolist() == [0, 1, 6, 7]
    none = fill(tracks_of({(0, 1): [0, 2]}), max_gap=0)
    assert none.piece.tolist() == [0, 1, 2]


def test_a_short_track_is_padded_in_the_middle():
    windows = PoseWindows(tracks_of({(0, 1): [4, 5, 6], (0, 2): list(range(8))}), length=8)
    assert windows.padded.tolist() == [True, False]
    assert windows.first.tolist() == [-2, 3]
    assert windows.rows(0).tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert windows.frame.tolist() == [4, 0]


def test_a_joint_is_interpolated_over_an_inserted_frame():
    """Frames 0, 1, 3; joint b is missing in frame 1: in frames 1 and 2 it lies on a line."""
    keypoints = np.zeros((3, 3, 2))
    keypoints[:, 0] = [[0, 0], [10, 0], [30, 0]]
    keypoints[:, 1] = [[0, 3], [999, 999], [0, 9]]
    keypoints[:, 2] = 777
    confidence = [[1, 0.5, 0], [1, 0, 0], [1, 1, 0]]
    tracks = tracks_of({(0, 1): [0, 1, 3]}, keypoints=keypoints, confidence=confidence)
    table = fill(tracks)
    np.testing.assert_allclose(table.keypoints[:, 0, 0], [0, 10, 20, 30])
    np.testing.assert_allclose(table.keypoints[:, 1, 1], [3, 5, 7, 9])
    # Joint c was never seen: the mean of a and b.
    np.testing.assert_allclose(table.keypoints[:, 2], [[0, 1.5], [5, 2.5], [10, 3.5], [15, 4.5]])
    assert table.confidence.tolist() == [[1, 0.5, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]]


@settings(max_examples=30, deadline=None)
@given(holey_tracks(), st.integers(0, 100))
def test_missing_joints_never_influence_anything(tracks, seed):
    noise = np.random.default_rng(seed).normal(size=tracks.keypoints.shape) * 1e4
    other = tracks.with_(
        keypoints=np.where(tracks.confidence[..., None] > 0, tracks.keypoints, noise)
    )
    one, two = PoseWindows(tracks, length=6), PoseWindows(other, length=6)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.x, b.x)
    stretched = resample_clips(tracks, 5), resample_clips(other, 5)
    np.testing.assert_array_equal(stretched[0].keypoints, stretched[1].keypoints)


def test_people_without_any_confidence_have_no_windows():
    tracks = tracks_of({(0, 1): [0, 1, 2], (0, 2): [0, 1, 2]})
    confidence = np.where(tracks.track[:, None] == 1, 0, tracks.confidence)
    tracks = tracks.with_(confidence=confidence)
    assert set(fill(tracks).track) == {2}
    assert set(resample_clips(tracks, 4).track) == {2}


@pytest.mark.parametrize("people", [{}, {(0, 1): [3]}])
def test_no_people_and_one_frame_are_handled(people):
    windows = PoseWindows(tracks_of(people), length=4)
    assert len(windows) == len(people)
    assert len(windows.table.piece) == len(people) + 1
    assert windows.num_channels == 3
    assert len(windows[[]]) == 0
    assert resample_clips(tracks_of(people), 4).num_frames == 4 * len(people)


def test_clips_are_told_apart_where_track_ids_are_not():
    """Person 1 ends clip 0 in frame 3 and starts clip 1 in frame 4: two people."""
    table = fill(tracks_of({(0, 1): [2, 3], (1, 1): [4, 5]}))
    assert table.piece.tolist() == [0, 2, 4]


def test_people_have_the_same_numbers_in_all_windows_of_their_tracks():
    """In two pieces, in another clip by the same id, at other strides and in subsets."""
    people = {(0, 7): [*range(6), *range(20, 25)], (0, 9): list(range(5)), (1, 7): list(range(4))}
    windows = PoseWindows(tracks_of(people), length=4)
    assert windows.person.tolist() == [0] * 5 + [1] * 2 + [2]
    assert windows[[7, 3]].person.tolist() == [2, 0]
    assert PoseWindows(tracks_of(people), length=4, stride=3).person.tolist() == [0] * 4 + [1, 1, 2]
    assert PoseWindows(tracks_of({}), length=4).person.tolist() == []


def test_subsets_hold_the_chosen_windows():
    windows = PoseWindows(tracks_of({(0, 1): list(range(9)), (1, 2): [0, 1]}), length=4)
    assert windows.padded.tolist() == [False] * 6 + [True]
    mask = ~windows.padded
    for part in (
        windows.subset(mask),
        windows[torch.as_tensor(mask)],
        windows[:6],
        windows[list(range(6))],
        windows.subset(np.flatnonzero(mask)),
    ):
        assert isinstance(part, PoseWindows) and len(part) == 6
        assert part.table is windows.table
        assert part.first.tolist() == [0, 1, 2, 3, 4, 5]
        assert torch.equal(part[5].x, windows[5].x)
    assert len(windows) == 7
    assert len(windows[[]]) == 0
    back = windows[torch.tensor([6, 0])]
    assert back.clip.tolist() == [1, 0] and int(back[0].window) == 0
    assert back[0].image_size.tolist() == [[641, 480]]


def test_the_graph_of_a_window_is_that_of_the_skeleton():
    data = PoseWindows(tracks_of({(0, 1): [0, 1]}), length=2)[0]
    edge_index, edge_type, edge_weight = CHAIN.partition()
    assert torch.equal(data.edge_index, edge_index)
    assert torch.equal(data.edge_type, edge_type)
    assert torch.equal(data.edge_weight, edge_weight)
    data.validate()


@settings(max_examples=40, deadline=None)
@given(holey_tracks(), st.integers(2, 9))
def test_resampling_is_interpolation_over_the_whole_track(tracks, frames):
    result = resample_clips(tracks, frames)
    people = pieces_by_hand(tracks, max_gap=1000)
    assert result.num_tracks == len(people) and result.num_frames == frames * len(people)
    assert result.clip_length.tolist() == [frames] * tracks.num_clips
    for number, (clip, track, rows) in enumerate(people):
        part = slice(number * frames, (number + 1) * frames)
        assert (result.clip[part] == clip).all() and (result.track[part] == track).all()
        assert result.frame[part].tolist() == list(range(frames))
        times = tracks.frame[rows]
        wanted = np.linspace(times[0], times[-1], frames)
        for joint in range(3):
            np.testing.assert_allclose(
                result.confidence[part, joint],
                np.interp(wanted, times, tracks.confidence[rows, joint]),
                atol=1e-6,
            )
            seen = [row for row in rows if tracks.confidence[row, joint] > 0]
            for axis in range(2 if seen else 0):
                # Interpolated twice, as the table is: first the holes, then between rows.
                full = np.interp(times, tracks.frame[seen], tracks.keypoints[seen, joint, axis])
                np.testing.assert_allclose(
                    result.keypoints[part, joint, axis], np.interp(wanted, times, full), rtol=1e-6
                )
    # What everything is for: one window a person and clip, none of them padded.
    windows = PoseWindows(result, length=frames)
    assert len(windows) == len(people) and not windows.padded.any()


def test_resampling_to_the_same_length_changes_nothing():
    tracks = tracks_of({(0, 1): list(range(7)), (0, 2): list(range(7))})
    result = resample_clips(tracks, 7)
    np.testing.assert_array_equal(result.keypoints, tracks.keypoints)
    np.testing.assert_array_equal(result.confidence, tracks.confidence)


def test_resampling_stretches_a_short_track_and_forgets_frame_labels():
    tracks = tracks_of(
        {(0, 1): [10, 12], (0, 2): [3]},
        frame_labels=np.zeros(13),
        fps=[25.0],
        clip_label=["wave"],
        keypoints=np.arange(18).reshape(3, 3, 2),
    )
    result = resample_clips(tracks, 5)
    np.testing.assert_allclose(result.keypoints[:5, 0, 0], [0, 1.5, 3, 4.5, 6])
    np.testing.assert_allclose(result.keypoints[5:, 0, 0], 12)
    assert result.frame_labels is None and np.isnan(result.fps).all()
    assert result.clip_label == ("wave",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "window length must be at least 1 frame, got 0"),
        ({"stride": -1}, "window stride must be at least 1 frame, got -1"),
        ({"max_gap": -1}, "max_gap must be 0 or more frames, got -1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        PoseWindows(tracks_of({(0, 1): [0]}), **options)


def test_resampling_to_no_frames_is_refused():
    with pytest.raises(InputError, match="frames must be at least 1, got 0"):
        resample_clips(tracks_of({(0, 1): [0]}), 0)
