"""Places of labels."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_geo.report.labels import place_labels


def overlapping(places: np.ndarray, sizes: np.ndarray) -> int:
    """Number of pairs of labels that cover each other."""
    count = 0
    for i in range(len(places)):
        for j in range(i):
            apart = [
                places[i, k] >= places[j, k] + sizes[j, k]
                or places[j, k] >= places[i, k] + sizes[i, k]
                for k in (0, 1)
            ]
            count += not any(apart)
    return count


@pytest.mark.parametrize("seed", range(5))
def test_labels_do_not_cover_each_other(seed):
    rng = np.random.default_rng(seed)
    # 30 people in one corner of the picture.
    low = rng.uniform(0, 120, (30, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 80, (30, 2))], axis=1)
    sizes = np.stack([rng.uniform(30, 80, 30), np.full(30, 14.0)], axis=1)
    places = place_labels(boxes, sizes, 640, 480)
    assert overlapping(places, sizes) == 0
    assert (places >= 0).all() and (places + sizes <= [640, 480]).all()


def test_a_label_is_above_its_box_and_elsewhere_at_the_edge():
    size = np.array([[40.0, 10.0]])
    above = place_labels(np.array([[100.0, 100, 150, 200]]), size, 640, 480)
    np.testing.assert_array_equal(above, [[100, 89]])
    corner = place_labels(np.array([[620.0, 0, 640, 100]]), size, 640, 480)
    np.testing.assert_array_equal(corner, [[600, 0]])


def test_the_more_important_label_has_the_better_place():
    boxes = np.array([[100.0, 100, 150, 200], [102, 102, 152, 202]])
    places = place_labels(boxes, np.array([[40.0, 10.0]] * 2), 640, 480)
    np.testing.assert_array_equal(places[0], [100, 89])
    assert (np.abs(places[1] - [102, 102]) < 120).all()


def test_a_full_picture_has_all_labels():
    boxes = np.array([[0.0, 0, 20, 20]] * 9)
    places = place_labels(boxes, np.array([[20.0, 10.0]] * 9), 20, 20)
    assert places.shape == (9, 2) and (places >= 0).all()
    assert place_labels(np.zeros((0, 4)), np.zeros((0, 2)), 20, 20).shape == (0, 2)
