"""A seeded crowd before a camera: normal people, and one kind of anomaly a clip.

People walk, stroll, stand and turn in a ground plane seen by a pinhole camera; key points come with
noise, occlusions, missed frames and switched ids, as a pose tracker would give them. It is written
for plausibility; nothing in it is tuned to a detector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gepc_geo.datasets.behaviour import ABNORMAL, FPS, normal_person
from gepc_geo.datasets.camera import HEIGHT, WIDTH, Camera, Seen, observe
from gepc_geo.errors import InputError
from gepc_geo.io.formats.alphapose import write_alphapose
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import atomic_path

#: The anomalies; a clip's name begins with its kind (or ``normal``).
KINDS = tuple(ABNORMAL)


def _clip(
    rng: np.random.Generator, kind: str, frames: int, people: int
) -> tuple[list[Seen], np.ndarray]:
    camera = Camera(
        height=rng.uniform(3.0, 4.5), pitch=rng.uniform(0.14, 0.24), focal=rng.uniform(620, 760)
    )
    crowd = [normal_person(rng, frames) for _ in range(people)]
    if kind != "normal":
        crowd = [*ABNORMAL[kind](rng, frames), *crowd]
    seen = [
        observe(rng, person, camera, track, len(crowd) + track)
        for track, person in enumerate(crowd)
    ]
    labels = np.zeros(frames, dtype=np.int8)
    for one in seen:
        labels |= one.abnormal_frames
    return seen, labels


def simulate_crowd(
    split: str = "train",
    *,
    num_clips: int | None = None,
    frames_per_clip: int = 240,
    random_state: int = 0,
) -> PoseTracks:
    """Simulates clips of tracked people, 856 x 480 pixels at 24 frames a second, ``coco17``.

    Args:
        split: ``"train"``: normal clips; ``"test"``: a quarter normal, the others one anomaly each,
            kinds in turn.
        num_clips: Default: 36 for training, 36 for testing (8 normal, 4 of each kind).
        frames_per_clip: Frames in each clip.
        random_state: The same seed gives the same crowd; the two splits never share people.

    Returns:
        Tracks with frame labels, class labels (the kind) and the split.
    """
    if random_state < 0:
        raise InputError(f"random_state must be at least 0, got {random_state}")
    if split not in ("train", "test"):
        raise InputError(f"split is {split!r}, expected train or test")
    if num_clips is not None and num_clips < 1:
        raise InputError(f"num_clips is {num_clips}, expected at least 1")
    if frames_per_clip < 24:
        raise InputError(f"frames_per_clip is {frames_per_clip}, expected at least 24")
    rng = np.random.default_rng([random_state, ("train", "test").index(split)])
    count = 36 if num_clips is None else num_clips
    normal = count if split == "train" else max(1, round(count * 2 / 9))
    kinds = ["normal"] * normal + [KINDS[i % len(KINDS)] for i in range(count - normal)]
    parts, labels, names = [], [], []
    number: dict[str, int] = {}
    for clip, kind in enumerate(kinds):
        seen, label = _clip(rng, kind, frames_per_clip, int(rng.integers(4, 9)))
        number[kind] = number.get(kind, -1) + 1
        names.append(f"{kind}_{number[kind]:02d}" if split == "test" else f"train_{clip:02d}")
        labels.append(label)
        parts += [(clip, one) for one in seen]
    return PoseTracks.build(
        np.concatenate([one.keypoints for _, one in parts]),
        np.concatenate([one.confidence for _, one in parts]),
        np.concatenate([one.frame for _, one in parts]),
        np.concatenate([one.track for _, one in parts]),
        np.concatenate([np.full(len(one.frame), clip) for clip, one in parts]),
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


def write_crowd(
    folder: str | Path,
    *,
    random_state: int = 0,
    train_clips: int | None = None,
    test_clips: int | None = None,
    frames_per_clip: int = 240,
) -> None:
    """Writes a crowd as a pose tracker would: ``train/`` and ``test/`` in the AlphaPose format.

    Frame masks of the test clips go to ``test_masks/<clip>.npy`` (1 = abnormal).
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
