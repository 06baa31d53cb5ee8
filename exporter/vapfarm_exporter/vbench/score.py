"""All metrics by name, each with a decode of its own, as VBench runs them, and how long both took."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from . import frame_metrics, motion_metrics, text_metrics
from .clips import Clip, Reader, read_clip
from .networks import Networks


@dataclass(frozen=True)
class Subject:
    """What is scored: a clip, the prompt it should show and the picture it began from."""

    video: Path
    prompt: str
    image: Image.Image


@dataclass(frozen=True)
class Score:
    """A metric's value on VBench's scale for one video, and seconds of decoding and of the metric."""

    value: float | bool
    decode_seconds: float
    seconds: float


Metric = Callable[[Clip, Subject, Networks], float | bool]
METRICS: dict[str, tuple[Reader, Metric]] = {
    "temporal_flickering": ("opencv", lambda clip, _, __: motion_metrics.temporal_flickering(clip.frames)),
    "subject_consistency": ("decord", lambda clip, _, nets: frame_metrics.subject_consistency(clip.frames, nets)),
    "background_consistency": ("decord", lambda clip, _, nets: frame_metrics.background_consistency(clip.frames, nets)),
    "motion_smoothness": ("opencv", lambda clip, _, nets: motion_metrics.motion_smoothness(clip.frames, nets)),
    "dynamic_degree": ("opencv", lambda clip, _, nets: motion_metrics.dynamic_degree(clip, nets)),
    "aesthetic_quality": ("decord", lambda clip, _, nets: frame_metrics.aesthetic_quality(clip.frames, nets)),
    "imaging_quality": ("decord", lambda clip, _, nets: frame_metrics.imaging_quality(clip.frames, nets)),
    "overall_consistency": ("decord", lambda clip, of, nets: text_metrics.overall_consistency(clip.frames, of.prompt, nets)),
    "i2v_subject": ("decord", lambda clip, of, nets: frame_metrics.i2v_subject(clip.frames, of.image, nets)),
    "clip_score": ("decord", lambda clip, of, nets: text_metrics.clip_score(clip.frames, of.prompt, nets)),
}


@torch.no_grad()
def score(name: str, subject: Subject, networks: Networks, ffmpeg: str) -> Score:
    """One metric of one clip."""
    reader, metric = METRICS[name]
    began = time.perf_counter()
    clip = read_clip(ffmpeg, subject.video, reader)
    decoded = time.perf_counter()
    value = metric(clip, subject, networks)
    return Score(value, decoded - began, time.perf_counter() - decoded)
