"""VBench's transforms of frames (`vbench/utils.py`, `vbench2_beta_i2v/utils.py`), with torchvision's rules written out.

Frames are [N, 3, H, W]; resizes of tensors have no antialiasing. Means and deviations are CLIP's and ImageNet's.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .interpolation import interpolate

_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def _short_side_size(height: int, width: int, side: int) -> tuple[int, int]:
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def resize(frames: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """To a size; uint8 frames go through float and come back rounded half to even, which clamps what bicubic overshoots."""
    resized = interpolate(frames, size, mode)
    return resized.clamp(0, 255).round().to(torch.uint8) if frames.dtype == torch.uint8 else resized


def _resize_short(frames: Tensor, side: int, mode: str) -> Tensor:
    return resize(frames, _short_side_size(*frames.shape[-2:], side), mode)


def _centre(frames: Tensor, side: int) -> Tensor:
    height, width = frames.shape[-2:]
    top, left = round((height - side) / 2), round((width - side) / 2)
    return frames[..., top : top + side, left : left + side]


def _normalised(unit: Tensor, statistics: Statistics) -> Tensor:
    mean, deviation = (torch.tensor(values)[:, None, None] for values in statistics)
    return (unit - mean) / deviation


def clip_transform(frames: Tensor) -> Tensor:
    """float32 (unclamped) or uint8 (rounded) frames 0..255 -> [N, 3, 224, 224]."""
    return _normalised(_centre(_resize_short(frames, 224, "bicubic"), 224).float() / 255, _CLIP)


def dino_transform(frames: Tensor) -> Tensor:
    """float32 frames -> short side 224, not cropped."""
    return _normalised(_resize_short(frames, 224, "bilinear") / 255, _IMAGENET)


def i2v_dino_transform(frames: Tensor) -> Tensor:
    """float32 frames -> [N, 3, 224, 224], the middle of a short side of 256."""
    return _normalised(_centre(_resize_short(frames, 256, "bicubic"), 224) / 255, _IMAGENET)


def i2v_dino_image(image: Image.Image) -> Tensor:
    """The same of a picture -> [1, 3, 224, 224]; Pillow's bicubic resize antialiases."""
    height, width = _short_side_size(image.height, image.width, 256)
    resized = np.array(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    return _normalised(_centre(torch.from_numpy(resized).permute(2, 0, 1), 224)[None].float() / 255, _IMAGENET)


def imaging_transform(frames: Tensor) -> Tensor:
    """float32 frames -> 0..1, the longer side at most 512 (mode `longer`)."""
    height, width = frames.shape[-2:]
    if max(height, width) > 512:
        scale = 512 / max(height, width)
        frames = resize(frames, (int(scale * height), int(scale * width)), "bilinear")
    return frames / 255


def pad_evenly(frame: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, slice]]:
    """Repeat a [1, 3, H, W] frame's edges up to a multiple, half on each side; the frame, and where the old one lies in it."""
    height, width = frame.shape[-2:]
    down, across = -height % multiple, -width % multiple
    padded = F.pad(frame, (across // 2, across - across // 2, down // 2, down - down // 2), mode="replicate")
    return padded, (slice(down // 2, down // 2 + height), slice(across // 2, across // 2 + width))
