"""The released checkpoints' configs, as far as they decide tensors (spec/vap.md 1.1.1 and 1.2.1)."""

import gzip
import re

from tiny_models import ROOT

COGVIDEOX_TRANSFORMER = {
    "_class_name": "CogVideoXTransformer3DMOTModel",
    "num_attention_heads": 48,
    "attention_head_dim": 64,
    "in_channels": 32,
    "num_layers": 42,
    "use_rotary_positional_embeddings": True,
    "use_learned_positional_embeddings": True,
    "block_idx_with_mot_ref": list(range(41)),
}
WAN_TRANSFORMER = {
    "_class_name": "WanTransformer3DMOTModel",
    "_diffusers_version": "0.34.0.dev0",
    "added_kv_proj_dim": 5120,
    "attention_head_dim": 128,
    "attention_head_dim_mot_ref": None,
    "block_idx_with_mot_ref": list(range(0, 40, 4)),
    "cross_attn_norm": True,
    "eps": 1e-06,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "image_dim": 1280,
    "in_channels": 36,
    "num_attention_heads": 40,
    "num_layers": 40,
    "num_ref_embeddings": None,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "pos_embed_seq_len": None,
    "qk_norm": "rms_norm_across_heads",
    "reference_train_mode": None,
    "rope_max_seq_len": 1024,
    "supported_effect_types": None,
    "text_dim": 4096,
}
T5 = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_layers": 24, "num_heads": 64, "feed_forward_proj": "gated-gelu"}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "num_channels": 3,
    "patch_size": 14,
    "image_size": 224,
    "hidden_act": "gelu",
}
COGVIDEOX_VAE = {
    "block_out_channels": [128, 256, 256, 512],
    "down_block_types": ["CogVideoXDownBlock3D"] * 4,
    "up_block_types": ["CogVideoXUpBlock3D"] * 4,
    "latent_channels": 16,
    "layers_per_block": 3,
}
WAN_VAE = {"base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "temperal_downsample": [False, True, True]}


def released_tensors(variant: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released transformer, made from the reference's own classes."""
    text = gzip.decompress((ROOT / f"test/fixtures/spec/vap-{variant}-tensors.tsv.gz").read_bytes()).decode()
    rows = (line.split("\t") for line in text.splitlines())
    return {name: tuple(int(size) for size in re.findall(r"\d+", shape)) for name, shape in rows}
