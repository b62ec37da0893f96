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


def test_partition_by_hand():
    """A chain 0 - 1 - 2 with its centre at 0."""
    chain = Skeleton("chain", ("a", "b", "c"), ((0, 1), (1, 2)), center=0)
    third, half = 1 / 3, 1 / 2
    expected = torch.zeros(3, 3, 3)
    expected[0].diagonal().copy_(torch.tensor([half, third, half]))
    expected[1, 0, 1], expected[1, 1, 2] = third, half  # source nearer to the centre
    expected[2, 1, 0], expected[2, 2, 1] = half, third
    torch.testing.assert_close(chain.adjacency(), expected)


@pytest.mark.parametrize("name", SKELETONS)
def test_mirror_swaps_left_and_right_twice_to_itself(name):
    skeleton = SKELETONS[name]
    order = skeleton.mirror()
    assert [order[v] for v in order] == list(range(skeleton.num_joints))
    for joint, other in enumerate(order):
        swapped = skeleton.joints[joint].replace("left", "*").replace("right", "left")
        assert skeleton.joints[other] == swapped.replace("*", "right")
    mirrored = {tuple(sorted((order[a], order[b]))) for a, b in skeleton.bones}
    assert mirrored == {tuple(sorted(bone)) for bone in skeleton.bones}


def test_sizes():
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


def test_own_skeleton_from_json(tmp_path):
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
        ({"bones": [[0, 1]]}, "joints without a bone towards its centre: tail"),
        ({"bones": [[0, 1], [1, 9]]}, "names joint 9, expected a number from 0 to 2"),
        ({"joints": []}, "has no joints"),
        ({"center": "x"}, "entry of the wrong form"),
        ({"bones": 3}, "entry of the wrong form"),
        ({"weight": 1}, "has the unknown entry 'weight'"),
        ({"bones": None}, "entry of the wrong form"),
        (
            {"joints": ["nose", "back", "nose"]},
            "has more than one joint 'nose', expected different",
        ),
        ({"pairs": [[0, 1], [1, 2]]}, "names joint 'back' more than once in its left/right pairs"),
        ({"pairs": [[0, 2], [2, 0]]}, "names joint 'nose' more than once in its left/right pairs"),
        ({"pairs": [[1, 1]]}, "names joint 'back' more than once in its left/right pairs"),
    ],
)
def test_skeletons_that_are_none(change, message):
    own = {
        "name": "mouse",
        "joints": ["nose", "back", "tail"],
        "bones": [[0, 1], [1, 2]],
        "center": 1,
    }
    with pytest.raises(InputError, match=message):
        Skeleton.get({**own, **change})


def test_names_and_files_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="unknown skeleton 'octopus', expected one of coco17"):
        Skeleton.get("octopus")
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(InputError, match=r"s.json cannot be read as a skeleton"):
        Skeleton.get(tmp_path / "s.json")
    with pytest.raises(InputError, match="lacks entry 'bones'"):
        Skeleton.get({"name": "x", "joints": ["a"], "center": 0})
