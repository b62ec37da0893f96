"""Validation data from training boxes of ShanghaiTech, with anomalies injected into half the clips.

Half of the training clips of each camera, drawn with the seed, become ``test``. Each gets one kind
of anomaly, its ``clip_label``. The other half does not change and becomes ``train``. The official
test half is not read:

    python benchmarks/injected_boxes.py --boxes PATH --out runs/validation --seed 0 --seed 1

A person walks if the foot point moves by at least 0.3 box heights a second. The mean speeds of
training tracks have one peak, between 0.4 and 0.5; 88 % are above the limit, and 5 % (people who
stand) are below 0.2.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gepc_geo.cli.refusal import Command
from gepc_geo.io import read
from gepc_geo.io.formats.shanghaitech import keypoints_of_boxes
from gepc_geo.poses.tracks import PoseTracks

KINDS = ("fast", "turn", "still", "posture")
#: Frames a second.
SECOND = 24
#: Box heights a second.
WALKING = 0.3
# Frames of the shortest track to change, and the longest gap at the start of an event.
_SHORTEST, _GAP = 60, 3
# Limits of events and of the share of abnormal frames in a clip, and tries for each track.
_EVENTS, _SHARE, _TRIES = 3, 1 / 3, 20
# Frames to separate noise from movement, frames of a turn, abnormal frames before and after it.
_SMOOTH, _TURN, _BEFORE, _AFTER = 9, 4, 12, 24


class Person(NamedTuple):
    """Track: foot point (x, y), width and height [T, 4] from frame ``first``, and detected [T]."""

    first: int
    box: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, frame: np.ndarray, keypoints: np.ndarray) -> Person:
        """Makes a track from its rows, with interpolated boxes between them."""
        (left, top), (right, bottom) = keypoints[:, 1].T, keypoints[:, 4].T
        box = np.stack([(left + right) / 2, bottom, right - left, bottom - top]).astype(np.float64)
        time = np.arange(frame[0], frame[-1] + 1)
        box = np.stack([np.interp(time, frame, values) for values in box], axis=1)
        return cls(int(frame[0]), box, np.isin(time, frame))

    def keypoints(self) -> np.ndarray:
        """Detected boxes as poses [F, 5, 2], in whole pixels as in the data."""
        x, y, width, height = self.box[self.seen].T
        left, right, top, bottom = np.rint([x - width / 2, x + width / 2, y - height, y])
        return keypoints_of_boxes(left, top, right, bottom)

    def speed(self) -> np.ndarray:
        """Box heights a second [T] around each frame; NaN at the ends and in long gaps."""
        half, speed = SECOND // 2, np.full(len(self.box), np.nan)
        if len(self.box) > SECOND:
            way = np.linalg.norm(self.box[SECOND:, :2] - self.box[:-SECOND, :2], axis=1)
            speed[half:-half] = way / np.maximum(self.box[half:-half, 3], 1)
        step = np.diff(np.r_[0, np.flatnonzero(self.seen), len(speed)])
        speed[np.repeat(step, step) > _GAP + 1] = np.nan
        return speed

    def play(self, times: np.ndarray) -> Person:
        """Track with the boxes of other times."""
        frame = np.arange(len(self.box))
        box = np.stack([np.interp(times, frame, values) for values in self.box.T], axis=1)
        return self._replace(box=box, seen=self.seen[np.rint(times).astype(np.int64)])


def fast(person: Person, start: int, frames: int, source: int) -> Person:
    """Plays ``source`` frames in ``frames`` frames; the rest of the track follows earlier."""
    ahead = start + np.arange(frames) * (source / frames)
    return person.play(np.r_[:start, ahead, start + source : len(person.box)])


def turn(person: Person, start: int, angle: float) -> Person:
    """Turns the path by ``angle`` (radians) at ``start``, within four frames."""
    frame = np.arange(start + 1, len(person.box))
    turned = angle * np.clip((frame - start) / _TURN, 0, 1)
    step = np.diff(person.box[start:, 0] + 1j * person.box[start:, 1]) * np.exp(1j * turned)
    box, seen, way = person.box.copy(), person.seen.copy(), np.cumsum(step)
    box[start + 1 :, :2] = box[start, :2] + np.stack([way.real, way.imag], axis=1)
    return Person(person.first, box, seen)


def still(
    person: Person, start: int, frames: int, size: np.ndarray | None = None, ramp: int = 1
) -> Person:
    """Holds the box of a detected frame, with the noise of the track; then the track continues.

    Args:
        person: Track to change.
        start: Frame to hold.
        frames: Number of frames to hold.
        size: Width and height of the held box. (default: the size at ``start``)
        ramp: Frames to change to ``size``, and back at the end.
    """
    held = person.play(np.r_[:start, np.full(frames, start), start : len(person.box)])
    mean = sliding_window_view(person.box, _SMOOTH, axis=0).mean(axis=-1)
    edge, step = _SMOOTH // 2, np.arange(frames)
    # Noise runs forwards from the frame and then backwards, so nothing jumps at both ends.
    seen = person.seen[edge:-edge]
    noise = np.pad((person.box[edge:-edge] - mean)[seen], ((0, frames), (0, 0)), mode="reflect")
    away = np.minimum(step, frames - step)
    now = mean[start - edge]
    held.box[start : start + frames] = now + noise[seen[: start - edge].sum() + away]
    if size is not None:
        share = np.clip(away / ramp, 0, 1)[:, None]
        held.box[start : start + frames, 2:] += share * (size - now[2:])
    return held


def draw(
    kind: str, person: Person, image: np.ndarray, rng: np.random.Generator
) -> tuple[Person, int, int] | None:
    """Changes the track of a walking person at a random frame.

    Returns:
        The changed track, its first abnormal frame, and the frame after the last one; ``None`` if
        the person does not walk long enough.
    """
    walks = person.speed() >= WALKING
    frames, factor = int(rng.integers(50, 151)), rng.uniform(1.6, 2.5)
    before, after = (_BEFORE, _AFTER) if kind == "turn" else (0, 1)
    if kind == "fast":
        edges = np.flatnonzero(np.diff(walks, prepend=False, append=False))
        longest = np.diff(edges)[::2].max(initial=0) // factor
        frames = int(rng.integers(24, max(24, min(100, longest)) + 1))
        after = round(frames * factor)
    elif kind != "turn":
        walks &= person.seen
    # Frames with a walk of sufficient length around them.
    spans = sliding_window_view(np.r_[walks, [False] * after], before + after)
    starts = np.flatnonzero(spans.all(axis=-1)) + before
    if not len(starts):
        return None
    start = int(rng.choice(starts))
    if kind == "fast":
        return fast(person, start, frames, after), start, start + frames
    if kind == "turn":
        changed = turn(person, start, rng.choice([-1, 1]) * rng.uniform(np.pi / 2, np.pi))
        center = changed.box[:, :2] - [0, 0.5] * changed.box[:, 3:]
        outside = ((center < 0) | (center > image)).any(axis=1) & (np.arange(len(center)) > start)
        # A person who leaves the image does not come back.
        changed.seen[np.logical_or.accumulate(outside)] = False
        stays = (
            changed.seen[start : start + after].sum() == person.seen[start : start + after].sum()
        )
        return (changed, start - before, start + after) if stays else None
    if kind == "still":
        return still(person, start, frames), start, start + frames
    width, height = person.box[start, 2:]
    if rng.random() < 0.5:  # lying
        size = height * np.array([rng.uniform(0.8, 1.1), rng.uniform(0.3, 0.45)])
    else:  # crouching
        size = np.array([width * rng.uniform(1.1, 1.4), height * rng.uniform(0.5, 0.65)])
    return still(person, start, frames, size, int(rng.integers(6, 13))), start, start + frames


def inject(
    kind: str,
    people: dict[int, Person],
    length: int,
    image: np.ndarray,
    rng: np.random.Generator,
) -> tuple[dict[int, Person], np.ndarray]:
    """Injects up to three events of a kind into a clip, in about a third of its frames.

    Returns:
        The changed people, and the frame labels of the clip.
    """
    changed, labels = {}, np.zeros(length, dtype=np.int8)
    for track in rng.permutation([t for t, p in people.items() if p.seen.sum() >= _SHORTEST]):
        for _ in range(_TRIES):
            event = draw(kind, people[track], image, rng)
            if event is None:
                continue
            begin, end = (people[track].first + frame for frame in event[1:])
            others = [p for t, p in {**people, **changed}.items() if t != track]
            if end > length or (kind == "still" and not _all_walk(others, begin, end)):
                continue
            person = event[0]
            person.seen[length - person.first :] = False
            changed[int(track)] = person
            labels[begin:end] = 1
            break
        if len(changed) == _EVENTS or labels.mean() >= _SHARE:
            break
    return changed, labels


def _all_walk(people: list[Person], begin: int, end: int) -> bool:
    """Whether all people with a known speed between two frames walk."""
    for person in people:
        speed = person.speed()[max(begin - person.first, 0) : max(end - person.first, 0)]
        speed = speed[~np.isnan(speed)]
        if len(speed) and speed.mean() < WALKING:
            return False
    return True


def injected(tracks: PoseTracks, seed: int) -> tuple[PoseTracks, Counter[str]]:
    """Injects anomalies into half of the clips of each camera; the other half is for training.

    Args:
        tracks: Normal clips of ``box5``.
        seed: Seed of all random choices.

    Returns:
        The clips, and the number of events of each kind.
    """
    rng = np.random.default_rng(seed)
    camera = np.array(tracks.camera)
    clips_of = [rng.permutation(np.flatnonzero(camera == name)) for name in np.unique(camera)]
    chosen = np.concatenate([clips[: len(clips) // 2] for clips in clips_of])
    label, split = ["normal"] * tracks.num_clips, ["train"] * tracks.num_clips
    frame_labels = np.zeros(tracks.clip_length.sum(), dtype=np.int8)
    starts = np.append(tracks.track_starts, tracks.num_frames)
    rows = [slice(*ends) for ends in itertools.pairwise(starts)]
    kept, new = np.ones(tracks.num_frames, dtype=bool), []
    clips, events = Counter[str](), Counter[str]()
    for clip in rng.permutation(chosen):
        here = {int(tracks.track[r.start]): r for r in rows if tracks.clip[r.start] == clip}
        people = {t: Person.of(tracks.frame[r], tracks.keypoints[r]) for t, r in here.items()}
        split[clip] = "test"
        # The rarest kind that fits the clip.
        for kind in sorted(rng.permutation(KINDS).tolist(), key=clips.__getitem__):
            length, image = tracks.clip_length[clip], tracks.image_size[clip]
            changed, labels = inject(kind, people, length, image, rng)
            if changed:
                label[clip] = kind
                clips[kind] += 1
                events[kind] += len(changed)
                break
        frame_labels[tracks.frame_offset[clip] : tracks.frame_offset[clip + 1]] = labels
        for track, person in changed.items():
            kept[here[track]] = False
            frame = person.first + np.flatnonzero(person.seen)
            same = np.ones_like(frame)
            new.append((person.keypoints(), frame, track * same, clip * same))
    old = (tracks.keypoints[kept], tracks.frame[kept], tracks.track[kept], tracks.clip[kept])
    keypoints, frame, track, clip = map(np.concatenate, zip(old, *new, strict=True))
    made = tracks.with_(
        keypoints=keypoints,
        confidence=np.ones(keypoints.shape[:2]),
        frame=frame,
        track=track,
        clip=clip,
        clip_label=label,
        clip_split=split,
        frame_labels=frame_labels,
    )
    return made, events


@click.command(cls=Command)
@click.option(
    "--boxes", type=click.Path(path_type=Path), required=True, help="Folder of the boxes."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
@click.option(
    "--seed", "seeds", type=int, multiple=True, default=[0], help="Seed; one file for each."
)
def main(boxes: Path, out: Path, seeds: tuple[int, ...]) -> None:
    """Write validation sets from the training clips of the boxes."""
    tracks = read(boxes / "train_txt", format="shanghaitech-boxes")
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        made, events = injected(tracks, seed)
        made.save(out / f"boxes_{seed}.npz")
        click.echo(f"{out / f'boxes_{seed}.npz'}: {made!r}")
        for kind in KINDS:
            clips = made.select(labels=[kind])
            click.echo(
                f"  {kind:8}{clips.num_clips:4} clips {events[kind]:4} events "
                f"{clips.frame_labels.sum():6} of {len(clips.frame_labels)} frames abnormal"
            )


if __name__ == "__main__":
    main()
