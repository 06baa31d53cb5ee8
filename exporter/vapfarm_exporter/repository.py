"""Exporting a CogVideoX checkpoint: each engine written, compared with its module, described; then farm.json.

Configs and the tokenizer are checked before any weights are read, and components are loaded one at a time and dropped
after their engines, so that memory holds the largest component and its graph, not the whole model.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from .checkpoint import read_json, sha256_file
from .cogvideox_config import (
    PIPELINE_CLASS,
    Json,
    check_scheduler_config,
    check_text_config,
    check_vae_config,
    parse_transformer_config,
)
from .cogvideox_engines import (
    GUIDANCE_ROWS,
    Denoise,
    EngineSpec,
    Sizes,
    VaeDecode,
    VaeEncode,
    engine_specs,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from .cogvideox_manifest import TOKENIZER_FILE, ModelName, Source, model_manifest, stage_constants
from .errors import UnsupportedConfigError
from .folder import replaced_folder
from .manifest import engine_entry, file_entry, triton_config, write_json
from .memory import peak_activation_bytes, weight_bytes
from .onnx_graphs import EXTERNAL_DATA_FROM_BYTES, TOLERANCE, Bounds, export_graph, random_inputs, save_graph, verify_graph
from .tokenizer import EOS_ID, PAD_ID, TokenizerFile, read_tokenizer

Progress = Callable[[str], None]
SCHEDULER_FILE = "scheduler_config.json"
PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class ExportRequest:
    """What to export and where to; `external_from_bytes` is the weight size from which weights get a file of their own."""

    checkpoint: Path
    out: Path
    model: ModelName
    max_references: int = 3
    precision: str = "fp32"
    force: bool = False
    external_from_bytes: int = EXTERNAL_DATA_FROM_BYTES

    @property
    def traced_references(self) -> int:
        """The most references that the graph takes: at least two, because a dimension of one would be traced as fixed."""
        return max(2, self.max_references)


@dataclass(frozen=True)
class _Checked:
    """A checkpoint whose configs and tokenizer were read and found to be supported."""

    folder: Path
    source: Source
    text: Json
    sizes: Sizes


def _check(request: ExportRequest, tokenizer_path: Path) -> _Checked:
    folder = request.checkpoint
    pipeline = read_json(folder / "model_index.json").get("_class_name")
    if pipeline != PIPELINE_CLASS:
        raise UnsupportedConfigError(f"model_index.json: _class_name = {pipeline!r}, only {PIPELINE_CLASS!r} can be exported")
    transformer = parse_transformer_config(read_json(folder / "transformer/config.json"))
    vae = read_json(folder / "vae/config.json")
    text = read_json(folder / "text_encoder/config.json")
    scheduler = read_json(folder / "scheduler" / SCHEDULER_FILE)
    check_vae_config(vae, transformer)
    check_text_config(text, transformer)
    check_scheduler_config(scheduler)
    _check_vocabulary(read_tokenizer(folder / "tokenizer"), text, tokenizer_path)
    source = Source(
        transformer=transformer,
        vae=vae,
        scheduler=scheduler,
        transformer_config_sha256=sha256_file(folder / "transformer/config.json"),
        tokenizer_sha256=sha256_file(tokenizer_path),
    )
    height, width = (PIXELS_PER_LATENT * cells for cells in (transformer.sample_height, transformer.sample_width))
    return _Checked(folder, source, text, Sizes(height, width, transformer.sample_frames, request.max_references))


def _check_vocabulary(tokenizer: TokenizerFile, text: Json, path: Path) -> None:
    rows, tokens = text.get("vocab_size"), tokenizer.size
    if not isinstance(rows, int) or rows < tokens:
        raise UnsupportedConfigError(f"text_encoder/config.json: vocab_size = {rows!r}, the tokenizer has {tokens} tokens")
    if (tokenizer.pad_id, tokenizer.eos_id) != (PAD_ID, EOS_ID):
        raise UnsupportedConfigError(
            f"tokenizer_config.json: pads with {tokenizer.pad_id} and ends with {tokenizer.eos_id}, not as T5 does"
        )
    tokenizer.save(path)


def _modules(checked: _Checked, references: int) -> Iterator[tuple[str, nn.Module]]:
    """Each engine's module, in the order of `engine_specs`; a component is loaded when its first engine is asked for."""
    folder, source = checked.folder, checked.source
    yield "text_encode", load_text_encoder(folder / "text_encoder", checked.text)
    vae = load_vae(folder / "vae", source.vae)
    yield "vae_encode_image", VaeEncode(vae)
    yield "vae_encode", VaeEncode(vae)
    yield "vae_decode", VaeDecode(vae)
    del vae
    transformer = load_transformer(folder / "transformer", source.transformer)
    yield "denoise", Denoise(transformer, references)


def _export_engine(spec: EngineSpec, module: nn.Module, checked: _Checked, build: tuple[ExportRequest, Path]) -> Json:
    """Write one engine's folder and return its entry in farm.json."""
    request, root = build
    module.eval()
    references = request.traced_references
    vocabulary = int(str(checked.text["vocab_size"]))
    example = random_inputs(spec, Bounds({"g": GUIDANCE_ROWS, "n": 2}, vocabulary), seed=0)
    model = export_graph(module, spec, example, references)
    paths = save_graph(model, root / spec.name / "1", request.external_from_bytes)
    (root / spec.name / "config.pbtxt").write_text(triton_config(spec), encoding="utf-8")
    difference = verify_graph(module, spec, root / spec.name / "1", (references, vocabulary))
    largest = {"g": GUIDANCE_ROWS, "n": references}
    measured = {
        "precision": request.precision,
        "memory_bytes": weight_bytes(model) + peak_activation_bytes(model, largest),
        "check": {"max_abs_diff": difference, "tolerance": TOLERANCE},
    }
    files = [file_entry(root, path) for path in paths]
    return engine_entry(spec, files, stage_constants(spec.stage, checked.source, checked.sizes), measured)


def export_repository(request: ExportRequest, progress: Progress) -> None:
    """Export a whole checkpoint to `request.out`; nothing appears there unless every engine passed its comparison."""
    with replaced_folder(request.out, request.force) as root:
        progress(f"reading {request.checkpoint}")
        checked = _check(request, root / TOKENIZER_FILE)
        shutil.copyfile(checked.folder / "scheduler" / SCHEDULER_FILE, root / SCHEDULER_FILE)
        specs = {spec.name: spec for spec in engine_specs(checked.source.transformer, checked.sizes)}
        entries: dict[str, Json] = {}
        for name, module in _modules(checked, request.traced_references):
            progress(f"{name}: exporting")
            entries[name] = _export_engine(specs[name], module, checked, (request, root))
            progress(f"{name}: {_summary(entries[name])}")
            del module
        engines = {name: entries[name] for name in specs}
        write_json(root / "farm.json", {**model_manifest(request.model, checked.sizes, checked.source), "engines": engines})
    progress(f"wrote {request.out}")


def _summary(entry: Json) -> str:
    size = sum(file["bytes"] for file in entry["files"])
    return f"{size} bytes, differs from the module by at most {entry['check']['max_abs_diff']:.2g}"
