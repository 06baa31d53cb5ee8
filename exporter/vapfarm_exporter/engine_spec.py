"""What an engine's boundary is: the names, types and shapes of a graph's inputs and its output, whatever the variant."""

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["float32", "int64"]
# How a check draws an input: normal numbers, ids of the vocabulary, a time step below 1000, a mask of leading ones,
# numbers in 0..1 or in 0..255, or MUSIQ's tokens.
Drawn = Literal["normal", "ids", "timestep", "mask", "unit", "levels", "tokens"]


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output: a dimension is a size or the name of a dynamic dimension."""

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    drawn: Drawn = "normal"


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is called, which stage it serves, and its boundary."""

    name: str
    stage: str
    inputs: tuple[TensorSpec, ...]
    output: TensorSpec


def float_spec(name: str, *shape: int | str, drawn: Drawn = "normal") -> TensorSpec:
    """A float32 tensor."""
    return TensorSpec(name, "float32", shape, drawn)


def int_spec(name: str, *shape: int | str, drawn: Drawn) -> TensorSpec:
    """An int64 tensor."""
    return TensorSpec(name, "int64", shape, drawn)
