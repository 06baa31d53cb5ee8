"""Writes test/fixtures/vbench/demo-networks.json: what our PyTorch metrics make of three clips with models/demo-metrics.

`python exporter/tests/make_demo_scores.py FFMPEG`. The farm is held to it where there is no PyTorch; test_vbench.py holds it to
what is computed now.
"""

import json
import sys

from plain_render import read_frames
from tiny_models import ROOT

from vapfarm_exporter.vbench.networks import demo_networks
from vapfarm_exporter.vbench.score import METRICS, Subject, score

FIXTURES = ROOT / "test/fixtures/vbench"
RECORD = FIXTURES / "demo-networks.json"
# Clip -> the clip whose first frame it is held against, and its prompt.
CASES = {
    "realshort.mp4": ("cup-17.mp4", "A cat"),
    "cup-17.mp4": ("realshort.mp4", "A cup on a table, seen from above."),
    "demo-size.mp4": ("demo-size.mp4", "The pot begins to inflate like a balloon."),
}


def subject_of(clip: str, ffmpeg: str) -> Subject:
    """What is scored."""
    image, prompt = CASES[clip]
    return Subject(FIXTURES / clip, prompt, read_frames(ffmpeg, FIXTURES / image)[0])


def main(ffmpeg: str) -> None:
    """Write the record."""
    networks = demo_networks()
    clips = {}
    for clip, (image, prompt) in CASES.items():
        subject = subject_of(clip, ffmpeg)
        values = {name: score(name, subject, networks, ffmpeg).value for name in METRICS}
        clips[clip] = {"image": image, "prompt": prompt, "values": values}
    what = "exporter/tests/make_demo_scores.py: PyTorch on CPU, float32, the networks of models/demo-metrics"
    RECORD.write_text(json.dumps({"what": what, "clips": clips}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
