"""Wan configs that would compute another function are refused, by file and key."""

from collections.abc import Callable

import pytest
from released_configs import CLIP, WAN_TRANSFORMER, WAN_VAE
from tiny_models import TINY_WAN, WAN
from transformers import CLIPVisionConfig

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.errors import RequestError, UnsupportedConfigError
from vapfarm_exporter.variant import LatentSizes, RequestedSizes, Sizes
from vapfarm_exporter.variants import variant_of
from vapfarm_exporter.wan_conditions import check_text_config, parse_clip_config, parse_preprocessor_config
from vapfarm_exporter.wan_config import TransformerConfig, latent_sizes, parse_transformer_config, parse_vae_config


def tiny(path: str) -> dict:
    return dict(read_json(TINY_WAN / path))


@pytest.fixture(scope="module")
def transformer() -> TransformerConfig:
    return parse_transformer_config(tiny("transformer/config.json"))


def refused(check: Callable[[dict], object], raw: dict, key: str, value: object) -> None:
    """The config passes as it is and is refused, naming the key, once the value is another."""
    check(raw)
    with pytest.raises(UnsupportedConfigError, match=key):
        check({**raw, key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_class_name", "CogVideoXTransformer3DMOTModel"),
        ("patch_size", [2, 2, 2]),
        ("patch_size", 2),
        ("cross_attn_norm", False),
        ("qk_norm", None),
        ("qk_norm", "rms_norm"),
        ("pos_embed_seq_len", 514),
        ("attention_head_dim_mot_ref", 24),
        ("supported_effect_types", ["fire"]),
        ("num_ref_embeddings", 3),
        ("reference_train_mode", "reference_independent"),
        ("block_idx_with_mot_ref", []),
        ("block_idx_with_mot_ref", [0, 4]),
        ("block_idx_with_mot_ref", [1, 1]),
        ("block_idx_with_mot_ref", None),
        ("added_kv_proj_dim", None),
        ("added_kv_proj_dim", 32),
        ("image_dim", None),
        ("in_channels", 32),
        ("in_channels", 16),
        ("attention_head_dim", 23),
        ("num_layers", 0),
        ("eps", 0),
        ("freq_dim", 31),
        ("num_experts", 8),
        ("fuse_qkv", True),
    ],
)
def test_a_transformer_that_is_not_built_is_refused(key: str, value: object) -> None:
    refused(parse_transformer_config, tiny("transformer/config.json"), key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_class_name", "AutoencoderKLCogVideoX"),
        ("z_dim", 48),
        ("attn_scales", [0.5]),
        ("is_residual", True),
        ("patch_size", 2),
        ("in_channels", 12),
        ("scale_factor_spatial", 16),
        ("temperal_downsample", [True, True, False]),
        ("latents_mean", [0.0] * 15),
        ("latents_mean", None),
        ("latents_std", [1.0] * 15 + [float("inf")]),
        ("latents_std", [1.0] * 15 + [0.0]),
        ("latents_std", ["1"] * 16),
        ("clip_output", False),
    ],
)
def test_a_vae_that_is_not_built_is_refused(transformer: TransformerConfig, key: str, value: object) -> None:
    refused(lambda raw: parse_vae_config(raw, transformer), tiny("vae/config.json"), key, value)


@pytest.mark.parametrize(("key", "value"), [("model_type", "t5"), ("d_model", 64)])
def test_another_text_encoder_is_refused(transformer: TransformerConfig, key: str, value: object) -> None:
    refused(lambda raw: check_text_config(raw, transformer), tiny("text_encoder/config.json"), key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "siglip_vision_model"),
        ("hidden_size", 64),
        ("num_hidden_layers", 1),
        ("num_channels", 1),
        ("patch_size", 15),
    ],
)
def test_another_image_encoder_is_refused(transformer: TransformerConfig, key: str, value: object) -> None:
    refused(lambda raw: parse_clip_config(raw, transformer), tiny("image_encoder/config.json"), key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_resize", False),
        ("do_center_crop", False),
        ("do_rescale", None),
        ("do_normalize", False),
        ("do_convert_rgb", False),
        ("resample", 2),
        ("size", {"height": 224, "width": 224}),
        ("size", {"shortest_edge": 200}),
        ("crop_size", {"height": 224, "width": 256}),
        ("crop_size", 224),
        ("rescale_factor", 0),
        ("image_mean", [0.5, 0.5]),
        ("image_std", [0.5, 0.5, -0.5]),
        ("image_processor_type", "SiglipImageProcessor"),
        ("do_pad", True),
    ],
)
def test_another_preprocessing_is_refused(key: str, value: object) -> None:
    clip = CLIPVisionConfig(**CLIP)
    refused(lambda raw: parse_preprocessor_config(raw, clip), tiny("image_processor/preprocessor_config.json"), key, value)


def test_the_released_configs_are_accepted() -> None:
    released = parse_transformer_config(WAN_TRANSFORMER)
    assert (released.inner_dim, sorted(released.mot_blocks)) == (5120, list(range(0, 40, 4)))
    statistics = {key: tiny("vae/config.json")[key] for key in ("latents_mean", "latents_std")}
    assert parse_vae_config({**WAN_VAE, **statistics}, released).std[0] == 2.8184
    assert parse_clip_config({**CLIP, "architectures": ["CLIPVisionModel"], "projection_dim": 1024}, released).image_size == 224
    latent = latent_sizes(Sizes(480, 832, 49, 1), released)
    assert latent == LatentSizes(channels=16, frames=13, height=60, width=104)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((40, 64, 17), "height 40 and width 64 must be multiples of 16"),
        ((48, 72, 17), "multiples of 16"),
        ((48, 64, 16), r"frames 16 must be 1 \+ a multiple of 4"),
        ((16400, 64, 17), "1025 positions on one axis are more than the checkpoint's 1024"),
    ],
)
def test_sizes_that_do_not_divide_are_refused_in_words(sizes: tuple[int, int, int], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        variant_of(TINY_WAN).plan(TINY_WAN, RequestedSizes(*sizes))


def test_a_second_reference_is_refused() -> None:
    with pytest.raises(RequestError, match="max_references 2: this checkpoint renders max_references 1 only"):
        variant_of(TINY_WAN).plan(TINY_WAN, RequestedSizes(48, 64, 17, 2))


def test_without_sizes_the_trained_size_is_planned() -> None:
    assert variant_of(WAN.checkpoint).plan(WAN.checkpoint, RequestedSizes()).sizes == Sizes(480, 832, 49, 1)
