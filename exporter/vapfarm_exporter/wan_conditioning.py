"""A stream's conditioning in the Wan transformer: time step, text and image, brought to the transformer's width."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import FeedForward, TimestepEmbedding
from .wan_config import TransformerConfig


class TextProjection(nn.Module):
    """Text embeddings to the transformer's width: linear, tanh-approximated GELU, linear."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(config.text_dim, config.inner_dim)
        self.linear_2 = nn.Linear(config.inner_dim, config.inner_dim)

    def forward(self, text: Tensor) -> Tensor:
        """[1, L, text_dim] -> [1, L, D]."""
        return self.linear_2(F.gelu(self.linear_1(text), approximate="tanh"))


class ImageProjection(nn.Module):
    """Image embeddings to the transformer's width, with the exact GELU between two norms."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.image_dim)
        self.ff = FeedForward((config.image_dim, config.image_dim, config.inner_dim), approximate="none")
        self.norm2 = nn.LayerNorm(config.inner_dim)

    def forward(self, image: Tensor) -> Tensor:
        """[1, P, image_dim] -> [1, P, D]."""
        return self.norm2(self.ff(self.norm1(image)))


@dataclass(frozen=True)
class Conditioning:
    """What a stream's blocks read: the time step [1, D] and its six modulations [1, 6, D], text and image tokens."""

    timestep: Tensor
    modulations: Tensor
    text: Tensor
    image: Tensor


class ConditionEmbedding(nn.Module):
    """A stream's conditioning from its raw parts."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.time_embedder = TimestepEmbedding(config.freq_dim, config.inner_dim)
        self.time_proj = nn.Linear(config.inner_dim, 6 * config.inner_dim)
        self.text_embedder = TextProjection(config)
        self.image_embedder = ImageProjection(config)

    def forward(self, sinusoid: Tensor, text: Tensor, image: Tensor) -> Conditioning:
        """sinusoid [1, freq_dim], text [1, L, text_dim], image [1, P, image_dim]."""
        timestep = self.time_embedder(sinusoid)
        modulations = self.time_proj(F.silu(timestep)).unflatten(1, (6, -1))
        return Conditioning(timestep, modulations, self.text_embedder(text), self.image_embedder(image))
