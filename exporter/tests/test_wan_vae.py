"""Wan's VAE in chunks is the stock VAE and is causal, which is why an image and a clip may share one engine."""

from pathlib import Path

import onnx
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanUpsample
from torch import Tensor, nn

from vapfarm_exporter.wan_vae import Double, after


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


def test_doubling_is_the_stock_upsampling() -> None:
    images = torch.randn(2, 3, 5, 7)
    assert torch.equal(Double()(images), WanUpsample(scale_factor=(2.0, 2.0), mode="nearest-exact")(images))


def test_waiting_for_a_chunk_changes_nothing() -> None:
    x, previous = torch.randn(3, 4), torch.randn(2, 2) * 1e30
    assert torch.equal(after(x, previous), x)
    assert after(x, None) is x


@pytest.mark.parametrize(("engine", "prefix"), [("vae_encode", "vae.encoder.conv_in"), ("vae_decode", "vae.decoder.conv_in")])
def test_each_chunk_of_the_graph_waits_for_the_one_before(wan_exported: Path, engine: str, prefix: str) -> None:
    graph = onnx.load(wan_exported / engine / "1/model.onnx").graph
    maker = {name: node for node in graph.node for name in node.output}
    starts = [node for node in graph.node if f"{prefix}.weight" in node.input]
    assert len(starts) == 5

    def sources(node: onnx.NodeProto) -> set[str]:
        seen, todo = set(), list(node.input)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += maker[name].input if name in maker else []
        return seen

    ends = [node.output[0] for node in graph.node if f"{prefix.replace('conv_in', 'conv_out')}.weight" in node.input]
    for start, before in zip(starts[1:], ends, strict=False):
        assert before in sources(start)
