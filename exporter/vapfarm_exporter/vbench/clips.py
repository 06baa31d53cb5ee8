"""Frames of a clip as VBench's two readers give them, by ffmpeg.

decord honours a clip's colour tags, OpenCV takes every clip for untagged BT.601; each frame that the file holds comes once,
whatever its time.
"""

import os
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
# A picture's head, and that of a stream format that spells its rate as a fraction; what ffmpeg shows to people is rounded.
_PPM = re.compile(rb"P6\n(\d+) (\d+)\n255\n")
_Y4M = re.compile(rb"YUV4MPEG2 .*?\bF(\d+):(\d+)")


@dataclass(frozen=True)
class Clip:
    """frames uint8 RGB [N, 3, H, W] and the container's frames per second, 0 if it states none."""

    frames: Tensor
    fps: float


def decode(ffmpeg: str, path: Path, options: tuple[str, ...] = ()) -> Clip:
    """All frames and the rate that OpenCV would report, which guesses it as ffmpeg does; `options` go before the output's own."""
    reading, writing = os.pipe()
    pictures = ["-map", "0:v:0", *options, "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    # So small that the pipe takes it whole.
    rate = [
        "-map",
        "0:v:0",
        "-frames:v",
        "1",
        "-vf",
        "scale=16:16",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "yuv4mpegpipe",
        f"pipe:{writing}",
    ]
    command = [ffmpeg, "-hide_banner", "-nostdin", "-v", "error", "-i", str(path), *pictures, *rate]
    with os.fdopen(reading, "rb") as rates:
        try:
            ran = subprocess.run(command, capture_output=True, check=False, pass_fds=(writing,))
        finally:
            os.close(writing)
        found = _Y4M.match(rates.read())
    head = _PPM.match(ran.stdout)
    if ran.returncode != 0 or head is None:
        raise ValueError(f"{path} cannot be decoded: {ran.stderr.decode('utf-8', 'replace').strip()}")
    width, height = int(head[1]), int(head[2])
    pixels = np.frombuffer(bytearray(ran.stdout), np.uint8).reshape(-1, head.end() + height * width * 3)[:, head.end() :]
    frames = torch.from_numpy(np.ascontiguousarray(pixels).reshape(-1, height, width, 3)).permute(0, 3, 1, 2)
    return Clip(frames, int(found[1]) / int(found[2]) if found else 0.0)


def read_clip(ffmpeg: str, path: Path, reader: Reader) -> Clip:
    """A whole clip."""
    return decode(ffmpeg, path, ("-fps_mode", "passthrough", *(_UNTAGGED if reader == "opencv" else ())))


def middle_indices(frames: int, count: int = 8) -> list[int]:
    """The middle frame of each of `count` equal parts; a shorter clip's last frame is repeated."""
    ends = np.linspace(0, frames, min(count, frames) + 1).astype(int)
    middles = [(int(start) + int(end) - 1) // 2 for start, end in pairwise(ends)]
    return middles + [middles[-1]] * (count - len(middles))
