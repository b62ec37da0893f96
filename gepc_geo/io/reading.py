"""Reading a file, or all files of a folder, into one set of poses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.io._common.clip import Clips, Picture, Remark
from gepc_geo.io._common.naming import Place, name_clips
from gepc_geo.io._common.numbering import FROM_ONE, first_numbers, from_zero
from gepc_geo.io._common.orders import ORDERS
from gepc_geo.io._common.planning import Planned, plan
from gepc_geo.io._common.units import recognise_units
from gepc_geo.io.labels import Masks, label_frames, read_masks
from gepc_geo.poses.skeleton import SKELETONS, Skeleton, coco17_to_coco18
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import as_text

NECK, WITHOUT_NECK = SKELETONS["coco18"], SKELETONS["coco17"]


@dataclass(frozen=True)
class Reading:
    """What was read, and how it was understood.

    Attributes:
        tracks: The poses.
        formats: The number of files of each format.
        names: A sentence for each way in which names of files and pictures were understood.
    """

    tracks: PoseTracks
    formats: dict[str, int]
    names: list[str]


def read(
    path: str | Path,
    format: str = "auto",
    skeleton: str | Path | Skeleton = "auto",
    fps: float | None = None,
    image_size: Sequence[float] | None = None,
    labels: str | Path | None = None,
) -> PoseTracks:
    """Reads a file, or all files in a folder (and its folders, behind links too), sorted by path.

    Of formats with a file for every frame (OpenPose, Ultralytics, MMPose's of images) a clip is the files
    of one folder whose names differ in the frame's number (or time) alone. A clip is named after its file,
    its pictures or its folder, with as much of the path below ``path`` as makes it different from the
    others. In a folder, hidden files, documents (``README``, ``LICENSE``) and files whose ending no format
    found there has (``.npy`` masks) are left alone; endings may be in upper case. Any other file is data,
    and an error where it is malformed: a clip is never passed over in silence.

    People of files without person ids get them from :func:`gepc_geo.poses.tracker.track_poses`. A
    :class:`~gepc_geo.errors.InputWarning` says where poses are left out.

    Args:
        path: File or folder.
        format: One of :data:`gepc_geo.io.FORMATS`; or ``"auto"``: each file's, by its content.
        skeleton: ``"auto"``: what the format says (COCO's by the joint count where it does not);
            or a skeleton the joints are named by. ``coco18`` of 17 COCO joints adds the neck.
        fps: Frames a second of clips that do not say.
        image_size: Width and height in pixels of clips that do not say. Coordinates that are shares
            of the image (then the size of an image is 1 by 1) become pixels.
        labels: Folder of frame masks, one ``<clip name>.npy`` a clip, 1 = abnormal.

    Raises:
        InputError: No such path, nothing readable in it, a malformed file, another joint count,
            files whose poses differ in kind, two clips of one name, masks that do not fit.
    """
    return read_all(path, format, skeleton, fps, image_size, labels).tracks


def read_all(
    path: str | Path,
    format: str = "auto",
    skeleton: str | Path | Skeleton = "auto",
    fps: float | None = None,
    image_size: Sequence[float] | None = None,
    labels: str | Path | None = None,
) -> Reading:
    """:func:`read`, with how the files were understood."""
    path = Path(path)
    wanted = None
    if not (isinstance(skeleton, str) and skeleton == "auto"):
        wanted = Skeleton.get(skeleton)
    planned = plan(path, format)
    clips = [_read_clips(one, wanted, image_size is not None) for one in planned]
    _agree_on_order(planned, clips, wanted)
    names = _names(path, planned, clips)
    masks: Masks = {}
    if labels is not None:
        masks = read_masks(Path(labels), [name for called in names for name in called])
    lengths = {name: len(mask) for name, (_, mask) in masks.items()}
    hows = first_numbers(clips, [one.form.name for one in planned], names, lengths)
    for i, (one, how, called) in enumerate(zip(clips, hows, names, strict=True)):
        one = from_zero(one, how)
        clips[i] = replace(one, tracks=replace(one.tracks, clip_names=tuple(called)))
    _warn([remark for one in clips for remark in one.remarks])
    tracks = _join([one.path for one in planned], [one.tracks for one in clips])
    if image_size is not None:
        tracks = _with_image_size(tracks, image_size, str(path))
    if fps is not None:
        tracks = tracks.with_(fps=np.where(np.isnan(tracks.fps), fps, tracks.fps), origin=str(path))
    if labels is not None:
        tracks = label_frames(Path(labels), tracks, masks)
    counts: Counter[str] = Counter()
    for files in planned:
        counts[files.form.name] += files.files
    return Reading(tracks, dict(counts), list(_understood(planned, clips, hows)))


def with_neck(tracks: PoseTracks) -> PoseTracks:
    """Poses of 17 COCO joints with the neck of 18."""
    keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
    return tracks.with_(keypoints=keypoints, confidence=confidence, skeleton=NECK)


# -- inner -----------------------------------------------------------------------------------------


def _read_clips(one: Planned, wanted: Skeleton | None, sized: bool) -> Clips:
    source = one.path if one.frames is None else one.frames
    form = one.form
    clips = form.read(source, wanted) if form.any_skeleton else form.read(source)
    if one.frames is not None:
        frames = one.frames
        name, first = min(zip((path.name for path in frames.paths), frames.frames, strict=True))
        clips = replace(clips, picture=Picture(name, 0, first, frames.timed))
        if frames.fps is not None:
            clips = replace(
                clips, tracks=replace(clips.tracks, fps=np.array([frames.fps], np.float32))
            )
    tracks = clips.tracks
    # Native files say what they hold; shares of an unknown size become pixels where that is given.
    if form.name != "native" or sized:
        tracks = recognise_units(tracks, known_too=form.name != "native")
        clips = replace(clips, tracks=tracks)
    if wanted is None or wanted == tracks.skeleton:
        return clips
    if wanted == NECK and tracks.skeleton == WITHOUT_NECK and tracks.features is None:
        return replace(clips, tracks=with_neck(tracks))
    return replace(clips, tracks=tracks.with_(skeleton=wanted, origin=str(one.path)))


def _agree_on_order(
    planned: Sequence[Planned], clips: list[Clips], wanted: Skeleton | None
) -> None:
    """Gives all clips of OpenPose's 25 points the order that most of the poses are in: a tool has one."""
    own = [i for i, one in enumerate(planned) if one.form.name == "openpose"]
    poses: Counter[Skeleton] = Counter()
    for i in own:
        poses[clips[i].tracks.skeleton] += clips[i].tracks.num_frames
    if wanted is None and set(poses) == set(ORDERS):
        (skeleton, _), *_ = poses.most_common(1)
        for i in own:
            clips[i] = replace(clips[i], tracks=replace(clips[i].tracks, skeleton=skeleton))


def _names(path: Path, planned: Sequence[Planned], clips: Sequence[Clips]) -> list[list[str]]:
    """The names of each file's clips.

    Raises:
        InputError: Two clips that nothing tells apart.
    """
    places = [
        Place(one.folders, parts)
        for one, found in zip(planned, clips, strict=True)
        for parts in found.parts
    ]
    names = iter(name_clips(places, path))
    owner: dict[str, Planned] = {}
    result = []
    for one, found in zip(planned, clips, strict=True):
        result.append([next(names) for _ in found.parts])
        for name, parts in zip(result[-1], found.parts, strict=True):
            for key in {name, parts[-1] if parts else name}:
                other = owner.setdefault(key, one)
                # Clips of one name in two formats, one beside or below the other, are the same poses twice.
                if other is not one and (key == name or _are_twice(one, other)):
                    raise InputError(
                        f"{one.path} has a clip named {key!r} and so has {other.path}, "
                        "expected one file of a clip, or different names"
                    )
    return result


def _are_twice(one: Planned, other: Planned) -> bool:
    shared = min(len(one.folders), len(other.folders))
    return other.form is not one.form and one.folders[:shared] == other.folders[:shared]


def _warn(remarks: Sequence[Remark]) -> None:
    """One warning for each thing that was done, however many files it was done in."""
    alike: dict[str, list[Remark]] = defaultdict(list)
    for remark in remarks:
        alike[remark.text].append(remark)
    for text, found in alike.items():
        more = len({remark.path for remark in found}) - 1
        where = f"{found[0].path}" + (f" and {more} other file{'s'[: more > 1]}" if more else "")
        told = text.format(
            count=sum(one.count for one in found), total=sum(one.total for one in found)
        )
        warn_of_input(f"{where}: {told}")


def _understood(
    planned: Sequence[Planned], clips: Sequence[Clips], hows: Sequence[str | None]
) -> Iterator[str]:
    """One sentence for each format and way of counting, with an example."""
    told = set()
    for one, found, how in zip(planned, clips, hows, strict=True):
        picture = found.picture
        timed = picture is not None and picture.timed
        if (one.form.name, how, timed) in told or not found.tracks.num_clips:
            continue
        told.add((one.form.name, how, timed))
        if picture is None:
            text = f"{as_text(one.path.name)} is clip {as_text(found.tracks.clip_names[0])!r}"
        else:
            clip = as_text(found.tracks.clip_names[picture.clip])
            frame = picture.frame - (how in FROM_ONE)
            text = f"{as_text(picture.name)} is frame {frame} of clip {clip!r}"
        if timed:
            text += ", by the times in names"
        yield "; ".join(filter(None, [text, found.columns, how and f"frames are {how}"]))


def _with_image_size(tracks: PoseTracks, image_size: Sequence[float], origin: str) -> PoseTracks:
    """Gives clips of unknown image size this one, and pixels to those in shares of the image."""
    if len(image_size) != 2 or not all(side > 0 for side in image_size):
        raise InputError(f"image_size is {image_size}, expected width and height in pixels")
    shares = (tracks.image_size == 1).all(axis=1)
    unknown = np.isnan(tracks.image_size).any(axis=1)
    size = np.where(
        (shares | unknown)[:, None], np.array(image_size, dtype=np.float32), tracks.image_size
    )
    keypoints = tracks.keypoints
    if tracks.dims == 2 and shares.any():
        scale = np.where(shares[:, None], size, np.float32(1))
        keypoints = keypoints * scale[tracks.clip][:, None, :]
    return tracks.with_(keypoints=keypoints, image_size=size, origin=origin)


def _join(files: Sequence[Path], parts: list[PoseTracks]) -> PoseTracks:
    """All files' clips; names the files where they do not go together."""
    if len(parts) == 1:
        return parts[0]
    reference = next((i for i, part in enumerate(parts) if part.num_frames), 0)
    first = parts[reference]
    for i, (file, part) in enumerate(zip(files, parts, strict=True)):
        if part.skeleton == first.skeleton and part.dims == first.dims:
            continue
        if part.num_frames:
            raise InputError(
                f"{file} has poses of {part.num_joints} joints ({part.skeleton.name}) in "
                f"{part.dims} dimensions, expected {first.num_joints} ({first.skeleton.name}) "
                f"in {first.dims} as in {files[reference]}"
            )
        # Nobody is in this file, so that it cannot say which joints people have.
        parts[i] = part.with_(
            keypoints=np.zeros((0, first.num_joints, first.dims)),
            confidence=np.zeros((0, first.num_joints)),
            skeleton=first.skeleton,
            origin=str(file),
        )
    return PoseTracks.concat(parts)
