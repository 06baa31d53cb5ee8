"""Sampling maps at places given in pixels, as flow networks do: bilinear, corners aligned, zero outside."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_grid(like: Tensor) -> Tensor:
    """[1, C, H, W] -> [1, 2, H, W]: each pixel's own x and y."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32), indexing="ij")
    return torch.stack([x, y])[None]


def sample(maps: Tensor, places: Tensor) -> Tensor:
    """maps [b, C, H, W], places [b, h, w, 2] (x, y in pixels) -> [b, C, h, w]."""
    height, width = maps.shape[-2:]
    x, y = 2 * places[..., :1] / (width - 1) - 1, 2 * places[..., 1:] / (height - 1) - 1
    return F.grid_sample(maps, torch.cat([x, y], dim=-1), mode="bilinear", padding_mode="zeros", align_corners=True)
