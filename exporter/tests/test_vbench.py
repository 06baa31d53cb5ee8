"""Our PyTorch metrics give VBench's own numbers, with the stub networks that VBench was run with."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from make_demo_scores import CASES, RECORD
from make_demo_scores import subject_of as subject_of_record
from PIL import Image
from safetensors.torch import load_file
from tiny_models import ROOT
from torch import Tensor
from transformers import CLIPTokenizer

from vapfarm_exporter.metrics.bpe import SPECIALS, vocabulary
from vapfarm_exporter.metrics.repository import demo_merges
from vapfarm_exporter.vbench.clips import Clip, middle_indices, read_clip
from vapfarm_exporter.vbench.frame_metrics import i2v_subject
from vapfarm_exporter.vbench.interpolation import interpolate
from vapfarm_exporter.vbench.motion_metrics import dynamic_degree, dynamic_threshold, flow_scores, temporal_flickering
from vapfarm_exporter.vbench.musiq_tokens import musiq_tokens
from vapfarm_exporter.vbench.networks import Networks, demo_networks
from vapfarm_exporter.vbench.score import METRICS, Subject, score
from vapfarm_exporter.vbench.tokens import ClipTokenizer
from vapfarm_exporter.vbench.transforms import clip_transform, dino_transform, imaging_transform

FIXTURES = ROOT / "test/fixtures/vbench"
CLIPS = ("realshort.mp4", "cup.mp4")
GOLDEN = {key.partition("[")[0]: value for key, value in json.loads((FIXTURES / "vbench.json").read_text()).items()}
# What the farm promises against VBench on a CPU; imaging on the scale of 0..100.
TOLERANCES = {
    "temporal_flickering": 1e-8,
    "subject_consistency": 1e-5,
    "background_consistency": 1e-5,
    "aesthetic_quality": 1e-5,
    "imaging_quality": 1e-4,
    "overall_consistency": 1e-5,
    "motion_smoothness": 1e-4,
    "dynamic_degree": 0,
}


def pooled(cells: int) -> object:
    return lambda pixels: F.adaptive_avg_pool2d(pixels, cells).flatten(1)


def stub_flow(first: Tensor, second: Tensor) -> Tensor:
    across = 0.5 * (second - first).mean(1, keepdim=True)
    return torch.cat([across, -across / 2], dim=1)


@pytest.fixture(scope="module")
def stubs() -> Networks:
    head = load_file(FIXTURES / "laion-aesthetic.safetensors")
    return Networks(
        dino=pooled(4),
        clip_b32_image=pooled(4),
        clip_b32_text=lambda _: torch.linspace(-1, 1, 48)[None],
        clip_l14_image=pooled(16),
        aesthetic_head=(head["vit_l_14.weight"][0], head["vit_l_14.bias"]),
        imaging=lambda image: 100 * image.square().mean(),
        middle=lambda first, second: (first + second) / 2,
        flow=stub_flow,
        viclip_video=lambda frames: pooled(4)(frames[0]).mean(0, keepdim=True),
        viclip_text=lambda _: torch.linspace(-1, 1, 48)[None],
    )


@pytest.fixture(scope="module")
def networks() -> Networks:
    return demo_networks()


def subject_of(video: Path) -> Subject:
    return Subject(video, "A cup on a table.", Image.new("RGB", (40, 30), (200, 120, 40)))


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", sorted(TOLERANCES))
def test_scores_are_vbenchs_own(stubs: Networks, ffmpeg: str, name: str, clip: str) -> None:
    wanted = next(entry["video_results"] for entry in GOLDEN[name][1] if entry["video_path"] == clip)
    found = score(name, subject_of(FIXTURES / clip), stubs, ffmpeg).value
    assert type(found) is type(wanted)
    assert abs(found - wanted) <= TOLERANCES[name]


@pytest.mark.parametrize("name", CLIPS)
def test_every_pairs_motion_is_vbenchs(stubs: Networks, ffmpeg: str, name: str) -> None:
    wanted = next(entry for entry in GOLDEN["dynamic_degree"][1] if entry["video_path"] == name)
    clip = read_clip(ffmpeg, FIXTURES / name, "opencv")
    assert dynamic_threshold(clip) == (wanted["thres"], wanted["count_num"])
    assert list(flow_scores(clip, stubs)) == pytest.approx(wanted["pair_scores"], rel=1e-5)


@pytest.mark.parametrize(("reader", "flickering"), [("opencv", 0.9909135201398064), ("decord", 0.9908584314234117)])
def test_one_reader_honours_a_clips_colour_tags_and_one_does_not(ffmpeg: str, reader: str, flickering: float) -> None:
    clip = read_clip(ffmpeg, ROOT / "test/fixtures/media/man-534.mp4", reader)
    assert (clip.frames.shape, clip.fps) == ((129, 3, 768, 1200), 32)
    assert temporal_flickering(clip.frames) == pytest.approx(flickering, abs=1e-8)


@pytest.mark.parametrize(("name", "rate"), [("realshort.mp4", 45000 / 1499), ("cup.mp4", 26.777)])
def test_a_clips_rate_is_the_containers_fraction(ffmpeg: str, name: str, rate: float) -> None:
    assert read_clip(ffmpeg, FIXTURES / name, "opencv").fps == rate


def test_what_is_no_clip_is_refused_by_name(ffmpeg: str) -> None:
    with pytest.raises(ValueError, match=r"vbench\.json cannot be decoded"):
        read_clip(ffmpeg, FIXTURES / "vbench.json", "decord")


@pytest.mark.parametrize(
    ("frames", "indices"),
    [
        (49, [2, 8, 14, 20, 26, 32, 38, 45]),
        (81, [4, 14, 24, 34, 44, 54, 64, 75]),
        (129, [7, 23, 39, 55, 71, 87, 103, 120]),
        (5, [0, 1, 2, 3, 4, 4, 4, 4]),
    ],
)
def test_middle_frames_are_vbenchs(frames: int, indices: list[int]) -> None:
    assert middle_indices(frames) == indices


def noise(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize(("size", "resized"), [((480, 720), (224, 336)), ((720, 1280), (224, 398)), ((832, 480), (388, 224))])
def test_dino_sees_the_whole_picture(size: tuple[int, int], resized: tuple[int, int]) -> None:
    assert dino_transform(noise(*size).float()).shape[-2:] == resized


def test_places_between_pixels_are_not_rounded_to_float32() -> None:
    stripes = (torch.arange(1200) % 2 * 255).to(torch.uint8).expand(1, 1, 1, 1200)
    source = torch.tensor(1200 / 350).double() * (torch.arange(350) + 0.5).double() - 0.5
    toward_next = source - source.floor()
    wanted = 255 * torch.where(source.floor() % 2 == 0, toward_next, 1 - toward_next)
    assert (interpolate(stripes, (1, 350), "bilinear")[0, 0, 0].double() - wanted).abs().max() < 2e-5


def test_bicubic_overshoots_in_float_and_not_in_bytes() -> None:
    white = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    spread = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    floats, rounded = (clip_transform(frames) * spread + white for frames in (noise(300, 240).float(), noise(300, 240)))
    assert floats.min() < -0.05
    assert floats.max() > 1.05
    assert -1e-6 < rounded.min() < rounded.max() < 1 + 1e-6
    assert torch.allclose(rounded * 255, (rounded * 255).round(), atol=1e-3)


@pytest.mark.parametrize(("size", "side"), [((480, 720), (341, 512)), ((853, 480), (511, 288)), ((512, 512), (512, 512))])
def test_imaging_takes_at_most_512_pixels_a_side(size: tuple[int, int], side: tuple[int, int]) -> None:
    assert imaging_transform(noise(*size).float()).shape[-2:] == side


@pytest.mark.parametrize(("size", "count"), [((288, 512), 337), ((480, 720), 538), ((320, 512), 353)])
def test_musiqs_tokens_are_as_many_as_pyiqas(size: tuple[int, int], count: int) -> None:
    tokens = musiq_tokens(noise(*size).float() / 255)[0]
    assert tokens.shape == (count, 3075)
    assert tokens[:, 3073].unique().tolist() == [0, 1, 2]
    assert tokens[49 + 144 :, 3074].all()
    assert 0 <= tokens[:, 3072].min() <= tokens[:, 3072].max() <= 99


def moving(frames: int, fps: float) -> Clip:
    ramp = torch.arange(frames, dtype=torch.float32)[:, None, None, None] * 20
    return Clip(ramp.expand(-1, 3, 128, 128).to(torch.uint8), fps)


@pytest.mark.parametrize(("fps", "pairs"), [(8, 11), (12, 5), (16, 5), (20, 5), (36, 2), (0, 11)])
def test_about_eight_frames_a_second_are_compared(stubs: Networks, fps: float, pairs: int) -> None:
    assert len(list(flow_scores(moving(12, fps), stubs))) == pairs


def test_two_frames_always_move_and_one_never(stubs: Networks) -> None:
    assert dynamic_degree(moving(2, 8), stubs) is True
    assert dynamic_degree(moving(1, 8), stubs) is False


def test_a_clip_of_its_own_picture_is_true_to_it(networks: Networks) -> None:
    picture = Image.new("RGB", (320, 256), (90, 160, 30))
    frames = torch.tensor([90, 160, 30], dtype=torch.uint8)[None, :, None, None].expand(4, 3, 256, 320)
    with torch.no_grad():
        assert i2v_subject(frames, picture, networks) == pytest.approx(1, abs=1e-5)
        other = Image.new("RGB", (320, 256), (250, 20, 200))
        assert i2v_subject(frames, other, networks) < 0.999


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("clip", sorted(CASES))
def test_scores_with_the_demos_networks_are_the_recorded_ones(networks: Networks, ffmpeg: str, clip: str, name: str) -> None:
    recorded = json.loads(RECORD.read_text())["clips"][clip]
    assert (recorded["image"], recorded["prompt"]) == CASES[clip]
    found = score(name, subject_of_record(clip, ffmpeg), networks, ffmpeg)
    assert type(found.value) is type(recorded["values"][name])
    assert found.value == pytest.approx(recorded["values"][name], rel=1e-6, abs=1e-7)
    assert found.decode_seconds > 0
    assert found.seconds > 0


def test_texts_are_cut_to_their_context_and_end_as_clips_do() -> None:
    tokenizer = ClipTokenizer([("t", "h"), ("th", "e</w>")])
    start, end, the = len(tokenizer.ids) - 2, len(tokenizer.ids) - 1, tokenizer.ids["the</w>"]
    assert tokenizer.tokenize("  The &amp;amp; THE\n", 8).tolist() == [[start, the, tokenizer.ids["&</w>"], the, end, 0, 0, 0]]
    assert tokenizer.tokenize("the " * 9, 5).tolist() == [[start, the, the, the, end]]
    assert tokenizer.tokenize("", 3).tolist() == [[start, end, 0]]
    assert tokenizer.tokenize("é", 4).tolist() == [[start, tokenizer.ids["Ã"], tokenizer.ids["©</w>"], end]]


@pytest.mark.parametrize(
    "text",
    [
        "The pot begins to inflate like a balloon.",
        "It's 12 o'clock, we're DONE!! café naïve",
        "日本語 😀 tést",
        "naïve ½ x² ١٢ hello-world... don't they'll",
    ],
)
def test_ids_are_those_of_transformers_clip_tokenizer(text: str) -> None:
    merges = demo_merges()
    marks = dict(zip(("bos_token", "eos_token"), SPECIALS, strict=True))
    other = CLIPTokenizer(vocab=vocabulary(merges), merges=merges, unk_token=SPECIALS[1], pad_token=SPECIALS[1], **marks)
    wanted = other(text)["input_ids"]
    assert ClipTokenizer(merges).tokenize(text, 77)[0].tolist() == wanted + [0] * (77 - len(wanted))
