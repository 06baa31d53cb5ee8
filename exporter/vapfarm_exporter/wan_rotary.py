"""Rotary tables of the Wan MoT transformer: real cosines and sines of what the reference computes in complex128.

Follows transformer_wan_mot.py (WanRotaryPosEmbed and its reference twin): of a head's width each of row and column has
two sixths (rounded down), time the rest; theta 10000. Angles are float64 and only cos and sin are rounded to float32.
"""

import torch
from torch import Tensor

from .layers import Rotary

ROPE_THETA = 10000.0


def _angles(dim: int, positions: Tensor) -> Tensor:
    """[len(positions), dim / 2] float64."""
    frequencies = 1.0 / ROPE_THETA ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    return torch.outer(positions.to(torch.float64), frequencies)


def _tables(head_dim: int, times: Tensor, grid: tuple[int, int]) -> Rotary:
    """cos and sin [len(times) * rows * columns, head_dim] float32."""
    rows, columns = grid
    space_dim = 2 * (head_dim // 6)
    frames = len(times)
    time = _angles(head_dim - 2 * space_dim, times)[:, None, None, :].expand(-1, rows, columns, -1)
    row = _angles(space_dim, torch.arange(rows))[None, :, None, :].expand(frames, -1, columns, -1)
    column = _angles(space_dim, torch.arange(columns))[None, None, :, :].expand(frames, rows, -1, -1)
    pairs = torch.cat([time, row, column], dim=-1).flatten(0, 2).repeat_interleave(2, dim=1)
    return pairs.cos().float(), pairs.sin().float()


def target_rotary(head_dim: int, frames: int, grid: tuple[int, int]) -> Rotary:
    """Tables of the target video: times 0..frames-1."""
    return _tables(head_dim, torch.arange(frames), grid)


def reference_rotary(head_dim: int, frames: int, grid: tuple[int, int]) -> Rotary:
    """Tables of the reference video: times -frames..-1, the same rows and columns."""
    return _tables(head_dim, torch.arange(-frames, 0), grid)
