"""Options: limits, presets, and what a configuration file may say."""

from __future__ import annotations

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


def test_names_of_the_network_are_those_of_its_modules():
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
        f"{walkers.clip_names[2]}' has no image size, which preset paper divides by: .*scale rms"
    )
    with pytest.warns(InputWarning, match=message):
        changes = preset_changes("paper", walkers.with_(image_size=size))
    assert changes == preset_changes("paper") | {"scale": "rms"}
    with pytest.warns(InputWarning, match="3D poses have no image size, which preset paper"):
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
            r"lengths has '1', expected frames, at least 2 \(12\), or seconds \(0.5s\)",
        ),
        ({"lengths": ["-1s"]}, "lengths has '-1s', expected frames, at least 2"),
        ({"lengths": ["12f"]}, "lengths has '12f', expected frames, at least 2"),
        ({"lengths": ["infs"]}, "lengths has 'infs', expected frames"),
        ({"lengths": []}, "lengths is empty, expected at least one"),
        ({"lengths": [1]}, "lengths has 1, expected frames, at least 2"),
        ({"lengths": [12.0]}, "lengths is 12.0, expected a word"),
        ({"stride": 0}, "stride is 0, expected at least 1"),
        ({"stride": 12.0}, "stride is 12.0, expected a whole number"),
        (
            {"lengths": [12, "24"], "coefficients": 0},
            r"lengths has 2 entries, expected one for frames as they are \(coefficients 0\)",
        ),
        ({"cluster_share": 1.0}, "cluster_share is 1 without a budget, expected less"),
        ({"patience": 3}, "patience is 3, expected at least 4"),
        ({"patience": None}, "patience is None, expected a whole number"),
        ({"budget": -1}, "budget is -1, expected at least 0"),
        ({"budget": "converge"}, "budget is 'converge', expected a whole number"),
        ({"budget": True}, "budget is True, expected a whole number"),
        ({"dropout": 1}, "dropout is 1, expected at most 0.95"),
        ({"dropout": "0.3"}, "dropout is '0.3', expected a number"),
        ({"clip_norm": 0}, "clip_norm is 0, expected at least 1e-06"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0, expected at least 1e-06"),
        ({"stride": np.float64(12)}, r"stride is .*12.0.*, expected a whole number"),
        ({"budget": np.bool_(True)}, r"budget is .*True.*, expected a whole number"),
        ({"lr": True}, "lr is True, expected a number"),
        ({"align": 1}, "align is 1, expected true or false"),
        ({"branches": []}, "branches is empty"),
        ({"branches": "static"}, "branches is 'static', expected a list"),
        ({"attention": "cosine"}, "attention is 'cosine', expected dot or scaled_dot or additive"),
        ({"strides": [2, 3]}, "strides has 2 entries, expected one for each of the 9"),
        ({"decoder_channels": []}, "decoder_channels is empty"),
        ({"kernel_size": 4}, "kernel_size is 4, expected an odd number"),
        (
            {"frames": 20, "coefficients": 0, "mode": "latent"},
            "frames is 20, expected a multiple of 6",
        ),
        ({"scale": "knee"}, "scale is 'knee', expected torso or height or rms or image"),
    ],
)
def test_values_that_are_not_allowed(change, message):
    with pytest.raises(InputError, match=message):
        Options(**change).check()


def test_numbers_of_numpy_are_numbers():
    values = {
        "stride": np.int64(6),
        "encoder_channels": [np.int32(4)] * 9,
        "lr": np.float64(0.1),
        "dropout": np.float32(0.5),
        "weight_decay": np.int64(0),
        "frames": np.int64(12),
    }
    Options(**values).check()
    assert Options.read(values, "x.yaml") == values
    with pytest.raises(InputError, match="stride is 0, expected at least 1"):
        Options(stride=np.int64(0)).check()


def test_reading_checks_names_and_values():
    assert Options.read({"lr": 1}, "x.yaml") == {"lr": 1}
    with pytest.raises(
        InputError, match="x.yaml has the unknown option 'ln', expected some of lengths"
    ):
        Options.read({"ln": 1}, "x.yaml")
    with pytest.raises(InputError, match=r"x.yaml: lr is -1"):
        Options.read({"lr": -1}, "x.yaml")
    with pytest.raises(InputError, match="x.yaml holds a list"):
        Options.read([], "x.yaml")


def test_files_and_the_command_line_say_seed_and_python_random_state():
    assert Options(random_state=3).written()["seed"] == 3
    assert "random_state" not in Options().written() and "seed" not in Options().to_dict()
    for name in ("seed", "random_state"):
        assert Options.read({name: 3}, "x.yaml") == {"random_state": 3}
    with pytest.raises(InputError, match="x.yaml must have seed or random_state, got both"):
        Options.read({"seed": 3, "random_state": 3}, "x.yaml")
    with pytest.raises(InputError, match="x.yaml: seed is -1, expected at least 0"):
        Options.read({"seed": -1}, "x.yaml")
    for kind in (Options, GEPC):
        with pytest.raises(
            InputError, match=f"^{kind.__name__} has no parameter seed, expected random_state$"
        ):
            kind(seed=3)


def test_to_dict_has_every_option():
    assert tuple(Options().to_dict()) == NAMES


def test_lengths_in_seconds_and_frames():
    assert Options().frames_of(24.0) == Options().frames_of(float("nan")) == (12, 24, 48)
    assert Options().frames_of(30.0) == (15, 30, 60)
    # No fewer frames than coefficients.
    assert Options().frames_of(8.0) == (6, 8, 16) and Options().frames_of(2.0) == (6,)
    assert Options(lengths=[12, "0.5s", "40"]).frames_of(60.0) == (12, 30, 40)
    assert Options(frames=24).frames_of(60.0) == (24,)
