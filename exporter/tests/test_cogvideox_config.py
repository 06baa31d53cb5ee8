"""Configs that would compute another function are refused by name."""

import pytest
from conftest import TINY

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.cogvideox_config import (
    TransformerConfig,
    check_text_config,
    check_vae_config,
    parse_transformer_config,
)
from vapfarm_exporter.errors import UnsupportedConfigError

REFUSED = [
    ("attention_head_dim_mot_ref", 64),
    ("ablation_single_encoder", True),
    ("ablation_residual_addition", True),
    ("supported_effect_types", ["fire"]),
    ("num_ref_embeddings", 3),
    ("reference_train_mode", "reference_independent"),
    ("patch_size_t", 2),
    ("ofs_embed_dim", 512),
    ("use_rotary_positional_embeddings", False),
    ("use_learned_positional_embeddings", False),
    ("activation_fn", "geglu"),
    ("timestep_activation_fn", "gelu"),
    ("flip_sin_to_cos", False),
    ("freq_shift", 1),
    ("block_idx_with_mot_ref", []),
    ("block_idx_with_mot_ref", [0, 3]),
    ("block_idx_with_mot_ref", [1, 1]),
    ("block_idx_with_mot_ref", [True]),
    ("num_layers", 0),
    ("num_layers", "3"),
    ("norm_eps", None),
    ("attention_bias", 1),
    ("attention_head_dim", 20),
    ("in_channels", 16),
    ("sample_height", 7),
    ("sample_frames", 16),
    ("_class_name", "WanTransformer3DMOTModel"),
    ("num_experts", 8),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_a_transformer_config_that_is_not_built_is_refused_by_name(key: str, value: object) -> None:
    raw = read_json(TINY / "transformer/config.json")
    with pytest.raises(UnsupportedConfigError, match=key):
        parse_transformer_config({**raw, key: value})


@pytest.mark.parametrize("key", ["use_rotary_positional_embeddings", "use_learned_positional_embeddings"])
def test_position_flags_must_be_written_out(key: str) -> None:
    raw = dict(read_json(TINY / "transformer/config.json"))
    del raw[key]
    with pytest.raises(UnsupportedConfigError, match=key):
        parse_transformer_config(raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shift_factor", 0.1),
        ("latents_mean", [0.0] * 16),
        ("latents_std", [1.0] * 16),
        ("latent_channels", 8),
        ("temporal_compression_ratio", 8),
        ("scaling_factor", None),
        ("scaling_factor", 0),
        ("down_block_types", ["CogVideoXDownBlock3D"] * 3),
    ],
)
def test_a_vae_with_other_latents_is_refused(config: TransformerConfig, key: str, value: object) -> None:
    raw = read_json(TINY / "vae/config.json")
    check_vae_config(raw, config)
    with pytest.raises(UnsupportedConfigError, match=r"vae/config\.json"):
        check_vae_config({**raw, key: value}, config)


def test_other_text_encoders_are_refused(config: TransformerConfig) -> None:
    raw = read_json(TINY / "text_encoder/config.json")
    check_text_config(raw, config)
    for change in ({"model_type": "umt5"}, {"d_model": 64}):
        with pytest.raises(UnsupportedConfigError, match=next(iter(change))):
            check_text_config({**raw, **change}, config)
