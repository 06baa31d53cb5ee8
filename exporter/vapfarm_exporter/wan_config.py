"""What a Wan Video-As-Prompt checkpoint's transformer and VAE configs say, checked."""

from dataclasses import dataclass

from .components import MOT_FIXED
from .config_checks import Allowed, ConfigFile, Json
from .errors import RequestError
from .variant import PIXELS_PER_LATENT, LatentSizes, Sizes

PIPELINE_CLASS = "WanImageToVideoMOTPipeline"
TRANSFORMER_CLASS = "WanTransformer3DMOTModel"
VAE_CLASS = "AutoencoderKLWan"
# The reference's cross attention takes the last 512 tokens of its context for text, whatever the context's length.
TEXT_TOKENS = 512
FRAMES_PER_LATENT = 4
MASK_CHANNELS = 4
PATCH = 2

_TRANSFORMER_FIXED: Allowed = {
    "_class_name": (TRANSFORMER_CLASS,),
    "patch_size": ([1, PATCH, PATCH],),
    "cross_attn_norm": (True,),
    "qk_norm": ("rms_norm_across_heads",),
    "pos_embed_seq_len": (None,),
    **MOT_FIXED,
}
_TRANSFORMER_KEYS = {
    *_TRANSFORMER_FIXED,
    "_diffusers_version",
    "_name_or_path",
    "added_kv_proj_dim",
    "attention_head_dim",
    "block_idx_with_mot_ref",
    "eps",
    "ffn_dim",
    "freq_dim",
    "image_dim",
    "in_channels",
    "num_attention_heads",
    "num_layers",
    "out_channels",
    "rope_max_seq_len",
    "text_dim",
}
_VAE_FIXED: Allowed = {
    "_class_name": (VAE_CLASS,),
    "attn_scales": ([],),
    "is_residual": (False,),
    "in_channels": (3,),
    "out_channels": (3,),
    "patch_size": (None,),
    "scale_factor_spatial": (PIXELS_PER_LATENT,),
    "scale_factor_temporal": (FRAMES_PER_LATENT,),
    "temperal_downsample": ([False, True, True],),
}
_VAE_KEYS = {
    *_VAE_FIXED,
    "_diffusers_version",
    "_name_or_path",
    "base_dim",
    "decoder_base_dim",
    "dim_mult",
    "dropout",
    "latents_mean",
    "latents_std",
    "num_res_blocks",
    "z_dim",
}


@dataclass(frozen=True)
class TransformerConfig:
    """The MoT transformer's sizes."""

    heads: int
    head_dim: int
    in_channels: int
    out_channels: int
    layers: int
    mot_blocks: frozenset[int]
    text_dim: int
    image_dim: int
    freq_dim: int
    ffn_dim: int
    eps: float
    longest_axis: int

    @property
    def inner_dim(self) -> int:
        """Width of both streams."""
        return self.heads * self.head_dim


def _check_widths(file: ConfigFile, parsed: TransformerConfig) -> None:
    problems = []
    if parsed.head_dim % 2 or parsed.head_dim < 6:
        problems.append(f"attention_head_dim {parsed.head_dim} does not split into pairs for time, row and column")
    if parsed.freq_dim % 2:
        problems.append(f"freq_dim {parsed.freq_dim} is not even")
    if parsed.in_channels != 2 * parsed.out_channels + MASK_CHANNELS:
        problems.append(
            f"in_channels {parsed.in_channels} is not twice out_channels {parsed.out_channels} plus {MASK_CHANNELS} "
            "(noise, mask and image)"
        )
    added = file.count("added_kv_proj_dim")
    if added != parsed.inner_dim:
        problems.append(f"added_kv_proj_dim {added} is not the width {parsed.inner_dim}")
    if problems:
        raise file.refused("; ".join(problems))


def parse_transformer_config(config: Json) -> TransformerConfig:
    """Check a transformer/config.json; absent keys take the reference class's defaults, where those are of use."""
    file = ConfigFile("transformer/config.json", config)
    file.refuse_unknown(_TRANSFORMER_KEYS)
    file.refuse_other_values(_TRANSFORMER_FIXED)
    layers = file.count("num_layers", 40)
    parsed = TransformerConfig(
        heads=file.count("num_attention_heads", 40),
        head_dim=file.count("attention_head_dim", 128),
        in_channels=file.count("in_channels", 16),
        out_channels=file.count("out_channels", 16),
        layers=layers,
        mot_blocks=file.blocks("block_idx_with_mot_ref", layers),
        text_dim=file.count("text_dim", 4096),
        image_dim=file.count("image_dim"),
        freq_dim=file.count("freq_dim", 256),
        ffn_dim=file.count("ffn_dim", 13824),
        eps=file.positive("eps", 1e-6),
        longest_axis=file.count("rope_max_seq_len", 1024),
    )
    _check_widths(file, parsed)
    return parsed


@dataclass(frozen=True)
class LatentStatistics:
    """Each latent channel's mean and standard deviation, by which the pipeline normalises."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def parse_vae_config(config: Json, transformer: TransformerConfig) -> LatentStatistics:
    """Refuse a VAE that is not built or whose latents are not the transformer's; how its latents are normalised."""
    file = ConfigFile("vae/config.json", config)
    file.refuse_unknown(_VAE_KEYS)
    file.refuse_other_values(_VAE_FIXED)
    channels = file.count("z_dim", 16)
    if channels != transformer.out_channels:
        raise file.refused(f"z_dim = {channels}, the transformer has {transformer.out_channels} latent channels")
    mean, std = file.numbers("latents_mean", channels), file.numbers("latents_std", channels)
    if min(std) <= 0:
        raise file.refused(f"latents_std = {list(std)!r} has values that are not positive")
    return LatentStatistics(mean, std)


def latent_sizes(sizes: Sizes, transformer: TransformerConfig) -> LatentSizes:
    """Sizes of the latents; refuses pixels that do not divide into patches and frames that do not divide into groups."""
    step = PIXELS_PER_LATENT * PATCH
    if sizes.height % step or sizes.width % step:
        raise RequestError(f"height {sizes.height} and width {sizes.width} must be multiples of {step}")
    if sizes.frames % FRAMES_PER_LATENT != 1:
        raise RequestError(f"frames {sizes.frames} must be 1 + a multiple of {FRAMES_PER_LATENT}")
    latent = LatentSizes(
        channels=transformer.out_channels,
        frames=(sizes.frames - 1) // FRAMES_PER_LATENT + 1,
        height=sizes.height // PIXELS_PER_LATENT,
        width=sizes.width // PIXELS_PER_LATENT,
    )
    longest = max(latent.frames, latent.height // PATCH, latent.width // PATCH)
    if longest > transformer.longest_axis:
        raise RequestError(f"{longest} positions on one axis are more than the checkpoint's {transformer.longest_axis}")
    return latent
