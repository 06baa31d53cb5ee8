"""MUSIQ (Ke et al. 2021): quality of a picture from 32x32 patches at several scales.

A token is a patch with its place in a 10x10 hash grid, its scale and whether it is there at all: 3072 + 3 numbers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import merge_heads, split_heads

PATCH, HASH_CELLS, SCALES = 32, 100, 3
PIXELS = 3 * PATCH * PATCH
TOKEN = PIXELS + 3
_FAR = -1e3


class PatchStem(nn.Module):
    """A patch's pixels to the transformer's width: 32 -> 16 -> 8 pixels, one residual block, a linear."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv_root = nn.Conv2d(3, channels, 7, 2, padding=3, bias=False)
        self.gn_root = nn.GroupNorm(channels // 4, channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gn1 = nn.GroupNorm(channels // 4, channels, eps=1e-6)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(channels // 4, channels, eps=1e-6)
        self.embedding = nn.Linear(channels * (PATCH // 4) ** 2, width)

    def forward(self, patches: Tensor) -> Tensor:
        """[S, 3, 32, 32] -> [S, D]."""
        x = F.max_pool2d(F.relu(self.gn_root(self.conv_root(patches))), 3, 2, padding=1)
        x = F.relu(x + self.gn2(self.conv2(F.relu(self.gn1(self.conv1(x))))))
        return self.embedding(x.flatten(1))


class MaskedBlock(nn.Module):
    """Pre-norm block whose attention scores to absent tokens are -1000."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, is_absent: Tensor) -> Tensor:
        """x [1, S, D], is_absent [1, 1, S, S] -> [1, S, D]."""
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = scores.masked_fill(is_absent, _FAR).softmax(-1)
        x = x + self.out(merge_heads(weights @ value))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Musiq(nn.Module):
    """Tokens to one score; SPAQ's are nominally 0..100."""

    def __init__(self, channels: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.stem = PatchStem(channels, width)
        self.position_embedding = nn.Parameter(torch.empty(HASH_CELLS, width))
        self.scale_embedding = nn.Parameter(torch.empty(SCALES, width))
        self.cls = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.ModuleList(MaskedBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """[1, S, 3075] -> [1, 1]."""
        place, scale = tokens[0, :, PIXELS].long(), tokens[0, :, PIXELS + 1].long()
        x = self.stem(tokens[0, :, :PIXELS].reshape(-1, 3, PATCH, PATCH))
        x = torch.cat([self.cls, (x + self.position_embedding[place] + self.scale_embedding[scale])[None]], dim=1)
        is_there = torch.cat([torch.ones_like(tokens[:, :1, -1]), tokens[:, :, -1]], dim=1)
        is_absent = (is_there[:, None, :, None] * is_there[:, None, None, :]) == 0
        for block in self.blocks:
            x = block(x, is_absent)
        return self.head(self.norm(x)[:, 0])
