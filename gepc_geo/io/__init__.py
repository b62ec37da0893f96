"""Reading poses from files, and writing them: one registry, one small module for each format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io import (
    alphapose,
    coco_results,
    deeplabcut,
    kinetics,
    mediapipe,
    mmpose,
    native,
    ntu,
    nw_ucla,
    openpose,
    penn_action,
    pyskl,
    shanghaitech,
    ultralytics,
)
from gepc_geo.io.frames import clip_of
from gepc_geo.io.names import is_passed_over
from gepc_geo.io.people import COCO
from gepc_geo.io.text import head, json_keys
from gepc_geo.skeleton import SKELETONS, Skeleton, coco17_to_coco18
from gepc_geo.tracks import PoseTracks

__all__ = ["FORMATS", "IN_ONE_FILE", "WRITABLE", "count_formats", "read", "write"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: What ``--format`` calls it.
        suffix: The ending of its files, in lower case; files may have it in upper case.
        detect: Whether a file is of this format, by its content.
        read: Reads one file; where ``per_frame``, all files of a clip.
        keys: Names of JSON that are in its files, wherever ``detect`` did not look: entries of the
            object, of the first of a list, of the first in a list of these.
        any_skeleton: Whether the files do not say what their joints are, so that ``read`` takes a
            skeleton too.
        per_frame: Whether a file is one frame, and the files of a folder whose names differ in the
            frame number alone (:func:`gepc_geo.io.frames.clip_of`) are one clip.
        write: Writes poses to a file or a folder, and returns the files; ``None``: not written.
        holds: What poses ``write`` has a form for: for a number of coordinates the skeletons, or the
            numbers of joints of whatever skeleton, ``None`` for any.
        one_file: Whether all clips are written into one file, not into the files of a folder.
    """

    name: str
    suffix: str
    detect: Callable[[Path], bool]
    read: Callable[..., PoseTracks]
    keys: tuple[str, ...] = ()
    any_skeleton: bool = False
    per_frame: bool = False
    write: Callable[[PoseTracks, Path], list[Path]] | None = None
    holds: Mapping[int, Collection[Skeleton | int] | None] = field(
        default_factory=lambda: {2: None, 3: None}
    )
    one_file: bool = False

    def lack(self, tracks: PoseTracks) -> str:
        """Why the format has no form for poses, in words; empty where it has one."""
        if tracks.dims not in self.holds:
            dims = " or ".join(map(str, self.holds))
            return f"the poses have {tracks.dims} coordinates, {self.name} files have {dims}"
        joints = self.holds[tracks.dims]
        if joints is None or tracks.skeleton in joints or tracks.num_joints in joints:
            return ""
        known = " or ".join(
            one.name if isinstance(one, Skeleton) else f"{one} joints" for one in joints
        )
        return (
            f"the poses are of skeleton {tracks.skeleton.name!r} ({tracks.num_joints} joints), "
            f"{self.name} files in {tracks.dims}D have {known}"
        )


_FORMATS = (
    Format(
        "native",
        ".npz",
        native.detect,
        native.read_native,
        write=native.write_native,
        one_file=True,
    ),
    Format(
        "alphapose-tracks",
        ".json",
        alphapose.detect_tracks,
        alphapose.read_alphapose_tracks,
        any_skeleton=True,
        write=alphapose.write_alphapose,
        # Joints are counted, not named.
        holds={2: COCO.keys()},
    ),
    # Before AlphaPose's, which has one entry more.
    Format(
        "coco-results",
        ".json",
        coco_results.detect,
        coco_results.read_coco_results,
        any_skeleton=True,
        write=coco_results.write_coco_results,
        holds={2: COCO.values()},
    ),
    Format(
        "alphapose-results",
        ".json",
        alphapose.detect_results,
        alphapose.read_alphapose_results,
        any_skeleton=True,
    ),
    Format(
        "openpose",
        ".json",
        openpose.detect,
        openpose.read_openpose,
        keys=("people", "pose_keypoints_2d"),
        any_skeleton=True,
        per_frame=True,
        write=openpose.write_openpose,
        holds={2: openpose.JOINTS.values()},
    ),
    Format(
        "ultralytics-labels",
        ".txt",
        ultralytics.detect_labels,
        ultralytics.read_ultralytics_labels,
        any_skeleton=True,
        per_frame=True,
        write=ultralytics.write_ultralytics_labels,
        holds={2: COCO.values()},
    ),
    Format(
        "ultralytics-json",
        ".json",
        ultralytics.detect_json,
        ultralytics.read_ultralytics_json,
        any_skeleton=True,
    ),
    Format(
        "ultralytics-frames",
        ".json",
        ultralytics.detect_frames,
        ultralytics.read_ultralytics_frames,
        keys=("class", "box", "keypoints"),
        any_skeleton=True,
        per_frame=True,
    ),
    Format(
        "mmpose",
        ".json",
        mmpose.detect,
        mmpose.read_mmpose,
        keys=("instances",),
        any_skeleton=True,
        write=mmpose.write_mmpose,
        holds={2: COCO.values()},
    ),
    Format(
        "mmpose-images",
        ".json",
        mmpose.detect_images,
        mmpose.read_mmpose_images,
        keys=("keypoints", "keypoint_scores"),
        any_skeleton=True,
        per_frame=True,
    ),
    Format(
        "mediapipe",
        ".json",
        mediapipe.detect,
        mediapipe.read_mediapipe,
        keys=("frames", "pose_landmarks"),
        write=mediapipe.write_mediapipe,
        holds={2: mediapipe.JOINTS.values()},
    ),
    Format(
        "kinetics-skeleton",
        ".json",
        kinetics.detect,
        kinetics.read_kinetics,
        keys=("data", "skeleton"),
        any_skeleton=True,
        write=kinetics.write_kinetics,
        holds={2: kinetics.JOINTS.values()},
    ),
    Format(
        "ntu",
        ".skeleton",
        ntu.detect,
        ntu.read_ntu,
        write=ntu.write_ntu,
        holds={3: ntu.JOINTS.values()},
    ),
    Format(
        "pyskl",
        ".pkl",
        pyskl.detect,
        pyskl.read_pyskl,
        any_skeleton=True,
        write=pyskl.write_pyskl,
        holds={2: COCO.values(), 3: pyskl.JOINTS_3D.values()},
        one_file=True,
    ),
    Format(
        "deeplabcut",
        ".csv",
        deeplabcut.detect,
        deeplabcut.read_deeplabcut,
        any_skeleton=True,
        write=deeplabcut.write_deeplabcut,
        holds={2: None},
    ),
    Format("nw-ucla", ".json", nw_ucla.detect, nw_ucla.read_nw_ucla, keys=("skeletons",)),
    Format("penn-action", ".mat", penn_action.detect, penn_action.read_penn_action),
    Format("shanghaitech-boxes", ".txt", shanghaitech.detect, shanghaitech.read_shanghaitech_boxes),
)

#: The names of all formats.
FORMATS = tuple(form.name for form in _FORMATS)

#: The names of the formats that :func:`write` writes.
WRITABLE = tuple(form.name for form in _FORMATS if form.write is not None)

#: Those of them that are one file of all clips; the others are the files of a folder.
IN_ONE_FILE = tuple(form.name for form in _FORMATS if form.write is not None and form.one_file)


def read(
    path: str | Path,
    format: str = "auto",
    skeleton: str | Path | Skeleton = "auto",
    fps: float | None = None,
    image_size: Sequence[float] | None = None,
) -> PoseTracks:
    """Reads a file, or all files in a folder (and its folders), sorted by path, a clip a file.

    Of formats with a file for every frame (OpenPose, Ultralytics, MMPose's of images) a clip is the files of one folder
    whose names differ in the frame number alone. In a folder, hidden files, documents
    (``README``, ``LICENSE``) and files whose ending no format found there has (``.npy`` masks) are
    left alone; endings may be in upper case. Any other file is data, and an error where it is
    malformed: a clip is never passed over in silence.

    People of files without person ids get them from :func:`gepc_geo.tracking.track_poses`. A
    :class:`~gepc_geo.errors.InputWarning` says where poses are left out.

    Args:
        path: File or folder.
        format: One of :data:`FORMATS`; or ``"auto"``: each file's, by its content.
        skeleton: ``"auto"``: what the format says (COCO's by the joint count where it does not);
            or a skeleton the joints are named by. ``coco18`` of 17 COCO joints adds the neck.
        fps: Frames a second of clips that do not say.
        image_size: Width and height in pixels of clips that do not say. Coordinates that are shares
            of the image (then the size of an image is 1 by 1) become pixels.

    Raises:
        InputError: No such path, nothing readable in it, a malformed file, another joint count,
            files whose poses differ in kind, two clips of one name.
    """
    path = Path(path)
    wanted = None
    if not (isinstance(skeleton, str) and skeleton == "auto"):
        wanted = Skeleton.get(skeleton)
    chosen = _plan(path, format)
    parts = [_read_clip(form, files, wanted) for form, files in chosen]
    tracks = _join([files[0] for _, files in chosen], parts) if path.is_dir() else parts[0]
    if image_size is not None:
        tracks = _with_image_size(tracks, image_size, str(path))
    if fps is not None:
        tracks = tracks.with_(fps=np.where(np.isnan(tracks.fps), fps, tracks.fps), origin=str(path))
    return tracks


def write(tracks: PoseTracks, path: str | Path, format: str = "native") -> list[Path]:
    """Writes poses in one of the formats :data:`WRITABLE`: all of them, or where it fails none.

    Files are named after the clips (:func:`gepc_geo.io.names.file_names`). A file of that name is
    replaced; a folder of that name, of formats with a file a frame, is refused.

    Args:
        tracks: What to write.
        path: A file (of the formats :data:`IN_ONE_FILE`), or the folder of the files.
        format: The format's name.

    Returns:
        The written files.

    Raises:
        InputError: Another format, poses that the format has no form for (then formats that have
            one are named), a clip whose name no file can have, a path that cannot be written to.
    """
    form = next((form for form in _FORMATS if form.name == format), None)
    if form is None or form.write is None:
        raise InputError(f"format to write is {format!r}, expected {', '.join(WRITABLE)}")
    lack = form.lack(tracks)
    if lack:
        raise InputError(f"{lack}, expected {_way_on(tracks, form)}")
    return form.write(tracks, Path(path))


def count_formats(path: str | Path, format: str = "auto") -> dict[str, int]:
    """As what :func:`read` would read the files of ``path``: the number of files of each format.

    Raises:
        InputError: As :func:`read`, for what is wrong before a file is read.
    """
    counts: Counter[str] = Counter()
    for form, files in _plan(Path(path), format):
        counts[form.name] += len(files)
    return dict(counts)


# -- inner -----------------------------------------------------------------------------------------

_NECK, _WITHOUT_NECK = SKELETONS["coco18"], SKELETONS["coco17"]
# The files of one clip and how to read them.
_Clip = tuple[Format, list[Path]]


def _plan(path: Path, format: str) -> list[_Clip]:
    """What there is to read, in the order of the clips' first files."""
    if not path.exists():
        raise InputError(f"{path} does not exist, expected a file or folder of poses")
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format is {format!r}, expected auto or {', '.join(FORMATS)}")
    if not path.is_dir():
        return [(_form_of(path, format), [path])]
    clips: dict[object, _Clip] = {}
    for file, form in _forms_in(path, format):
        key = (form.name, file.parent, clip_of(file)) if form.per_frame else file
        clips.setdefault(key, (form, []))[1].append(file)
    return list(clips.values())


def _forms_in(folder: Path, format: str) -> list[tuple[Path, Format]]:
    """The files of a folder that hold poses, and their formats."""
    forms = [form for form in _FORMATS if format in ("auto", form.name)]
    suffixes = {form.suffix for form in forms}
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and not is_passed_over(file.relative_to(folder))
        and file.is_file()
    )
    if not files:
        raise InputError(
            f"{folder} has no file of poses, expected some ending in {', '.join(sorted(suffixes))}"
        )
    if format != "auto":
        return [(file, forms[0]) for file in files]
    found = {
        file: _detect(file, [form for form in forms if form.suffix == file.suffix.lower()])
        for file in files
    }
    # A file that no format knows is read as the first known one of its ending is: it is damaged (or
    # a frame with nobody), and that format's reader says best how. An empty list tells least.
    usual: dict[str, Format] = {}
    for file in sorted(files, key=_is_empty_list):
        form = found[file]
        if form is not None:
            usual.setdefault(form.suffix, form)
    if not usual:
        raise InputError(f"{files[0]} is of no known format, expected one of {', '.join(FORMATS)}")
    chosen = []
    for file, form in found.items():
        other = usual.get(file.suffix.lower())
        if form is None or (other is not None and other.per_frame and _is_empty_list(file)):
            form = other
        if form is not None:
            chosen.append((file, form))
    return chosen


def _detect(file: Path, forms: Sequence[Format]) -> Format | None:
    """The first of the formats that the file is of: by its beginning, else by names in its JSON."""
    known = next((form for form in forms if form.detect(file)), None)
    if known is not None or not any(form.keys for form in forms):
        return known
    keys = json_keys(file)
    return next((form for form in forms if form.keys and keys.issuperset(form.keys)), None)


def _is_empty_list(file: Path) -> bool:
    """Whether it is JSON of nobody, which says nothing about the format."""
    return head(file, 64).strip() == "[]"


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


def _way_on(tracks: PoseTracks, form: Format) -> str:
    """Formats that hold poses for which this one has no form, and how it may get one."""
    others = [one.name for one in _FORMATS if one.write is not None and not one.lack(tracks)]
    neck = ""
    nobody = tracks.with_(features=None).rows(np.zeros(tracks.num_frames, dtype=bool))
    if tracks.skeleton == _WITHOUT_NECK and not form.lack(nobody.with_(**_with_neck(nobody))):
        neck = f"--skeleton {_NECK.name}, which adds the neck, or "
    return f"{neck}a format that holds them: {', '.join(others)}"


def _with_neck(tracks: PoseTracks) -> dict[str, Any]:
    """What changes when 17 COCO joints get the neck."""
    keypoints, confidence = coco17_to_coco18(tracks.keypoints, tracks.confidence)
    return {"keypoints": keypoints, "confidence": confidence, "skeleton": _NECK}


def _join(files: list[Path], parts: list[PoseTracks]) -> PoseTracks:
    """All files' clips; names the files where they do not go together."""
    reference = next((i for i, part in enumerate(parts) if part.num_frames), 0)
    first = parts[reference]
    owner: dict[str, Path] = {}
    for i, (file, part) in enumerate(zip(files, parts, strict=True)):
        if part.skeleton != first.skeleton or part.dims != first.dims:
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
        for name in part.clip_names:
            if name in owner:
                raise InputError(
                    f"{file} has a clip named {name!r} and so has {owner[name]}, "
                    "expected different names"
                )
            owner[name] = file
    return PoseTracks.concat(parts)


def _form_of(path: Path, format: str) -> Format:
    known = [form for form in _FORMATS if form.name == format]
    form = known[0] if known else _detect(path, _FORMATS)
    if form is None:
        raise InputError(f"{path} is of no known format, expected one of {', '.join(FORMATS)}")
    return form


def _read_clip(form: Format, files: Sequence[Path], wanted: Skeleton | None) -> PoseTracks:
    path = files[0]
    source = files if form.per_frame else path
    tracks = form.read(source, wanted) if form.any_skeleton else form.read(source)
    if wanted is None or wanted == tracks.skeleton:
        return tracks
    if wanted == _NECK and tracks.skeleton == _WITHOUT_NECK and tracks.features is None:
        return tracks.with_(**_with_neck(tracks), origin=str(path))
    return tracks.with_(skeleton=wanted, origin=str(path))
