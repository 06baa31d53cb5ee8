"""Reading a checkpoint folder: JSON configs and safetensors weights, strictly.

A module gets exactly its own tensors: a missing, unexpected or differently shaped tensor refuses the checkpoint and
is named. Weights stored in any of the floating types below become float32. Modules are built on the meta device and
filled tensor by tensor, so that memory holds each weight once.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from .errors import CheckpointError
from .safetensors_header import cut_tensors

# F64 occurs in position tables, which the reference computes in float64 and rounds when it uses them.
_STORED_DTYPES = ("F32", "F16", "BF16", "F64")
_LISTED = 8


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in `path`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return value


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _indexed_files(index: Path) -> dict[str, Path]:
    """Tensor name -> shard, from an index file."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError(f"{index} has no weight_map of names to file names")
    outside = sorted({name for name in weight_map.values() if Path(name).name != name})
    if outside:
        raise CheckpointError(f"{index} names shards outside its folder: {', '.join(outside[:_LISTED])}")
    return {name: index.parent / shard for name, shard in weight_map.items()}


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, SafetensorError) as error:
        cut = cut_tensors(path)
        problem = f"it ends before the data of {_listed(cut)}" if cut else str(error)
        raise CheckpointError(f"{path} is not a readable safetensors file: {problem}") from error


class Weights:
    """The tensors of one component, in one file or in shards."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder = folder
        index = folder / f"{stem}.safetensors.index.json"
        single = folder / f"{stem}.safetensors"
        if not index.exists() and not single.exists():
            raise CheckpointError(f"{folder} has neither {single.name} nor {index.name}")
        indexed = _indexed_files(index) if index.exists() else None
        paths = sorted(set(indexed.values())) if indexed is not None else [single]
        self._readers = {path: _open(path) for path in paths}
        self._files = {name: path for path, reader in self._readers.items() for name in reader.keys()}  # noqa: SIM118 (a reader is no dict)
        if indexed is not None and indexed != self._files:
            wrong = sorted(name for name in {*indexed, *self._files} if indexed.get(name) != self._files.get(name))
            raise CheckpointError(f"{index} disagrees with its shards about: {_listed(wrong)}")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, read from the headers."""
        return {name: tuple(self._readers[path].get_slice(name).get_shape()) for name, path in sorted(self._files.items())}

    def read(self, name: str) -> torch.Tensor:
        """One tensor as float32."""
        reader = self._readers[self._files[name]]
        dtype = reader.get_slice(name).get_dtype()
        if dtype not in _STORED_DTYPES:
            raise CheckpointError(f"{self.folder}: {name} is stored as {dtype}, not one of {', '.join(_STORED_DTYPES)}")
        value = reader.get_tensor(name).to(torch.float32)
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{self.folder}: {name} holds values that are not finite in float32")
        return value

    def read_any(self, name: str) -> torch.Tensor:
        """One tensor as it is stored."""
        return self._readers[self._files[name]].get_tensor(name)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _shape_problems(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = sorted(set(wanted) - set(found))
    unexpected = sorted(set(found) - set(wanted))
    other = [f"{n} {found[n]} instead of {wanted[n]}" for n in sorted(wanted) if n in found and found[n] != wanted[n]]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
    return [f"{len(names)} {kind}: {_listed(names)}" for kind, names in kinds if names]


def load_strictly(
    module: nn.Module,
    weights: Weights,
    tied: Mapping[str, str] | None = None,
    computed: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Fill `module` (on the meta device) with `weights`.

    `tied` maps names that share a tensor to the stored name. `computed` are buffers that files need not hold; one that
    does must hold the same numbers.
    """
    _fill_computed(module, weights, computed or {})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: shape for name, shape in weights.shapes().items() if name not in (computed or {})}
    source = {name: name if name in found else (tied or {}).get(name, name) for name in wanted}
    shared = {name: found[stored] for name, stored in source.items() if stored in found}
    problems = _shape_problems(wanted, {**found, **shared})
    if problems:
        raise CheckpointError(f"{weights.folder}: tensors do not fit the model; " + "; ".join(problems))
    read = {stored: weights.read(stored) for stored in sorted(set(source.values()))}
    module.load_state_dict({name: read[stored] for name, stored in source.items()}, strict=True, assign=True)
    unfilled = [n for n, t in [*module.named_parameters(), *module.named_buffers()] if t.is_meta]
    if unfilled:
        raise CheckpointError(f"{weights.folder}: the model also needs {_listed(sorted(unfilled))}")
    return module.eval().requires_grad_(False)


def _fill_computed(module: nn.Module, weights: Weights, computed: Mapping[str, torch.Tensor]) -> None:
    for name, value in computed.items():
        owner, _, buffer = name.rpartition(".")
        module.get_submodule(owner).register_buffer(buffer, value, persistent=False)
        if name in weights.shapes() and not torch.equal(weights.read_any(name), value):
            raise CheckpointError(f"{weights.folder}: {name} does not hold the numbers that the model computes")
