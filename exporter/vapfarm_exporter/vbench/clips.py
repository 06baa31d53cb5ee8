"""Frames of a clip as VBench's two readers give them, by ffmpeg.

decord honours a clip's colour tags, OpenCV takes every clip for untagged BT.601; each frame that the file holds comes once,
whatever its time.
"""

import re
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Reader = Literal["decord", "opencv"]
# What ffmpeg needs to forget tags and still convert.
_UNTAGGED = ("-vf", "setparams=colorspace=unknown:range=unknown,scale")
_OUTPUT_SIZE = re.compile(r"Stream #0:0.*?: Video: rawvideo.*?, (\d+)x(\d+)")
# What ffmpeg takes the stream's rate to be, as a fraction; the rates that it shows to people are rounded.
_RATE = re.compile(r"^\[graph 0 input .*? fr:(\d+)/(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Clip:
    """frames uint8 RGB [N, 3, H, W] and the container's frames per second, 0 if it states none."""

    frames: Tensor
    fps: float


def _rate(log: str) -> float:
    """The rate that OpenCV would report, which guesses it as ffmpeg does."""
    found = _RATE.search(log)
    return int(found[1]) / int(found[2]) if found else 0.0


def decode(ffmpeg: str, path: Path, options: tuple[str, ...] = ()) -> tuple[Tensor, str]:
    """All frames uint8 [N, H, W, 3] and what ffmpeg said; `options` go before the output's own."""
    output = (*options, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    command = [ffmpeg, "-hide_banner", "-v", "verbose", "-i", str(path), "-map", "0:v:0", *output]
    ran = subprocess.run(command, capture_output=True, check=False)
    log = ran.stderr.decode("utf-8", "replace")
    size = _OUTPUT_SIZE.search(log)
    if ran.returncode != 0 or size is None:
        raise ValueError(f"{path} cannot be decoded: {log.strip().splitlines()[-1]}")
    width, height = int(size[1]), int(size[2])
    pixels = np.frombuffer(bytearray(ran.stdout), np.uint8).reshape(-1, height, width, 3)
    return torch.from_numpy(pixels), log


def read_clip(ffmpeg: str, path: Path, reader: Reader) -> Clip:
    """A whole clip."""
    untagged = _UNTAGGED if reader == "opencv" else ()
    frames, log = decode(ffmpeg, path, ("-fps_mode", "passthrough", *untagged))
    return Clip(frames.permute(0, 3, 1, 2), _rate(log))


def middle_indices(frames: int, count: int = 8) -> list[int]:
    """The middle frame of each of `count` equal parts; a shorter clip's last frame is repeated."""
    ends = np.linspace(0, frames, min(count, frames) + 1).astype(int)
    middles = [(int(start) + int(end) - 1) // 2 for start, end in pairwise(ends)]
    return middles + [middles[-1]] * (count - len(middles))
