"""The networks that metrics call, each as one function of what VBench hands it; a test puts stubs in their places."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..metrics.dino import GRID, PATCH, Dino
from ..metrics.repository import aesthetic_head, demo_merges, demo_modules
from .musiq_tokens import musiq_tokens
from .tokens import ClipTokenizer

Call = Callable[[Tensor], Tensor]
PairCall = Callable[[Tensor, Tensor], Tensor]
TextCall = Callable[[str], Tensor]


@dataclass(frozen=True)
class Networks:
    """Pictures [n, 3, H, W], normalised, to embeddings [n, D]; frame pairs to a frame or a flow; texts to embeddings [1, D]."""

    dino: Call
    clip_b32_image: Call
    clip_b32_text: TextCall
    clip_l14_image: Call
    # Weights [D] and bias [1] of the aesthetic head on clip_l14_image's embedding.
    aesthetic_head: tuple[Tensor, Tensor]
    # One picture [1, 3, H, W] in 0..1 to its quality in 0..100.
    imaging: Call
    # Two frames in 0..1, sides multiples of 16, to the middle one.
    middle: PairCall
    # Two frames in 0..255, sides multiples of 8, to the flow [1, 2, H, W].
    flow: PairCall
    viclip_video: Call
    viclip_text: TextCall


def _interpolated_positions(pos_embed: Tensor, height: int, width: int) -> Tensor:
    """DINO's learned grid for another one (`interpolate_pos_encoding`): a tenth is added to sizes before they are divided."""
    rows, columns = height // PATCH, width // PATCH
    if rows == columns == GRID and height == width:
        return pos_embed
    grid = pos_embed[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / GRID, (columns + 0.1) / GRID)
    moved = F.interpolate(grid, scale_factor=scale, mode="bicubic", recompute_scale_factor=False)
    return torch.cat([pos_embed[:, :1], moved.flatten(2).transpose(1, 2)], dim=1)


def _dino(module: Dino) -> Call:
    return lambda pixels: module(pixels, _interpolated_positions(module.pos_embed, *pixels.shape[-2:]))


def demo_networks() -> Networks:
    """Those of models/demo-metrics, as PyTorch modules."""
    modules, tokenizer = demo_modules(), ClipTokenizer(demo_merges())
    return Networks(
        dino=_dino(modules["dino_b16"]),
        clip_b32_image=modules["clip_b32_image"],
        clip_b32_text=lambda text: modules["clip_b32_text"](tokenizer.tokenize(text, 77)),
        clip_l14_image=modules["clip_l14_image"],
        aesthetic_head=aesthetic_head(),
        imaging=lambda image: modules["musiq_spaq"](musiq_tokens(image)),
        middle=modules["amt_s"],
        flow=modules["raft_things"],
        viclip_video=modules["viclip_video"],
        viclip_text=lambda text: modules["viclip_text"](tokenizer.tokenize(text, 32)),
    )
