"""What each protocol trains and tests on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gepc_geo.errors import InputError
from gepc_geo.experiments import Ablation, Coarse, Fine, Noise, Split
from gepc_geo.experiments.ablation import variants
from gepc_geo.experiments.noise import losses
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.options import Options

UPRIGHT = Split("upright", ("stand", "walk"))
FEW = Condition("upright", "few-vs-many")
MANY = Condition("upright", "many-vs-few")
BOTH = ("few-vs-many", "many-vs-few")


def test_coarse_trains_on_normal_clips_of_one_half_and_tests_on_the_other(actions):
    coarse = Coarse(actions, [UPRIGHT], BOTH, Options())
    assert coarse.conditions() == [FEW, MANY]
    train, test, labels = coarse.task(FEW, 0)
    assert Counter(train.clip_label) == {"stand": 6, "walk": 6}
    assert set(train.clip_split) == {"train"}
    assert test.num_clips == 16 and set(test.clip_split) == {"test"}
    assert labels.tolist() == [int(name in ("bow", "run")) for name in test.clip_label]
    train, test, labels = coarse.task(MANY, 0)
    assert set(train.clip_label) == {"bow", "run"}
    assert labels.tolist() == [int(name in ("stand", "walk")) for name in test.clip_label]


def test_clips_of_unknown_class_are_neither_trained_on_nor_counted(actions):
    names = list(actions.clip_label)
    unknown = [names.index("walk"), len(names) - 1]
    for clip in unknown:
        names[clip] = ""
    coarse = Coarse(actions.with_(clip_label=names), [UPRIGHT], BOTH, Options())
    for condition in coarse.conditions():
        train, _, labels = coarse.task(condition, 0)
        assert "" not in train.clip_label
        assert Counter(labels.tolist())[-1] == 1


def test_data_without_the_needed_clips_is_refused(actions):
    with pytest.raises(InputError, match="must have clips of splits train and test, got no splits"):
        Coarse(actions.with_(clip_split=None), [UPRIGHT], BOTH, Options())
    with pytest.raises(
        InputError,
        match=r"split 's' must have classes of the data \(bow, run, stand, walk\), got 'fly'",
    ):
        Coarse(actions, [Split("s", ("fly",))], BOTH, Options())
    with pytest.raises(InputError, match="splits must be given by --splits or --random, got none"):
        Coarse(actions, [], BOTH, Options())
    halves = [
        "test" if label == "run" else s
        for label, s in zip(actions.clip_label, actions.clip_split, strict=True)
    ]
    with pytest.raises(
        InputError,
        match=r"split 's' \(few-vs-many\) must have normal clips in the train half, got none",
    ):
        Coarse(actions.with_(clip_split=halves), [Split("s", ("run",))], BOTH, Options())


def test_noise_is_a_share_of_all_training_clips(actions):
    noise = Noise(actions, [UPRIGHT], ["few-vs-many"], Options(), shares=(0, 5, 10, 20))
    clean = set(Coarse(actions, [UPRIGHT], BOTH, Options()).task(FEW, 0).train.clip_names)
    assert len(clean) == 12
    before: set[str] = set()
    # Of 12 normal clips and n others n are 0, 5, 10 and 20 %: n / (12 + n).
    for condition, count in zip(noise.conditions(), (0, 1, 1, 3), strict=True):
        train, test, labels = noise.task(condition, 7)
        assert clean <= set(train.clip_names) and set(train.clip_split) == {"train"}
        mixed = set(train.clip_names) - clean
        assert len(mixed) == count and before <= mixed
        before = mixed
        assert labels.sum() == 8 and test.num_clips == 16
    others = [set(noise.task(noise.conditions()[-1], seed).train.clip_names) for seed in range(5)]
    assert len({frozenset(names) for names in others}) > 1
    again = noise.task(noise.conditions()[-1], 7).train.clip_names
    assert set(again) == clean | before


def test_shares_of_less_than_a_clip_are_remarked_on(actions):
    noise = Noise(actions, [UPRIGHT], ["few-vs-many"], Options())
    assert [line for line in noise.remarks([]) if "same as clean" in line] == [
        f"upright, few-vs-many: {percent} % of its clips are less than one clip; the same as clean "
        "training"
        for percent in (1, 2)
    ]


def test_more_noise_than_abnormal_clips_is_refused(actions):
    with pytest.raises(
        InputError,
        match="must have at least 18 abnormal training clips for a share of 60 %, got 12",
    ):
        Noise(actions, [UPRIGHT], ["few-vs-many"], Options(), shares=(0, 60))


@pytest.mark.parametrize("shares", [(0,), (5, 10), (0, 10, 5), (0, 100), (0, -1)])
def test_shares_that_do_not_rise_from_0_are_refused(actions, shares):
    with pytest.raises(
        InputError, match="must be whole percentages, rising from 0 to below 100, got"
    ):
        Noise(actions, [UPRIGHT], ["few-vs-many"], Options(), shares=shares)


def test_losses_are_relative_to_clean_training_with_the_same_seed():
    values = {(0, 0): 0.9, (0, 1): 0.8, (5, 0): 0.85, (5, 1): 0.82}
    results = [
        Result("gepc", Condition("s", "few-vs-many", f"noise={share}"), seed, "AUC", value)
        for (share, seed), value in values.items()
    ]
    found = losses(results)
    assert [(one.seed, one.condition.variant) for one in found] == [(0, "noise=5"), (1, "noise=5")]
    assert [one.value for one in found] == pytest.approx([0.05, -0.02])


def test_a_variant_changes_one_option():
    default = Options(frames=24)
    found = variants(default)
    changes = {}
    for name, options in found.items():
        options.check()
        new, old = options.to_dict(), default.to_dict()
        changes[name] = {key: new[key] for key in new if new[key] != old[key]}
    assert changes.pop("default") == {}
    assert all(len(change) == 1 for change in changes.values())
    assert len({str(change) for change in changes.values()}) == len(changes)
    values = [{key: str(value)} for change in changes.values() for key, value in change.items()]
    for wanted in (
        {"branches": "['static']"},
        {"branches": "['static', 'inferred']"},
        {"attention": "scaled_dot"},
        {"attention": "additive"},
        {"clusters": "50"},
        {"assignment": "student"},
        {"target": "paper"},
        {"density": "dirichlet"},
        {"augment": "none"},
        {"strides": str([1] * 9)},
    ):
        assert wanted in values


def test_ablation_has_a_task_for_every_variant_and_condition(actions):
    ablation = Ablation(actions, [UPRIGHT], BOTH, Options(frames=24))
    conditions = ablation.conditions()
    assert len(conditions) == 2 * len(variants(ablation.options)) == len(set(conditions))
    chosen = Condition("upright", "many-vs-few", "clusters=50")
    assert chosen in conditions
    assert ablation.options_of(chosen).clusters == 50
    assert ablation.task(chosen, 0).labels.tolist() == ablation.task(MANY, 0).labels.tolist()


def test_recordings_without_frame_labels_are_refused(walkers):
    with pytest.raises(InputError, match="must have frame labels, got none"):
        Fine(walkers, walkers.with_(frame_labels=None), Options())


def test_fine_uses_the_official_split(real_data):
    from gepc_geo.datasets import ShanghaiTech

    source = ShanghaiTech(real_data("shanghaitech_boxes"))
    test = source.tracks("test")
    fine = Fine(test, test, Options())
    (condition,) = fine.conditions()
    labels = fine.task(condition, 0).labels
    assert len(labels) == 40_791 and np.sum(labels == 1) == 17_326


def test_splits_and_directions_of_the_same_name_are_refused(actions):
    """A split of a file may be called as one that is drawn."""
    own = Split("random_1", ("run",))
    with pytest.raises(InputError, match="names of splits must be different, got 'random_1' twice"):
        Coarse(actions, [own, Split("random_1", ("walk",))], BOTH, Options())
    with pytest.raises(InputError, match="directions must be different, got 'few-vs-many' twice"):
        Coarse(actions, [own], [*BOTH, "few-vs-many"], Options())


def test_every_augmentation_is_a_variant():
    names = variants(Options(augment="none"))
    assert {f"augment={one}" for one in ("flip", "vary", "paper")} <= set(names)
