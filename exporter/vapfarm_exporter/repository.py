"""Exporting a checkpoint: each engine written, compared with its module, described; then farm.json.

Configs and the tokenizer are checked before any weights are read, and components are loaded one at a time and dropped
after their engines, so that memory holds the largest component and its graph, not the whole model.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from .checkpoint import sha256_file
from .config_checks import Json
from .engine_spec import EngineSpec
from .folder import replaced_folder
from .manifest import ModelName, engine_entry, file_entry, model_manifest, triton_config, write_json
from .memory import peak_activation_bytes, weight_bytes
from .onnx_graphs import EXTERNAL_DATA_FROM_BYTES, TOLERANCE, Bounds, export_graph, save_graph, verify_graph
from .text_inputs import TOKENIZER_FILE, save_tokenizer, text_constants, text_entry
from .variant import Plan, RequestedSizes
from .variants import variant_of

Progress = Callable[[str], None]
SCHEDULER_FILE = "scheduler_config.json"


@dataclass(frozen=True)
class ExportRequest:
    """What to export and where to; `external_from_bytes` is the weight size from which weights get a file of their own."""

    checkpoint: Path
    out: Path
    model: ModelName
    sizes: RequestedSizes = field(default_factory=RequestedSizes)
    precision: str = "fp32"
    force: bool = False
    external_from_bytes: int = EXTERNAL_DATA_FROM_BYTES


def _export_engine(spec: EngineSpec, module: nn.Module, plan: Plan, build: tuple[ExportRequest, Path, Json]) -> Json:
    """Write one engine's folder and return its entry in farm.json."""
    request, root, constants = build
    module.eval()
    limits = Bounds(plan.dynamic, plan.text.vocabulary)
    model = export_graph(module, spec, limits)
    paths = save_graph(model, root / spec.name / "1", request.external_from_bytes)
    (root / spec.name / "config.pbtxt").write_text(triton_config(spec), encoding="utf-8")
    difference = verify_graph(module, spec, root / spec.name / "1", limits)
    measured = {
        "precision": request.precision,
        "memory_bytes": weight_bytes(model) + peak_activation_bytes(model, plan.dynamic),
        "check": {"max_abs_diff": difference, "tolerance": TOLERANCE},
    }
    return engine_entry(spec, [file_entry(root, path) for path in paths], constants, measured)


def export_repository(request: ExportRequest, progress: Progress) -> None:
    """Export a whole checkpoint to `request.out`; nothing appears there unless every engine passed its comparison."""
    with replaced_folder(request.out, request.force) as root:
        progress(f"reading {request.checkpoint}")
        variant = variant_of(request.checkpoint)
        plan = variant.plan(request.checkpoint, request.sizes)
        tokenizer = save_tokenizer(request.checkpoint, plan.text, root)
        shutil.copyfile(request.checkpoint / "scheduler" / SCHEDULER_FILE, root / SCHEDULER_FILE)
        constants = {"text_encode": text_constants(plan.text, tokenizer), **plan.constants}
        prepared = {
            "text": text_entry(plan.text, tokenizer),
            "tokenizer": TOKENIZER_FILE,
            "source": {
                "class": variant.pipeline_class,
                "transformer_config_sha256": sha256_file(request.checkpoint / "transformer/config.json"),
            },
            "engines": _export_engines(plan, (request, root, constants), progress),
        }
        write_json(root / "farm.json", model_manifest(request.model, variant, plan, prepared))
    progress(f"wrote {request.out}")


def _export_engines(plan: Plan, build: tuple[ExportRequest, Path, dict[str, Json]], progress: Progress) -> dict[str, Json]:
    """Every engine's entry, in the order of the plan's specs; modules come in the order of the checkpoint's components."""
    request, root, constants = build
    specs = {spec.name: spec for spec in plan.specs}
    entries: dict[str, Json] = {}
    for name, module in plan.modules():
        progress(f"{name}: exporting")
        entries[name] = _export_engine(specs[name], module, plan, (request, root, constants[specs[name].stage]))
        progress(f"{name}: {summary(entries[name])}")
        del module
    return {name: entries[name] for name in specs}


def summary(entry: Json) -> str:
    """Size and largest difference of an exported engine, for the progress."""
    size = sum(file["bytes"] for file in entry["files"])
    return f"{size} bytes, differs from the module by at most {entry['check']['max_abs_diff']:.2g}"
