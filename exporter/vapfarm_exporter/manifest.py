"""What a model repository says about itself: farm.json, and config.pbtxt for Triton.

An engine's digest is the SHA-256 of the canonical JSON of its constants, files and precision, so it changes exactly
when what a stage computes may change. Keys have a fixed order; the same export gives the same bytes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .checkpoint import sha256_file
from .config_checks import Json
from .engine_spec import EngineSpec, TensorSpec
from .variant import Plan, Variant

FORMAT = 2
# The reference pipelines' default, the same string in each and for target and references alike.
NEGATIVE_PROMPT = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
_TRITON_DTYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64"}


@dataclass(frozen=True)
class ModelName:
    """How a repository calls itself and what its weights are: trained, or random (for tests and demos)."""

    name: str
    version: str
    weights: str
    fps: int


def file_entry(root: Path, path: Path) -> dict[str, object]:
    """A file of the repository by its relative path, size and hash."""
    return {"path": path.relative_to(root).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def engine_digest(constants: Json, files: list[dict[str, object]], precision: str) -> str:
    """Hex SHA-256 over canonical JSON (sorted keys, no spaces, UTF-8)."""
    value = {"constants": constants, "files": files, "precision": precision}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _fixed(tensor: TensorSpec) -> list[int]:
    return [-1 if isinstance(dim, str) else dim for dim in tensor.shape]


def _boundary_entry(tensor: TensorSpec) -> dict[str, object]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": _fixed(tensor)}


def engine_entry(spec: EngineSpec, files: list[dict[str, object]], constants: Json, measured: Json) -> dict[str, object]:
    """One engine's entry in farm.json; `measured` holds precision, memory_bytes and check."""
    precision = str(measured["precision"])
    return {
        "stage": spec.stage,
        "path": f"{spec.name}/1/model.onnx",
        "precision": precision,
        "files": files,
        "constants": constants,
        "digest": engine_digest(constants, files, precision),
        "inputs": [_boundary_entry(tensor) for tensor in spec.inputs],
        "outputs": [_boundary_entry(spec.output)],
        "memory_bytes": measured["memory_bytes"],
        "check": measured["check"],
    }


def _triton_tensor(tensor: TensorSpec) -> str:
    dims = ", ".join(str(dim) for dim in _fixed(tensor))
    return f'  {{\n    name: "{tensor.name}"\n    data_type: {_TRITON_DTYPES[tensor.dtype]}\n    dims: [ {dims} ]\n  }}'


def triton_config(spec: EngineSpec) -> str:
    """config.pbtxt: shapes are whole (no batch dimension of Triton's own), -1 where dynamic."""
    inputs = ",\n".join(_triton_tensor(tensor) for tensor in spec.inputs)
    return (
        f'name: "{spec.name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 0\n'
        f"input [\n{inputs}\n]\noutput [\n{_triton_tensor(spec.output)}\n]\n"
    )


def model_manifest(model: ModelName, variant: Variant, plan: Plan, prepared: Json) -> dict[str, object]:
    """farm.json; `prepared` holds what came about during the export: text, tokenizer, source and engines."""
    return {
        "format": FORMAT,
        "name": model.name,
        "version": model.version,
        "variant": variant.name,
        "weights": model.weights,
        "height": plan.sizes.height,
        "width": plan.sizes.width,
        "frames": plan.sizes.frames,
        "fps": model.fps,
        "max_references": plan.sizes.max_references,
        "latent": asdict(plan.latent),
        "vae": dict(plan.vae),
        "text": prepared["text"],
        **plan.more,
        "scheduler": dict(plan.scheduler),
        "tokenizer": prepared["tokenizer"],
        "defaults": dict(plan.defaults),
        "source": prepared["source"],
        "engines": prepared["engines"],
    }


def write_json(path: Path, value: Json) -> None:
    """Two spaces, the given key order, one newline at the end."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
