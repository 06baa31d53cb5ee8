"""The plain loop renders what the reference rendered, scores it, and says how long each part took."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
import torch
from golden_cases import read_golden
from PIL import Image
from plain_loop import main
from plain_render import PlainRenderer, RenderInputs, RenderSettings, Stopwatch, evenly, guidance_at, read_frames, write_mp4
from safetensors.torch import load_file
from tiny_models import ROOT, TINY

from vapfarm_exporter.vbench.score import METRICS

MEDIA = ROOT / "test/fixtures/media"
STAGES = ["decode", "prepare", "text_encode", "vae_encode", "denoise", "vae_decode", "mp4"]


@pytest.fixture(scope="module")
def renderer() -> PlainRenderer:
    return PlainRenderer(TINY)


@pytest.fixture(scope="module")
def reference(ffmpeg: str) -> list[Image.Image]:
    return read_frames(ffmpeg, MEDIA / "man-534.mp4")


@pytest.mark.parametrize("name", ["cogvideox-ddim-1ref", "cogvideox-ddim-2ref"])
def test_renders_are_the_references(renderer: PlainRenderer, reference: list[Image.Image], name: str) -> None:
    tensors, case = read_golden(name)
    clips = [reference, evenly(reference, 17)[::-1]][: case["refs"]]
    references = list(zip(clips, case["ref_prompts"], strict=True))
    inputs = RenderInputs(Image.open(MEDIA / "animal-2.jpg"), case["prompt"], references, case["seed"])
    settings = RenderSettings(case["steps"], case["guidance_scale"], case["use_dynamic_cfg"])
    watch = Stopwatch()
    made = renderer.render(inputs, settings, watch)
    torch.testing.assert_close(made.latents, tensors[f"step{case['steps'] - 1}_latents"], rtol=0, atol=1e-4)
    assert (made.frames.int() - tensors["frames_u8"].int()).abs().max() <= 1
    assert list(watch.seconds) == STAGES[1:-1]
    assert all(seconds > 0 for seconds in watch.seconds.values())


def test_dynamic_guidance_is_the_references_table() -> None:
    found = [round(guidance_at(RenderSettings(50), timestep), 4) for timestep in (999, 979, 959, 59, 39, 19)]
    assert found == [2.2915, 2.5435, 6.9744, 1.0, 1.0, 1.1234]
    assert guidance_at(RenderSettings(50, 3.0, dynamic_guidance=False), 999) == 3.0


def test_clips_have_the_size_of_whole_blocks(tmp_path: Path, ffmpeg: str) -> None:
    frames = torch.randint(0, 256, (3, 40, 50, 3), dtype=torch.uint8)
    write_mp4(ffmpeg, frames, 16, tmp_path / "a.mp4")
    assert [frame.size for frame in read_frames(ffmpeg, tmp_path / "a.mp4")] == 3 * [(64, 48)]


def table(folder: Path, **columns: str) -> Path:
    row = {
        "video_paths": "realshort.mp4",
        "ref_video_path": "realshort.mp4",
        "tar_video_caption": "The pot begins to inflate.",
        "ref_video_caption": "A ball inflates.",
        **columns,
    }
    with (folder / "benchmark.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([row, {**row, "tar_video_caption": "Something else."}])
    return folder / "benchmark.csv"


def run(folder: Path, ffmpeg: str, *options: str) -> dict:
    out = folder / "results.json"
    data = str(ROOT / "test/fixtures/vbench")
    assert main([str(folder / "benchmark.csv"), "--out", str(out), "--ffmpeg", ffmpeg, "--data", data, *options]) == 0
    return json.loads(out.read_text())


def test_a_row_is_rendered_scored_and_timed(tmp_path: Path, ffmpeg: str) -> None:
    table(tmp_path, seed="7")
    results = run(tmp_path, ffmpeg, "--steps", "2", "--rows", "1", "--keep", str(tmp_path / "kept"), "--threads", "2")
    (row,) = results["rows"]
    kept = load_file(tmp_path / "kept/0.safetensors")
    assert (row["row"], row["seed"], results["steps"], results["threads"]) == (0, 7, 2, 2)
    assert row["frames_sha256"] == hashlib.sha256(kept["frames"].numpy().tobytes()).hexdigest()
    assert row["video_sha256"] == hashlib.sha256((tmp_path / "kept/0.mp4").read_bytes()).hexdigest()
    assert list(row["stage_seconds"]) == STAGES
    assert list(row["metrics"]) == list(METRICS)
    parts = sum(row["stage_seconds"].values()) + sum(m["decode_seconds"] + m["seconds"] for m in row["metrics"].values())
    assert parts <= row["seconds"] <= results["seconds"]
    again = run(tmp_path, ffmpeg, "--rows", "1", "--videos", str(tmp_path / "kept"))["rows"][0]
    assert again["frames_sha256"] is None
    assert {name: m["value"] for name, m in again["metrics"].items()} == {n: m["value"] for n, m in row["metrics"].items()}


def test_a_seed_decides_the_frames(tmp_path: Path, ffmpeg: str) -> None:
    table(tmp_path)
    first, second, other = (
        run(tmp_path, ffmpeg, "--steps", "1", "--rows", "1:2", "--metrics", "", "--seed", seed)["rows"][0]
        for seed in ("1", "1", "2")
    )
    assert (first["row"], first["metrics"]) == (1, {})
    assert first["frames_sha256"] == second["frames_sha256"] != other["frames_sha256"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metrics", "subject,clip_score"], "unknown: subject; there are temporal_flickering"),
        (["--rows", "a"], "neither a number of rows nor FROM:TO"),
        (["--steps", "0"], "'0' is not a whole number from 1 on"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(table(tmp_path)), "--out", str(tmp_path / "results.json"), *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_table_without_its_columns_and_a_missing_clip_are_named(
    tmp_path: Path, ffmpeg: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.csv").write_text("video_paths\na.mp4\n")
    assert main([str(tmp_path / "other.csv"), "--out", str(tmp_path / "r.json")]) == 1
    assert "has no column ref_video_path, tar_video_caption, ref_video_caption" in capsys.readouterr().err
    arguments = [str(table(tmp_path)), "--out", str(tmp_path / "r.json"), "--ffmpeg", ffmpeg]
    assert main([*arguments, "--data", str(ROOT / "test/fixtures/vbench"), "--videos", str(tmp_path)]) == 1
    assert "has 0 clips whose names end in 0" in capsys.readouterr().err
    assert main(arguments) == 1
    assert "realshort.mp4 cannot be decoded" in capsys.readouterr().err
