"""The Wan variant: its checkpoint checked and planned for the export."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import CLIPVisionConfig

from .checkpoint import read_json
from .config_checks import ConfigFile, Json
from .engine_spec import EngineSpec
from .variant import LatentSizes, Plan, RequestedSizes, Sizes, TextPlan, Variant
from .wan_conditions import check_text_config, parse_clip_config, parse_preprocessor_config
from .wan_config import (
    PIPELINE_CLASS,
    TEXT_TOKENS,
    LatentStatistics,
    TransformerConfig,
    latent_sizes,
    parse_transformer_config,
    parse_vae_config,
)
from .wan_engines import Denoise, engine_specs, load_clip, load_text_encoder, load_transformer, load_vae
from .wan_manifest import DEFAULTS, VAE_SCALING, clip_entry, stage_constants
from .wan_scheduler import check_scheduler_config
from .wan_vae import VaeDecode, VaeEncode

# The size that Video-As-Prompt was trained with.
DEFAULT_SIZES = Sizes(480, 832, 49, 1)


@dataclass(frozen=True)
class _Checkpoint:
    """The checked configs from which modules are made."""

    folder: Path
    transformer: TransformerConfig
    statistics: LatentStatistics
    clip: CLIPVisionConfig
    text: Json
    vae: Json

    def modules(self, latent: LatentSizes) -> Iterator[tuple[str, nn.Module]]:
        """Each engine's module; a component is loaded when its first engine is asked for."""
        yield "text_encode", load_text_encoder(self.folder / "text_encoder", self.text)
        yield "clip_encode", load_clip(self.folder / "image_encoder", self.clip)
        vae = load_vae(self.folder / "vae", self.vae)
        yield "vae_encode", VaeEncode(vae, self.statistics)
        yield "vae_decode", VaeDecode(vae, self.statistics)
        del vae
        yield "denoise", Denoise(load_transformer(self.folder / "transformer", self.transformer), latent)


def _read(folder: Path) -> _Checkpoint:
    transformer = parse_transformer_config(read_json(folder / "transformer/config.json"))
    vae, text = read_json(folder / "vae/config.json"), read_json(folder / "text_encoder/config.json")
    check_text_config(text, transformer)
    return _Checkpoint(
        folder=folder,
        transformer=transformer,
        statistics=parse_vae_config(vae, transformer),
        clip=parse_clip_config(read_json(folder / "image_encoder/config.json"), transformer),
        text=text,
        vae=vae,
    )


def _sizes(asked: RequestedSizes) -> Sizes:
    asked.refuse_other_than("max_references", 1)
    known = DEFAULT_SIZES
    return Sizes(asked.height or known.height, asked.width or known.width, asked.frames or known.frames, 1)


def _image_tokens(specs: tuple[EngineSpec, ...]) -> int:
    return next(int(spec.output.shape[1]) for spec in specs if spec.name == "clip_encode")


def plan(folder: Path, asked: RequestedSizes) -> Plan:
    """Check a checkpoint's configs and plan its engines."""
    checkpoint = _read(folder)
    config = checkpoint.transformer
    scheduler = read_json(folder / "scheduler/scheduler_config.json")
    check_scheduler_config(scheduler)
    preprocessor = read_json(folder / "image_processor/preprocessor_config.json")
    sizes = _sizes(asked)
    latent = latent_sizes(sizes, config)
    specs = engine_specs(config, sizes, latent, checkpoint.clip)
    clip = clip_entry(parse_preprocessor_config(preprocessor, checkpoint.clip), _image_tokens(specs), config.image_dim)
    vocabulary = ConfigFile("text_encoder/config.json", checkpoint.text).count("vocab_size")
    return Plan(
        sizes=sizes,
        latent=latent,
        text=TextPlan(TEXT_TOKENS, config.text_dim, vocabulary, cleaning="wan", attention_mask="input"),
        specs=specs,
        modules=lambda: checkpoint.modules(latent),
        constants=stage_constants(clip, scheduler),
        vae=VAE_SCALING,
        scheduler=scheduler,
        defaults=DEFAULTS,
        more={"clip": clip},
    )


WAN = Variant("wan", PIPELINE_CLASS, plan)
