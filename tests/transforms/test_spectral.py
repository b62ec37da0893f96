"""The cosine transform over time: equal to SciPy's, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft
from torch import Tensor
from torch_geometric.data import Batch, Data

from gepc_geo.errors import InputError
from gepc_geo.transforms.spectral import FromSpectrum, ToSpectrum, dct_matrix

CPU = torch.device("cpu")


def window(frames: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Data:
    """Five joints with three channels of noise."""
    generator = torch.Generator().manual_seed(seed)
    return Data(x=torch.randn(5, frames, 3, generator=generator, dtype=torch.float64).to(dtype))


def spectrum(x: Tensor, num_coefficients: int, constant: bool = True) -> Tensor:
    return ToSpectrum(num_coefficients, constant)(Data(x=x)).x


@pytest.mark.parametrize(("frames", "count"), [(2, 1), (12, 4), (24, 23), (48, 8)])
@pytest.mark.parametrize("constant", [True, False])
def test_coefficients_equal_scipy(frames, count, constant):
    data = window(frames)
    before = data.x.clone()
    expected = fft.dct(before.numpy(), type=2, norm="ortho", axis=1) / np.sqrt(frames)
    first = 0 if constant else 1
    expected = torch.from_numpy(expected[:, first : first + count])
    after = ToSpectrum(count, constant)(data).x
    torch.testing.assert_close(after, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(data.x, before)


@pytest.mark.parametrize("constant", [True, False])
def test_few_coefficients_give_scipys_low_pass(constant):
    """Back from few coefficients: SciPy's with all others set to 0."""
    x = window(24).x
    low = fft.dct(x.numpy(), type=2, norm="ortho", axis=1)
    low[:, 6:] = 0
    if not constant:
        low[:, 0] = 0
    expected = torch.from_numpy(fft.idct(low, type=2, norm="ortho", axis=1))
    data = Data(x=spectrum(x, 6 if constant else 5, constant))
    torch.testing.assert_close(FromSpectrum(24, constant)(data).x, expected)


@given(frames=st.integers(1, 60), seed=st.integers(0, 1000), single=st.booleans())
def test_all_coefficients_restore_the_window_and_its_energy(frames, seed, single):
    x = window(frames, seed, torch.float32 if single else torch.float64).x
    coefficients = spectrum(x, frames)
    assert coefficients.dtype == x.dtype
    torch.testing.assert_close(coefficients.square().sum(1), x.square().mean(1))
    torch.testing.assert_close(
        FromSpectrum(frames)(Data(x=coefficients)).x, x, rtol=0, atol=1e-5 if single else 1e-12
    )


def test_a_batch_is_transformed_like_its_windows():
    many = [window(24, seed) for seed in range(3)]
    batch = Batch.from_data_list(many)
    for transform in (ToSpectrum(6), ToSpectrum(6, constant=False), FromSpectrum(30)):
        torch.testing.assert_close(
            transform(batch).x, torch.cat([transform(data).x for data in many])
        )


def test_a_trend_is_in_the_first_coefficients():
    x = torch.linspace(-1, 1, 24, dtype=torch.float64)[None, :, None]
    energy = spectrum(x, 24).square()[0, :, 0]
    assert energy[1] / energy.sum() > 0.98
    assert energy[:6].sum() / energy.sum() > 0.999


def test_without_the_constant_coefficients_do_not_depend_on_the_place():
    x = window(24).x
    torch.testing.assert_close(spectrum(x + 300, 5, False), spectrum(x, 5, False))
    torch.testing.assert_close(spectrum(x, 6)[:, 0], x.mean(1))


def test_a_movement_has_the_same_numbers_in_longer_windows():
    def movement(frames: int) -> Tensor:
        time = (torch.arange(frames, dtype=torch.float64) + 0.5) / frames
        return torch.stack([time**2, torch.sin(5 * time)], dim=-1)[None]

    short, long = (spectrum(movement(frames), 6) for frames in (24, 48))
    torch.testing.assert_close(short, long, rtol=0, atol=1e-3)
    assert short.abs().max() > 0.1
    # So a window can be had at another length.
    stretched = FromSpectrum(48)(Data(x=spectrum(movement(24), 24))).x
    torch.testing.assert_close(stretched, movement(48), rtol=0, atol=0.03)


def test_gradients_equal_finite_differences():
    x = window(7).x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: spectrum(x, 3, False), x)
    assert torch.autograd.gradcheck(lambda x: FromSpectrum(9, False)(Data(x=x)).x, x)


def test_the_cached_basis_allows_later_gradients():
    dct_matrix.cache_clear()
    with torch.inference_mode():
        spectrum(window(11).x, 4)
    spectrum(window(11).x.requires_grad_(), 4).sum().backward()
    assert dct_matrix.cache_info().misses == 1
    basis = dct_matrix(11, 4, True, torch.float64, CPU)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4, dtype=torch.float64))


def test_repr_shows_the_options():
    transform = ToSpectrum(4, constant=False)
    assert repr(transform) == "ToSpectrum(4, constant=False)"
    assert repr(FromSpectrum(12)) == "FromSpectrum(12, constant=True)"


def test_wrong_numbers_of_coefficients_and_frames_are_refused():
    with pytest.raises(InputError, match="num_coefficients must be at least 1, got 0"):
        ToSpectrum(0)
    with pytest.raises(InputError, match="window length must be at least 1 frame, got 0"):
        FromSpectrum(0)
    with pytest.raises(InputError, match="must be at most 12 with 12 frames, got 13$"):
        ToSpectrum(13)(window(12))
    with pytest.raises(
        InputError, match="must be at most 11 with 12 frames without the constant, got 12"
    ):
        ToSpectrum(12, constant=False)(window(12))
    with pytest.raises(InputError, match="must be at most 8 with 8 frames, got 12$"):
        FromSpectrum(8)(window(12))
