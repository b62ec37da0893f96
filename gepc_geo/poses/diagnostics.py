"""What looks wrong in poses that are formally right: units, left and right, ids."""

from __future__ import annotations

import numpy as np

from gepc_geo.poses.tracks import PoseTracks

# Fewer cases say nothing about a data set.
_FEW = 20
# Steps over more frames than this may be of any length.
_NEAR = 3
# A person that moves by its own size from one frame to the next is another one.
_JUMP = 1.0
# In shares of a pose's size: what is nearer together lies left or right by chance.
_APART = 0.1
# The share of poses in which a pair of joints may lie the other way round than the shoulders (arms and
# legs cross), and in which a face may be one that the camera does not see.
_CROSSED, _MIRRORED = 0.7, 0.85


def find_faults(tracks: PoseTracks) -> list[str]:
    """One sentence for each thing that looks wrong; none where nothing does.

    Looked for are: coordinates in shares of the image where pixels are expected, or far outside the
    image; 3D people who do not stand along y, about which poses are turned; pairs of left and right joints that mostly lie the other way round than the shoulders, and
    faces whose left eye is on the left as seen from the camera (joints in another order, or mirrored
    images); people who move by more than their own size from one frame to the next (ids that jump from
    person to person). These are signs, not proofs.
    """
    if not tracks.num_frames:
        return []
    size = _size(tracks)
    return [
        *_units(tracks),
        *_upright(tracks),
        *_sides(tracks, size),
        *_faces(tracks, size),
        *_jumps(tracks, size),
    ]


# -- inner -----------------------------------------------------------------------------------------


def _size(tracks: PoseTracks) -> np.ndarray:
    """The largest extent of each pose, :math:`[F]`; NaN without two joints."""
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
            "coordinates are shares of the image's width and height, so that poses are stretched: "
            "give --image-size WIDTHxHEIGHT"
        ]
    seen = tracks.keypoints[tracks.confidence > 0]
    if np.quantile(np.abs(seen), 0.99) <= 1.5:
        return ["coordinates lie within 0 to 1, expected pixels"]
    rows = np.repeat(tracks.clip[:, None], tracks.num_joints, axis=1)[tracks.confidence > 0]
    # Unknown sizes are NaN, and nothing is outside of them.
    outside = ((seen < 0) | (seen > tracks.image_size[rows])).any(-1).mean()
    if outside > 0.2:
        return [f"{outside:.0%} of the joints lie outside of the image"]
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
        f"people stand along {axis} in {(along != 1).mean():.0%} of the poses, expected y: 3D poses are turned "
        "about y, so that axes have to be exchanged"
    ]


def _sides(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    skeleton = tracks.skeleton
    if skeleton.shoulders is None:
        return []
    shoulders = set(skeleton.shoulders)
    left, right = next((p for p in skeleton.pairs if set(p) == shoulders), skeleton.shoulders)
    across, wide = _across(tracks, left, right, size)
    crossed = []
    worst = 0.0
    for a, b in skeleton.pairs:
        other, apart = _across(tracks, a, b, size)
        both = wide & apart
        if {a, b} == shoulders or both.sum() < _FEW:
            continue
        share = float(((across * other).sum(-1) < 0)[both].mean())
        if share > _CROSSED:
            crossed.append(f"{skeleton.joints[a]} and {skeleton.joints[b]}")
            worst = max(worst, share)
    if not crossed:
        return []
    return [
        f"{'; '.join(crossed)} lie the other way round than the shoulders in up to {worst:.0%} of "
        "the poses: is the joints' order that of the skeleton, with left and right in their places?"
    ]


def _faces(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    joints = tracks.skeleton.joints
    if tracks.dims != 2 or not {"nose", "left_eye", "right_eye"} <= set(joints):
        return []
    nose, left, right = (joints.index(name) for name in ("nose", "left_eye", "right_eye"))
    # Estimators are sure of a face only where it looks at the camera.
    sure = (tracks.confidence[:, [nose, left, right]] > 0.5).all(-1)
    apart = (tracks.keypoints[:, left] - tracks.keypoints[:, right])[:, 0]
    with np.errstate(invalid="ignore"):
        sure &= np.abs(apart) > 0.02 * size
    if sure.sum() < _FEW:
        return []
    share = float((apart[sure] < 0).mean())
    if share <= _MIRRORED:
        return []
    return [
        f"in {share:.0%} of the poses with a visible face the left eye is left of the right one, as "
        "in a mirror: are left and right swapped, or the images mirrored?"
    ]


def _across(
    tracks: PoseTracks, left: int, right: int, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """From the right joint to the left one, and where both are seen and not too near together."""
    vector = tracks.keypoints[:, left] - tracks.keypoints[:, right]
    seen = (tracks.confidence[:, [left, right]] > 0).all(-1)
    with np.errstate(invalid="ignore"):
        return vector, seen & (np.linalg.norm(vector, axis=-1) > _APART * size)


def _jumps(tracks: PoseTracks, size: np.ndarray) -> list[str]:
    gap = np.diff(tracks.frame)
    same = (np.diff(tracks.clip) == 0) & (np.diff(tracks.track) == 0) & (gap <= _NEAR)
    before = np.flatnonzero(same)
    both = (tracks.confidence[before] > 0) & (tracks.confidence[before + 1] > 0)
    step = ((tracks.keypoints[before + 1] - tracks.keypoints[before]) * both[..., None]).sum(1)
    length = np.linalg.norm(step / np.maximum(both.sum(1), 1)[:, None], axis=-1) / gap[before]
    with np.errstate(invalid="ignore"):
        far = np.flatnonzero(length > _JUMP * np.fmax(size[before], size[before + 1]))
    if not len(far):
        return []
    row = before[far[0]]
    people = len(np.unique(np.searchsorted(tracks.track_starts, before[far], side="right")))
    return [
        f"ids jump {len(far):,} times, in {people:,} of {tracks.num_tracks:,} tracks: person "
        f"{tracks.track[row]} of clip {tracks.clip_names[tracks.clip[row]]!r} moves by "
        f"{length[far[0]] / np.fmax(size[row], size[row + 1]):.1f} times its size a frame after "
        f"frame {tracks.frame[row]}"
    ]
