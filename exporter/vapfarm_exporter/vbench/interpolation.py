"""F.interpolate(align_corners=False, antialias=False) as the torch that VBench was measured with computes it.

Inputs per output are a float32, positions and weights a float64. Later versions of torch round positions to float32, which moves
values of 0..255 by up to 1e-2 where pictures are sharp, and with them a few of the bytes that are rounded from them.
"""

import torch
from torch import Tensor

_A = -0.75


def _inner(x: Tensor) -> Tensor:
    return ((_A + 2) * x - (_A + 3)) * x * x + 1


def _outer(x: Tensor) -> Tensor:
    return ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A


def _along(values: Tensor, axis: int, outputs: int, mode: str) -> Tensor:
    """float64, resized along one axis; reads beyond an edge read the edge."""
    inputs = values.shape[axis]
    scale = torch.tensor(inputs / outputs, dtype=torch.float32).double()
    source = scale * (torch.arange(outputs, dtype=torch.float64) + 0.5) - 0.5
    if mode == "bilinear":
        source = source.clamp(min=0)
    start = source.floor()
    t = source - start
    taps = {0: 1 - t, 1: t} if mode == "bilinear" else {-1: _outer(t + 1), 0: _inner(t), 1: _inner(1 - t), 2: _outer(2 - t)}
    shape = [-1 if place == axis % values.dim() else 1 for place in range(values.dim())]
    places = {offset: (start.long() + offset).clamp(0, inputs - 1) for offset in taps}
    return sum(values.index_select(axis, places[offset]) * weight.reshape(shape) for offset, weight in taps.items())


def interpolate(frames: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """[N, C, H, W] of any type -> float32 [N, C, *size], frame by frame; `mode` is bilinear or bicubic, which overshoots."""
    height, width = size
    return torch.cat([_along(_along(frame, -1, width, mode), -2, height, mode).float() for frame in frames.split(1)])
