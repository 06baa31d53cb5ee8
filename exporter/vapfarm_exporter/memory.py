"""How much memory one run of an engine needs: its weights plus the most that is alive at once.

The estimate walks the graph in order and frees a tensor after its last reader, dynamic dimensions at their largest. It
knows nothing of a provider's workspaces or of its arena, so it is a lower bound that a farm corrects by measuring.
"""

import math
from collections.abc import Mapping

import onnx_ir as ir


def _bytes_of(value: ir.Value, dims: Mapping[str, int]) -> int:
    if value.shape is None or value.dtype is None:
        return 0
    sizes = [dim if isinstance(dim, int) else dim.evaluate(dims) for dim in value.shape]
    return math.ceil(math.prod(size if isinstance(size, int) else 1 for size in sizes) * value.dtype.itemsize)


def weight_bytes(model: ir.Model) -> int:
    """Bytes of all constants of the graph."""
    return sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)


def peak_activation_bytes(model: ir.Model, dims: Mapping[str, int]) -> int:
    """The most bytes of inputs, outputs and intermediates that are alive at one node."""
    last_use: dict[ir.Value, int] = {}
    for position, node in enumerate(model.graph):
        last_use |= {value: position for value in node.inputs if value is not None}
    kept = set(model.graph.outputs)
    live = sum(_bytes_of(value, dims) for value in model.graph.inputs)
    peak = live
    for position, node in enumerate(model.graph):
        live += sum(_bytes_of(value, dims) for value in node.outputs)
        peak = max(peak, live)
        ended = {v for v in node.inputs if v is not None and last_use[v] == position and v not in kept}
        ended = {v for v in ended if v.name not in model.graph.initializers}
        live -= sum(_bytes_of(value, dims) for value in ended)
    return peak
