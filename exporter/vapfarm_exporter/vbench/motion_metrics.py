"""Metrics of what moves between frames: VBench's OpenCV dimensions, world size 1, CPU, float32."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .clips import Clip
from .networks import Networks
from .transforms import pad_evenly


def temporal_flickering(frames: Tensor) -> float:
    """(255 - mean difference of neighbours) / 255, in numpy's float32 as VBench has it."""
    pixels = frames.numpy()
    differences = [np.mean(np.abs(one.astype(np.float32) - other.astype(np.float32))) for one, other in pairwise(pixels)]
    return float((255.0 - np.mean(differences).astype(np.float64)) / 255.0)


def motion_smoothness(frames: Tensor, networks: Networks) -> float:
    """How well odd frames are told from their even neighbours; of an even number of frames the last is not compared."""
    even = [pad_evenly(frame[None] / 255, 16) for frame in frames[::2].float()]
    differences = []
    for index, ((first, place), (second, _)) in enumerate(pairwise(even)):
        middle = networks.middle(first, second)[(..., *place)]
        told = (middle * 255).clamp(0, 255).to(torch.uint8)
        differences.append((frames[2 * index + 1].float() - told[0].float()).abs().double().mean().item())
    return (255.0 - sum(differences) / len(differences)) / 255.0


def _compared(clip: Clip) -> Tensor:
    """Eight frames a second."""
    return clip.frames[:: max(1, round(clip.fps / 8))]


def flow_scores(clip: Clip, networks: Networks) -> Iterator[float]:
    """For each pair of compared frames the mean length of the longest twentieth of the flow, in pixels."""
    padded = [pad_evenly(frame[None], 8)[0] for frame in _compared(clip).float()]
    for first, second in pairwise(padded):
        lengths = networks.flow(first, second)[0].pow(2).sum(0).sqrt().flatten()
        longest = np.sort(lengths.numpy())[::-1][: int(0.05 * lengths.numel())]
        yield float(np.mean(longest))


def dynamic_threshold(clip: Clip) -> tuple[float, int]:
    """How long a flow is motion, and how many pairs must have it."""
    return 6.0 * (min(clip.frames.shape[-2:]) / 256.0), round(4 * (len(_compared(clip)) / 16.0))


def dynamic_degree(clip: Clip, networks: Networks) -> bool:
    """Whether enough pairs move; pairs after the deciding one are not computed."""
    threshold, wanted = dynamic_threshold(clip)
    moving = 0
    for score in flow_scores(clip, networks):
        moving += score > threshold
        if moving >= wanted:
            return True
    return False
