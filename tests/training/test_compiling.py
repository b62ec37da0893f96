"""When training is compiled, and that nothing is lost where it cannot be."""

from __future__ import annotations

import pytest
import torch

from gepc_geo.nn import STGCAE
from gepc_geo.poses.skeleton import SKELETONS
from gepc_geo.training.compiling import compiled_if_possible, worth_compiling
from gepc_geo.utils import distributed


def network() -> STGCAE:
    torch.manual_seed(0)
    skeleton = SKELETONS["box5"]
    return STGCAE(
        3,
        5,
        4,
        adj=skeleton.adjacency(),
        encoder_channels=[2],
        strides=[2],
        decoder_channels=[2],
        dropout=0.2,
    )


def test_auto_compiles_long_training_on_one_gpu(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert worth_compiling("auto", cuda, 10_000_000)
    assert not worth_compiling("auto", cuda, 200_000)
    assert not worth_compiling("auto", cuda, None)
    assert not worth_compiling("auto", cpu, 10_000_000)
    assert worth_compiling("always", cpu, 1) and not worth_compiling("never", cuda, 10**9)
    monkeypatch.setattr(distributed, "world", lambda: 2)
    assert not worth_compiling("auto", cuda, 10_000_000)


@pytest.mark.parametrize("works", [True, False])
def test_trying_to_compile_leaves_the_network_as_it_was(monkeypatch, works):
    """Norm statistics, weights, gradients and random numbers, with and without a compiler."""
    model, x = network(), torch.randn(3, 4, 5, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ran, compiler = [], torch.compile

    def compile(module, mode):
        def broken(x):
            module(x)
            raise RuntimeError("no compiler here\nand more lines")

        ran.append(mode)
        return compiler(module, backend="aot_eager") if works else broken

    monkeypatch.setattr(torch, "compile", compile)
    random = torch.get_rng_state()
    if works:
        fast = compiled_if_possible(model, x, "fp32")
        assert fast is not model
        torch.testing.assert_close(fast.eval()(x), model.eval()(x))
    else:
        with pytest.warns(
            UserWarning,
            match="could not compile the network, training is slower: no compiler here$",
        ):
            fast = compiled_if_possible(model, x, "fp32")
        assert fast is model
    assert ran == ["default"]
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_works_without_a_compiler(walkers, monkeypatch):
    from gepc_geo import GEPC
    from gepc_geo.training import compiling

    options = {"budget": 32, "hidden": 1, "clusters": 2, "components": 2, "augment": "none"}
    options |= {"stride": 12, "score_stride": 12, "branches": ["static"], "precision": "fp32"}
    options |= {"mode": "assignment", "lengths": ["12"]}

    def broken(module, mode):
        def run(x):
            raise OSError("nvcc is missing")

        return run

    plain = GEPC(**options, compile="never").fit(walkers, device="cpu")
    monkeypatch.setattr(compiling, "worth_compiling", lambda *_: True)
    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(UserWarning, match="nvcc is missing"):
        other = GEPC(**options).fit(walkers, device="cpu")
    assert (other.embed(walkers) == plain.embed(walkers)).all()
