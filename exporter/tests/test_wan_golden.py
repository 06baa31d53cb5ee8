"""The Wan modules and their exported graphs give what the reference's own code gave, within 1e-4."""

import pytest
import torch
from golden_cases import WAN_CHANNELS, WanGolden
from stage_engines import Engines, assert_near
from tiny_models import TINY_WAN
from torch import Tensor, nn

from vapfarm_exporter.checkpoint import read_json


@pytest.fixture(scope="module", params=["module", "graph"])
def engines(request: pytest.FixtureRequest) -> Engines:
    if request.param == "module":
        return Engines(request.getfixturevalue("wan_modules"), None)
    return Engines(None, request.getfixturevalue("wan_exported"))


@pytest.fixture(scope="module")
def statistics() -> tuple[Tensor, Tensor]:
    """Mean and inverse standard deviation of the latent channels."""
    vae = read_json(TINY_WAN / "vae/config.json")
    mean, std = (torch.tensor(vae[key]).view(1, -1, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    return mean, 1.0 / std


def test_text_embeddings_are_the_references_and_zero_past_the_mask(engines: Engines, wan_golden: WanGolden) -> None:
    for call in range(4):
        mask, hidden = wan_golden.tensors[f"text{call}_mask"], wan_golden.tensors[f"text{call}_hidden"]
        found = engines.run("text_encode", input_ids=wan_golden.tensors[f"text{call}_ids"], attention_mask=mask)
        assert_near(found, hidden * mask[..., None])
        assert found[mask == 0].eq(0).all()


def test_the_encoders_hidden_states_are_the_references_past_the_mask_too(
    wan_modules: dict[str, nn.Module], wan_golden: WanGolden
) -> None:
    for call in range(4):
        ids, mask = wan_golden.tensors[f"text{call}_ids"], wan_golden.tensors[f"text{call}_mask"]
        with torch.no_grad():
            assert_near(wan_modules["text_encode"].hidden(ids, mask), wan_golden.tensors[f"text{call}_hidden"])


def test_image_embeddings_are_the_references(engines: Engines, wan_golden: WanGolden) -> None:
    for image in range(2):
        found = engines.run("clip_encode", pixels=wan_golden.tensors[f"clip{image}_pixels"])
        assert_near(found, wan_golden.tensors[f"clip{image}_embeds"])


def test_moments_are_the_references(wan_modules: dict[str, nn.Module], wan_golden: WanGolden) -> None:
    for clip in range(3):
        with torch.no_grad():
            found = wan_modules["vae_encode"].moments(wan_golden.tensors[f"vae{clip}_pixels"])
        assert_near(found, wan_golden.tensors[f"vae{clip}_moments"])


def test_latents_are_the_references_normalised_means(
    engines: Engines, wan_golden: WanGolden, statistics: tuple[Tensor, Tensor]
) -> None:
    mean, inverse_std = statistics
    for clip in range(3):
        found = engines.run("vae_encode", pixels=wan_golden.tensors[f"vae{clip}_pixels"])
        assert_near(found, (wan_golden.tensors[f"vae{clip}_moments"][:, :WAN_CHANNELS] - mean) * inverse_std)


def test_the_latents_are_those_that_the_reference_denoises_with(engines: Engines, wan_golden: WanGolden) -> None:
    inputs = wan_golden.denoise_inputs(0, "cond")
    for clip, name in enumerate(("image_latents", "ref_latents", "ref_image_latents")):
        assert_near(engines.run("vae_encode", pixels=wan_golden.tensors[f"vae{clip}_pixels"]), inputs[name])


@pytest.mark.parametrize("row", ["cond", "uncond"])
def test_the_velocity_of_every_step_and_row_is_the_references(engines: Engines, wan_golden: WanGolden, row: str) -> None:
    for step in range(wan_golden.case["steps"]):
        found = engines.run("denoise", **wan_golden.denoise_inputs(step, row))
        assert_near(found, wan_golden.tensors[f"step{step}_noise_{row}"])


def test_decoded_frames_are_the_references(engines: Engines, wan_golden: WanGolden) -> None:
    latents = wan_golden.tensors[f"step{wan_golden.case['steps'] - 1}_latents"]
    frames = engines.run("vae_decode", latents=latents)
    assert frames.abs().max() <= 1
    assert_near((frames[0].transpose(0, 1) * 0.5 + 0.5).clamp(0, 1), wan_golden.tensors["frames"])
