"""The registry of file formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gepc_geo.io._common.clip import Clips
from gepc_geo.io._common.people import COCO
from gepc_geo.io.formats import (
    alphapose,
    alphapose_frames,
    coco_results,
    deeplabcut,
    deeplabcut_h5,
    kinetics,
    mediapipe,
    mmpose,
    native,
    ntu,
    nw_ucla,
    openpifpaf,
    openpose,
    penn_action,
    pyskl,
    shanghaitech,
    table,
    ultralytics,
)
from gepc_geo.poses.skeleton import Skeleton
from gepc_geo.poses.tracks import PoseTracks


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: Name for ``--format``.
        suffix: Suffix of its files, in lower case; files may have it in upper case.
        detect: Whether a file has this format, by its content.
        read: Reads one file, or the :class:`~gepc_geo.io._common.clip.FrameFiles` of a clip.
        keys: Names in its JSON, beyond the part that ``detect`` reads: entries of the object, of
            the first object of a list, or of the first object in a list of these.
        any_skeleton: Whether files do not define their joints, so that ``read`` takes a skeleton.
        per_frame: Whether a file has one frame, so that ``read`` takes the files of a clip.
        write: Writes poses to a file or a folder, and returns the files; ``None`` without a writer.
        holds: The poses that ``write`` takes: for each number of coordinates the skeletons, or the
            numbers of joints of any skeleton; ``None`` for any.
        one_file: Whether all clips are in one file, not in the files of a folder.
        others: Further suffixes of its files.
        twin: The format of a second file that the tool writes with the same poses; if both files
            exist under one name, the twin is read.
    """

    name: str
    suffix: str
    detect: Callable[[Path], bool]
    read: Callable[..., Clips]
    keys: tuple[str, ...] = ()
    any_skeleton: bool = False
    per_frame: bool = False
    write: Callable[[PoseTracks, Path], list[Path]] | None = None
    holds: Mapping[int, Collection[Skeleton | int] | None] = field(
        default_factory=lambda: {2: None, 3: None}
    )
    one_file: bool = False
    others: tuple[str, ...] = ()
    twin: str = ""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """All suffixes of its files."""
        return (self.suffix, *self.others)

    def mismatch(self, tracks: PoseTracks) -> str:
        """The reason why the format cannot store poses, in words; empty if it can."""
        if tracks.dims not in self.holds:
            dims = " or ".join(map(str, self.holds))
            return f"poses in {self.name} files must have {dims} coordinates, got {tracks.dims}"
        joints = self.holds[tracks.dims]
        if joints is None or tracks.skeleton in joints or tracks.num_joints in joints:
            return ""
        known = " or ".join(
            part.name if isinstance(part, Skeleton) else f"{part} joints" for part in joints
        )
        return (
            f"poses in {self.name} files in {tracks.dims}D must have {known}, got skeleton "
            f"{tracks.skeleton.name!r} ({tracks.num_joints} joints)"
        )


#: All formats, in the order of detection.
REGISTRY = (
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
        # Files have numbers of joints, not names.
        holds={2: COCO.keys()},
    ),
    # Precedes the lists of many pictures.
    Format(
        "alphapose-frames",
        ".json",
        alphapose_frames.detect,
        alphapose_frames.read_alphapose_frames,
        any_skeleton=True,
        per_frame=True,
    ),
    Format(
        "alphapose-forvis",
        ".json",
        alphapose_frames.detect_forvis,
        alphapose_frames.read_alphapose_forvis,
        any_skeleton=True,
    ),
    # Precedes AlphaPose's, which has one more entry.
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
    # Precedes Ultralytics', which has other objects in its lists of lists.
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
    Format(
        "deeplabcut-h5",
        ".h5",
        deeplabcut_h5.detect,
        deeplabcut_h5.read_deeplabcut_h5,
        any_skeleton=True,
        twin="deeplabcut",
    ),
    Format(
        "csv",
        ".csv",
        table.detect,
        table.read_csv,
        any_skeleton=True,
        write=table.write_csv,
        one_file=True,
        others=(".tsv", ".txt"),
    ),
    Format(
        "openpifpaf",
        ".json",
        openpifpaf.detect,
        openpifpaf.read_openpifpaf,
        any_skeleton=True,
        per_frame=True,
    ),
    Format(
        "openpifpaf-video",
        ".json",
        openpifpaf.detect_video,
        openpifpaf.read_openpifpaf_video,
        any_skeleton=True,
    ),
    Format("nw-ucla", ".json", nw_ucla.detect, nw_ucla.read_nw_ucla, keys=("skeletons",)),
    Format("penn-action", ".mat", penn_action.detect, penn_action.read_penn_action),
    Format("shanghaitech-boxes", ".txt", shanghaitech.detect, shanghaitech.read_shanghaitech_boxes),
)

#: The names of all formats.
FORMATS = tuple(form.name for form in REGISTRY)

#: The names of the formats that :func:`gepc_geo.io.write` writes.
WRITABLE = tuple(form.name for form in REGISTRY if form.write is not None)

#: The writable formats with all clips in one file; the others write files of a folder.
IN_ONE_FILE = tuple(form.name for form in REGISTRY if form.write is not None and form.one_file)
