"""How well a clip fits its prompt: eight middle frames, kept as bytes through the resize, against the text."""

import torch.nn.functional as F
from torch import Tensor

from .clips import middle_indices
from .networks import Networks
from .transforms import clip_transform


def _middle_frames(frames: Tensor) -> Tensor:
    return clip_transform(frames[middle_indices(len(frames))])


def overall_consistency(frames: Tensor, prompt: str, networks: Networks) -> float:
    """ViCLIP's cosine, negative ones too."""
    video = networks.viclip_video(_middle_frames(frames)[None])
    return F.cosine_similarity(video, networks.viclip_text(prompt)).item()


def clip_score(frames: Tensor, prompt: str, networks: Networks) -> float:
    """Mean cosine of CLIP ViT-B/32 over the frames (`competitions/clip_score.py`)."""
    images = networks.clip_b32_image(_middle_frames(frames))
    return F.cosine_similarity(images, networks.clip_b32_text(prompt)).mean().item()
