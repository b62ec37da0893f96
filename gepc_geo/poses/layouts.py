"""Joints and bones of the skeletons that pose estimators and data sets use."""

from __future__ import annotations

from typing import Any


def _named(
    name: str,
    joints: str,
    bones: str,
    center: str,
    shoulders: str | None = None,
    hips: str | None = None,
) -> dict[str, Any]:
    """A layout given by joint names; ``left_x`` and ``right_x`` form a mirror pair."""
    names = joints.split()
    number = {joint: v for v, joint in enumerate(names)}

    def pair(text: str) -> tuple[int, int]:
        a, b = text.split("-")
        return number[a], number[b]

    return dict(
        name=name,
        joints=tuple(names),
        bones=tuple(pair(bone) for bone in bones.split()),
        center=number[center],
        pairs=tuple(
            (number[joint], number["right" + joint[4:]])
            for joint in names
            if joint.startswith("left")
        ),
        shoulders=None if shoulders is None else pair(shoulders),
        hips=None if hips is None else pair(hips),
    )


def _numbered(
    name: str, joints: str, bones: str, center: str, torso: tuple[str, str]
) -> dict[str, Any]:
    """:func:`_named` with bones as 1-based joint numbers, as papers on Kinect give them."""
    names = joints.split()
    text = " ".join(
        "-".join(names[int(joint) - 1] for joint in bone.split(",")) for bone in bones.split()
    )
    return _named(name, joints, text, center, *torso)


_LIMBS = (
    "left_shoulder-left_elbow left_elbow-left_wrist right_shoulder-right_elbow "
    "right_elbow-right_wrist left_hip-left_knee left_knee-left_ankle right_hip-right_knee "
    "right_knee-right_ankle "
)
_FEET = (
    "left_ankle-left_big_toe left_big_toe-left_small_toe left_ankle-left_heel "
    "right_ankle-right_big_toe right_big_toe-right_small_toe right_ankle-right_heel "
)
_SHOULDERS, _HIPS = "left_shoulder-right_shoulder", "left_hip-right_hip"

#: The built-in skeletons, in the form of :meth:`~gepc_geo.poses.skeleton.Skeleton.to_dict`.
LAYOUTS: tuple[dict[str, Any], ...] = (
    # COCO key points, order of the COCO annotation format.
    _named(
        "coco17",
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
        "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
        "right_ankle",
        _LIMBS + "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear "
        "nose-left_shoulder nose-right_shoulder left_shoulder-right_shoulder "
        "left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip",
        "nose",
        _SHOULDERS,
        _HIPS,
    ),
    # OpenPose's COCO order: 17 joints and a neck.
    _named(
        "coco18",
        "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
        "right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye "
        "right_ear left_ear",
        _LIMBS + "neck-nose neck-left_shoulder neck-right_shoulder neck-left_hip "
        "neck-right_hip nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear",
        "neck",
        _SHOULDERS,
        _HIPS,
    ),
    # OpenPose's BODY_25: coco18, a middle hip, and feet.
    _named(
        "body25",
        "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
        "mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye "
        "left_eye right_ear left_ear left_big_toe left_small_toe left_heel right_big_toe "
        "right_small_toe right_heel",
        _LIMBS + _FEET + "neck-nose neck-left_shoulder neck-right_shoulder neck-mid_hip "
        "mid_hip-left_hip mid_hip-right_hip nose-right_eye nose-left_eye right_eye-right_ear "
        "left_eye-left_ear",
        "neck",
        _SHOULDERS,
        _HIPS,
    ),
    # OpenPose's BODY_25B: coco17, two joints of the head, and feet.
    _named(
        "body25b",
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
        "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
        "right_ankle neck head_top left_big_toe left_small_toe left_heel right_big_toe "
        "right_small_toe right_heel",
        _LIMBS + _FEET + "neck-left_shoulder neck-right_shoulder neck-head_top neck-nose "
        "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear "
        "left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip",
        "neck",
        _SHOULDERS,
        _HIPS,
    ),
    # Human3.6M's 17 joints, in the order of MMPose and of most 3D lifters.
    _named(
        "h36m17",
        "root right_hip right_knee right_foot left_hip left_knee left_foot spine thorax neck_base "
        "head left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
        "root-left_hip left_hip-left_knee left_knee-left_foot root-right_hip right_hip-right_knee "
        "right_knee-right_foot root-spine spine-thorax thorax-neck_base neck_base-head "
        "thorax-left_shoulder left_shoulder-left_elbow left_elbow-left_wrist "
        "thorax-right_shoulder right_shoulder-right_elbow right_elbow-right_wrist",
        "thorax",
        _SHOULDERS,
        _HIPS,
    ),
    # Halpe's 26 body key points (AlphaPose, RTMPose's body models): coco17, then the rest.
    _named(
        "halpe26",
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
        "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
        "right_ankle head neck hip left_big_toe right_big_toe left_small_toe right_small_toe "
        "left_heel right_heel",
        _LIMBS + _FEET + "head-neck head-nose neck-left_shoulder neck-right_shoulder neck-hip "
        "hip-left_hip hip-right_hip nose-left_eye nose-right_eye left_eye-left_ear "
        "right_eye-right_ear",
        "neck",
        _SHOULDERS,
        _HIPS,
    ),
    # MediaPipe's pose landmarks; its drawing separates head and body, the nose connects them here.
    _named(
        "mediapipe33",
        "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
        "left_ear right_ear left_mouth right_mouth left_shoulder right_shoulder left_elbow "
        "right_elbow left_wrist right_wrist left_pinky right_pinky left_index right_index "
        "left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle "
        "left_heel right_heel left_foot_index right_foot_index",
        _LIMBS + "nose-left_eye_inner left_eye_inner-left_eye left_eye-left_eye_outer "
        "left_eye_outer-left_ear nose-right_eye_inner right_eye_inner-right_eye "
        "right_eye-right_eye_outer right_eye_outer-right_ear left_mouth-right_mouth "
        "nose-left_mouth nose-right_mouth nose-left_shoulder nose-right_shoulder "
        "left_shoulder-right_shoulder left_shoulder-left_hip right_shoulder-right_hip "
        "left_hip-right_hip left_wrist-left_thumb left_wrist-left_pinky left_wrist-left_index "
        "left_pinky-left_index right_wrist-right_thumb right_wrist-right_pinky "
        "right_wrist-right_index right_pinky-right_index left_ankle-left_heel "
        "left_heel-left_foot_index left_ankle-left_foot_index right_ankle-right_heel "
        "right_heel-right_foot_index right_ankle-right_foot_index",
        "nose",
        _SHOULDERS,
        _HIPS,
    ),
    # NTU RGB+D, Kinect v2.
    _numbered(
        "ntu25",
        "spine_base spine_mid neck head left_shoulder left_elbow left_wrist left_hand "
        "right_shoulder right_elbow right_wrist right_hand left_hip left_knee left_ankle "
        "left_foot right_hip right_knee right_ankle right_foot spine_shoulder left_hand_tip "
        "left_thumb right_hand_tip right_thumb",
        "1,2 2,21 3,21 4,3 5,21 6,5 7,6 8,7 9,21 10,9 11,10 12,11 13,1 14,13 15,14 16,15 17,1 "
        "18,17 19,18 20,19 22,8 23,8 24,12 25,12",
        "spine_shoulder",
        (_SHOULDERS, _HIPS),
    ),
    # Kinect v1, the order of Northwestern-UCLA; the root is the shoulder centre.
    _numbered(
        "kinect20",
        "hip_center spine shoulder_center head left_shoulder left_elbow left_wrist left_hand "
        "right_shoulder right_elbow right_wrist right_hand left_hip left_knee left_ankle "
        "left_foot right_hip right_knee right_ankle right_foot",
        "1,2 2,3 4,3 5,3 6,5 7,6 8,7 9,3 10,9 11,10 12,11 13,1 14,13 15,14 16,15 17,1 18,17 "
        "19,18 20,19",
        "shoulder_center",
        (_SHOULDERS, _HIPS),
    ),
    # Penn Action.
    _named(
        "penn13",
        "head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
        "left_hip right_hip left_knee right_knee left_ankle right_ankle",
        _LIMBS + "head-left_shoulder head-right_shoulder left_shoulder-right_shoulder "
        "left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip",
        "head",
        _SHOULDERS,
        _HIPS,
    ),
    # A bounding box as a pose: its corners around its centre.
    _named(
        "box5",
        "center left_top right_top left_bottom right_bottom",
        "center-left_top center-right_top center-left_bottom center-right_bottom "
        "left_top-right_top left_top-left_bottom right_top-right_bottom "
        "left_bottom-right_bottom",
        "center",
        "left_top-right_top",
        "left_bottom-right_bottom",
    ),
)
