"""Metrics of frames by themselves and of how alike they are: VBench's decord dimensions, world size 1, CPU, float32.

Each takes a clip's uint8 frames [N, 3, H, W] and gives one number, on VBench's own scale for one video.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from . import transforms
from .networks import Networks

_AESTHETIC_BATCH = 32


def _likeness(features: Tensor) -> float:
    """Mean over frames after the first of how alike each is to the one before and to the first; cosines below 0 count 0."""
    unit = F.normalize(features, dim=-1, p=2)
    total = 0.0
    for index in range(1, len(unit)):
        before, first, own = unit[index - 1 : index], unit[:1], unit[index : index + 1]
        total += sum(max(0.0, F.cosine_similarity(other, own).item()) for other in (before, first)) / 2
    return total / (len(unit) - 1)


def subject_consistency(frames: Tensor, networks: Networks) -> float:
    """0..1; frame by frame."""
    pixels = transforms.dino_transform(frames.float())
    return _likeness(torch.cat([networks.dino(picture[None]) for picture in pixels]))


def background_consistency(frames: Tensor, networks: Networks) -> float:
    """0..1; all frames in one batch."""
    return _likeness(networks.clip_b32_image(transforms.clip_transform(frames.float())))


def aesthetic_quality(frames: Tensor, networks: Networks) -> float:
    """About 0..1, not clamped."""
    weight, bias = networks.aesthetic_head
    scores = [
        F.normalize(networks.clip_l14_image(transforms.clip_transform(batch.float())), dim=-1, p=2) @ weight + bias
        for batch in frames.split(_AESTHETIC_BATCH)
    ]
    return (torch.cat(scores) / 10).mean().item()


def imaging_quality(frames: Tensor, networks: Networks) -> float:
    """0..100."""
    pixels = transforms.imaging_transform(frames.float())
    return sum(networks.imaging(picture[None]).item() for picture in pixels) / len(pixels)


def i2v_subject(frames: Tensor, image: Image.Image, networks: Networks) -> float:
    """How true frames stay to the picture that they began from, and to each other."""
    unit = F.normalize(
        torch.cat([networks.dino(picture[None]) for picture in transforms.i2v_dino_transform(frames.float())]), dim=-1, p=2
    )
    given = F.normalize(networks.dino(transforms.i2v_dino_image(image)), dim=-1, p=2)
    to_image = [max(0.0, F.cosine_similarity(given, own[None]).item()) for own in unit]
    to_before = [
        max(0.0, F.cosine_similarity(unit[index - 1 : index], unit[index : index + 1]).item()) for index in range(1, len(unit))
    ]
    return 0.4 * max(to_image) + 0.3 * sum(to_before) / len(to_before) + 0.3 * min(to_before)
