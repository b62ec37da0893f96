"""The simulated crowd is plausible, measured from what it gives."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.datasets.gait import Motion, joints_3d, walk
from gepc_geo.datasets.simulate import FPS, KINDS, simulate_crowd, write_crowd
from gepc_geo.errors import InputError
from gepc_geo.io import read
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.poses.skeleton import SKELETONS

J = {name: v for v, name in enumerate(SKELETONS["coco17"].joints)}


@pytest.fixture(scope="module")
def test_crowd():
    return simulate_crowd("test", random_state=0)


def walker(speed: float, running: bool = False, height: float = 1.75) -> np.ndarray:
    frames = 96
    way = np.zeros((frames, 2))
    way[:, 0] = np.arange(frames) * speed / FPS
    motion = walk(np.random.default_rng(0), way, np.zeros(frames), height, FPS, running=running)
    return joints_3d(motion, height)


def test_same_seed_same_crowd():
    a, b, c = (simulate_crowd("train", num_clips=2, random_state=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert a.num_frames != c.num_frames or not np.array_equal(a.keypoints, c.keypoints)
    other = simulate_crowd("test", num_clips=2, random_state=1)
    assert not np.array_equal(a.keypoints[:50], other.keypoints[:50])


@pytest.mark.parametrize("running", [False, True])
def test_bones_keep_their_length(running):
    body = walker(3.5 if running else 1.3, running)
    for a, b in (
        ("left_hip", "left_knee"),
        ("right_knee", "right_ankle"),
        ("left_elbow", "left_wrist"),
    ):
        length = np.linalg.norm(body[:, J[a]] - body[:, J[b]], axis=1)
        np.testing.assert_allclose(length, length[0], rtol=1e-9)


def test_legs_move_in_opposite_phase_and_arms_against_them():
    body = walker(1.3)
    ahead = {n: body[:, J[n], 0] - body[:, J["left_hip"], 0] for n in J}
    legs = np.corrcoef(ahead["left_ankle"], ahead["right_ankle"])[0, 1]
    arms = np.corrcoef(ahead["left_ankle"], ahead["left_wrist"])[0, 1]
    assert legs < -0.5
    assert arms < -0.5


@pytest.mark.parametrize("speed", [0.8, 1.3, 1.7])
def test_the_standing_foot_does_not_slide_far(speed):
    """The lower ankle moves at a fraction of the body's speed."""
    body = walker(speed)
    ankles = body[:, [J["left_ankle"], J["right_ankle"]]]
    lower = ankles[..., 2].argmin(1)
    moved = np.diff(ankles[..., 0], axis=0)[np.arange(len(lower) - 1), lower[:-1]] * FPS
    assert np.median(np.abs(moved)) < 0.6 * speed


def test_a_still_body_is_as_high_as_a_person():
    body = joints_3d(Motion.still(1), 1.8)[0]
    assert 1.6 < body[J["nose"], 2] < 1.8
    assert 0 < body[J["left_ankle"], 2] < 0.15


def speeds(tracks, kind: str, abnormal: bool) -> np.ndarray:
    """Speeds in the image, in standing heights a second, of people seen for a second or more."""
    out = []
    for clip in np.flatnonzero(np.array(tracks.clip_label) == kind):
        for track in np.unique(tracks.track[tracks.clip == clip]):
            # Track 0 is the abnormal person of a clip.
            rows = np.flatnonzero((tracks.clip == clip) & (tracks.track == track))
            needed = [J["left_hip"], J["nose"], J["left_ankle"]]
            rows = rows[(tracks.confidence[rows][:, needed] > 0).all(1)]
            if (track == 0) != abnormal or len(rows) < FPS:
                continue
            hip = tracks.keypoints[rows, J["left_hip"]]
            size = np.median(
                tracks.keypoints[rows, J["left_ankle"], 1] - tracks.keypoints[rows, J["nose"], 1]
            )
            seconds = (tracks.frame[rows[-1]] - tracks.frame[rows[0]]) / FPS
            out.append(np.linalg.norm(hip[-1] - hip[0]) / (size / 0.9) / seconds)
    return np.array(out)


def test_walkers_are_slower_than_runners():
    """Those who cross the image: the upper quartile (others walk towards or from the camera)."""
    crowds = [simulate_crowd("test", random_state=seed) for seed in range(4)]
    normal = np.concatenate([speeds(crowd, "normal", False) for crowd in crowds])
    running = np.concatenate([speeds(crowd, "running", True) for crowd in crowds])
    assert 0.4 < np.quantile(normal, 0.75) < 1.1
    assert 1.4 < np.quantile(running, 0.75) < 4


def test_people_look_smaller_farther_away(test_crowd):
    """Higher in the image is farther away and smaller."""
    seen = (test_crowd.confidence[:, [J["nose"], J["left_ankle"]]] > 0).all(1)
    feet = test_crowd.keypoints[seen, J["left_ankle"], 1]
    size = feet - test_crowd.keypoints[seen, J["nose"], 1]
    assert np.corrcoef(feet, size)[0, 1] > 0.6


def test_the_crowd_has_missing_joints_and_gaps_in_tracks(test_crowd):
    assert 0.02 < (test_crowd.confidence == 0).mean() < 0.25
    same = (np.diff(test_crowd.clip) == 0) & (np.diff(test_crowd.track) == 0)
    gap = np.diff(test_crowd.frame)[same] - 1
    assert (gap == 1).any() and (gap > 3).any()
    assert (test_crowd.keypoints[test_crowd.confidence == 0] == 0).all()


def test_every_kind_of_anomaly_has_clips_and_frame_labels(test_crowd):
    labels = test_crowd.frame_labels.reshape(test_crowd.num_clips, -1)
    for kind in KINDS:
        clips = [i for i, label in enumerate(test_crowd.clip_label) if label == kind]
        assert len(clips) == 4
        assert (labels[clips] == 1).any(1).all(), kind
        assert all(test_crowd.clip_names[i].startswith(kind) for i in clips)
    normal = [i for i, label in enumerate(test_crowd.clip_label) if label == "normal"]
    assert len(normal) == 8 and not labels[normal].any()


def test_training_clips_are_all_normal():
    tracks = simulate_crowd("train", num_clips=3, random_state=4)
    assert not tracks.frame_labels.any()
    assert set(tracks.clip_label) == {"normal"}


def test_a_lifted_body_is_above_the_ground():
    still = Motion.still(2)
    still.lift[1] = 0.3
    body = joints_3d(still, 1.2)
    np.testing.assert_allclose(body[1, :, 2] - body[0, :, 2], 0.3)


def test_a_fallen_body_lies(monkeypatch):
    motion = Motion.still(1)
    motion.pitch[:] = 1.5
    body = joints_3d(motion, 1.7)[0]
    assert np.ptp(body[:, 2]) < 0.5
    assert np.ptp(body[:, 0]) > 1.3
    assert body[:, 2].min() >= 0


def test_written_crowd_goes_through_the_reader(tmp_path):
    write_crowd(tmp_path, random_state=3, train_clips=2, test_clips=9, frames_per_clip=48)
    test = read_frame_labels(tmp_path / "test_masks", read(tmp_path / "test"))
    expected = simulate_crowd("test", num_clips=9, frames_per_clip=48, random_state=3)
    order = [expected.clip_names.index(name) for name in test.clip_names]
    labels = expected.frame_labels.reshape(9, -1)[order]
    np.testing.assert_array_equal(test.frame_labels.reshape(9, -1), labels)
    assert read(tmp_path / "train").num_clips == 2


def test_arguments_of_no_crowd_are_refused():
    for arguments in ({"split": "val"}, {"num_clips": 0}, {"frames_per_clip": 3}):
        with pytest.raises(InputError):
            simulate_crowd(**arguments)
