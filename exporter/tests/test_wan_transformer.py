"""The Wan MoT modules: stock blocks and tables where there are stock ones, exact pruning, every input in its place."""

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock
from tiny_models import TINY_WAN
from torch import Tensor, nn

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.onnx_graphs import Bounds, random_inputs
from vapfarm_exporter.timesteps import timestep_frequencies, timestep_sinusoid
from vapfarm_exporter.variant import Plan
from vapfarm_exporter.wan_conditioning import Conditioning
from vapfarm_exporter.wan_config import TransformerConfig, parse_transformer_config
from vapfarm_exporter.wan_engines import Denoise
from vapfarm_exporter.wan_rotary import reference_rotary, target_rotary
from vapfarm_exporter.wan_transformer import Block, WanMotTransformer

SIZES = [(24, 5, (3, 4)), (128, 13, (30, 52)), (128, 21, (7, 2)), (20, 1, (1, 1))]


@pytest.fixture(scope="module")
def config() -> TransformerConfig:
    return parse_transformer_config(read_json(TINY_WAN / "transformer/config.json"))


def stock_tables(head_dim: int, frames: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    latents = torch.zeros(1, 16, frames, 2 * grid[0], 2 * grid[1])
    cos, sin = WanRotaryPosEmbed(head_dim, (1, 2, 2), 1024)(latents)
    return cos.reshape(-1, head_dim), sin.reshape(-1, head_dim)


@pytest.mark.parametrize(("head_dim", "frames", "grid"), SIZES)
def test_the_target_table_is_the_stock_one(head_dim: int, frames: int, grid: tuple[int, int]) -> None:
    for found, wanted in zip(target_rotary(head_dim, frames, grid), stock_tables(head_dim, frames, grid), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted.float(), rtol=0, atol=6e-8)


@pytest.mark.parametrize(("head_dim", "frames", "grid"), SIZES)
def test_reference_times_run_up_to_the_targets_first_frame(head_dim: int, frames: int, grid: tuple[int, int]) -> None:
    cells = grid[0] * grid[1]
    time_dim = head_dim - 4 * (head_dim // 6)
    target, reference = target_rotary(head_dim, frames + 1, grid), reference_rotary(head_dim, frames, grid)
    for sign, ours, mirrored in ((1, reference[0], target[0]), (-1, reference[1], target[1])):
        # The reference's frame k has time k - T; the target's frame T - k the opposite.
        by_frame = mirrored.unflatten(0, (frames + 1, cells)).flip(0)[:frames].flatten(0, 1)
        assert torch.equal(ours[:, :time_dim], sign * by_frame[:, :time_dim])
    for ours, table in zip(reference, target, strict=True):
        assert torch.equal(ours[:, time_dim:], table[: frames * cells, time_dim:])


def test_a_plain_block_is_the_stock_block(config: TransformerConfig) -> None:
    torch.manual_seed(1)
    ours = Block(config, has_reference=False, ends_reference=False).eval()
    stock = WanTransformerBlock(48, 96, 2, "rms_norm_across_heads", True, 1e-6, 48).eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    stock.load_state_dict(ours.state_dict())
    video, text, image, modulations = (torch.randn(1, n, 48) for n in (60, 512, 257, 6))
    rotary = target_rotary(24, 5, (3, 4))
    conditioning = Conditioning(torch.zeros(1, 48), modulations, text, image)
    with torch.no_grad():
        stock_rotary = tuple(table[None, :, None] for table in rotary)
        wanted = stock(video, torch.cat([image, text], dim=1), modulations, stock_rotary)
        found, untouched = ours((video, video), (conditioning, conditioning), (rotary, rotary))
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5)
    assert untouched is video


def denoise_inputs(plan: Plan) -> dict[str, Tensor]:
    spec = next(spec for spec in plan.specs if spec.name == "denoise")
    return random_inputs(spec, Bounds({}, 300), seed=5)


def test_leaving_out_the_last_references_rest_changes_nothing(wan_plan: Plan, wan_modules: dict[str, nn.Module]) -> None:
    module, inputs = wan_modules["denoise"], denoise_inputs(wan_plan)
    last = module.transformer.blocks[2]
    assert [block.ends_reference for block in module.transformer.blocks] == [False, False, True, False]
    with torch.no_grad():
        pruned = module(**inputs)
        last.ends_reference = False
        try:
            whole = module(**inputs)
        finally:
            last.ends_reference = True
    torch.testing.assert_close(pruned, whole, rtol=0, atol=2e-6)


def test_every_input_matters(wan_plan: Plan, wan_modules: dict[str, nn.Module]) -> None:
    inputs = denoise_inputs(wan_plan)
    with torch.no_grad():
        base = wan_modules["denoise"](**inputs)
        for name, value in inputs.items():
            changed = value * 0.5 if name == "timestep" else value.flip(-1)
            assert (wan_modules["denoise"](**{**inputs, name: changed}) - base).abs().max() > 1e-4, name


def test_a_fraction_of_a_time_step_matters(wan_plan: Plan, wan_modules: dict[str, nn.Module]) -> None:
    inputs = denoise_inputs(wan_plan)
    whole, fraction = ({**inputs, "timestep": torch.tensor([value])} for value in (8.0, 8.9286))
    with torch.no_grad():
        assert (wan_modules["denoise"](**whole) - wan_modules["denoise"](**fraction)).abs().max() > 1e-4


def test_the_reference_is_at_time_step_one(wan_modules: dict[str, nn.Module]) -> None:
    wanted = timestep_sinusoid(torch.tensor([1]), timestep_frequencies(32))
    assert torch.equal(wan_modules["denoise"].ref_sinusoid, wanted)


def test_no_weight_of_the_denoiser_is_stored_twice(config: TransformerConfig, wan_plan: Plan) -> None:
    with torch.device("meta"):
        transformer = WanMotTransformer(config)
    names = set(transformer.state_dict())
    assert {f"transformer.{name}" for name in names} == set(Denoise(transformer, wan_plan.latent).state_dict())
