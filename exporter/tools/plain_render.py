"""One render of Video-As-Prompt on CogVideoX as the reference's pipeline makes it: one request after another, nothing kept.

The networks are the exporter's modules (stock T5 and VAE among them), the scheduler is diffusers' own. All random numbers
come from one generator in the pipeline's order: the image's draw, the noise, each reference's, each first frame's.
"""

import contextlib
import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import CogVideoXDDIMScheduler
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from sentencepiece import SentencePieceProcessor
from torch import Tensor

from vapfarm_exporter.cogvideox_manifest import DEFAULTS
from vapfarm_exporter.tokenizer import EOS_ID, PAD_ID
from vapfarm_exporter.variant import RequestedSizes
from vapfarm_exporter.variants import variant_of
from vapfarm_exporter.vbench.clips import decode

_MACRO_BLOCK = 16


@dataclass(frozen=True)
class RenderInputs:
    """What one render is made from; a reference is its frames and its prompt."""

    image: Image.Image
    prompt: str
    references: list[tuple[list[Image.Image], str]]
    seed: int


@dataclass(frozen=True)
class RenderSettings:
    """The sampler's settings, by default the model's."""

    steps: int = int(DEFAULTS["steps"])
    guidance_scale: float = float(DEFAULTS["guidance_scale"])
    dynamic_guidance: bool = bool(DEFAULTS["dynamic_guidance"])
    negative_prompt: str = str(DEFAULTS["negative_prompt"])


@dataclass(frozen=True)
class Rendered:
    """frames uint8 [F, H, W, 3] and the latents that they were decoded from, [1, T, C, h, w]."""

    frames: Tensor
    latents: Tensor


@dataclass
class Stopwatch:
    """Seconds by stage, summed over its parts."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside for a stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def read_frames(ffmpeg: str, path: Path) -> list[Image.Image]:
    """All frames of a clip at its own constant rate, as the reference's `load_video` gives them."""
    return [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in decode(ffmpeg, path).frames]


def evenly(frames: list[Image.Image], count: int) -> list[Image.Image]:
    """`count` frames, the first and the last among them (infer/cog_vap.py `select_frames`)."""
    return [frames[index] for index in torch.linspace(0, len(frames) - 1, count).long().tolist()]


def guidance_at(settings: RenderSettings, timestep: int) -> float:
    """The pipeline's dynamic guidance: the time step stands where a step's number was meant."""
    if not settings.dynamic_guidance:
        return settings.guidance_scale
    turn = math.cos(math.pi * ((settings.steps - timestep) / settings.steps) ** 5.0)
    return 1 + settings.guidance_scale * (1 - turn) / 2


def write_mp4(ffmpeg: str, frames: Tensor, fps: int, path: Path) -> None:
    """uint8 [F, H, W, 3] to a file, with the settings that the farm encodes with."""
    height, width = frames.shape[1:3]
    whole = [math.ceil(side / _MACRO_BLOCK) * _MACRO_BLOCK for side in (width, height)]
    scale = [] if whole == [width, height] else ["-vf", f"scale={whole[0]}:{whole[1]}"]
    source = f"-y -f rawvideo -vcodec rawvideo -s {width}x{height} -pix_fmt rgb24 -r {fps} -i pipe:0".split()
    codec = ["-an", "-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "25", "-threads", "2"]
    container = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4"]
    command = [ffmpeg, "-hide_banner", "-v", "error", *source, *codec, *scale, *container, f"file:{path}"]
    subprocess.run(command, input=frames.numpy().tobytes(), check=True)


class PlainRenderer:
    """A checkpoint's modules, all in memory."""

    def __init__(self, checkpoint: Path) -> None:
        self.plan = variant_of(checkpoint).plan(checkpoint, RequestedSizes())
        self.modules = dict(self.plan.modules())
        self.scheduler = CogVideoXDDIMScheduler.from_pretrained(checkpoint / "scheduler")
        self.pieces = SentencePieceProcessor(model_file=str(checkpoint / "tokenizer/spiece.model"))
        self.scaling = float(self.plan.vae["scaling_factor"])

    def _pixels(self, frames: list[Image.Image]) -> Tensor:
        """[1, 3, F, H, W] in -1..1, each frame stretched to the model's size by Lanczos."""
        size = (self.plan.sizes.width, self.plan.sizes.height)
        arrays = [np.array(frame.convert("RGB").resize(size, Image.Resampling.LANCZOS)) for frame in frames]
        return 2.0 * (torch.from_numpy(np.stack(arrays)).permute(3, 0, 1, 2)[None].float() / 255) - 1.0

    def _text(self, prompt: str) -> Tensor:
        """[1, L, D]."""
        length = self.plan.text.max_tokens
        ids = [*self.pieces.encode(prompt)[: length - 1], EOS_ID]
        return self.modules["text_encode"](torch.tensor([ids + [PAD_ID] * (length - len(ids))]))

    def _latents(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """A draw from the encoder's moments, scaled: [1, T, C, h, w]."""
        name = "vae_encode_image" if pixels.shape[2] == 1 else "vae_encode"
        drawn = DiagonalGaussianDistribution(self.modules[name](pixels)).sample(generator)
        return (drawn * self.scaling).transpose(1, 2)

    @torch.no_grad()
    def render(self, inputs: RenderInputs, settings: RenderSettings, watch: Stopwatch) -> Rendered:
        """The whole pipeline up to frames."""
        with watch.stage("prepare"):
            image = self._pixels([inputs.image])
            clips = [self._pixels(evenly(frames, self.plan.sizes.frames)) for frames, _ in inputs.references]
        with watch.stage("text_encode"):
            rows = [settings.negative_prompt] * (settings.guidance_scale > 1)
            prompts = torch.cat([self._text(text) for text in [*rows, inputs.prompt]])
            ref_prompts = torch.stack([torch.cat([self._text(text) for text in [*rows, own]]) for _, own in inputs.references])
        generator, latent = torch.Generator("cpu").manual_seed(inputs.seed), self.plan.latent
        with watch.stage("vae_encode"):
            image_latents = self._latents(image, generator)
            noise = torch.randn(1, latent.frames, latent.channels, latent.height, latent.width, generator=generator)
            ref_latents = torch.cat([self._latents(clip, generator) for clip in clips])
            ref_image_latents = torch.cat([self._latents(clip[:, :, :1], generator) for clip in clips])
        with watch.stage("denoise"):
            given = (image_latents, prompts, ref_latents, ref_image_latents, ref_prompts)
            latents = self._denoised(noise * self.scheduler.init_noise_sigma, given, settings)
        with watch.stage("vae_decode"):
            decoded = self.modules["vae_decode"](latents.transpose(1, 2) / self.scaling)
            frames = ((decoded[0] * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous()
        return Rendered(frames, latents)

    def _denoised(self, latents: Tensor, given: tuple[Tensor, ...], settings: RenderSettings) -> Tensor:
        """Every step: the model's answer, guidance, the scheduler."""
        image_latents, prompts, ref_latents, ref_image_latents, ref_prompts = given
        self.scheduler.set_timesteps(settings.steps)
        for timestep in self.scheduler.timesteps:
            answer = self.modules["denoise"](
                latents, image_latents, timestep[None], prompts, ref_latents, ref_image_latents, ref_prompts
            )
            if len(answer) == 2:
                negative, positive = answer.split(1)
                answer = negative + guidance_at(settings, int(timestep)) * (positive - negative)
            latents = self.scheduler.step(answer, timestep, latents, return_dict=False)[0]
        return latents
