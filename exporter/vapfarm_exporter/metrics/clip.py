"""CLIP's two towers (openai/CLIP `model.py`), and ViCLIP's vision tower, which sees frames (InternVideo `viclip_vision.py`).

Embeddings are projected and not normalised. ViCLIP's text tower is CLIP's with a shorter context.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attention import Block, quick_gelu


@dataclass(frozen=True)
class TowerSizes:
    """Sizes of a tower; `out` is the width that both towers of a model project to."""

    width: int
    layers: int
    heads: int
    out: int


@dataclass(frozen=True)
class TextSizes:
    """What a text tower reads: ids below `vocabulary`, of which the highest ends a text, `context` at a time."""

    vocabulary: int
    context: int


def _blocks(sizes: TowerSizes, is_causal: bool = False) -> nn.Sequential:
    return nn.Sequential(*(Block(sizes.width, sizes.heads, quick_gelu, is_causal=is_causal) for _ in range(sizes.layers)))


class ClipVision(nn.Module):
    """Patches, a class token, learned positions; the class token's projection is the picture's embedding."""

    def __init__(self, sizes: TowerSizes, patch: int, side: int = 224) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, sizes.width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(sizes.width))
        self.positional_embedding = nn.Parameter(torch.empty(1 + (side // patch) ** 2, sizes.width))
        self.ln_pre = nn.LayerNorm(sizes.width)
        self.blocks = _blocks(sizes)
        self.ln_post = nn.LayerNorm(sizes.width)
        self.proj = nn.Parameter(torch.empty(sizes.width, sizes.out))

    def _with_class(self, patches: Tensor) -> Tensor:
        """[b, S, D] -> [b, 1 + S, D] with positions."""
        first = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([first, patches], dim=1) + self.positional_embedding

    def _embedding(self, x: Tensor) -> Tensor:
        """[b, S, D] -> [b, out]."""
        return self.ln_post(self.blocks(self.ln_pre(x))[:, 0]) @ self.proj

    def forward(self, pixels: Tensor) -> Tensor:
        """[n, 3, side, side], normalised as CLIP does -> [n, out]."""
        return self._embedding(self._with_class(self.conv1(pixels).flatten(2).transpose(1, 2)))


class ViClipVision(ClipVision):
    """All frames' patches and the first frame's class token in one sequence; patches also carry their frame's position."""

    def __init__(self, sizes: TowerSizes, patch: int, frames: int) -> None:
        super().__init__(sizes, patch)
        self.temporal_positional_embedding = nn.Parameter(torch.empty(1, frames, sizes.width))

    def forward(self, frames: Tensor) -> Tensor:
        """[1, F, 3, side, side] -> [1, out]. A 1 x p x p convolution over a clip is one over each of its frames."""
        x = self._with_class(self.conv1(frames[0]).flatten(2).transpose(1, 2))
        patches = x[:, 1:] + self.temporal_positional_embedding.transpose(0, 1)
        return self._embedding(torch.cat([x[:1, :1], patches.flatten(0, 1)[None]], dim=1))


class ClipText(nn.Module):
    """A causal transformer over token ids; the token that ends the text, the highest id, carries its embedding."""

    def __init__(self, sizes: TowerSizes, text: TextSizes) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(text.vocabulary, sizes.width)
        self.positional_embedding = nn.Parameter(torch.empty(text.context, sizes.width))
        self.blocks = _blocks(sizes, is_causal=True)
        self.ln_final = nn.LayerNorm(sizes.width)
        self.text_projection = nn.Parameter(torch.empty(sizes.width, sizes.out))

    def forward(self, input_ids: Tensor) -> Tensor:
        """[n, context] int64 -> [n, out]."""
        x = self.ln_final(self.blocks(self.token_embedding(input_ids) + self.positional_embedding))
        end = input_ids.argmax(dim=-1, keepdim=True)[:, :, None].expand(-1, -1, x.shape[-1])
        return x.gather(1, end)[:, 0] @ self.text_projection
