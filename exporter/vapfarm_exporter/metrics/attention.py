"""Pre-norm transformer blocks, as in ViT and CLIP.

Shapes: b rows, S tokens, D width.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import merge_heads, split_heads

Activation = Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Attention and a four times wider MLP, each after a norm and added to what came in."""

    def __init__(self, width: int, heads: int, activation: Activation, eps: float = 1e-5, is_causal: bool = False) -> None:
        super().__init__()
        self.heads, self.activation, self.is_causal = heads, activation, is_causal
        self.norm1 = nn.LayerNorm(width, eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[b, S, D] -> [b, S, D]."""
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.out(merge_heads(F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)))
        return x + self.fc2(self.activation(self.fc1(self.norm2(x))))
