"""The CogVideoX variant: its checkpoint checked and planned for the export."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from .checkpoint import read_json
from .cogvideox_config import (
    PIPELINE_CLASS,
    TransformerConfig,
    check_text_config,
    check_vae_config,
    parse_transformer_config,
)
from .cogvideox_engines import (
    GUIDANCE_ROWS,
    Denoise,
    VaeDecode,
    VaeEncode,
    engine_specs,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from .cogvideox_manifest import DEFAULTS, stage_constants, vae_scaling
from .cogvideox_scheduler import check_scheduler_config
from .config_checks import ConfigFile, Json
from .variant import PIXELS_PER_LATENT, LatentSizes, Plan, RequestedSizes, Sizes, TextPlan, Variant

MOST_REFERENCES = 3


@dataclass(frozen=True)
class _Checkpoint:
    """The checked configs from which modules are made."""

    folder: Path
    transformer: TransformerConfig
    text: Json
    vae: Json

    def modules(self, references: int) -> Iterator[tuple[str, nn.Module]]:
        """Each engine's module; a component is loaded when its first engine is asked for."""
        yield "text_encode", load_text_encoder(self.folder / "text_encoder", self.text, self.transformer.text_tokens)
        vae = load_vae(self.folder / "vae", self.vae)
        yield "vae_encode_image", VaeEncode(vae)
        yield "vae_encode", VaeEncode(vae)
        yield "vae_decode", VaeDecode(vae)
        del vae
        yield "denoise", Denoise(load_transformer(self.folder / "transformer", self.transformer), references)


def _read(folder: Path) -> _Checkpoint:
    transformer = parse_transformer_config(read_json(folder / "transformer/config.json"))
    vae, text = read_json(folder / "vae/config.json"), read_json(folder / "text_encoder/config.json")
    check_vae_config(vae, transformer)
    check_text_config(text, transformer)
    return _Checkpoint(folder, transformer, text, vae)


def _sizes(config: TransformerConfig, asked: RequestedSizes) -> Sizes:
    """The one size and length that the learned positions were trained for."""
    height, width = (PIXELS_PER_LATENT * cells for cells in (config.sample_height, config.sample_width))
    for name, known in (("height", height), ("width", width), ("frames", config.sample_frames)):
        asked.refuse_other_than(name, known)
    return Sizes(height, width, config.sample_frames, asked.max_references or MOST_REFERENCES)


def plan(folder: Path, asked: RequestedSizes) -> Plan:
    """Check a checkpoint's configs and plan its engines."""
    checkpoint = _read(folder)
    config = checkpoint.transformer
    scheduler = read_json(folder / "scheduler/scheduler_config.json")
    check_scheduler_config(scheduler)
    sizes = _sizes(config, asked)
    dynamic = {"g": GUIDANCE_ROWS, "n": max(2, sizes.max_references)}
    vocabulary = ConfigFile("text_encoder/config.json", checkpoint.text).count("vocab_size")
    return Plan(
        sizes=sizes,
        latent=LatentSizes(config.out_channels, config.latent_frames, config.sample_height, config.sample_width),
        text=TextPlan(config.text_tokens, config.text_dim, vocabulary, cleaning="none", attention_mask="none"),
        specs=engine_specs(config, sizes),
        modules=lambda: checkpoint.modules(dynamic["n"]),
        constants=stage_constants(checkpoint.vae, scheduler, sizes.max_references),
        vae=vae_scaling(checkpoint.vae),
        scheduler=scheduler,
        defaults=DEFAULTS,
        dynamic=dynamic,
    )


COGVIDEOX = Variant("cogvideox", PIPELINE_CLASS, plan)
