"""farm.json of a CogVideoX model: defaults, and what each stage relies on outside its graph."""

from .config_checks import Json
from .manifest import NEGATIVE_PROMPT

DEFAULTS: Json = {"steps": 50, "guidance_scale": 6.0, "dynamic_guidance": True, "negative_prompt": NEGATIVE_PROMPT}


def vae_scaling(vae: Json) -> dict[str, object]:
    """The one factor by which the pipeline scales latents."""
    return {"scaling_factor": vae["scaling_factor"], "invert_scale_latents": bool(vae.get("invert_scale_latents", False))}


def stage_constants(vae: Json, scheduler: Json, max_references: int) -> dict[str, Json]:
    """By stage, what its pre- or postprocessing must do for the engine's numbers to mean anything."""
    pixels = {"channels": "rgb", "range": [-1, 1], "clamped": False}
    scaling = vae_scaling(vae)
    return {
        "vae_encode": {"resize_filter": "lanczos3-8bit", "aspect": "stretch", "pixels": {**pixels, "clamped": True}},
        "denoise": {**scaling, "max_references": max_references, "scheduler": dict(scheduler)},
        "vae_decode": {**scaling, "pixels": pixels, "rounding": "nearest-8bit"},
    }
