"""Anomalies injected into normal box tracks: changed frames and labels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import script

from gepc_geo import PoseTracks

boxes = script("benchmarks/injected_boxes.py")
IMAGE = np.array([856.0, 480.0])


def walker(frames: int = 300, noise: float = 0.0, first: int = 0) -> boxes.Person:
    """A box of 30 by 80 pixels that moves by 1.6 pixels a frame, 0.48 heights a second."""
    box = np.tile([200.0, 250.0, 30.0, 80.0], (frames, 1))
    box[:, 0] += 1.6 * np.arange(frames)
    box += noise * np.random.default_rng(0).standard_normal(box.shape)
    return boxes.Person(first, box, np.ones(frames, dtype=bool))


def steps(person: boxes.Person) -> np.ndarray:
    """Movement of the foot point between frames."""
    return np.diff(person.box[:, :2], axis=0)


def write_clips(folder: Path, clips: int = 12) -> Path:
    """Clips of two cameras with four walkers each, with noise and short gaps."""
    rng = np.random.default_rng(0)
    (folder / "train_txt").mkdir(parents=True)
    for clip in range(clips):
        rows = []
        for person in range(4):
            keypoints = walker(300, 0.5).keypoints()
            keypoints[..., 1] += 40 * person - 60
            for frame in np.flatnonzero(rng.random(300) > 0.05):
                corners = keypoints[frame, [1, 4]].reshape(-1).astype(int)
                rows.append(" ".join(map(str, [frame + 5, person, 2, *corners, 0])))
        header = "Frame_Number Person_ID State BB_tl_0 BB_tl_1 BB_br_0 BB_br_1 anomaly"
        name = f"{1 + clip % 2:02}_{clip:03}.txt"
        (folder / "train_txt" / name).write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.mark.parametrize("kind", boxes.KINDS)
def test_labels_cover_the_frames_of_the_event(kind):
    """Without noise, start and end of an event are visible."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        changed, labels = boxes.inject(kind, {7: walker(first=4)}, 330, IMAGE, rng)
        person = changed[7]
        abnormal = np.flatnonzero(labels) - person.first
        assert np.array_equal(abnormal, np.arange(abnormal[0], abnormal[-1] + 1))
        other = np.abs(steps(person) - [1.6, 0]).max(axis=1) > 1e-6
        if kind == "turn":
            assert len(abnormal) == 36
            assert np.flatnonzero(other)[0] == abnormal[0] + 12
            continue
        seen = person.seen[:-1]
        assert np.array_equal(np.flatnonzero(other & seen), abnormal[abnormal < seen.sum()])
        if kind == "fast":
            assert 24 <= len(abnormal) <= 100
            (speed,) = np.unique(steps(person)[abnormal, 0].round(6)) / 1.6
            assert 1.6 - 0.02 < speed < 2.5 + 0.02
        else:
            assert 50 <= len(abnormal) <= 150
            height = person.box[:, 3] / 80
            assert np.allclose(np.delete(height, abnormal), 1)
            assert 0.3 <= height.min() <= 0.65 if kind == "posture" else np.allclose(height, 1)
            assert np.allclose(person.box[:, 1], 250)


def test_fast_skips_every_other_frame_of_a_stretch():
    person = walker(noise=0.5)
    changed = boxes.fast(person, 100, 50, 100)
    assert np.array_equal(changed.box[:100], person.box[:100])
    assert np.array_equal(changed.box[100:150], person.box[100:200:2])
    assert np.array_equal(changed.box[150:], person.box[200:])


def test_still_keeps_the_noise_of_the_track():
    person = walker(noise=0.5)
    person.seen[120:123] = False
    changed = boxes.still(person, 100, 80)
    assert np.array_equal(changed.box[:100], person.box[:100])
    assert np.array_equal(changed.box[180:], person.box[100:])
    held = changed.box[100:180]
    assert np.allclose(held[0], person.box[100])
    assert np.abs(held.mean(axis=0) - person.box[96:105].mean(axis=0)).max() < 0.3
    assert held.std(axis=0).min() > 0.3 and held.std(axis=0).max() < 0.7
    # The track has fewer frames of noise than the event.
    assert np.isfinite(boxes.still(walker(60, 0.5), 40, 150).box).all()


def test_posture_changes_the_size_and_restores_it():
    person = walker(noise=0.5)
    size = np.array([70.0, 30.0])
    changed = boxes.still(person, 100, 80, size, 8)
    assert np.abs(changed.box[110:170, 2:] - size).max() < 3
    assert np.array_equal(changed.box[180:], person.box[100:])
    assert np.abs(np.diff(changed.box[:, 3])).max() < 50 / 8 + 3
    assert np.abs(changed.box[100:180, 1] - 250).max() < 3


def test_turn_turns_the_direction_of_walking():
    person = walker(noise=0.5)
    changed = boxes.turn(person, 100, np.pi / 2)
    assert np.array_equal(changed.box[:101], person.box[:101])
    assert np.array_equal(changed.box[:, 2:], person.box[:, 2:])
    lengths = [np.linalg.norm(steps(one), axis=1) for one in (person, changed)]
    assert np.allclose(*lengths)
    turned = steps(person)[104:] @ [[0, 1], [-1, 0]]
    assert np.allclose(steps(changed)[104:], turned)


def test_still_events_are_not_put_among_people_who_stand_still():
    standing = walker()
    standing.box[:, 0] = 300
    for other, some in ((walker(), True), (standing, False)):
        people = {1: walker(), 2: other}
        changed, labels = boxes.inject("still", people, 300, IMAGE, np.random.default_rng(0))
        assert bool(changed) is bool(labels.any()) is some


def test_validation_boxes_have_events_of_every_kind(tmp_path):
    folder = write_clips(tmp_path / "boxes")
    command = ["--boxes", str(folder), "--seed", "0", "--seed", "1", "--out"]
    for out in ("a", "b"):
        done = CliRunner().invoke(
            boxes.main, [*command, str(tmp_path / out)], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
    rows = re.findall(r"^  (\w+) +(\d) clips +(\d) events +(\d+) of", done.output, re.M)
    assert [kind for kind, *_ in rows] == list(boxes.KINDS) * 2
    for _, clips, events, frames in rows:
        assert int(clips) in (1, 2) and 0 < int(events) <= 3 * int(clips) and int(frames) > 0
    source = boxes.read(folder / "train_txt", format="shanghaitech-boxes")
    first, again = (PoseTracks.load(tmp_path / out / "boxes_0.npz") for out in ("a", "b"))
    other = PoseTracks.load(tmp_path / "a" / "boxes_1.npz")
    assert np.array_equal(first.keypoints, again.keypoints)
    assert np.array_equal(first.frame_labels, again.frame_labels)
    assert first.clip_label == again.clip_label and first.clip_label != other.clip_label
    for made in (first, other):
        train, test = (made.select(split=one) for one in ("train", "test"))
        assert sorted(train.camera) == sorted(test.camera) == ["01"] * 3 + ["02"] * 3
        assert set(train.clip_label) == {"normal"} and not train.frame_labels.any()
        same = source.select(clips=np.array(made.clip_split) == "train")
        for name in ("keypoints", "frame", "track", "clip", "clip_length"):
            assert np.array_equal(getattr(train, name), getattr(same, name))
        assert set(test.clip_label) == set(boxes.KINDS)
        for clip in range(test.num_clips):
            assert test.select(clips=[clip]).frame_labels.any()


def test_a_missing_folder_is_refused(tmp_path):
    command = ["--boxes", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(boxes.main, command)
    assert done.exit_code == 2 and "none/train_txt" in done.stderr
    assert not (tmp_path / "out").exists()
