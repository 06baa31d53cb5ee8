"""From a module to an ONNX file, and the proof that the file computes what the module computes.

The graph has opset 23, whose Attention operator keeps attention in one piece for fused kernels. Names of source files
and other traces of the exporting machine are removed, so that the same checkpoint gives the same bytes.
"""

import itertools
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from .engine_spec import Drawn, EngineSpec, TensorSpec
from .errors import VerificationError

OPSET = 23
TOLERANCE = 5e-5
EXTERNAL_DATA_FROM_BYTES = 1 << 30
MODEL_FILE = "model.onnx"
TIMESTEPS = 1000

_TORCH_DTYPES = {"float32": torch.float32, "int64": torch.int64}


@dataclass(frozen=True)
class Bounds:
    """What inputs may be: dynamic dimensions' sizes (or largest sizes), ids below the vocabulary's size."""

    dims: Mapping[str, int]
    vocabulary: int


def _random_tokens(shape: list[int], generator: torch.Generator) -> Tensor:
    """MUSIQ's: pixels of a patch, its place among 100, its scale among 3, and whether it is there."""
    pixels = torch.randn([*shape[:-1], shape[-1] - 3], generator=generator)
    ends = (100, 3, 2)
    return torch.cat([pixels, *(torch.randint(0, end, [*shape[:-1], 1], generator=generator).float() for end in ends)], dim=-1)


def _random_mask(shape: list[int], generator: torch.Generator) -> Tensor:
    length = torch.randint(1, shape[-1] + 1, (1,), generator=generator)
    return (torch.arange(shape[-1]) < length).to(torch.int64).expand(shape).contiguous()


def _random_input(spec: TensorSpec, bounds: Bounds, generator: torch.Generator) -> Tensor:
    shape = [bounds.dims[dim] if isinstance(dim, str) else dim for dim in spec.shape]
    draws: dict[Drawn, Callable[[], Tensor]] = {
        "normal": lambda: torch.randn(shape, generator=generator),
        "unit": lambda: torch.rand(shape, generator=generator),
        "levels": lambda: torch.rand(shape, generator=generator) * 255,
        "tokens": lambda: _random_tokens(shape, generator),
        "ids": lambda: torch.randint(0, bounds.vocabulary, shape, generator=generator),
        "mask": lambda: _random_mask(shape, generator),
        "timestep": lambda: (
            torch.rand(shape, generator=generator) * TIMESTEPS
            if spec.dtype == "float32"
            else torch.randint(0, TIMESTEPS, shape, generator=generator)
        ),
    }
    return draws[spec.drawn]()


def random_inputs(spec: EngineSpec, bounds: Bounds, seed: int) -> dict[str, Tensor]:
    """Inputs by name, each drawn as its spec says."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return {tensor.name: _random_input(tensor, bounds, generator) for tensor in spec.inputs}


def _dynamic_shapes(spec: EngineSpec, largest: Mapping[str, int]) -> dict[str, dict[int, torch.export.Dim]] | None:
    dims = {name: torch.export.Dim(name, min=1, max=size) for name, size in largest.items()}
    shapes = {t.name: {i: dims[d] for i, d in enumerate(t.shape) if isinstance(d, str)} for t in spec.inputs}
    return shapes if any(shapes.values()) else None


def _traced(module: nn.Module, spec: EngineSpec, inputs: Mapping[str, Tensor], dynamic_shapes: object) -> ir.Model:
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
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
    model = program.model
    ClearMetadataAndDocStringPass()(model)
    model.graph.name = spec.name
    return model


def export_graph(module: nn.Module, spec: EngineSpec, limits: Bounds) -> ir.Model:
    """Trace `module` on example inputs to an ONNX model; dynamic dimensions are traced at 2, as 1 would become fixed."""
    inputs = random_inputs(spec, Bounds(dict.fromkeys(limits.dims, 2), limits.vocabulary), seed=0)
    return _traced(module, spec, inputs, _dynamic_shapes(spec, limits.dims))


def export_sized_graph(module: nn.Module, spec: EngineSpec, example: Bounds) -> ir.Model:
    """As `export_graph`, for dynamic dimensions that are not counted from 1 and hang together, such as a picture's sides
    and the number of its patches: traced at the example's sizes, which must be no special ones."""
    free = {t.name: {i: torch.export.Dim.AUTO for i, d in enumerate(t.shape) if isinstance(d, str)} for t in spec.inputs}
    model = _traced(module, spec, random_inputs(spec, example, seed=0), free if any(free.values()) else None)
    _keep_output_name(model)
    _name_dimensions(model, spec)
    return model


def _keep_output_name(model: ir.Model) -> None:
    """An inner value that the tracer called as the output is called gets another name."""
    (output,) = model.graph.outputs
    for value in [value for node in model.graph for value in node.outputs]:
        if value is not output and value.name == output.name:
            value.name = f"{output.name}_within"


def _name_dimensions(model: ir.Model, spec: EngineSpec) -> None:
    """Give the tracer's symbols (s36, ...) the names that the boundary has, in every value's shape."""
    names: dict[str, str] = {}
    for value, tensor in zip(model.graph.inputs, spec.inputs, strict=True):
        names |= {str(found.value): name for found, name in zip(value.shape, tensor.shape, strict=True) if isinstance(name, str)}
    for value in [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]:
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(dim, names) for dim in value.shape])
    (output,) = model.graph.outputs
    output.shape = ir.Shape(spec.output.shape)


def _renamed(dim: int | ir.SymbolicDim, names: Mapping[str, str]) -> int | str | None:
    if isinstance(dim, int) or dim.value is None:
        return dim if isinstance(dim, int) else None
    return re.sub(r"\bs\d+\b", lambda found: names.get(found[0], found[0]), str(dim.value))


def save_graph(model: ir.Model, folder: Path, external_from: int = EXTERNAL_DATA_FROM_BYTES) -> list[Path]:
    """Write model.onnx, with model.onnx.data beside it from `external_from` bytes of weights on; the files written."""
    folder.mkdir(parents=True)
    path = folder / MODEL_FILE
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    data = f"{MODEL_FILE}.data" if weights >= external_from else None
    ir.save(model, path, external_data=data)
    return sorted(folder.iterdir())


def _combinations(spec: EngineSpec, largest: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Every size of the dynamic dimensions that the engine has, from 1 on."""
    used = {dim for tensor in spec.inputs for dim in tensor.shape if isinstance(dim, str)}
    names = [name for name in largest if name in used]
    for sizes in itertools.product(*(range(1, largest[name] + 1) for name in names)):
        yield dict(zip(names, sizes, strict=True))


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


def verify_graph(module: nn.Module, spec: EngineSpec, folder: Path, limits: Bounds) -> float:
    """Largest difference between file and module over every size of the dynamic dimensions; above tolerance it raises."""
    return verify_sizes(module, spec, folder, [Bounds(dims, limits.vocabulary) for dims in _combinations(spec, limits.dims)])


def verify_sizes(module: nn.Module, spec: EngineSpec, folder: Path, sizes: Iterable[Bounds]) -> float:
    """Largest difference between file and module at each of the given sizes; above tolerance it raises."""
    session = open_session(folder / MODEL_FILE)
    wanted = [(tensor.name, list(tensor.shape)) for tensor in (*spec.inputs, spec.output)]
    if _boundary(session) != wanted:
        raise VerificationError(f"{spec.name}: the graph's boundary is {_boundary(session)} instead of {wanted}")
    worst = 0.0
    for seed, bounds in enumerate(sizes):
        difference = _difference(module, session, random_inputs(spec, bounds, 1000 + seed))
        if not difference <= TOLERANCE:
            sizes_text = ", ".join(f"{name}={size}" for name, size in bounds.dims.items()) or "fixed sizes"
            raise VerificationError(
                f"{spec.name}: the exported graph differs from the module by {difference:.3g} at {sizes_text}; "
                f"the tolerance is {TOLERANCE:g}"
            )
        worst = max(worst, difference)
    return worst
