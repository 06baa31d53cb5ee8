"""From a module to an ONNX file, and the proof that the file computes what the module computes.

The graph has opset 23, whose Attention operator keeps attention in one piece for fused kernels. Names of source files
and other traces of the exporting machine are removed, so that the same checkpoint gives the same bytes.
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from .cogvideox_engines import GUIDANCE_ROWS, EngineSpec, TensorSpec
from .errors import VerificationError

OPSET = 23
TOLERANCE = 5e-5
EXTERNAL_DATA_FROM_BYTES = 1 << 30
MODEL_FILE = "model.onnx"

_TORCH_DTYPES = {"float32": torch.float32, "int64": torch.int64}


@dataclass(frozen=True)
class Bounds:
    """What random inputs may be: dynamic dimensions' sizes, ids below the vocabulary's size, timesteps below 1000."""

    dims: dict[str, int]
    vocabulary: int
    timesteps: int = 1000


def _random_input(spec: TensorSpec, bounds: Bounds, generator: torch.Generator) -> Tensor:
    shape = [bounds.dims[dim] if isinstance(dim, str) else dim for dim in spec.shape]
    if spec.dtype == "int64":
        limit = bounds.timesteps if spec.name == "timestep" else bounds.vocabulary
        return torch.randint(0, limit, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def random_inputs(spec: EngineSpec, bounds: Bounds, seed: int) -> dict[str, Tensor]:
    """Inputs by name: standard normal floats, uniform ids."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return {tensor.name: _random_input(tensor, bounds, generator) for tensor in spec.inputs}


def _dynamic_shapes(spec: EngineSpec, max_references: int) -> dict[str, dict[int, torch.export.Dim]] | None:
    dims = {"g": torch.export.Dim("g", min=1, max=GUIDANCE_ROWS), "n": torch.export.Dim("n", min=1, max=max_references)}
    shapes = {t.name: {i: dims[d] for i, d in enumerate(t.shape) if isinstance(d, str)} for t in spec.inputs}
    return shapes if any(shapes.values()) else None


def export_graph(module: nn.Module, spec: EngineSpec, inputs: dict[str, Tensor], max_references: int) -> ir.Model:
    """Trace `module` on example inputs (dynamic dimensions at least 2) to an ONNX model."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs[tensor.name] for tensor in spec.inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[spec.output.name],
            dynamic_shapes=_dynamic_shapes(spec, max_references),
            verbose=False,
        )
    model = program.model
    ClearMetadataAndDocStringPass()(model)
    model.graph.name = spec.name
    return model


def save_graph(model: ir.Model, folder: Path, external_from: int = EXTERNAL_DATA_FROM_BYTES) -> list[Path]:
    """Write model.onnx, with model.onnx.data beside it from `external_from` bytes of weights on; the files written."""
    folder.mkdir(parents=True)
    path = folder / MODEL_FILE
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    data = f"{MODEL_FILE}.data" if weights >= external_from else None
    ir.save(model, path, external_data=data)
    return sorted(folder.iterdir())


def _combinations(spec: EngineSpec, max_references: int) -> Iterator[dict[str, int]]:
    dynamic = {dim for tensor in spec.inputs for dim in tensor.shape if isinstance(dim, str)}
    if not dynamic:
        yield {}
        return
    for rows in range(1, GUIDANCE_ROWS + 1):
        for references in range(1, max_references + 1):
            yield {"g": rows, "n": references}


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A CPU session; `threads` 0 means one for each core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _difference(module: nn.Module, session: onnxruntime.InferenceSession, inputs: dict[str, Tensor]) -> float:
    with torch.no_grad():
        wanted = module(*inputs.values()).numpy()
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - wanted).max())


def _boundary(session: onnxruntime.InferenceSession) -> list[tuple[str, list[int | str]]]:
    return [(value.name, value.shape) for value in [*session.get_inputs(), *session.get_outputs()]]


def verify_graph(module: nn.Module, spec: EngineSpec, folder: Path, limits: tuple[int, int]) -> float:
    """Largest difference between file and module over every size of the dynamic dimensions; above tolerance it raises.

    `limits` are the most references and the vocabulary's size.
    """
    max_references, vocabulary = limits
    session = open_session(folder / MODEL_FILE)
    wanted = [(tensor.name, list(tensor.shape)) for tensor in (*spec.inputs, spec.output)]
    if _boundary(session) != wanted:
        raise VerificationError(f"{spec.name}: the graph's boundary is {_boundary(session)} instead of {wanted}")
    worst = 0.0
    for seed, dims in enumerate(_combinations(spec, max_references)):
        inputs = random_inputs(spec, Bounds(dims, vocabulary), 1000 + seed)
        difference = _difference(module, session, inputs)
        if not difference <= TOLERANCE:
            sizes = ", ".join(f"{name}={size}" for name, size in dims.items()) or "fixed sizes"
            raise VerificationError(
                f"{spec.name}: the exported graph differs from the module by {difference:.3g} at {sizes}; "
                f"the tolerance is {TOLERANCE:g}"
            )
        worst = max(worst, difference)
    return worst
