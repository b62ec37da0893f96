"""Signs of wrong units, swapped joints or unstable ids in valid poses."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gepc_geo.poses.tracks import PoseTracks

# Fewer poses give no reliable share.
_MIN_POSES = 20
# Longest gap, in frames, over which a step is judged.
_MAX_GAP = 3
# Steps of this length or more, in sizes of the person a frame, are jumps of ids.
_MAX_STEP = 1.0
# Joints nearer than this share of the pose's size have no reliable order.
_MIN_DISTANCE = 0.1
# Shares of poses above which joints count as swapped and faces as mirrored. Arms and legs cross in
# correct poses too, and a face may be one that the camera does not see, hence the margins.
_CROSSED, _MIRRORED = 0.7, 0.85
# Mean length of the bones, relative to the mean distance of two joints. It is 0.25 to 0.66 in real
# poses of 30 kinds, and over 0.75 in 97 % of the poses with joints in random order.
_LONG_BONES = 0.75
# Poses that suffice for the lengths of bones.
_SAMPLE = 4000


def find_faults(tracks: PoseTracks) -> list[str]:
    """Describes each sign of wrong poses in one sentence.

    The checks are:

    - 2D coordinates in shares of the image where pixels are needed, or far outside the image;
    - 3D people who do not stand along y, the axis that 3D poses turn about;
    - bones nearly as long as the distance of any two joints (joints in another order);
    - left and right joints in the opposite order to the shoulders in most poses;
    - faces with the left eye left of the right one (joints in another order, or mirrored images);
    - people who move by more than their own size from one frame to the next (unstable ids).

    Args:
        tracks: The poses.

    Returns:
        The sentences; empty where every check passes. They are signs, not proofs.
    """
    if not tracks.num_frames:
        return []
    size = _size(tracks)
    return [
        *_units(tracks),
        *_upright(tracks),
        *_bones(tracks),
        *_sides(tracks, size),
        *_faces(tracks, size),
        *_jumps(tracks, size),
    ]


def wrong_order(tracks: PoseTracks) -> str:
    """What shows that joints are in another order than the skeleton's, without doubt.

    One crossed pair of joints may be a habit of the people, two or more are not, nor are bones
    nearly as long as the distance of any two joints.

    Args:
        tracks: The poses.

    Returns:
        What was found instead of the skeleton's order; ``""`` without a sure sign.
    """
    if not tracks.num_frames:
        return ""
    length = _bone_length(tracks)
    crossed, worst = _crossed(tracks, _size(tracks))
    found = []
    if length > _LONG_BONES:
        found.append(f"bones {length:.2f} times as long as the distance of any two joints")
    if len(crossed) > 1:
        found.append(
            f"{'; '.join(crossed)} in the opposite order to the shoulders in up to {worst:.0%} of "
            "the poses"
        )
    return " and ".join(found)


# -- inner -----------------------------------------------------------------------------------------


def _size(tracks: PoseTracks) -> np.ndarray:
    """The largest extent of each pose, :math:`[F]`; NaN with fewer than two joints."""
    seen = (tracks.confidence > 0)[..., None]
    high = np.where(seen, tracks.keypoints, -np.inf).max(1)
    low = np.where(seen, tracks.keypoints, np.inf).min(1)
    size = (high - low).max(-1)
    return np.where(size > 0, size, np.nan)


def _units(tracks: PoseTracks) -> list[str]:
    if tracks.dims != 2:
        return []
    if (tracks.image_size == 1).all(axis=1).any():
        return [
            "coordinates must be in pixels, got shares of the image's width and height, which "
            "stretch the poses: give --image-size WIDTHxHEIGHT"
        ]
    seen = tracks.keypoints[tracks.confidence > 0]
    if np.quantile(np.abs(seen), 0.99) <= 1.5:
        return ["coordinates must be in pixels, got values from 0 to 1"]
    rows = np.repeat(tracks.clip[:, None], tracks.num_joints, axis=1)[tracks.confidence > 0]
    # Unknown sizes are NaN, which no coordinate exceeds.
    outside = ((seen < 0) | (seen > tracks.image_size[rows])).any(-1).mean()
    if outside > 0.2:
        return [f"joints must lie inside the image, got {outside:.0%} outside"]
    return []


def _upright(tracks: PoseTracks) -> list[str]:
    skeleton = tracks.skeleton
    if tracks.dims != 3 or skeleton.shoulders is None or skeleton.hips is None:
        return []
    torso = [*skeleton.shoulders, *skeleton.hips]
    seen = (tracks.confidence[:, torso] > 0).all(1)
    shoulders, hips = (
        tracks.keypoints[seen][:, list(pair)].mean(1) for pair in (torso[:2], torso[2:])
    )
    along = np.abs(shoulders - hips).argmax(1)
    if len(along) == 0 or (along == 1).mean() > 0.5:
        return []
    axis = "xyz"[int(np.bincount(along, minlength=3).argmax())]
    return [
        f"people must stand along y, got {axis} in {(along != 1).mean():.0%} of the poses: "
        "exchange the axes, as 3D poses are turned about y"
    ]


def _bones(tracks: PoseTracks) -> list[str]:
    length = _bone_length(tracks)
    if length <= _LONG_BONES:
        return []
    return [
        "bones must connect neighbouring joints, got bones "
        f"{length:.2f} times as long as the distance of any two joints (a body has 0.25 to 0.66): "
        "check the order of the joints"
    ]


def _bone_length(tracks: PoseTracks) -> float:
    """The length of bones divided by the distance of joints, both means, median over the poses.

    It is 0 for skeletons without a torso, whose bones may be as long as other distances, and for
    few poses.
    """
    skeleton = tracks.skeleton
    if skeleton.shoulders is None or skeleton.hips is None:
        return 0.0
    rows = np.unique(np.linspace(0, tracks.num_frames - 1, _SAMPLE).astype(np.int64))
    points, seen = tracks.keypoints[rows], tracks.confidence[rows] > 0
    means = []
    for pairs in (skeleton.bones, tuple(combinations(range(skeleton.num_joints), 2))):
        a, b = np.array(pairs).T
        both = seen[:, a] & seen[:, b]
        distance = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
        with np.errstate(invalid="ignore"):
            means.append((distance * both).sum(1) / both.sum(1))
    reliable = (means[0] > 0) & (means[1] > 0) & (seen.mean(1) > 0.5)
    if reliable.sum() < _MIN_POSES:
        return 0.0
    return float(np.median(means[0][reliable] / means[1][reliable]))


def _sides(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    crossed, worst = _crossed(tracks, size)
    if not crossed:
        return []
    return [
        f"{'; '.join(crossed)} must be in the same order as the shoulders, got the opposite order "
        f"in up to {worst:.0%} of the poses: check the order of the joints, left and right"
    ]


def _crossed(tracks: PoseTracks, size: np.ndarray) -> tuple[list[str], float]:
    """Pairs in the opposite order to the shoulders, and the largest share of poses with that."""
    skeleton = tracks.skeleton
    if skeleton.shoulders is None:
        return [], 0.0
    shoulders = set(skeleton.shoulders)
    left, right = next((p for p in skeleton.pairs if set(p) == shoulders), skeleton.shoulders)
    across, wide = _across(tracks, left, right, size)
    crossed = []
    worst = 0.0
    for a, b in skeleton.pairs:
        vector, distinct = _across(tracks, a, b, size)
        reliable = wide & distinct
        if {a, b} == shoulders or reliable.sum() < _MIN_POSES:
            continue
        share = float(((across * vector).sum(-1) < 0)[reliable].mean())
        if share > _CROSSED:
            crossed.append(f"{skeleton.joints[a]} and {skeleton.joints[b]}")
            worst = max(worst, share)
    return crossed, worst


def _faces(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    joints = tracks.skeleton.joints
    if tracks.dims != 2 or not {"nose", "left_eye", "right_eye"} <= set(joints):
        return []
    nose, left, right = (joints.index(name) for name in ("nose", "left_eye", "right_eye"))
    # Estimators give a high confidence only to faces that look at the camera.
    sure = (tracks.confidence[:, [nose, left, right]] > 0.5).all(-1)
    offset = (tracks.keypoints[:, left] - tracks.keypoints[:, right])[:, 0]
    with np.errstate(invalid="ignore"):
        sure &= np.abs(offset) > 0.02 * size
    if sure.sum() < _MIN_POSES:
        return []
    share = float((offset[sure] < 0).mean())
    if share <= _MIRRORED:
        return []
    return [
        "the left eye of a visible face must be right of the right eye, got left of it in "
        f"{share:.0%} of the poses: check the order of the joints and whether images are mirrored"
    ]


def _across(
    tracks: PoseTracks, left: int, right: int, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors from the right to the left joint; whether both are seen at a sufficient distance."""
    vector = tracks.keypoints[:, left] - tracks.keypoints[:, right]
    seen = (tracks.confidence[:, [left, right]] > 0).all(-1)
    with np.errstate(invalid="ignore"):
        return vector, seen & (np.linalg.norm(vector, axis=-1) > _MIN_DISTANCE * size)


def _jumps(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    gap = np.diff(tracks.frame)
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0) & (gap <= _MAX_GAP)
    before = np.flatnonzero(same)
    seen = (tracks.confidence[before] > 0) & (tracks.confidence[before + 1] > 0)
    step = ((tracks.keypoints[before + 1] - tracks.keypoints[before]) * seen[..., None]).sum(1)
    length = np.linalg.norm(step / np.maximum(seen.sum(1), 1)[:, None], axis=-1) / gap[before]
    with np.errstate(invalid="ignore"):
        far = np.flatnonzero(length > _MAX_STEP * np.fmax(size[before], size[before + 1]))
    if not len(far):
        return []
    row = before[far[0]]
    people = len(np.unique(np.searchsorted(tracks.track_starts, before[far], side="right")))
    jumps = f"{len(far):,} {'jump' if len(far) == 1 else 'jumps'}"
    return [
        f"a person must move by less than its size a frame, got {jumps} in {people:,} of "
        f"{tracks.num_tracks:,} tracks: person {tracks.track[row]} of clip "
        f"{tracks.clip_names[tracks.clip[row]]!r} moves by "
        f"{length[far[0]] / np.fmax(size[row], size[row + 1]):.1f} times its size a frame after "
        f"frame {tracks.frame[row]}"
    ]
