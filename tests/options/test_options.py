"""Options: limits, presets, and what a configuration file may say."""

from __future__ import annotations

import re
import warnings
from dataclasses import fields

import numpy as np
import pytest
from helpers import in_3d

from gepc_geo import GEPC
from gepc_geo.errors import InputError, InputWarning
from gepc_geo.nn import attention, spatial
from gepc_geo.options import ATTENTIONS, BRANCHES, NAMES, Options
from gepc_geo.options.presets import preset_changes
from gepc_geo.options.reading import read_options


def test_names_of_attentions_and_branches_equal_those_of_the_network():
    assert tuple(attention.ATTENTIONS) == ATTENTIONS
    assert spatial.BRANCHES == BRANCHES


def test_defaults_and_presets_are_allowed():
    for name in ("default", "paper"):
        Options(**preset_changes(name)).check()
    with pytest.raises(InputError, match="preset must be one of default, gepc, paper, got 'best'"):
        preset_changes("best")


def test_paper_preset_is_the_published_method():
    paper = Options(**preset_changes("paper"))
    assert (paper.clusters, paper.target, paper.density, paper.mode) == (
        20,
        "paper",
        "gaussian-p",
        "assignment",
    )
    assert (paper.augment, paper.scale, paper.batch_size) == ("paper", "image", 512)
    # To convergence (4.2.2), at a rate that gets there.
    assert (paper.dropout, paper.lr, paper.budget) == (0.3, 1e-3, None)


def test_paper_preset_divides_by_the_image_where_there_is_one(walkers):
    walkers = walkers.with_(image_size=[[856, 480]] * walkers.num_clips)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert preset_changes("paper", walkers) == preset_changes("paper")
        assert preset_changes("default", walkers.with_(image_size=None)) == {}
    size = walkers.image_size.copy()
    size[2] = np.nan
    message = (
        "poses must have an image size for preset paper, got none in clip "
        rf"'{walkers.clip_names[2]}': they are divided by their RMS size instead \(scale rms\)$"
    )
    with pytest.warns(InputWarning, match=message):
        changes = preset_changes("paper", walkers.with_(image_size=size))
    assert changes == preset_changes("paper") | {"scale": "rms"}
    with pytest.warns(InputWarning, match="for preset paper, got 3D poses, which have none"):
        assert preset_changes("paper", in_3d(walkers))["scale"] == "rms"


def test_every_option_has_help():
    assert all(
        option.metadata["help"].endswith((".", "size.", "rot45.")) for option in fields(Options)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"lengths": ["1"]},
            r"lengths must be frames, at least 2 \(12\), or seconds \(0.5s\), got '1'",
        ),
        (
            {"lengths": ["-1s"]},
            r"lengths must be frames, at least 2 \(12\), or seconds \(0\.5s\), got '-1s'",
        ),
        (
            {"lengths": ["12f"]},
            r"lengths must be frames, at least 2 \(12\), or seconds \(0\.5s\), got '12f'",
        ),
        (
            {"lengths": ["infs"]},
            r"lengths must be frames, at least 2 \(12\), or seconds \(0\.5s\), got 'infs'",
        ),
        ({"lengths": []}, "lengths must have at least one entry, got none"),
        (
            {"lengths": [1]},
            r"lengths must be frames, at least 2 \(12\), or seconds \(0\.5s\), got 1$",
        ),
        ({"lengths": [12.0]}, "lengths must be a word, got 12.0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"stride": 12.0}, "stride must be a whole number, got 12.0"),
        (
            {"lengths": [12, "24"], "coefficients": 0},
            "lengths must have one entry with coefficients 0, got 2 entries",
        ),
        ({"cluster_share": 1.0}, "cluster_share must be less than 1 without a budget, got 1"),
        ({"patience": 3}, "patience must be at least 4, got 3"),
        ({"patience": None}, "patience must be a whole number, got None"),
        ({"budget": -1}, "budget must be at least 0, got -1"),
        ({"budget": "converge"}, "budget must be a whole number, got 'converge'"),
        ({"budget": True}, "budget must be a whole number, got True"),
        ({"dropout": 1}, "dropout must be at most 0.95, got 1"),
        ({"dropout": "0.3"}, "dropout must be a number, got '0.3'"),
        ({"stride": np.float64(12)}, r"stride must be a whole number, got 12\.0$"),
        ({"budget": np.bool_(True)}, "budget must be a whole number, got True$"),
        ({"lr": True}, "lr must be a number, got True"),
        ({"align": 1}, "align must be true or false, got 1"),
        ({"branches": []}, "branches must be some of static, global, inferred, got none"),
        ({"branches": "static"}, "branches must be a list, got 'static'"),
        ({"attention": "cosine"}, "attention must be dot or scaled_dot or additive, got 'cosine'"),
        (
            {"strides": [2, 3]},
            "strides must have 9 entries, one for each of the encoder_channels, got 2",
        ),
        ({"decoder_channels": []}, "decoder_channels must have at least one block, got none"),
        ({"kernel_size": 4}, "kernel_size must be an odd number, got 4"),
        (
            {"frames": 20, "coefficients": 0, "mode": "latent"},
            "frames must be a multiple of 6, the product of the strides, got 20",
        ),
        ({"scale": "knee"}, "scale must be rms or image, got 'knee'"),
    ],
)
def test_values_that_are_not_allowed_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Options(**change).check()


def test_options_take_numpy_numbers():
    values = {
        "stride": np.int64(6),
        "encoder_channels": [np.int32(4)] * 9,
        "lr": np.float64(0.1),
        "dropout": np.float32(0.5),
        "weight_decay": np.int64(0),
        "frames": np.int64(12),
    }
    Options(**values).check()
    assert read_options(values, "x.yaml") == values
    with pytest.raises(InputError, match="stride must be at least 1, got 0"):
        Options(stride=np.int64(0)).check()


def test_reading_checks_names_and_values():
    assert read_options({"lr": 1}, "x.yaml") == {"lr": 1}
    known = ", ".join(Options().written())
    with pytest.raises(
        InputError, match=rf"^x\.yaml must have only the options {known}, got 'ln'$"
    ):
        read_options({"ln": 1}, "x.yaml")
    with pytest.raises(InputError, match=r"x.yaml: lr must be at least 0, got -1"):
        read_options({"lr": -1}, "x.yaml")
    with pytest.raises(InputError, match="x.yaml must have options by name, got a list"):
        read_options([], "x.yaml")


def test_seed_in_files_is_random_state_in_python():
    assert Options(random_state=3).written()["seed"] == 3
    assert "random_state" not in Options().written() and "seed" not in Options().to_dict()
    for name in ("seed", "random_state"):
        assert read_options({name: 3}, "x.yaml") == {"random_state": 3}
    with pytest.raises(InputError, match="x.yaml must have seed or random_state, got both"):
        read_options({"seed": 3, "random_state": 3}, "x.yaml")
    with pytest.raises(InputError, match="x.yaml: seed must be at least 0, got -1"):
        read_options({"seed": -1}, "x.yaml")
    for kind in (Options, GEPC):
        with pytest.raises(
            InputError,
            match=f"^{kind.__name__} has no parameter seed: use random_state$",
        ):
            kind(seed=3)


@pytest.mark.parametrize("kind", [Options, GEPC])
def test_parameters_have_names_that_exist(kind):
    name = kind.__name__
    for options, message in (
        ({"lenghts": ["1s"]}, f"{name} has no parameter lenghts: did you mean lengths?"),
        ({"clusters": 4, "bugdet": 1}, f"{name} has no parameter bugdet: did you mean budget?"),
        ({"xyz": 1}, f"{name} has no parameter xyz: help({name}) lists them"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            kind(**options)
    with pytest.raises(InputError, match=f"^parameters of {name} must have names, got 1$"):
        kind(1)


def test_a_subclass_may_have_further_parameters():
    class Mine(GEPC):
        def __init__(self, extra=1, clusters=10):
            super().__init__(clusters=clusters)
            self.extra = extra

    assert (Mine(2).extra, Mine(extra=3, clusters=5).clusters) == (2, 5)


def test_to_dict_has_every_option():
    assert tuple(Options().to_dict()) == NAMES


def test_lengths_are_given_in_seconds_or_frames():
    assert Options().frames_of(24.0) == Options().frames_of(float("nan")) == (12, 24, 48)
    assert Options().frames_of(30.0) == (15, 30, 60)
    # No fewer frames than coefficients.
    assert Options().frames_of(8.0) == (6, 8, 16) and Options().frames_of(2.0) == (6,)
    assert Options(lengths=[12, "0.5s", "40"]).frames_of(60.0) == (12, 30, 40)
    assert Options(frames=24).frames_of(60.0) == (24,)


@pytest.mark.parametrize(
    ("name", "in_effect", "other", "instead"),
    [
        ("covariance", "full", "'diag'", "Gaussians have full covariances"),
        ("whitened_dims", 64, 8, "modes latent and reconstruction keep 64 principal components"),
        (
            "label_tolerance",
            0.001,
            0.5,
            "clustering stops if under 0.1 % of the labels change",
        ),
        ("clip_norm", 1.0, 9.0, "the gradient of each loss has a norm of at most 1"),
    ],
)
def test_removed_options_name_what_replaces_them(name, in_effect, other, instead):
    # Files of models and runs have the value that is in effect.
    assert read_options({name: in_effect, "clusters": 4}, "x.yaml") == {"clusters": 4}
    message = f"x.yaml must not have option {name}: {instead}, got {other}; train again without it"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_options({name: other if name != "covariance" else "diag"}, "x.yaml")
    for kind in (Options, GEPC):
        message = f"{kind.__name__} has no parameter {name}: {instead}"
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            kind(**{name: other})


@pytest.mark.parametrize("value", ["torso", "height"])
def test_removed_values_name_what_replaces_them(value):
    message = f"scale must be rms or image, got '{value}': train again with scale rms"
    with pytest.raises(InputError, match=f"^x.yaml: {message}$"):
        read_options({"scale": value}, "x.yaml")
    for kind in (Options, GEPC):
        with pytest.raises(InputError, match=f"^{message}$"):
            kind(scale=value).check()
