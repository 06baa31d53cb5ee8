"""DINO's ViT (facebookresearch/dino `vision_transformer.py`) up to the class token after the last norm.

Positions of a picture's own grid are an input: their interpolation rounds and scales by sizes that a graph would fix.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import Block

PATCH, GRID = 16, 14


class Dino(nn.Module):
    """Patches of 16 pixels; what does not fill a patch at the right and at the bottom is left out."""

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + GRID * GRID, width))
        self.blocks = nn.Sequential(*(Block(width, heads, F.gelu, eps=1e-6) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor, positions: Tensor) -> Tensor:
        """pixels [1, 3, H, W], positions [1, 1 + H//16 * W//16, D] -> [1, D]."""
        patches = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token, patches], dim=1) + positions
        return self.norm(self.blocks(x))[:, 0]
