"""Position tables of the CogVideoX MoT transformer: rotary tables for both streams, and the additive
sin-cos table.

Follows Video-As-Prompt's diffusers fork, models/embeddings.py (get_3d_rotary_pos_embed, get_3d_sincos_pos_embed).
Everything is float32 except where the reference itself computes in float64 first; tables are compared bit for bit.
"""

import torch
from torch import Tensor

ROPE_THETA = 10000.0


def _rotary_1d(dim: int, positions: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin, each [len(positions), dim] float32, every frequency twice in a row (even, odd)."""
    frequencies = 1.0 / (ROPE_THETA ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    angles = torch.outer(positions, frequencies)
    return (
        angles.cos().repeat_interleave(2, dim=1, output_size=dim),
        angles.sin().repeat_interleave(2, dim=1, output_size=dim),
    )


def _rotary_3d(head_dim: int, times: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """cos and sin, each [len(times) * rows * columns, head_dim]: a quarter for time, three eighths each for row, column."""
    rows, columns = grid
    time_dim, space_dim = head_dim // 4, head_dim // 8 * 3
    # The crop region is the whole grid, because learned positions allow no other size than the trained one.
    row_positions = torch.linspace(0, rows * (rows - 1) / rows, rows, dtype=torch.float32)
    column_positions = torch.linspace(0, columns * (columns - 1) / columns, columns, dtype=torch.float32)
    axes = (_rotary_1d(time_dim, times), _rotary_1d(space_dim, row_positions), _rotary_1d(space_dim, column_positions))
    frames = len(times)
    tables = [
        torch.cat(
            [
                t[:, None, None, :].expand(-1, rows, columns, -1),
                h[None, :, None, :].expand(frames, -1, columns, -1),
                w[None, None, :, :].expand(frames, rows, -1, -1),
            ],
            dim=-1,
        ).reshape(frames * rows * columns, head_dim)
        for t, h, w in zip(*axes, strict=True)
    ]
    return tables[0], tables[1]


def target_rotary(head_dim: int, frames: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tables of the target video: times 0..frames-1; cos and sin [frames*rows*columns, head_dim] float32."""
    times = torch.linspace(0, frames * (frames - 1) / frames, frames, dtype=torch.float32)
    return _rotary_3d(head_dim, times, grid)


def reference_rotary(head_dim: int, frames: int, references: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tables of the references ("continous_negative"): times -references*frames..-1, reference 0 the farthest back.

    The last k references' rows are the tables for k references, because the times end at -1 whatever their number.
    """
    total = references * frames
    return _rotary_3d(head_dim, torch.linspace(-total, -1, total, dtype=torch.float32), grid)


def _sincos_1d(dim: int, positions: Tensor) -> Tensor:
    """[len(positions), dim] float32: sines then cosines, angles in float64."""
    omega = torch.arange(dim // 2, dtype=torch.float64)
    omega /= dim / 2.0
    omega = 1.0 / 10000**omega
    angles = torch.outer(positions.reshape(-1), omega)
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def sincos_table(width: int, frames: int, grid: tuple[int, int], scales: tuple[float, float]) -> Tensor:
    """Additive positions [frames*rows*columns, width] that the reference computes for a length it has not learned.

    `scales` are the spatial and the temporal interpolation scale.
    """
    rows, columns = grid
    spatial_scale, temporal_scale = scales
    space_dim, time_dim = 3 * width // 4, width // 4
    row_positions = torch.arange(rows, dtype=torch.float32) / spatial_scale
    column_positions = torch.arange(columns, dtype=torch.float32) / spatial_scale
    by_column, by_row = torch.meshgrid(column_positions, row_positions, indexing="xy")
    # The reference names the halves "h" and "w" but fills the first with columns.
    space = torch.cat([_sincos_1d(space_dim // 2, by_column), _sincos_1d(space_dim // 2, by_row)], dim=1)
    time = _sincos_1d(time_dim, torch.arange(frames, dtype=torch.float32) / temporal_scale)
    return torch.cat(
        [
            time[:, None, :].expand(-1, rows * columns, -1),
            space[None, :, :].expand(frames, -1, -1),
        ],
        dim=-1,
    ).reshape(frames * rows * columns, width)
