"""The metric engines: each one's boundary, constants and sizes of comparison, and its small network with random weights.

Boundaries are the trained networks'; these are narrower and shallower. Gains are chosen so that different pictures and
texts get visibly different embeddings and scores, which random networks otherwise give not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from ..config_checks import Json
from ..engine_spec import EngineSpec, float_spec, int_spec
from . import amt, dino, musiq, raft
from .amt import Interpolator
from .clip import ClipText, ClipVision, TextSizes, TowerSizes, ViClipVision
from .dino import Dino
from .musiq import Musiq
from .raft import Raft
from .random_weights import fill_random

STAGE = "score"
MERGES_FILE = "clip_bpe/merges.txt"
HEAD_FILE = "clip_l14_image/1/laion_l14.safetensors"
POSITIONS_FILE = "dino_b16/1/positions.safetensors"

_B32, _L14, _TEXT = TowerSizes(24, 2, 2, 512), TowerSizes(32, 2, 2, 768), TowerSizes(32, 2, 2, 512)
_DINO_WIDTH = 48
# A class token or an end of text that hears more of what it attends to than of itself.
_ATTENTIVE = {"out.weight": 3.0}
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class MetricEngine:
    """One engine: `sizes` are those at which it is compared with its module, the first traced, the last the memory's."""

    spec: EngineSpec
    build: Callable[[int], nn.Module]
    sizes: tuple[Sizes, ...] = ({},)
    gains: Mapping[str, float] = field(default_factory=dict)
    centres: Mapping[str, float] = field(default_factory=dict)
    constants: Json = field(default_factory=dict)
    # Further files of the repository that the engine's users read.
    files: tuple[str, ...] = ()

    def module(self, vocabulary: int) -> nn.Module:
        """The network with its random weights; text towers have `vocabulary` tokens."""
        return fill_random(self.build(vocabulary), self.spec.name, self.gains, self.centres)


def _dino_sizes(height: int, width: int) -> Sizes:
    return {"height": height, "width": width, "tokens": 1 + (height // dino.PATCH) * (width // dino.PATCH)}


def _frame_sizes(*sizes: tuple[int, int]) -> tuple[Sizes, ...]:
    return tuple({"height": height, "width": width} for height, width in sizes)


def _batches(*sizes: int) -> tuple[Sizes, ...]:
    return tuple({"n": size} for size in sizes)


def _image_engine(name: str, tower: TowerSizes, patch: int, **more: object) -> MetricEngine:
    pixels, embeddings = float_spec("pixels", "n", 3, 224, 224), float_spec("embeddings", "n", tower.out)
    spec = EngineSpec(name, STAGE, (pixels,), embeddings)
    return MetricEngine(spec, lambda _: ClipVision(tower, patch), _batches(2, 1, 8), _ATTENTIVE, **more)


def _text_engine(name: str, tower: TowerSizes, context: int, rows: int | str) -> MetricEngine:
    output = float_spec("embedding" if rows == 1 else "embeddings", rows, tower.out)
    spec = EngineSpec(name, STAGE, (int_spec("input_ids", rows, context, drawn="ids"),), output)
    return MetricEngine(
        spec,
        lambda vocabulary: ClipText(tower, TextSizes(vocabulary, context)),
        ({},) if rows == 1 else _batches(2, 1, 5),
        _ATTENTIVE,
        constants={"merges": MERGES_FILE, "context": context},
        files=(MERGES_FILE,),
    )


def _frame_pair(drawn: str) -> tuple:
    return tuple(float_spec(name, 1, 3, "height", "width", drawn=drawn) for name in ("frame0", "frame1"))


ENGINES = (
    MetricEngine(
        EngineSpec(
            "dino_b16",
            STAGE,
            (float_spec("pixels", 1, 3, "height", "width"), float_spec("positions", 1, "tokens", _DINO_WIDTH)),
            float_spec("embedding", 1, _DINO_WIDTH),
        ),
        lambda _: Dino(_DINO_WIDTH, layers=2, heads=2),
        (_dino_sizes(48, 80), _dino_sizes(224, 224), _dino_sizes(16, 23), _dino_sizes(388, 224), _dino_sizes(224, 398)),
        constants={"patch": dino.PATCH, "grid": dino.GRID, "positions": POSITIONS_FILE},
        files=(POSITIONS_FILE,),
    ),
    _image_engine("clip_b32_image", _B32, 32),
    _text_engine("clip_b32_text", _TEXT, 77, "n"),
    _image_engine("clip_l14_image", _L14, 14, constants={"head": HEAD_FILE}, files=(HEAD_FILE,)),
    MetricEngine(
        EngineSpec(
            "musiq_spaq", STAGE, (float_spec("tokens", 1, "tokens", musiq.TOKEN, drawn="tokens"),), float_spec("score", 1, 1)
        ),
        lambda _: Musiq(channels=8, width=32, layers=2, heads=2),
        tuple({"tokens": count} for count in (17, 1, 193, 337, 538)),
        gains={"head.weight": 20.0},
        centres={"head.bias": 90.0},
    ),
    MetricEngine(
        EngineSpec("amt_s", STAGE, _frame_pair("unit"), float_spec("middle", 1, 3, "height", "width")),
        lambda _: Interpolator(channels=8, reach=4.0),
        _frame_sizes((48, 80), (16, 16), (16, 48), (240, 320)),
        constants={"pad_to": amt.PAD_TO},
    ),
    MetricEngine(
        EngineSpec("raft_things", STAGE, _frame_pair("levels"), float_spec("flow", 1, 2, "height", "width")),
        lambda _: Raft(channels=8, features=24, hidden=16, radius=3, iterations=4),
        _frame_sizes((48, 80), (16, 16), (136, 24), (240, 320)),
        # Between 0.1 and 10 pixels on natural pairs, above VBench's threshold for some of them.
        gains={"bias": 0.0, "head2.weight": 0.6},
        constants={"minimum_side": raft.MINIMUM_SIDE, "pad_to": raft.STRIDE},
    ),
    MetricEngine(
        EngineSpec("viclip_video", STAGE, (float_spec("frames", 1, 8, 3, 224, 224),), float_spec("embedding", 1, 768)),
        lambda _: ViClipVision(TowerSizes(24, 2, 2, 768), patch=14, frames=8),
        gains=_ATTENTIVE,
    ),
    _text_engine("viclip_text", TowerSizes(24, 2, 2, 768), 32, 1),
)
