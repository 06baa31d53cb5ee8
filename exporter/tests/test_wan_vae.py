"""Wan's VAE in chunks is the stock VAE and is causal, which is why an image and a clip may share one engine."""

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randn(1, 3, 17, 48, 64, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_moments_are_exactly_the_stock_ones(wan_modules: dict[str, nn.Module], pixels: Tensor) -> None:
    encode = wan_modules["vae_encode"]
    stock = encode.vae.encode(pixels).latent_dist
    assert torch.equal(encode.moments(pixels), stock.parameters)
    assert torch.equal(encode(pixels), (stock.mode() - encode.mean) * encode.inverse_std)


@torch.no_grad()
def test_frames_are_exactly_the_stock_ones(wan_modules: dict[str, nn.Module]) -> None:
    decode = wan_modules["vae_decode"]
    latents = torch.randn(1, 16, 5, 6, 8, generator=torch.Generator().manual_seed(4))
    stock = decode.vae.decode(latents / decode.inverse_std + decode.mean).sample
    assert torch.equal(decode(latents), stock)


@torch.no_grad()
def test_latents_depend_on_no_later_frame(wan_modules: dict[str, nn.Module], pixels: Tensor) -> None:
    whole = wan_modules["vae_encode"](pixels)
    for frames in (1, 5, 13):
        start = wan_modules["vae_encode"](pixels[:, :, :frames])
        torch.testing.assert_close(start, whole[:, :, : start.shape[2]], rtol=0, atol=1e-5)


@torch.no_grad()
def test_normalising_is_undone_before_decoding(wan_modules: dict[str, nn.Module]) -> None:
    encode, decode = wan_modules["vae_encode"], wan_modules["vae_decode"]
    latents = torch.randn(1, 16, 1, 1, 1)
    normalised = (latents - encode.mean) * encode.inverse_std
    torch.testing.assert_close(normalised / decode.inverse_std + decode.mean, latents, rtol=0, atol=2e-6)
