"""farm.json of a CogVideoX model: sizes, defaults, and what each stage relies on outside its graph.

Defaults are those of the reference's own scripts. The negative prompt is the reference pipeline's default string, for
the target and for references alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .cogvideox_config import PIPELINE_CLASS, TransformerConfig
from .cogvideox_engines import Sizes
from .manifest import FORMAT
from .tokenizer import EOS_ID, PAD_ID

Json = Mapping[str, object]

NEGATIVE_PROMPT = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class ModelName:
    """How a repository calls itself and what its weights are: trained, or random (for tests and demos)."""

    name: str
    version: str
    weights: str
    fps: int


@dataclass(frozen=True)
class Source:
    """The checkpoint's parts that farm.json repeats."""

    transformer: TransformerConfig
    vae: Json
    scheduler: Json
    transformer_config_sha256: str
    tokenizer_sha256: str


def _vae_scaling(source: Source) -> dict[str, object]:
    return {
        "scaling_factor": source.vae["scaling_factor"],
        "invert_scale_latents": bool(source.vae.get("invert_scale_latents", False)),
    }


def stage_constants(stage: str, source: Source, sizes: Sizes) -> dict[str, object]:
    """What a stage's pre- or postprocessing must do for the engine's numbers to mean anything."""
    pixels = {"channels": "rgb", "range": [-1, 1], "clamped": False}
    if stage == "text_encode":
        tokens = source.transformer.text_tokens
        return {
            "tokenizer_sha256": source.tokenizer_sha256,
            "max_tokens": tokens,
            "pad_id": PAD_ID,
            "eos_id": EOS_ID,
            "attention_mask": "none",
        }
    if stage == "vae_encode":
        return {"resize_filter": "lanczos3-8bit", "aspect": "stretch", "pixels": {**pixels, "clamped": True}}
    if stage == "denoise":
        return {**_vae_scaling(source), "max_references": sizes.max_references, "scheduler": dict(source.scheduler)}
    return {**_vae_scaling(source), "pixels": pixels, "rounding": "nearest-8bit"}


def model_manifest(model: ModelName, sizes: Sizes, source: Source) -> dict[str, object]:
    """farm.json without its engines."""
    config = source.transformer
    return {
        "format": FORMAT,
        "name": model.name,
        "version": model.version,
        "variant": "cogvideox",
        "weights": model.weights,
        "height": sizes.height,
        "width": sizes.width,
        "frames": sizes.frames,
        "fps": model.fps,
        "max_references": sizes.max_references,
        "latent": {
            "channels": config.out_channels,
            "frames": config.latent_frames,
            "height": config.sample_height,
            "width": config.sample_width,
        },
        "vae": _vae_scaling(source),
        "text": {"max_tokens": config.text_tokens, "width": config.text_dim, "pad_id": PAD_ID, "eos_id": EOS_ID},
        "scheduler": dict(source.scheduler),
        "tokenizer": TOKENIZER_FILE,
        "defaults": {
            "steps": 50,
            "guidance_scale": 6.0,
            "dynamic_guidance": True,
            "negative_prompt": NEGATIVE_PROMPT,
        },
        "source": {"class": PIPELINE_CLASS, "transformer_config_sha256": source.transformer_config_sha256},
    }
