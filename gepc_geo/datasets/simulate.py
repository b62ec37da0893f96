"""A simulated crowd: normal people, and one kind of anomaly per clip.

People walk, stroll, stand and turn on a ground plane; a pinhole camera sees them. Key points have
the faults of a pose tracker: noise, occlusions, missed frames and switched ids. No part of the
simulation is tuned to a detector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.datasets.behaviour import ABNORMAL, FPS, normal_person
from gepc_geo.datasets.camera import HEIGHT, WIDTH, Camera, Observation, observe
from gepc_geo.errors import InputError
from gepc_geo.io.formats.alphapose import write_alphapose
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

#: Kinds of anomalies; a test clip's name begins with its kind (or ``normal``).
KINDS = tuple(ABNORMAL)


def _clip(
    rng: np.random.Generator, kind: str, frames: int, people: int
) -> tuple[list[Observation], np.ndarray]:
    """The people of a clip as a tracker gives them, and the frame labels."""
    camera = Camera(
        height=rng.uniform(3.0, 4.5), pitch=rng.uniform(0.14, 0.24), focal=rng.uniform(620, 760)
    )
    crowd = [normal_person(rng, frames) for _ in range(people)]
    if kind != "normal":
        crowd = [*ABNORMAL[kind](rng, frames), *crowd]
    observations = [
        observe(rng, person, camera, track, len(crowd) + track)
        for track, person in enumerate(crowd)
    ]
    labels = np.zeros(frames, dtype=np.int8)
    for observation in observations:
        labels |= observation.abnormal_frames
    return observations, labels


def simulate_crowd(
    split: str = "train",
    *,
    num_clips: int | None = None,
    frames_per_clip: int = 240,
    random_state: int = 0,
) -> PoseTracks:
    """Simulates clips of tracked people, 856 x 480 pixels at 24 frames per second, ``coco17``.

    Args:
        split: ``"train"``: normal clips. ``"test"``: 2 in 9 clips are normal, each other clip shows
            one anomaly; the kinds alternate. (default: :obj:`"train"`)
        num_clips: Number of clips; ``None``: 36 (of the test clips, 8 are normal and 4 show each
            kind of anomaly). (default: :obj:`None`)
        frames_per_clip: Frames in each clip, 24 or more. (default: :obj:`240`)
        random_state: The same seed gives the same crowd; the two splits never share people.
            (default: :obj:`0`)

    Returns:
        Tracks with frame labels, class labels (the kind) and the split.

    Raises:
        InputError: An unknown split, a negative seed, or too few clips or frames.
    """
    if random_state < 0:
        raise InputError(f"random_state must be at least 0, got {random_state}")
    if split not in ("train", "test"):
        raise InputError(f"split must be train or test, got {split!r}")
    if num_clips is not None and num_clips < 1:
        raise InputError(f"num_clips must be at least 1, got {num_clips}")
    if frames_per_clip < 24:
        raise InputError(f"frames_per_clip must be at least 24, got {frames_per_clip}")
    rng = np.random.default_rng([random_state, ("train", "test").index(split)])
    count = 36 if num_clips is None else num_clips
    normal = count if split == "train" else max(1, round(count * 2 / 9))
    kinds = ["normal"] * normal + [KINDS[i % len(KINDS)] for i in range(count - normal)]
    observations, labels, names = [], [], []
    number: dict[str, int] = {}
    for clip, kind in enumerate(kinds):
        people, label = _clip(rng, kind, frames_per_clip, int(rng.integers(4, 9)))
        number[kind] = number.get(kind, -1) + 1
        names.append(f"{kind}_{number[kind]:02d}" if split == "test" else f"train_{clip:02d}")
        labels.append(label)
        observations += [(clip, observation) for observation in people]
    return PoseTracks.build(
        np.concatenate([observation.keypoints for _, observation in observations]),
        np.concatenate([observation.confidence for _, observation in observations]),
        np.concatenate([observation.frame for _, observation in observations]),
        np.concatenate([observation.track for _, observation in observations]),
        np.concatenate(
            [np.full(len(observation.frame), clip) for clip, observation in observations]
        ),
        "coco17",
        names,
        clip_length=[frames_per_clip] * count,
        image_size=[[WIDTH, HEIGHT]] * count,
        fps=[FPS] * count,
        camera=["simulated"] * count,
        clip_label=kinds,
        clip_split=[split] * count,
        frame_labels=np.concatenate(labels),
        origin="simulated crowd",
    )


def abnormal_people(tracks: PoseTracks) -> list[tuple[str, int, int, int, int]]:
    """Kind, clip, person, first and last abnormal frame of the abnormal people of a crowd.

    Args:
        tracks: Poses of :func:`simulate_crowd`.
    """
    found = []
    assert tracks.frame_labels is not None
    for clip, kind in enumerate(tracks.clip_label):
        labels = tracks.frame_labels[tracks.frame_offset[clip] :][: tracks.clip_length[clip]]
        frames = np.flatnonzero(labels == 1)
        # In each clip they have the lowest ids.
        for track in range(0 if kind == "normal" else 2 if kind == "fighting" else 1):
            seen = (tracks.clip == clip) & (tracks.track == track)
            if len(frames) and seen.any():
                found.append((kind, clip, track, int(frames[0]), int(frames[-1])))
    return found


def write_crowd(
    folder: str | Path,
    *,
    random_state: int = 0,
    train_clips: int | None = None,
    test_clips: int | None = None,
    frames_per_clip: int = 240,
) -> None:
    """Writes a simulated crowd to ``train/`` and ``test/``, in the AlphaPose format.

    Frame masks of the test clips go to ``test_masks/<clip>.npy`` (1 = abnormal).

    Args:
        folder: Where the folders go.
        random_state: As :func:`simulate_crowd`. (default: :obj:`0`)
        train_clips: Number of training clips; ``None``: 36. (default: :obj:`None`)
        test_clips: Number of test clips; ``None``: 36. (default: :obj:`None`)
        frames_per_clip: Frames in each clip, 24 or more. (default: :obj:`240`)

    Raises:
        InputError: As :func:`simulate_crowd`; a folder that is not writable.
    """
    folder = Path(folder)
    for split, count in (("train", train_clips), ("test", test_clips)):
        tracks = simulate_crowd(
            split, num_clips=count, frames_per_clip=frames_per_clip, random_state=random_state
        )
        write_alphapose(tracks, folder / split)
        if split == "test":
            assert tracks.frame_labels is not None
            for name, mask in zip(
                tracks.clip_names, tracks.frame_labels.reshape(tracks.num_clips, -1), strict=True
            ):
                path = folder / "test_masks" / f"{name}.npy"
                with atomic_path(path) as temporary, temporary.open("wb") as stream:
                    np.save(stream, mask.astype(np.uint8))
