"""Reading of a file or folder into one data set of poses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gepc_geo.errors import InputError, warn_of_input
from gepc_geo.io._common.clip import Clips, Picture, Remark
from gepc_geo.io._common.clip_names import Place, name_clips
from gepc_geo.io._common.file_groups import Planned, plan
from gepc_geo.io._common.joint_orders import ORDERS
from gepc_geo.io._common.numbering import FROM_ONE, first_numbers, from_zero
from gepc_geo.io._common.units import recognise_units
from gepc_geo.io.labels import Masks, label_frames, read_masks
from gepc_geo.poses.skeleton import SKELETONS, Skeleton, coco17_to_coco18
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.utils.files import as_text

NECK, WITHOUT_NECK = SKELETONS["coco18"], SKELETONS["coco17"]


@dataclass(frozen=True)
class Reading:
    """Poses and the interpretation of their files.

    Attributes:
        tracks: The poses.
        formats: The number of files of each format.
        names: A sentence for each interpretation of names of files and pictures.
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
    """Reads a file, or all files in a folder and its subfolders (through links too), by path.

    In formats with a file for each frame (OpenPose, Ultralytics, MMPose's of images), the files of
    a folder that differ only in the frame number (or time) in their names are one clip. The name of
    a clip is that of its file, its pictures or its folder, with as much of the path below ``path``
    as makes it unique. Hidden files, documents (``README``, ``LICENSE``) and files with a suffix of
    no format in the folder (``.npy`` masks) are ignored; suffixes may be in upper case. Any other
    file must be readable: no clip is ignored silently.

    People without ids get them from :func:`gepc_geo.poses.tracker.track_poses`. An
    :class:`~gepc_geo.errors.InputWarning` reports poses that are left out.

    Args:
        path: File or folder.
        format: One of :data:`gepc_geo.io.FORMATS`; ``"auto"``: each file's, by its content.
        skeleton: Names the joints; ``"auto"``: the format's (COCO's by the number of joints if the
            format has none). ``coco18`` of 17 COCO joints adds the neck.
        fps: Frames a second of clips without a rate.
        image_size: Width and height in pixels of clips without a size. Coordinates in shares of the
            image (with image size 1 by 1) become pixels.
        labels: Folder of frame masks, one ``<clip name>.npy`` for each clip, 1 = abnormal.

    Raises:
        InputError: A path that does not exist, no readable file, a malformed file, another number
            of joints, files with different kinds of poses, two clips of one name, masks that do not
            match.
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
    """:func:`read` with the interpretation of the files; arguments and errors are the same."""
    path = Path(path)
    wanted = None
    if not (isinstance(skeleton, str) and skeleton == "auto"):
        wanted = Skeleton.get(skeleton)
    planned = plan(path, format)
    clips = [_read_clips(files, wanted, image_size is not None) for files in planned]
    _agree_on_order(planned, clips, wanted)
    names = _names(path, planned, clips)
    masks: Masks = {}
    if labels is not None:
        clip_names = [name for file_names in names for name in file_names]
        masks = read_masks(Path(labels), clip_names)
    lengths = {name: len(mask) for name, (_, mask) in masks.items()}
    reasons = first_numbers(clips, [files.form.name for files in planned], names, lengths)
    for i, (part, reason, file_names) in enumerate(zip(clips, reasons, names, strict=True)):
        part = from_zero(part, reason)
        clips[i] = replace(part, tracks=replace(part.tracks, clip_names=tuple(file_names)))
    _warn([remark for part in clips for remark in part.remarks])
    tracks = _join([files.path for files in planned], [part.tracks for part in clips])
    if image_size is not None:
        tracks = _with_image_size(tracks, image_size, str(path))
    if fps is not None:
        tracks = tracks.with_(fps=np.where(np.isnan(tracks.fps), fps, tracks.fps), origin=str(path))
    if labels is not None:
        tracks = label_frames(Path(labels), tracks, masks)
    counts: Counter[str] = Counter()
    for files in planned:
        counts[files.form.name] += files.files
    return Reading(tracks, dict(counts), list(_interpretations(planned, clips, reasons)))


def with_neck(tracks: PoseTracks) -> PoseTracks:
    """Adds the neck of ``coco18`` to poses of 17 COCO joints."""
    keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
    return tracks.with_(keypoints=keypoints, confidence=confidence, skeleton=NECK)


# -- inner -----------------------------------------------------------------------------------------


def _read_clips(files: Planned, wanted: Skeleton | None, sized: bool) -> Clips:
    source = files.path if files.frames is None else files.frames
    form = files.form
    clips = form.read(source, wanted) if form.any_skeleton else form.read(source)
    if files.frames is not None:
        frames = files.frames
        name, first = min(zip((path.name for path in frames.paths), frames.frames, strict=True))
        clips = replace(clips, picture=Picture(name, 0, first, frames.timed))
        if frames.fps is not None:
            clips = replace(
                clips, tracks=replace(clips.tracks, fps=np.array([frames.fps], np.float32))
            )
    tracks = clips.tracks
    # Native files state their unit; with a given size, shares of an unknown size become pixels.
    if form.name != "native" or sized:
        tracks = recognise_units(tracks, include_sized=form.name != "native")
        clips = replace(clips, tracks=tracks)
    if wanted is None or wanted == tracks.skeleton:
        return clips
    if wanted == NECK and tracks.skeleton == WITHOUT_NECK and tracks.features is None:
        return replace(clips, tracks=with_neck(tracks))
    return replace(clips, tracks=tracks.with_(skeleton=wanted, origin=str(files.path)))


def _agree_on_order(
    planned: Sequence[Planned], clips: list[Clips], wanted: Skeleton | None
) -> None:
    """Gives clips of OpenPose's 25 points the order of most poses, as a tool has one order."""
    openpose = [i for i, files in enumerate(planned) if files.form.name == "openpose"]
    poses: Counter[Skeleton] = Counter()
    for i in openpose:
        poses[clips[i].tracks.skeleton] += clips[i].tracks.num_frames
    if wanted is None and set(poses) == set(ORDERS):
        (skeleton, _), *_ = poses.most_common(1)
        for i in openpose:
            clips[i] = replace(clips[i], tracks=replace(clips[i].tracks, skeleton=skeleton))


def _names(path: Path, planned: Sequence[Planned], clips: Sequence[Clips]) -> list[list[str]]:
    """The clip names of each file.

    Raises:
        InputError: Two clips of one name.
    """
    places = [
        Place(files.folders, parts)
        for files, found in zip(planned, clips, strict=True)
        for parts in found.parts
    ]
    names = iter(name_clips(places, path))
    owner: dict[str, Planned] = {}
    result = []
    for files, found in zip(planned, clips, strict=True):
        result.append([next(names) for _ in found.parts])
        for name, parts in zip(result[-1], found.parts, strict=True):
            for key in {name, parts[-1] if parts else name}:
                other = owner.setdefault(key, files)
                # A tool may write the poses of a clip in two formats, also into nested folders.
                if other is not files and (key == name or _are_twice(files, other)):
                    raise InputError(
                        f"{path} must have one file a clip and clips of different names, got "
                        f"{key!r} in {other.path} and {files.path}"
                    )
    return result


def _are_twice(files: Planned, other: Planned) -> bool:
    """Whether two formats are in one folder or in nested ones."""
    shared = min(len(files.folders), len(other.folders))
    return other.form is not files.form and files.folders[:shared] == other.folders[:shared]


def _warn(remarks: Sequence[Remark]) -> None:
    """Warns once of each kind of remark, with the sums over files."""
    alike: dict[str, list[Remark]] = defaultdict(list)
    for remark in remarks:
        alike[remark.text].append(remark)
    for text, found in alike.items():
        more = len({remark.path for remark in found}) - 1
        where = f"{found[0].path}" + (f" and {more} other file{'s'[: more > 1]}" if more else "")
        sentence = text.format(
            count=sum(remark.count for remark in found),
            total=sum(remark.total for remark in found),
        )
        warn_of_input(f"{where}: {sentence}")


def _interpretations(
    planned: Sequence[Planned], clips: Sequence[Clips], reasons: Sequence[str | None]
) -> Iterator[str]:
    """A sentence for each format and reason for the first frame number, with an example."""
    described = set()
    for files, found, reason in zip(planned, clips, reasons, strict=True):
        picture = found.picture
        timed = picture is not None and picture.timed
        if (files.form.name, reason, timed) in described or not found.tracks.num_clips:
            continue
        described.add((files.form.name, reason, timed))
        if picture is None:
            text = f"{as_text(files.path.name)} is clip {as_text(found.tracks.clip_names[0])!r}"
        else:
            clip = as_text(found.tracks.clip_names[picture.clip])
            frame = picture.frame - (reason in FROM_ONE)
            text = f"{as_text(picture.name)} is frame {frame} of clip {clip!r}"
        if timed:
            text += ", by the times in names"
        yield "; ".join(filter(None, [text, found.columns, reason and f"frames are {reason}"]))


def _with_image_size(tracks: PoseTracks, image_size: Sequence[float], origin: str) -> PoseTracks:
    """Sets unknown image sizes, and converts shares of the image to pixels."""
    if len(image_size) != 2 or not all(side > 0 for side in image_size):
        raise InputError(f"image_size must be width and height in pixels, got {image_size}")
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
    """Joins the clips of all files, which must have one kind of poses."""
    if len(parts) == 1:
        return parts[0]
    reference = next((i for i, part in enumerate(parts) if part.num_frames), 0)
    first = parts[reference]
    for i, (file, part) in enumerate(zip(files, parts, strict=True)):
        if part.skeleton == first.skeleton and part.dims == first.dims:
            continue
        if part.num_frames:
            raise InputError(
                f"{file} must have poses of {first.num_joints} joints ({first.skeleton.name}) in "
                f"{first.dims} dimensions as in {files[reference]}, got {part.num_joints} "
                f"({part.skeleton.name}) in {part.dims}"
            )
        # A file without people does not determine the joints.
        parts[i] = part.with_(
            keypoints=np.zeros((0, first.num_joints, first.dims)),
            confidence=np.zeros((0, first.num_joints)),
            skeleton=first.skeleton,
            origin=str(file),
        )
    return PoseTracks.concat(parts)
