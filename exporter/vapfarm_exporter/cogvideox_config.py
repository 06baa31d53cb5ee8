"""What a CogVideoX Video-As-Prompt checkpoint's configs say, checked.

Owns the decision which checkpoints can be exported. A key that would change the computation and that the modules do
not implement is refused by name, never ignored: an engine that silently computes another function is worse than none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UnsupportedConfigError

Json = Mapping[str, object]

PIPELINE_CLASS = "CogVideoXImageToVideoMOTPipeline"
TRANSFORMER_CLASS = "CogVideoXTransformer3DMOTModel"
VAE_CLASS = "AutoencoderKLCogVideoX"
SCHEDULER_CLASSES = ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")

# Values that the modules build; the key must be absent or have one of them.
_TRANSFORMER_FIXED: dict[str, tuple[object, ...]] = {
    "_class_name": (TRANSFORMER_CLASS,),
    "attention_head_dim_mot_ref": (None,),
    "supported_effect_types": (None,),
    "num_ref_embeddings": (None, 0),
    "reference_train_mode": (None,),
    "ablation_single_encoder": (None, False),
    "ablation_residual_addition": (None, False),
    "patch_size_t": (None,),
    "ofs_embed_dim": (None,),
    "activation_fn": ("gelu-approximate",),
    "timestep_activation_fn": ("silu",),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
}
# Keys whose class defaults differ from every known checkpoint, so that they must be written out.
_TRANSFORMER_REQUIRED: dict[str, tuple[object, ...]] = {
    "use_rotary_positional_embeddings": (True,),
    "use_learned_positional_embeddings": (True,),
}
_VAE_FIXED: dict[str, tuple[object, ...]] = {
    "_class_name": (VAE_CLASS,),
    "shift_factor": (None,),
    "latents_mean": (None,),
    "latents_std": (None,),
}
_TRANSFORMER_KEYS = {
    *_TRANSFORMER_FIXED,
    *_TRANSFORMER_REQUIRED,
    "_diffusers_version",
    "_name_or_path",
    "attention_bias",
    "attention_head_dim",
    "block_idx_with_mot_ref",
    "dropout",
    "in_channels",
    "max_text_seq_length",
    "norm_elementwise_affine",
    "norm_eps",
    "num_attention_heads",
    "num_layers",
    "out_channels",
    "patch_bias",
    "patch_size",
    "sample_frames",
    "sample_height",
    "sample_width",
    "spatial_interpolation_scale",
    "temporal_compression_ratio",
    "temporal_interpolation_scale",
    "text_embed_dim",
    "time_embed_dim",
}


@dataclass(frozen=True)
class TransformerConfig:
    """The MoT transformer's sizes; `sample_*` are in latent cells, except `sample_frames`, which counts video frames."""

    heads: int
    head_dim: int
    in_channels: int
    out_channels: int
    layers: int
    mot_blocks: frozenset[int]
    text_dim: int
    time_dim: int
    text_tokens: int
    patch: int
    sample_height: int
    sample_width: int
    sample_frames: int
    temporal_ratio: int
    spatial_scale: float
    temporal_scale: float
    norm_eps: float
    norm_affine: bool
    attention_bias: bool
    patch_bias: bool

    @property
    def inner_dim(self) -> int:
        """Width of both streams."""
        return self.heads * self.head_dim

    @property
    def latent_frames(self) -> int:
        """T: latent frames of the one length that the learned positions were trained for."""
        return (self.sample_frames - 1) // self.temporal_ratio + 1

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per frame (rows, columns)."""
        return self.sample_height // self.patch, self.sample_width // self.patch


def _refuse_other_values(part: str, config: Json, allowed: Mapping[str, tuple[object, ...]], required: bool) -> None:
    for key, values in allowed.items():
        if key not in config and not required:
            continue
        value = config.get(key)
        if not any(value is v or (value == v and type(value) is type(v)) for v in values):
            wanted = " or ".join(repr(v) for v in values)
            raise UnsupportedConfigError(f"{part}/config.json: {key} = {value!r} is not supported (only {wanted})")


def _number(config: Json, key: str, default: float | None = None) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnsupportedConfigError(f"transformer/config.json: {key} = {value!r} is not a number")
    return value


def _count(config: Json, key: str, default: int | None = None) -> int:
    value = _number(config, key, default)
    if not isinstance(value, int) or value < 1:
        raise UnsupportedConfigError(f"transformer/config.json: {key} = {value!r} is not a positive integer")
    return value


def _flag(config: Json, key: str, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise UnsupportedConfigError(f"transformer/config.json: {key} = {value!r} is not true or false")
    return value


def _mot_blocks(config: Json, layers: int) -> frozenset[int]:
    value = config.get("block_idx_with_mot_ref")
    is_list = isinstance(value, list) and len(value) > 0
    if not is_list or any(type(i) is not int or not 0 <= i < layers for i in value) or len(set(value)) != len(value):
        raise UnsupportedConfigError(
            f"transformer/config.json: block_idx_with_mot_ref = {value!r} is not a list of distinct blocks 0..{layers - 1}"
        )
    return frozenset(value)


def _check_sizes(parsed: TransformerConfig) -> None:
    problems = []
    if parsed.head_dim % 8 or (parsed.head_dim // 8 * 3) % 2:
        problems.append(f"attention_head_dim {parsed.head_dim} does not split into even thirds for rotary positions")
    if parsed.inner_dim % 16:
        problems.append(f"width {parsed.inner_dim} is not a multiple of 16, which the position tables need")
    if parsed.in_channels != 2 * parsed.out_channels:
        problems.append(f"in_channels {parsed.in_channels} is not twice out_channels {parsed.out_channels} (noise and image)")
    if parsed.sample_height % parsed.patch or parsed.sample_width % parsed.patch:
        sizes = f"sample_height {parsed.sample_height} and sample_width {parsed.sample_width}"
        problems.append(f"{sizes} do not divide into patches of {parsed.patch}")
    if (parsed.sample_frames - 1) % parsed.temporal_ratio:
        problems.append(f"sample_frames {parsed.sample_frames} is not 1 + a multiple of {parsed.temporal_ratio}")
    if problems:
        raise UnsupportedConfigError("transformer/config.json: " + "; ".join(problems))


def parse_transformer_config(config: Json) -> TransformerConfig:
    """Check a transformer/config.json; absent keys take the reference class's defaults."""
    unknown = sorted(set(config) - _TRANSFORMER_KEYS)
    if unknown:
        raise UnsupportedConfigError(f"transformer/config.json: unknown keys {', '.join(unknown)}")
    _refuse_other_values("transformer", config, _TRANSFORMER_FIXED, required=False)
    _refuse_other_values("transformer", config, _TRANSFORMER_REQUIRED, required=True)
    layers = _count(config, "num_layers", 30)
    parsed = TransformerConfig(
        heads=_count(config, "num_attention_heads", 30),
        head_dim=_count(config, "attention_head_dim", 64),
        in_channels=_count(config, "in_channels", 16),
        out_channels=_count(config, "out_channels", 16),
        layers=layers,
        mot_blocks=_mot_blocks(config, layers),
        text_dim=_count(config, "text_embed_dim", 4096),
        time_dim=_count(config, "time_embed_dim", 512),
        text_tokens=_count(config, "max_text_seq_length", 226),
        patch=_count(config, "patch_size", 2),
        sample_height=_count(config, "sample_height", 60),
        sample_width=_count(config, "sample_width", 90),
        sample_frames=_count(config, "sample_frames", 49),
        temporal_ratio=_count(config, "temporal_compression_ratio", 4),
        spatial_scale=_number(config, "spatial_interpolation_scale", 1.875),
        temporal_scale=_number(config, "temporal_interpolation_scale", 1.0),
        norm_eps=_number(config, "norm_eps", 1e-5),
        norm_affine=_flag(config, "norm_elementwise_affine", True),
        attention_bias=_flag(config, "attention_bias", True),
        patch_bias=_flag(config, "patch_bias", True),
    )
    _check_sizes(parsed)
    return parsed


def check_vae_config(config: Json, transformer: TransformerConfig) -> None:
    """Refuse a VAE whose latents are not the transformer's or that normalises latents otherwise than by one factor."""
    _refuse_other_values("vae", config, _VAE_FIXED, required=False)
    blocks = config.get("down_block_types")
    halvings = len(blocks) - 1 if isinstance(blocks, list) else 3
    found = (config.get("latent_channels", 16), config.get("temporal_compression_ratio", 4), 2**halvings)
    wanted = (transformer.out_channels, transformer.temporal_ratio, 8)
    if found != wanted:
        raise UnsupportedConfigError(
            f"vae/config.json: (channels, frames per latent, pixels per latent) = {found}, the transformer needs {wanted}"
        )
    factor = config.get("scaling_factor")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 0:
        raise UnsupportedConfigError(f"vae/config.json: scaling_factor = {factor!r} is not a positive number")


def check_text_config(config: Json, transformer: TransformerConfig) -> None:
    """Refuse a text encoder that is not a T5 encoder of the width that the transformer reads."""
    if config.get("model_type") != "t5":
        raise UnsupportedConfigError(f"text_encoder/config.json: model_type = {config.get('model_type')!r} is not 't5'")
    if config.get("d_model") != transformer.text_dim:
        raise UnsupportedConfigError(
            f"text_encoder/config.json: d_model = {config.get('d_model')!r}, the transformer reads {transformer.text_dim}"
        )


def check_scheduler_config(config: Json) -> None:
    """Refuse a scheduler class that the farm has no arithmetic for."""
    name = config.get("_class_name")
    if name not in SCHEDULER_CLASSES:
        raise UnsupportedConfigError(f"scheduler_config.json: _class_name = {name!r} is not one of {SCHEDULER_CLASSES}")
