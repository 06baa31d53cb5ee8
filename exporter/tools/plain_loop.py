"""A benchmark table rendered and scored row by row in plain PyTorch: what the farm's benchmark runs are held against.

`python exporter/tools/plain_loop.py BENCHMARK.csv --out RESULTS.json`. The table's columns are the reference's
(`video_paths`, `ref_video_path`, `tar_video_caption`, `ref_video_caption`, paths beside the table) and, if there is one,
`seed`. The image is the target video's first frame. As in the reference and in VBench nothing is shared between rows or
metrics. The results' JSON says seconds by stage, scores, and the frames' SHA-256; `--keep` keeps clips and frames.
"""

import argparse
import csv
import hashlib
import json
import math
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from plain_render import PlainRenderer, RenderInputs, RenderSettings, Stopwatch, read_frames, write_mp4
from safetensors.torch import save_file

from vapfarm_exporter.vbench.networks import Networks, demo_networks
from vapfarm_exporter.vbench.score import METRICS, Subject, score

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")
FPS = 16


@dataclass(frozen=True)
class Loop:
    """What the rows of one run share; without a renderer existing clips of `videos` are scored."""

    ffmpeg: str
    renderer: PlainRenderer | None
    networks: Networks
    settings: RenderSettings
    metrics: tuple[str, ...]
    seed: int
    videos: Path | None
    keep: Path | None


def _metric_names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(METRICS)}")
    return names


def _row_range(text: str) -> slice:
    found = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of rows nor FROM:TO")
    return slice(int(found[1] or 0), int(found[2]))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plain_loop.py", description=(__doc__ or "").split("\n", 1)[0], allow_abbrev=False)
    parser.add_argument("table", type=Path, help="benchmark CSV")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, JSON")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "test/fixtures/vap-cogvideox-tiny", metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the table's paths begin (default: the table's folder)")
    parser.add_argument("--metrics", type=_metric_names, default=tuple(METRICS), metavar="A,B", help="default: all; '' for none")
    parser.add_argument("--steps", type=_count, default=RenderSettings.steps, help="denoise steps (default: 50)")
    parser.add_argument("--rows", type=_row_range, default=slice(None), metavar="N|FROM:TO", help="which rows (default: all)")
    parser.add_argument("--seed", type=int, default=42, help="of rows without one (default: 42)")
    parser.add_argument("--threads", type=_count, help="torch's threads (default: torch's own)")
    parser.add_argument("--ffmpeg", default="ffmpeg", metavar="PATH")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="score DIR's mp4s, whose names end in the row's number")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep each row's ROW.mp4 and ROW.safetensors (frames, latents)")
    return parser


def _read_table(path: Path, rows: slice) -> list[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}")
        return list(enumerate(reader))[rows]


def _existing(videos: Path, row: int) -> Path:
    """The one clip of a row."""
    found = [path for path in sorted(videos.glob("*.mp4")) if (end := re.search(r"(\d+)$", path.stem)) and int(end[1]) == row]
    if len(found) != 1:
        raise ValueError(f"{videos} has {len(found)} clips whose names end in {row}")
    return found[0]


def _rendered(loop: Loop, inputs: RenderInputs, path: Path, watch: Stopwatch) -> str:
    """Render a row to `path`; the SHA-256 of its frames' bytes."""
    made = loop.renderer.render(inputs, loop.settings, watch)
    with watch.stage("mp4"):
        write_mp4(loop.ffmpeg, made.frames, FPS, path)
    if loop.keep is not None:
        save_file({"frames": made.frames, "latents": made.latents.contiguous()}, path.with_suffix(".safetensors"))
    return hashlib.sha256(made.frames.numpy().tobytes()).hexdigest()


def _scored(loop: Loop, name: str, subject: Subject) -> dict[str, object]:
    """A metric's value, null where it is no number, and its seconds."""
    found = score(name, subject, loop.networks, loop.ffmpeg)
    return {**asdict(found), "value": found.value if math.isfinite(found.value) else None}


def _run_row(loop: Loop, number: int, row: dict[str, str], folders: tuple[Path, Path]) -> dict[str, object]:
    """One row's result; `folders` are where its paths begin and where its clip goes."""
    data, scratch = folders
    watch, began, digest = Stopwatch(), time.perf_counter(), None
    with watch.stage("decode"):
        image = read_frames(loop.ffmpeg, data / row["video_paths"])[0]
    seed = int(row.get("seed") or loop.seed)
    if loop.videos is None:
        with watch.stage("decode"):
            reference = read_frames(loop.ffmpeg, data / row["ref_video_path"])
        video = scratch / f"{number}.mp4"
        inputs = RenderInputs(image, row["tar_video_caption"], [(reference, row["ref_video_caption"])], seed)
        digest = _rendered(loop, inputs, video, watch)
    else:
        video = _existing(loop.videos, number)
    subject = Subject(video, row["tar_video_caption"], image)
    return {
        "row": number,
        "seed": seed,
        "frames_sha256": digest,
        "video_sha256": hashlib.sha256(video.read_bytes()).hexdigest(),
        "stage_seconds": watch.seconds,
        "metrics": {name: _scored(loop, name, subject) for name in loop.metrics},
        "seconds": time.perf_counter() - began,
    }


def _run(options: argparse.Namespace) -> dict[str, object]:
    table = _read_table(options.table, options.rows)
    if options.threads:
        torch.set_num_threads(options.threads)
    began = time.perf_counter()
    renderer = None if options.videos else PlainRenderer(options.checkpoint)
    settings = RenderSettings(steps=options.steps)
    loop = Loop(options.ffmpeg, renderer, demo_networks(), settings, options.metrics, options.seed, options.videos, options.keep)
    loaded = time.perf_counter()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in table:
            results.append(_run_row(loop, number, row, (options.data or options.table.parent, folder)))
            print(f"row {number}: {results[-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    return {
        "table": options.table.name,
        "steps": settings.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_seconds": loaded - began,
        "seconds": time.perf_counter() - loaded,
        "rows": results,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the loop; 0 when every row was made, 2 for wrong usage, 1 for a table or clip that cannot be read."""
    options = _parser().parse_args(arguments)
    try:
        results = _run(options)
    except (ValueError, OSError) as error:
        print(f"plain_loop.py: {error}", file=sys.stderr)
        return 1
    options.out.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
