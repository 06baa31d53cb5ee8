"""The repository of metric networks: engines and the files that their users read, described in a farm.json of its own kind.

As with a rendered model, engines are compared with their modules, the folder appears whole or not at all, and the same
exporter gives the same bytes.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor, nn

from ..config_checks import Json
from ..folder import replaced_folder
from ..manifest import FORMAT, engine_entry, file_entry, triton_config, write_json
from ..memory import peak_activation_bytes, weight_bytes
from ..onnx_graphs import TOLERANCE, Bounds, export_sized_graph, save_graph, verify_sizes
from ..repository import Progress, summary
from .bpe import Pair, learn_merges, merges_text, vocabulary
from .engines import ENGINES, HEAD_FILE, MERGES_FILE, POSITIONS_FILE, MetricEngine

MERGES = 300
PRECISION = "fp32"
_README = """\
# Metric networks with random weights

Written by `vapfarm-export metrics`. Each network has the boundary and the structure of the one that VBench uses, but is
narrow, shallow and **random**: its scores mean nothing. They are for demos and tests.

Real is only `clip_l14_image/1/laion_l14.safetensors`, LAION's linear aesthetic head for CLIP ViT-L/14
(LAION-AI/aesthetic-predictor, MIT licence: `LICENSE-laion`). `clip_bpe/merges.txt` is learnt from a page of the exporter's own.
"""


@dataclass(frozen=True)
class MetricsRequest:
    """Where to write the repository, and how it calls itself."""

    out: Path
    name: str
    version: str = "1"
    force: bool = False


def _data(name: str) -> bytes:
    return resources.files(__package__).joinpath("data", name).read_bytes()


def demo_merges() -> list[Pair]:
    """The merges of the demo's vocabulary."""
    return learn_merges(_data("bpe_corpus.txt").decode("utf-8"), MERGES)


def aesthetic_head() -> tuple[Tensor, Tensor]:
    """LAION's linear head for CLIP ViT-L/14: weights [768] and bias [1]."""
    head = load(_data("laion_l14.safetensors"))
    return head["weight"], head["bias"]


def demo_modules() -> dict[str, nn.Module]:
    """Every network by its engine's name, as it is exported."""
    size = len(vocabulary(demo_merges()))
    return {engine.spec.name: engine.module(size) for engine in ENGINES}


def _contents(merges: list[Pair], positions: Tensor) -> dict[str, bytes]:
    """The repository's files beside graphs and descriptions."""
    return {
        "README.md": _README.encode(),
        "LICENSE-laion": _data("LICENSE-laion"),
        MERGES_FILE: merges_text(merges).encode(),
        HEAD_FILE: _data("laion_l14.safetensors"),
        POSITIONS_FILE: save({"pos_embed": positions}),
    }


def _export_graph(engine: MetricEngine, module: nn.Module, root: Path, words: int) -> tuple[list[Path], Json]:
    """Write one engine's graph and config.pbtxt; the graph's files, and what was measured."""
    spec, sizes = engine.spec, [Bounds(dims, words) for dims in engine.sizes]
    folder = root / spec.name / "1"
    model = export_sized_graph(module, spec, sizes[0])
    paths = save_graph(model, folder)
    (root / spec.name / "config.pbtxt").write_text(triton_config(spec), encoding="utf-8")
    return paths, {
        "precision": PRECISION,
        "memory_bytes": weight_bytes(model) + peak_activation_bytes(model, sizes[-1].dims),
        "check": {"max_abs_diff": verify_sizes(module, spec, folder, sizes), "tolerance": TOLERANCE},
    }


def export_metrics(request: MetricsRequest, progress: Progress) -> None:
    """Write the repository of the small random networks to `request.out`."""
    merges, modules = demo_merges(), demo_modules()
    words = len(vocabulary(merges))
    with replaced_folder(request.out, request.force) as root:
        exported = {engine.spec.name: _export_graph(engine, modules[engine.spec.name], root, words) for engine in ENGINES}
        for name, content in _contents(merges, modules["dino_b16"].pos_embed.detach()).items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(content)
        entries: dict[str, Json] = {}
        for engine in ENGINES:
            paths, measured = exported[engine.spec.name]
            files = [file_entry(root, path) for path in [*paths, *(root / file for file in engine.files)]]
            entries[engine.spec.name] = engine_entry(engine.spec, files, engine.constants, measured)
            progress(f"{engine.spec.name}: {summary(entries[engine.spec.name])}")
        stated = {"format": FORMAT, "kind": "metrics", "name": request.name, "version": request.version, "weights": "random"}
        write_json(root / "farm.json", {**stated, "engines": entries})
    progress(f"wrote {request.out}")
