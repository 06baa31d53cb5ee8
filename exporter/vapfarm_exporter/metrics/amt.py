"""Frame interpolation as AMT (Li et al. 2023) does it: flows from the middle to both frames, both warped, blended, corrected.

A small encoder and decoder stand for AMT's correlation volumes and its several flow fields.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .warp import pixel_grid, sample

PAD_TO = 16


class Interpolator(nn.Module):
    """Two frames to the one halfway between."""

    def __init__(self, channels: int, reach: float) -> None:
        super().__init__()
        # The flows' largest size in pixels.
        self.reach = reach
        widths = [channels * (level + 1) for level in range(4)]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, padding=1) for a, b in pairwise([6, *widths]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, padding=1) for a, b in zip(widths[::-1], [*widths[-2::-1], channels], strict=True)
        )
        # Two flows, how much of each frame, and what neither has.
        self.head = nn.Conv2d(channels, 2 + 2 + 1 + 3, 3, padding=1)

    def _decoded(self, pair: Tensor) -> Tensor:
        """[1, 6, H, W] -> [1, 8, H, W]."""
        levels = [pair]
        for conv in self.down:
            levels.append(F.leaky_relu(conv(levels[-1]), 0.1))
        x = levels.pop()
        for conv in self.up:
            x = F.leaky_relu(conv(x), 0.1)
            skip = levels.pop()
            x = x + skip if skip.shape[1] == x.shape[1] else x
        return self.head(x)

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """[1, 3, H, W] twice, 0..1, sides multiples of 16 -> [1, 3, H, W] in 0..1."""
        flow0, flow1, mask, rest = self._decoded(torch.cat([frame0, frame1], dim=1) - 0.5).split([2, 2, 1, 3], dim=1)
        own, mask = pixel_grid(frame0), torch.sigmoid(mask)
        warped0, warped1 = (
            sample(frame, (own + self.reach * torch.tanh(flow)).permute(0, 2, 3, 1))
            for frame, flow in ((frame0, flow0), (frame1, flow1))
        )
        return (mask * warped0 + (1 - mask) * warped1 + 0.02 * torch.tanh(rest)).clamp(0, 1)
