"""A picture to MUSIQ's tokens (pyiqa `multiscale_trans_util.py`): patches at two smaller sizes and at its own."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..metrics.musiq import PATCH
from .interpolation import interpolate

# Multiples of a patch's side.
_LONGER_SIDES = (224, 384)
_HASH_SIDE = 10


def _pad_same(image: Tensor) -> Tensor:
    """Zeros around, so that patches fill it; the odd one goes right and below."""
    height, width = image.shape[-2:]
    down, across = -height % PATCH, -width % PATCH
    return F.pad(image, (across // 2, across - across // 2, down // 2, down - down // 2))


def _hashed(count: int) -> Tensor:
    """Which of ten cells each of `count` patches in a row falls in."""
    cells = torch.arange(_HASH_SIDE, dtype=torch.float32)[None, None]
    return F.interpolate(cells, size=count, mode="nearest")[0, 0]


def _scale_tokens(image: Tensor, scale: int, length: int | None) -> Tensor:
    padded = _pad_same(image)
    rows, columns = (side // PATCH for side in padded.shape[-2:])
    patches = F.unfold(padded, PATCH, stride=PATCH)[0].transpose(0, 1)
    place = (_hashed(rows)[:, None] * _HASH_SIDE + _hashed(columns)[None]).reshape(-1, 1)
    tokens = torch.cat([patches, place, torch.full_like(place, scale), torch.ones_like(place)], dim=1)
    return F.pad(tokens, (0, 0, 0, (length or len(tokens)) - len(tokens)))


def musiq_tokens(image: Tensor) -> Tensor:
    """[1, 3, H, W] in 0..1 -> [1, S, 3075]."""
    x = (image - 0.5) * 2
    height, width = x.shape[-2:]
    parts = []
    for scale, side in enumerate(_LONGER_SIDES):
        ratio = side / max(height, width)
        size = (round(height * ratio), round(width * ratio))
        parts.append(_scale_tokens(interpolate(x, size, "bicubic"), scale, (side // PATCH) ** 2))
    return torch.cat([*parts, _scale_tokens(x, len(_LONGER_SIDES), None)])[None]
