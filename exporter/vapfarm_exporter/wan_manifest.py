"""farm.json of a Wan model: defaults, and what each stage relies on outside its graph."""

from .config_checks import Json
from .manifest import NEGATIVE_PROMPT
from .wan_conditions import ClipPreprocessing

# Normalisation by channel is inside the graphs; nothing is left to scale.
VAE_SCALING: Json = {"scaling_factor": 1.0, "invert_scale_latents": False}
DEFAULTS: Json = {"steps": 50, "guidance_scale": 5.0, "dynamic_guidance": False, "negative_prompt": NEGATIVE_PROMPT}


def clip_entry(clip: ClipPreprocessing, tokens: int, width: int) -> Json:
    """How images become the pixels of `clip_encode`, and what comes out."""
    return {
        "tokens": tokens,
        "embed_width": width,
        "shortest_edge": clip.shortest_edge,
        "crop_height": clip.crop,
        "crop_width": clip.crop,
        "mean": list(clip.mean),
        "std": list(clip.std),
        "rescale": clip.rescale,
    }


def stage_constants(clip: Json, scheduler: Json) -> dict[str, Json]:
    """By stage, what its pre- or postprocessing must do for the engine's numbers to mean anything."""
    pixels = {"channels": "rgb", "range": [-1, 1], "clamped": True}
    return {
        "clip_encode": {"resize_filter": "bicubic-8bit", "source": "original-size", "channels": "rgb", "clip": clip},
        "vae_encode": {
            "resize_filter": "lanczos3-8bit",
            "aspect": "stretch",
            "pixels": pixels,
            "image_condition": {"frames_after_first": "mid-grey"},
        },
        "denoise": {
            "max_references": 1,
            "guidance": "two-calls",
            "scheduler": dict(scheduler),
        },
        "vae_decode": {"pixels": pixels, "rounding": "nearest-8bit"},
    }
