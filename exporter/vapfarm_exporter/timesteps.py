"""The sinusoid of a denoising time step, the same in both variants: cosines first, no frequency shift.

The frequencies are a table, not arithmetic in the graph: another runtime's exp would be a bit off, and time steps up to
999 magnify it.
"""

import math

import torch
from torch import Tensor


def timestep_frequencies(width: int) -> Tensor:
    """[width / 2] float32: angular frequencies."""
    half = width // 2
    return torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)


def timestep_sinusoid(timestep: Tensor, frequencies: Tensor) -> Tensor:
    """timestep [1] int64 or float32, frequencies [D / 2] -> [1, D] float32."""
    angles = timestep[:, None].float() * frequencies[None, :]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
