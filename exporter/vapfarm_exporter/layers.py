"""Layers that the MoT transformers share, under the checkpoints' names.

Shapes: b rows, S tokens, D width, d head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Rotary = tuple[Tensor, Tensor]  # cos and sin, each [S, d], every frequency twice in a row


class TimestepEmbedding(nn.Module):
    """Linear, SiLU, linear: from the time step's sinusoid to the conditioning width."""

    def __init__(self, width: int, conditioning: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, conditioning)
        self.linear_2 = nn.Linear(conditioning, conditioning)

    def forward(self, sinusoid: Tensor) -> Tensor:
        """[1, width] -> [1, conditioning]."""
        return self.linear_2(F.silu(self.linear_1(sinusoid)))


class GeluProjection(nn.Module):
    """Linear and GELU, under the name that the checkpoints give it; `approximate` is "tanh" or "none"."""

    def __init__(self, width: int, hidden: int, approximate: str) -> None:
        super().__init__()
        self.proj = nn.Linear(width, hidden)
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., hidden]."""
        return F.gelu(self.proj(x), approximate=self.approximate)


class FeedForward(nn.Module):
    """Two linears around a GELU; index 1 of `net` is the reference's dropout."""

    def __init__(self, widths: tuple[int, int, int], approximate: str = "tanh") -> None:
        super().__init__()
        width, hidden, out = widths
        self.net = nn.Sequential(GeluProjection(width, hidden, approximate), nn.Identity(), nn.Linear(hidden, out))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., out]."""
        return self.net(x)


class RmsNorm(nn.Module):
    """Root-mean-square norm over the whole width, before a split into heads."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotate (even, odd) pairs of x [b, heads, S, d] by the angles of cos, sin."""
    cos, sin = rotary
    even, odd = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return x * cos + torch.stack([-odd, even], dim=-1).flatten(-2) * sin


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[b, S, heads * d] -> [b, heads, S, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[b, heads, S, d] -> [b, S, heads * d]."""
    return x.transpose(1, 2).flatten(2)


def attend(query: list[Tensor], key: list[Tensor], value: list[Tensor]) -> tuple[Tensor, ...]:
    """Unmasked attention over the concatenated parts; returns one output for each part of the query."""
    lengths = [part.shape[2] for part in query]
    attended = F.scaled_dot_product_attention(torch.cat(query, 2), torch.cat(key, 2), torch.cat(value, 2))
    return attended.split(lengths, dim=2)
