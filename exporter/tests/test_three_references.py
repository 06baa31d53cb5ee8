"""A render from three references, computed by our modules with diffusers' scheduler and torch's generator.

The golden cases stop at two references. The same computation gives the golden latents for two, so its latents for three
are a reference too: `python exporter/tests/test_three_references.py` writes them to
test/fixtures/vap/three-references.safetensors, which the stage runtime's test reads. The third reference is put together
from what the golden cases hold: clip of the first, first frame of the second, another prompt.
"""

import json
from pathlib import Path

import torch
from diffusers import CogVideoXDDIMScheduler
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.cogvideox_config import parse_transformer_config
from vapfarm_exporter.cogvideox_engines import Denoise, load_transformer

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "test/fixtures/vap-cogvideox-tiny"
FIXTURE = ROOT / "test/fixtures/vap/three-references.safetensors"
SCALING_FACTOR = 0.7


def golden(name: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors and description of a golden case."""
    path = ROOT / f"test/fixtures/golden/{name}.safetensors"
    with safe_open(path, framework="pt") as file:
        return load_file(path), json.loads(file.metadata()["case"])


def references(count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Clip moments, first frame's moments and prompt embeddings of each reference."""
    two, _ = golden("cogvideox-ddim-2ref")
    one, _ = golden("cogvideox-ddim-1ref")
    third = (two["ref0_moments"], two["ref1_first_moments"], one["text0_embeds"])
    own = [(two[f"ref{k}_moments"], two[f"ref{k}_first_moments"], two[f"text{2 + 2 * k}_embeds"]) for k in range(2)]
    return [*own, third][:count]


def draw(moments: Tensor, generator: torch.Generator) -> Tensor:
    """[1, 2C, T, h, w] -> scaled latents [1, T, C, h, w]."""
    mean, logvar = moments.chunk(2, dim=1)
    noise = torch.randn(mean.shape, generator=generator)
    return ((mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * noise) * SCALING_FACTOR).transpose(1, 2)


@torch.no_grad()
def latents_after_last_step(denoise: nn.Module, count: int) -> Tensor:
    """The 2-reference case's render with `count` references: [1, T, C, h, w]."""
    tensors, case = golden("cogvideox-ddim-2ref")
    clips = references(count)
    generator = torch.Generator().manual_seed(case["seed"])
    image = draw(tensors["image_moments"], generator)
    latents = torch.randn(tensors["initial_noise"].shape, generator=generator)
    ref_latents = torch.cat([draw(moments, generator) for moments, _, _ in clips])
    ref_images = torch.cat([draw(first, generator) for _, first, _ in clips])
    negative = tensors["text1_embeds"]
    prompts = torch.cat([negative, tensors["text0_embeds"]])
    ref_prompts = torch.stack([torch.cat([negative, prompt]) for _, _, prompt in clips])
    scheduler = CogVideoXDDIMScheduler.from_pretrained(TINY / "scheduler")
    scheduler.set_timesteps(case["steps"])
    for timestep in scheduler.timesteps:
        both = denoise(latents, image, timestep[None], prompts, ref_latents, ref_images, ref_prompts)
        guided = both[:1] + case["guidance_scale"] * (both[1:] - both[:1])
        latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
    return latents


def test_two_references_give_the_golden_latents(modules: dict[str, nn.Module]) -> None:
    tensors, case = golden("cogvideox-ddim-2ref")
    wanted = tensors[f"step{case['steps'] - 1}_latents"]
    torch.testing.assert_close(latents_after_last_step(modules["denoise"], 2), wanted, rtol=0, atol=5e-4)


def test_three_references_give_the_latents_that_the_stage_runtime_is_tested_with(modules: dict[str, nn.Module]) -> None:
    wanted = load_file(FIXTURE)["latents"]
    torch.testing.assert_close(latents_after_last_step(modules["denoise"], 3), wanted, rtol=0, atol=5e-4)


if __name__ == "__main__":
    config = parse_transformer_config(read_json(TINY / "transformer/config.json"))
    transformer = Denoise(load_transformer(TINY / "transformer", config), 3)
    save_file({"latents": latents_after_last_step(transformer, 3).contiguous()}, FIXTURE)
