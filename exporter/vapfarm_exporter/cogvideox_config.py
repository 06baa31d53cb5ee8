"""What a CogVideoX Video-As-Prompt checkpoint's configs say, checked.

Owns the decision which CogVideoX checkpoints can be exported.
"""

from dataclasses import dataclass

from .components import MOT_FIXED
from .config_checks import Allowed, ConfigFile, Json
from .errors import UnsupportedConfigError

PIPELINE_CLASS = "CogVideoXImageToVideoMOTPipeline"
TRANSFORMER_CLASS = "CogVideoXTransformer3DMOTModel"
VAE_CLASS = "AutoencoderKLCogVideoX"

# Values that the modules build; the key must be absent or have one of them.
_TRANSFORMER_FIXED: Allowed = {
    "_class_name": (TRANSFORMER_CLASS,),
    **MOT_FIXED,
    "patch_size_t": (None,),
    "ofs_embed_dim": (None,),
    "activation_fn": ("gelu-approximate",),
    "timestep_activation_fn": ("silu",),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
}
# Keys whose class defaults differ from every known checkpoint, so that they must be written out.
_TRANSFORMER_REQUIRED: Allowed = {
    "use_rotary_positional_embeddings": (True,),
    "use_learned_positional_embeddings": (True,),
}
_VAE_FIXED: Allowed = {
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
    file = ConfigFile("transformer/config.json", config)
    file.refuse_unknown(_TRANSFORMER_KEYS)
    file.refuse_other_values(_TRANSFORMER_FIXED)
    file.refuse_other_values(_TRANSFORMER_REQUIRED, required=True)
    layers = file.count("num_layers", 30)
    parsed = TransformerConfig(
        heads=file.count("num_attention_heads", 30),
        head_dim=file.count("attention_head_dim", 64),
        in_channels=file.count("in_channels", 16),
        out_channels=file.count("out_channels", 16),
        layers=layers,
        mot_blocks=file.blocks("block_idx_with_mot_ref", layers),
        text_dim=file.count("text_embed_dim", 4096),
        time_dim=file.count("time_embed_dim", 512),
        text_tokens=file.count("max_text_seq_length", 226),
        patch=file.count("patch_size", 2),
        sample_height=file.count("sample_height", 60),
        sample_width=file.count("sample_width", 90),
        sample_frames=file.count("sample_frames", 49),
        temporal_ratio=file.count("temporal_compression_ratio", 4),
        spatial_scale=file.number("spatial_interpolation_scale", 1.875),
        temporal_scale=file.number("temporal_interpolation_scale", 1.0),
        norm_eps=file.number("norm_eps", 1e-5),
        norm_affine=file.flag("norm_elementwise_affine", True),
        attention_bias=file.flag("attention_bias", True),
        patch_bias=file.flag("patch_bias", True),
    )
    _check_sizes(parsed)
    return parsed


def check_vae_config(config: Json, transformer: TransformerConfig) -> None:
    """Refuse a VAE whose latents are not the transformer's or that normalises latents otherwise than by one factor."""
    file = ConfigFile("vae/config.json", config)
    file.refuse_other_values(_VAE_FIXED)
    blocks = config.get("down_block_types")
    halvings = len(blocks) - 1 if isinstance(blocks, list) else 3
    found = (config.get("latent_channels", 16), config.get("temporal_compression_ratio", 4), 2**halvings)
    wanted = (transformer.out_channels, transformer.temporal_ratio, 8)
    if found != wanted:
        raise file.refused(f"(channels, frames per latent, pixels per latent) = {found}, the transformer needs {wanted}")
    file.positive("scaling_factor")


def check_text_config(config: Json, transformer: TransformerConfig) -> None:
    """Refuse a text encoder that is not a T5 encoder of the width that the transformer reads."""
    file = ConfigFile("text_encoder/config.json", config)
    file.refuse_other_values({"model_type": ("t5",), "d_model": (transformer.text_dim,)}, required=True)
