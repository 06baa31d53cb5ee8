"""The two tiny checkpoints and the demo models that are made from them."""

from dataclasses import dataclass, field
from pathlib import Path

from vapfarm_exporter.manifest import ModelName
from vapfarm_exporter.repository import ExportRequest, export_repository
from vapfarm_exporter.variant import Plan, RequestedSizes
from vapfarm_exporter.variants import variant_of

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "test/fixtures/vap-cogvideox-tiny"
TINY_WAN = ROOT / "test/fixtures/vap-wan-tiny"
GOLDEN = ROOT / "test/fixtures/golden"
DEMO = ROOT / "models/demo"


@dataclass(frozen=True)
class TinyModel:
    """A checkpoint and how its demo model is exported."""

    name: str
    checkpoint: Path
    engines: tuple[str, ...]
    attentions: int
    sizes: RequestedSizes = field(default_factory=RequestedSizes)

    @property
    def demo(self) -> Path:
        """The export that is in git."""
        return ROOT / "models" / self.name

    def plan(self) -> Plan:
        """The checked checkpoint."""
        return variant_of(self.checkpoint).plan(self.checkpoint, self.sizes)


COGVIDEOX = TinyModel(
    name="demo",
    checkpoint=TINY,
    engines=("text_encode", "vae_encode_image", "vae_encode", "denoise", "vae_decode"),
    attentions=3,
)
WAN = TinyModel(
    name="demo-wan",
    checkpoint=TINY_WAN,
    engines=("text_encode", "clip_encode", "vae_encode", "denoise", "vae_decode"),
    # Four blocks' self attention; cross attention to text and to image in four blocks and, for the reference, in one.
    attentions=4 + 2 * (4 + 1),
    sizes=RequestedSizes(48, 64, 17),
)
MODELS = (COGVIDEOX, WAN)


def export_tiny(out: Path, checkpoint: Path | None = None, model: TinyModel = COGVIDEOX, **options: object) -> list[str]:
    """Export a checkpoint as its demo is exported; the progress lines."""
    lines: list[str] = []
    name = ModelName(model.name, "1", "random", 16)
    request = ExportRequest(checkpoint or model.checkpoint, out, name, **{"sizes": model.sizes, **options})
    export_repository(request, lines.append)
    return lines
