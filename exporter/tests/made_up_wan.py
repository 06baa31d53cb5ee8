"""A second Wan checkpoint, made up on the spot: other widths everywhere, shards in bfloat16, and the other scheduler."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from tiny_models import TINY_WAN
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from vapfarm_exporter.variant import RequestedSizes
from vapfarm_exporter.wan_config import parse_transformer_config
from vapfarm_exporter.wan_transformer import WanMotTransformer

SIZES = RequestedSizes(32, 48, 9)
CHANNELS = 8
TRANSFORMER = {
    "_class_name": "WanTransformer3DMOTModel",
    "added_kv_proj_dim": 60,
    "attention_head_dim": 20,
    "block_idx_with_mot_ref": [1, 2],
    "ffn_dim": 70,
    "freq_dim": 18,
    "image_dim": 40,
    "in_channels": 2 * CHANNELS + 4,
    "num_attention_heads": 3,
    "num_layers": 3,
    "out_channels": CHANNELS,
    "text_dim": 24,
}
TEXT = {
    "model_type": "umt5",
    "d_model": 24,
    "d_ff": 36,
    "d_kv": 8,
    "num_layers": 3,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 16,
    "vocab_size": 400,
}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_act": "gelu",
    "hidden_size": 40,
    "image_size": 56,
    "intermediate_size": 30,
    "num_attention_heads": 4,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": 14,
}
PREPROCESSOR = {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}}
VAE = {
    "_class_name": "AutoencoderKLWan",
    "base_dim": 4,
    "dim_mult": [1, 2, 3, 2],
    "num_res_blocks": 2,
    "z_dim": CHANNELS,
    "latents_mean": [0.1 * i for i in range(CHANNELS)],
    "latents_std": [1.0 + 0.2 * i for i in range(CHANNELS)],
}
SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 5.0}


def _random(module: nn.Module) -> dict[str, Tensor]:
    """Random bfloat16 weights of a module; scales stay near one."""
    generator = torch.Generator().manual_seed(11)
    state = {}
    for name, value in module.state_dict().items():
        noise = torch.randn(value.shape, generator=generator) * (0.02 if value.ndim < 2 else value[0].numel() ** -0.5)
        state[name] = (value + noise if value.ndim < 2 else noise).to(torch.bfloat16).contiguous()
    return state


def _save_shards(folder: Path, stem: str, state: dict[str, Tensor]) -> None:
    names = sorted(state)
    shards = {f"{stem}-{i + 1:05d}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, part in shards.items():
        save_file({name: state[name] for name in part}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))


def make_checkpoint(folder: Path) -> None:
    """Write the checkpoint; the tokenizer and the model index are the tiny checkpoint's."""
    shutil.copytree(TINY_WAN / "tokenizer", folder / "tokenizer")
    shutil.copyfile(TINY_WAN / "model_index.json", folder / "model_index.json")
    preprocessor = json.loads((TINY_WAN / "image_processor/preprocessor_config.json").read_text())
    files = {
        "transformer/config.json": TRANSFORMER,
        "text_encoder/config.json": TEXT,
        "image_encoder/config.json": CLIP,
        "image_processor/preprocessor_config.json": {**preprocessor, **PREPROCESSOR},
        "vae/config.json": VAE,
        "scheduler/scheduler_config.json": SCHEDULER,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    text = _random(UMT5EncoderModel(UMT5Config(**TEXT)))
    del text["encoder.embed_tokens.weight"]
    clip = _random(CLIPVisionModel(CLIPVisionConfig(**CLIP)))
    _save_shards(folder / "text_encoder", "model", text)
    _save_shards(folder / "image_encoder", "model", {f"vision_model.{name}": value for name, value in clip.items()})
    _save_shards(folder / "vae", "diffusion_pytorch_model", _random(AutoencoderKLWan.from_config(VAE)))
    transformer = WanMotTransformer(parse_transformer_config(TRANSFORMER))
    _save_shards(folder / "transformer", "diffusion_pytorch_model", _random(transformer))
