"""Heads of people, and blurring of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gepc_geo import Skeleton
from gepc_geo.report.faces import Heads, blur_heads, head_circles

COCO = Skeleton.get("coco17")
# An upright person of 180 pixels: the head is from 0 to 24 down, the ears are 14 apart.
HEIGHTS = [14, 11, 11, 12, 12, 36, 36, 66, 66, 90, 90, 92, 92, 132, 132, 174, 174]
ACROSS = [0, 3, -3, 7, -7, 18, -18, 20, -20, 20, -20, 12, -12, 12, -12, 12, -12]
PERSON = np.stack([ACROSS, HEIGHTS], axis=1) + np.array([100.0, 50.0])


def circle(seen=(), skeleton=COCO, person=PERSON) -> np.ndarray:
    """The circle of a person of whom only some joints were detected; all by default."""
    flags = np.ones(len(person), dtype=bool)
    if len(seen):
        flags[:] = False
        flags[list(seen)] = True
    return head_circles(person[None], flags[None], skeleton)[0]


def covers(found: np.ndarray) -> bool:
    """Whether a circle covers the face: from the eyes to the chin, and both ears."""
    face = np.array([[100, 58], [100, 72], [93, 62], [107, 62]])
    return bool((np.linalg.norm(face - found[:2], axis=1) <= found[2]).all())


@pytest.mark.parametrize(
    "seen",
    [
        (),
        range(5),  # the head alone
        [0, 5, 6, 11, 12],
        range(13),  # without legs
        range(5, 17),  # without the head
        [5, 6],  # shoulders alone
        [5, 6, 11, 12],
    ],
)
def test_circles_cover_the_face(seen):
    found = circle(seen)
    assert covers(found), found
    assert found[2] < 45


def test_a_leaning_head_is_found_along_the_torso():
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # the person lies, the head on the left
    lying = (PERSON - PERSON.mean(0)) @ turn
    found = circle(range(5, 17), person=lying)
    assert np.linalg.norm(found[:2] - lying[0]) < found[2]


def test_poses_without_a_head_are_blurred_at_the_top():
    box = Skeleton.get("box5")
    corners = np.array([[50.0, 100], [30, 10], [70, 10], [30, 190], [70, 190]])
    x, y, radius = circle(skeleton=box, person=corners)
    assert x == 50 and 10 <= y <= 30 and y - radius <= 10 and radius >= 16
    assert np.isnan(head_circles(corners[None], np.zeros((1, 5), bool), box)[0, :2]).all()


@pytest.mark.parametrize(
    "name", ["penn13", "kinect20", "halpe26", "mediapipe33", "body25", "h36m17"]
)
def test_skeletons_have_head_joints(name):
    skeleton = Skeleton.get(name)
    own = [v for v, joint in enumerate(skeleton.joints) if "head" in joint or joint == "nose"]
    points = np.random.default_rng(0).uniform(100, 200, (1, skeleton.num_joints, 2))
    points[0, own] = [5.0, 7.0]
    seen = np.zeros((1, skeleton.num_joints), bool)
    seen[0, own] = True
    np.testing.assert_allclose(head_circles(points, seen, skeleton)[0, :2], [5, 7])


def test_heads_move_through_short_gaps_only():
    points = np.stack([PERSON + [10.0 * n, 0] for n in (0, 4, 40)])
    heads = Heads(points, np.ones((3, 17), bool), np.array([0, 4, 40]), np.zeros(3, int), COCO, 10)
    middle = [heads.at(n)[:, 0].tolist() for n in range(6)]
    first = heads.at(0)[0, 0]
    np.testing.assert_allclose(np.concatenate(middle[:5]), first + 10.0 * np.arange(5))
    assert middle[5] == [] and len(heads.at(40)) == 1 and len(heads.at(20)) == 0


def test_a_blurred_head_has_no_details_and_the_rest_is_unchanged():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    blur_heads(picture, np.array([[60.0, 50.0, 20.0], [-5.0, 190.0, 12.0], [500.0, 500.0, 9.0]]))
    found = np.asarray(picture).astype(int)
    y, x = np.mgrid[:200, :200]
    inside = (x - 60) ** 2 + (y - 50) ** 2 < 19**2
    corner = (x + 5) ** 2 + (y - 190) ** 2 < 11**2
    outside = ((x - 60) ** 2 + (y - 50) ** 2 > 22**2) & ((x + 5) ** 2 + (y - 190) ** 2 > 14**2)
    np.testing.assert_array_equal(found[outside], pixels[outside])
    # Noise of a uniform distribution has a standard deviation of 74.
    assert found[inside].std() < 15 and found[corner].std() < 30
