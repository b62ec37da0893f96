"""Skeletons, their partition and the user's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gepc_geo.errors import InputError
from gepc_geo.poses.skeleton import SKELETONS, Skeleton, coco17_to_coco18


@pytest.mark.parametrize("name", SKELETONS)
def test_partition_is_a_column_normalised_graph(name):
    skeleton = SKELETONS[name]
    edge_index, edge_type, edge_weight = skeleton.partition()
    adjacency = skeleton.adjacency()
    torch.testing.assert_close(adjacency.sum((0, 1)), torch.ones(skeleton.num_joints))
    whole = adjacency.sum(0) > 0
    assert torch.equal(whole, whole.T), "bones run both ways"
    assert whole.diagonal().all(), "every joint sees itself"
    assert int(whole.sum()) == 2 * len(skeleton.bones) + skeleton.num_joints
    assert edge_index.shape[1] == len(edge_type) == len(edge_weight)
    # Who is centripetal one way is centrifugal the other.
    assert torch.equal(adjacency[1] > 0, (adjacency[2] > 0).T)


def test_the_partition_of_a_chain_equals_a_hand_worked_one():
    """A chain 0 - 1 - 2 with its centre at 0."""
    chain = Skeleton("chain", ("a", "b", "c"), ((0, 1), (1, 2)), center=0)
    third, half = 1 / 3, 1 / 2
    expected = torch.zeros(3, 3, 3)
    expected[0].diagonal().copy_(torch.tensor([half, third, half]))
    expected[1, 0, 1], expected[1, 1, 2] = third, half  # source nearer to the centre
    expected[2, 1, 0], expected[2, 2, 1] = half, third
    torch.testing.assert_close(chain.adjacency(), expected)


@pytest.mark.parametrize("name", SKELETONS)
def test_mirroring_twice_restores_the_order_of_joints(name):
    skeleton = SKELETONS[name]
    order = skeleton.mirror()
    assert [order[v] for v in order] == list(range(skeleton.num_joints))
    for joint, other in enumerate(order):
        swapped = skeleton.joints[joint].replace("left", "*").replace("right", "left")
        assert skeleton.joints[other] == swapped.replace("*", "right")
    mirrored = {tuple(sorted((order[a], order[b]))) for a, b in skeleton.bones}
    assert mirrored == {tuple(sorted(bone)) for bone in skeleton.bones}


def test_built_in_skeletons_have_their_numbers_of_joints():
    sizes = {"coco17": 17, "coco18": 18, "body25": 25, "halpe26": 26, "mediapipe33": 33}
    sizes |= {"ntu25": 25, "kinect20": 20, "penn13": 13, "box5": 5, "body25b": 25, "h36m17": 17}
    assert {name: s.num_joints for name, s in SKELETONS.items()} == sizes


def test_neck_is_the_mean_of_the_shoulders():
    rng = np.random.default_rng(0)
    keypoints, confidence = rng.normal(size=(3, 17, 2)), rng.uniform(size=(3, 17))
    new, new_confidence = coco17_to_coco18(keypoints, confidence)
    old, names = SKELETONS["coco17"].joints, SKELETONS["coco18"].joints
    for v, name in enumerate(names):
        if name != "neck":
            np.testing.assert_array_equal(new[:, v], keypoints[:, old.index(name)])
            np.testing.assert_array_equal(new_confidence[:, v], confidence[:, old.index(name)])
    pair = [old.index("left_shoulder"), old.index("right_shoulder")]
    np.testing.assert_allclose(new[:, names.index("neck")], keypoints[:, pair].mean(1))
    np.testing.assert_array_equal(
        new_confidence[:, names.index("neck")], confidence[:, pair].min(1)
    )


def test_a_skeleton_is_read_from_json(tmp_path):
    path = tmp_path / "mouse.json"
    own = {
        "name": "mouse",
        "joints": ["nose", "back", "tail"],
        "bones": [[0, 1], [1, 2]],
        "center": 1,
    }
    path.write_text(json.dumps(own))
    skeleton = Skeleton.get(path)
    assert skeleton.joints == ("nose", "back", "tail")
    assert skeleton.shoulders is None
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton
    assert hash(skeleton) == hash(Skeleton.get(str(path)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bones": [[0, 1]]}, "must all be connected to the centre, got no path from tail"),
        (
            {"bones": [[0, 1], [1, 9]]},
            "joint of skeleton 'mouse' must be a number from 0 to 2, got 9",
        ),
        ({"joints": []}, "must have at least one joint, got none"),
        ({"center": "x"}, r"must have the form of Skeleton.to_dict\(\), got"),
        ({"bones": 3}, r"must have the form of Skeleton.to_dict\(\), got"),
        (
            {"weight": 1},
            "entries of skeleton must be among bones, center, hips, joints, name, pairs, "
            "shoulders, got 'weight'",
        ),
        ({"bones": None}, r"must have the form of Skeleton.to_dict\(\), got"),
        (
            {"joints": ["nose", "back", "nose"]},
            "joints of skeleton 'mouse' must have different names, got 'nose' more than once",
        ),
        (
            {"pairs": [[0, 1], [1, 2]]},
            "left/right pairs of skeleton 'mouse' must not share joints, got 'back'",
        ),
        (
            {"pairs": [[0, 2], [2, 0]]},
            "left/right pairs of skeleton 'mouse' must not share joints, got 'nose'",
        ),
        (
            {"pairs": [[1, 1]]},
            "left/right pairs of skeleton 'mouse' must not share joints, got 'back'",
        ),
    ],
)
def test_malformed_skeletons_are_refused(change, message):
    own = {
        "name": "mouse",
        "joints": ["nose", "back", "tail"],
        "bones": [[0, 1], [1, 2]],
        "center": 1,
    }
    with pytest.raises(InputError, match=message):
        Skeleton.get({**own, **change})


def test_unknown_names_and_missing_files_are_refused(tmp_path):
    with pytest.raises(
        InputError,
        match="skeleton must be one of coco17, coco18, body25, body25b, h36m17, halpe26, "
        "mediapipe33, ntu25, kinect20, penn13, box5 or a JSON file, got 'octopus'",
    ):
        Skeleton.get("octopus")
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(InputError, match=r"s.json must be a skeleton in JSON, got"):
        Skeleton.get(tmp_path / "s.json")
    with pytest.raises(InputError, match="must have entry 'bones', got"):
        Skeleton.get({"name": "x", "joints": ["a"], "center": 0})
