"""The rest of a Wan checkpoint's configs, checked: text encoder, CLIP vision tower and its preprocessor."""

from dataclasses import dataclass

from transformers import CLIPVisionConfig

from .config_checks import Allowed, ConfigFile, Json
from .wan_config import TransformerConfig

_BICUBIC = 3
_PREPROCESSOR_FIXED: Allowed = {
    "do_resize": (True,),
    "do_center_crop": (True,),
    "do_rescale": (True,),
    "do_normalize": (True,),
    "resample": (_BICUBIC,),
}
_PREPROCESSOR_OPTIONAL: Allowed = {
    "do_convert_rgb": (True,),
    "image_processor_type": ("CLIPImageProcessor", "CLIPImageProcessorFast"),
    "feature_extractor_type": ("CLIPFeatureExtractor",),
}
_PREPROCESSOR_KEYS = {
    *_PREPROCESSOR_FIXED,
    *_PREPROCESSOR_OPTIONAL,
    "_valid_processor_keys",
    "crop_size",
    "image_mean",
    "image_std",
    "processor_class",
    "rescale_factor",
    "size",
}
_CLIP_FIXED: Allowed = {"model_type": ("clip_vision_model",), "num_channels": (3,)}


def check_text_config(config: Json, transformer: TransformerConfig) -> None:
    """Refuse a text encoder that is not a UMT5 encoder of the width that the transformer reads."""
    file = ConfigFile("text_encoder/config.json", config)
    file.refuse_other_values({"model_type": ("umt5",), "d_model": (transformer.text_dim,)}, required=True)


def parse_clip_config(config: Json, transformer: TransformerConfig) -> CLIPVisionConfig:
    """Refuse an image encoder that is not a CLIP vision tower of the width that the transformer reads."""
    file = ConfigFile("image_encoder/config.json", config)
    file.refuse_other_values({**_CLIP_FIXED, "hidden_size": (transformer.image_dim,)}, required=True)
    if file.count("num_hidden_layers") < 2:
        raise file.refused("num_hidden_layers = 1: the last layer but one is read")
    if file.count("image_size") % file.count("patch_size"):
        raise file.refused("image_size is not a multiple of patch_size")
    return CLIPVisionConfig(**config)


@dataclass(frozen=True)
class ClipPreprocessing:
    """What becomes of an image before CLIP: resize, crop, rescale, normalise."""

    shortest_edge: int
    crop: int
    rescale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def parse_preprocessor_config(config: Json, clip: CLIPVisionConfig) -> ClipPreprocessing:
    """Check an image_processor/preprocessor_config.json against the tower that it prepares images for."""
    file = ConfigFile("image_processor/preprocessor_config.json", config)
    file.refuse_unknown(_PREPROCESSOR_KEYS)
    file.refuse_other_values(_PREPROCESSOR_FIXED, required=True)
    file.refuse_other_values(_PREPROCESSOR_OPTIONAL)
    size = config.get("size")
    if not isinstance(size, dict) or set(size) != {"shortest_edge"}:
        raise file.refused(f"size = {size!r} is not a shortest edge")
    edge = ConfigFile(file.name, size).count("shortest_edge")
    crop = {"height": clip.image_size, "width": clip.image_size}
    if config.get("crop_size") != crop or edge < clip.image_size:
        raise file.refused(f"size = {size!r} and crop_size = {config.get('crop_size')!r} do not give {crop}")
    mean, std = file.numbers("image_mean", 3), file.numbers("image_std", 3)
    if min(std) <= 0:
        raise file.refused(f"image_std = {list(std)!r} has values that are not positive")
    return ClipPreprocessing(edge, clip.image_size, file.positive("rescale_factor"), mean, std)
