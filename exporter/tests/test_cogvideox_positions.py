"""Position tables hold for every size, not only the tiny one: compared with diffusers and with golden tables."""

import pytest
import torch
from conftest import Golden
from diffusers.models.embeddings import CogVideoXPatchEmbed, get_3d_rotary_pos_embed, get_timestep_embedding

from vapfarm_exporter.cogvideox_config import TransformerConfig
from vapfarm_exporter.cogvideox_positions import reference_rotary, sincos_table, target_rotary
from vapfarm_exporter.cogvideox_transformer import PatchEmbedding
from vapfarm_exporter.errors import UnsupportedConfigError
from vapfarm_exporter.timesteps import timestep_frequencies, timestep_sinusoid

SIZES = [(32, 5, (3, 4)), (64, 13, (30, 45)), (64, 21, (7, 2)), (48, 1, (1, 1))]


@pytest.mark.parametrize(("head_dim", "frames", "grid"), SIZES)
def test_the_target_table_is_the_stock_one(head_dim: int, frames: int, grid: tuple[int, int]) -> None:
    wanted = get_3d_rotary_pos_embed(head_dim, ((0, 0), grid), grid, frames)
    for found, table in zip(target_rotary(head_dim, frames, grid), wanted, strict=True):
        assert torch.equal(found, table)


def test_both_tables_are_the_golden_ones(golden: Golden, config: TransformerConfig) -> None:
    target = target_rotary(config.head_dim, config.latent_frames, config.grid)
    reference = reference_rotary(config.head_dim, config.latent_frames, golden.case["refs"], config.grid)
    for tables, name in ((target, "image_rotary_emb"), (reference, "image_rotary_emb_mot_ref")):
        assert torch.equal(tables[0], golden.tensors[f"{name}_cos"])
        assert torch.equal(tables[1], golden.tensors[f"{name}_sin"])


@pytest.mark.parametrize("frames", range(2, 22))
@pytest.mark.parametrize("most", [2, 3])
def test_the_last_references_rows_are_the_table_of_fewer_references(frames: int, most: int) -> None:
    full = reference_rotary(32, frames, most, (2, 3))
    for references in range(1, most):
        fewer = reference_rotary(32, frames, references, (2, 3))
        for table, part in zip(full, fewer, strict=True):
            torch.testing.assert_close(table[-len(part) :], part, rtol=0, atol=1e-6)


def test_reference_times_are_whole_negative_numbers_ending_at_minus_one() -> None:
    cos, sin = reference_rotary(32, 13, 3, (1, 1))
    times = torch.arange(-39, 0, dtype=torch.float32)
    torch.testing.assert_close(cos[:, 0], times.cos(), rtol=0, atol=1e-6)
    torch.testing.assert_close(sin[:, 0], times.sin(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 5, 13])
def test_computed_additive_positions_are_the_stock_ones(frames: int) -> None:
    stock = CogVideoXPatchEmbed(
        embed_dim=64, sample_height=12, sample_width=18, sample_frames=4 * frames - 3, spatial_interpolation_scale=1.875
    )
    found = sincos_table(64, frames, (6, 9), (1.875, 1.0))
    torch.testing.assert_close(found, stock.pos_embedding[0, 226:].float(), rtol=0, atol=1e-6)


def test_learned_positions_serve_the_trained_length_only_and_no_other_size(config: TransformerConfig) -> None:
    embedding = PatchEmbedding(config)
    embedding.pos_embedding.fill_(7)
    assert embedding.positions(5, 6, 8).eq(7).all()
    other = embedding.positions(3, 6, 8)
    assert other.shape == (1, 226 + 3 * 12, 64)
    assert other[:, :226].eq(0).all()
    with pytest.raises(UnsupportedConfigError, match="6x8 latents, not 8x8"):
        embedding.positions(5, 8, 8)


@pytest.mark.parametrize("timestep", [0, 19, 523, 999])
def test_the_timestep_sinusoid_is_the_stock_one(timestep: int) -> None:
    step = torch.tensor([timestep])
    wanted = get_timestep_embedding(step, 3072, flip_sin_to_cos=True, downscale_freq_shift=0)
    assert torch.equal(timestep_sinusoid(step, timestep_frequencies(3072)), wanted)
