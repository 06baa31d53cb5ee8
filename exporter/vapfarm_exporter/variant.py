"""What a variant of Video-As-Prompt presents to the export: one plan per checkpoint, as data and one module iterator.

The order of work, the graphs, the manifest and the command know plans only, never a variant; a further variant is
further files and one line in `variants`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from .config_checks import Json
from .engine_spec import EngineSpec
from .errors import RequestError

PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class RequestedSizes:
    """What the caller asks for; None leaves the choice to the variant."""

    height: int | None = None
    width: int | None = None
    frames: int | None = None
    max_references: int | None = None

    def refuse_other_than(self, name: str, known: int) -> None:
        """Refuse a size that the checkpoint fixes otherwise."""
        asked = getattr(self, name)
        if asked not in (None, known):
            raise RequestError(f"{name} {asked}: this checkpoint renders {name} {known} only")


@dataclass(frozen=True)
class Sizes:
    """Sizes of one exported model: pixels, video frames, and how many references one render may have."""

    height: int
    width: int
    frames: int
    max_references: int


@dataclass(frozen=True)
class LatentSizes:
    """Sizes of the latents between encoder, denoiser and decoder."""

    channels: int
    frames: int
    height: int
    width: int


@dataclass(frozen=True)
class TextPlan:
    """What becomes of a prompt: cleaning, then ids, of which the encoder takes `max_tokens`, with or without a mask."""

    max_tokens: int
    width: int
    vocabulary: int
    cleaning: str
    attention_mask: str


@dataclass(frozen=True)
class Plan:
    """A checked checkpoint, ready to export.

    `modules` yields each engine's module, one component's engines after another, loading a component when its first
    engine is asked for. `dynamic` are the dynamic dimensions' largest sizes, at least 2 (one would be traced as fixed).
    `constants` by stage are what a stage must do outside its graph; `more` are farm.json entries of this variant alone.
    """

    sizes: Sizes
    latent: LatentSizes
    text: TextPlan
    specs: tuple[EngineSpec, ...]
    modules: Callable[[], Iterator[tuple[str, nn.Module]]]
    constants: Mapping[str, Json]
    vae: Json
    scheduler: Json
    defaults: Json
    dynamic: Mapping[str, int] = field(default_factory=dict)
    more: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A kind of checkpoint: its name in farm.json, its class in model_index.json, and how one is checked."""

    name: str
    pipeline_class: str
    plan: Callable[[Path, RequestedSizes], Plan]
