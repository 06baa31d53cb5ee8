"""The CogVideoX MoT modules: stock blocks where there is a stock block, exact pruning, every reference in its place."""

import pytest
import torch
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from torch import nn

from vapfarm_exporter.cogvideox_config import TransformerConfig
from vapfarm_exporter.cogvideox_engines import Denoise
from vapfarm_exporter.cogvideox_positions import target_rotary
from vapfarm_exporter.cogvideox_transformer import Block, CogVideoXMotTransformer
from vapfarm_exporter.engine_spec import EngineSpec
from vapfarm_exporter.onnx_graphs import Bounds, random_inputs


def test_a_plain_block_is_the_stock_block(config: TransformerConfig) -> None:
    torch.manual_seed(1)
    ours = Block(config, has_reference=False, ends_reference=False).eval()
    stock = CogVideoXBlock(64, 2, 32, 64, attention_bias=True).eval()
    stock.load_state_dict(ours.state_dict())
    text, video, conditioning = torch.randn(2, 226, 64), torch.randn(2, 60, 64), torch.randn(1, 64)
    rotary = target_rotary(32, 5, (3, 4))
    with torch.no_grad():
        wanted = stock(video, text, conditioning.expand(2, -1), rotary)
        (found_text, found_video), _ = ours(((text, video), (text, video)), (conditioning, conditioning), (rotary, rotary))
    torch.testing.assert_close(found_video, wanted[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(found_text, wanted[1], rtol=0, atol=1e-5)


def denoise_inputs(spec: EngineSpec, rows: int, references: int) -> list[torch.Tensor]:
    return list(random_inputs(spec, Bounds({"g": rows, "n": references}, 300), seed=5).values())


@pytest.mark.parametrize("references", [1, 3])
def test_leaving_out_the_last_reference_rows_changes_nothing(
    modules: dict[str, nn.Module], specs: dict[str, EngineSpec], references: int
) -> None:
    module = modules["denoise"]
    inputs = denoise_inputs(specs["denoise"], 2, references)
    last = module.transformer.transformer_blocks[1]
    assert last.ends_reference
    with torch.no_grad():
        pruned = module(*inputs)
        last.ends_reference = False
        try:
            whole = module(*inputs)
        finally:
            last.ends_reference = True
    torch.testing.assert_close(pruned, whole, rtol=0, atol=2e-6)


def test_every_reference_and_its_place_matter(modules: dict[str, nn.Module], specs: dict[str, EngineSpec]) -> None:
    inputs = random_inputs(specs["denoise"], Bounds({"g": 2, "n": 3}, 300), seed=6)
    swapped = {name: value.flip(0) if name.startswith("ref_") else value for name, value in inputs.items()}
    changed = {**inputs, "ref_latents": inputs["ref_latents"].clone()}
    changed["ref_latents"][0] += 1
    with torch.no_grad():
        base, other, third = (modules["denoise"](**value) for value in (inputs, swapped, changed))
    assert (base - other).abs().max() > 1e-3
    assert (base - third).abs().max() > 1e-3


def test_another_length_computes_its_positions(config: TransformerConfig, modules: dict[str, nn.Module]) -> None:
    transformer = modules["denoise"].transformer
    frames, references = 3, 2
    rotary = transformer.rotary_tables(frames, references)
    video = torch.randn(1, frames, 32, 6, 8), torch.randn(references, frames, 32, 6, 8)
    text = torch.randn(2, 226, 32), torch.randn(references, 2, 226, 32)
    with torch.no_grad():
        found = transformer(torch.randn(1, 64), (text[0], video[0]), (text[1], video[1]), rotary)
    assert found.shape == (2, frames, 16, 6, 8)


def test_no_weight_of_the_denoiser_is_stored_twice(config: TransformerConfig) -> None:
    with torch.device("meta"):
        transformer = CogVideoXMotTransformer(config)
    names = set(transformer.state_dict())
    assert {f"transformer.{name}" for name in names} == set(Denoise(transformer, 3).state_dict())
