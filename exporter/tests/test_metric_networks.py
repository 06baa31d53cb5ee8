"""The metric networks: what their structure promises, with the demo's random weights."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tiny_models import ROOT
from torch import Tensor, nn

from vapfarm_exporter.metrics.bpe import byte_symbols, learn_merges, merged, merges_text, read_merges, vocabulary
from vapfarm_exporter.metrics.random_weights import fill_random
from vapfarm_exporter.metrics.repository import demo_merges

RANDOM_WEIGHTS = [
    -1.369847297668457,
    -1.531287670135498,
    -0.9685423374176025,
    -0.07770824432373047,
    1.4641361236572266,
    -1.6356549263000488,
    4.995370388031006,
    5.163574695587158,
]
DEMO_METRICS = ROOT / "models/demo-metrics"


def pictures(count: int, height: int, width: int) -> Tensor:
    """Smooth pictures [n, 3, H, W] around 0, of different colours and forms."""
    coarse = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(5))
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


def largest_cosine(embeddings: Tensor) -> float:
    unit = F.normalize(embeddings, dim=-1)
    return float((unit @ unit.T).fill_diagonal_(-1).max())


@pytest.mark.parametrize("name", ["clip_b32_image", "clip_l14_image"])
def test_different_pictures_have_different_embeddings(metric_modules: dict[str, nn.Module], name: str) -> None:
    embeddings = metric_modules[name](pictures(6, 224, 224))
    assert largest_cosine(embeddings) < 0.98
    assert 0.1 < embeddings.std() < 10


def test_a_picture_has_the_same_embedding_alone_and_in_a_batch(metric_modules: dict[str, nn.Module]) -> None:
    batch = pictures(3, 224, 224)
    module = metric_modules["clip_b32_image"]
    torch.testing.assert_close(module(batch)[1:2], module(batch[1:2]), rtol=0, atol=1e-5)


def test_dino_leaves_out_what_fills_no_patch(metric_modules: dict[str, nn.Module]) -> None:
    module = metric_modules["dino_b16"]
    pixels, positions = pictures(1, 55, 78), torch.randn(1, 1 + 3 * 4, module.pos_embed.shape[-1])
    changed = pixels.clone()
    changed[..., 48:, :] += 1
    changed[..., 64:] += 1
    torch.testing.assert_close(module(pixels, positions), module(changed, positions), rtol=0, atol=0)
    assert not torch.equal(module(pixels, positions), module(pixels, positions.flip(1)))


def test_a_text_tower_reads_up_to_the_highest_id_only(metric_modules: dict[str, nn.Module]) -> None:
    module = metric_modules["clip_b32_text"]
    end = module.token_embedding.num_embeddings - 1
    ids = torch.zeros(1, 77, dtype=torch.int64)
    ids[0, :4] = torch.tensor([end - 1, 300, 5, end])
    behind, before = ids.clone(), ids.clone()
    behind[0, 4:] = 77
    before[0, 2] = 6
    torch.testing.assert_close(module(ids), module(behind), rtol=0, atol=1e-5)
    assert F.cosine_similarity(module(ids), module(before)) < 0.99


def test_a_clip_is_read_frame_by_frame_in_order(metric_modules: dict[str, nn.Module]) -> None:
    module = metric_modules["viclip_video"]
    frames = pictures(8, 224, 224)[None]
    assert not torch.allclose(module(frames), module(frames.flip(1)), atol=1e-2)


def tokens(count: int) -> Tensor:
    places = torch.tensor([[7.0, 0.0, 1.0]]).expand(count, -1)
    return torch.cat([pictures(count, 32, 32).flatten(1), places], dim=1)[None]


def test_absent_tokens_change_no_score(metric_modules: dict[str, nn.Module]) -> None:
    module, given = metric_modules["musiq_spaq"], tokens(5)
    padded = torch.cat([given, torch.zeros(1, 9, given.shape[-1])], dim=1)
    torch.testing.assert_close(module(padded), module(given), rtol=0, atol=1e-4)
    assert abs(module(tokens(6)) - module(given)) > 1e-3


def test_the_middle_of_two_frames_is_a_picture(metric_modules: dict[str, nn.Module]) -> None:
    frame0, frame1 = (pictures(2, 64, 96) * 0.2 + 0.5).clamp(0, 1).split(1)
    middle = metric_modules["amt_s"](frame0, frame1)
    assert 0 <= middle.min() < middle.max() <= 1
    # A blend of two flows' pictures lies nearer to both than they are to each other.
    assert (middle - frame0).abs().mean() < (frame1 - frame0).abs().mean()


@pytest.mark.parametrize(("height", "width"), [(48, 64), (240, 320)])
def test_flow_is_some_pixels(metric_modules: dict[str, nn.Module], height: int, width: int) -> None:
    frame = (pictures(1, height, width) * 50 + 128).clamp(0, 255)
    length = metric_modules["raft_things"](frame, frame.roll((1, 2), (-2, -1))).pow(2).sum(1).sqrt()
    assert 0.1 < length.mean() < 10
    assert length.max() < 20


def test_flow_is_no_number_where_a_level_of_the_pyramid_is_one_pixel_wide(metric_modules: dict[str, nn.Module]) -> None:
    module = metric_modules["raft_things"]
    assert module(torch.rand(1, 3, 8, 64), torch.rand(1, 3, 8, 64)).isnan().any()
    assert module(torch.rand(1, 3, 16, 64), torch.rand(1, 3, 16, 64)).isfinite().all()


def test_random_weights_are_fixed_numbers() -> None:
    linear = fill_random(nn.Linear(3, 2), "seed", {"weight": 2.0}, {"bias": 5.0})
    wanted = torch.tensor(RANDOM_WEIGHTS)
    assert torch.equal(torch.cat([linear.weight.flatten(), linear.bias]), wanted)
    assert not torch.equal(fill_random(nn.Linear(3, 2), "other").weight, linear.weight)


def test_the_aesthetic_head_is_laions() -> None:
    head = load_file(DEMO_METRICS / "clip_l14_image/1/laion_l14.safetensors")
    assert {name: tuple(value.shape) for name, value in head.items()} == {"weight": (768,), "bias": (1,)}
    assert head["bias"].item() == pytest.approx(3.529371738433838, abs=0)


def test_the_vocabulary_has_bytes_ends_of_words_merges_and_two_marks() -> None:
    merges = demo_merges()
    ids = vocabulary(merges)
    assert len(ids) == 256 + 256 + len(merges) + 2
    assert [ids[symbol] for symbol in ("!", "~", "¡", "Ā", "!</w>")] == [0, 93, 94, 188, 256]
    assert (ids["<|startoftext|>"], ids["<|endoftext|>"]) == (len(ids) - 2, len(ids) - 1)
    assert sorted(map(ord, byte_symbols().values())) == sorted({*map(ord, byte_symbols().values())})
    assert read_merges(merges_text(merges)) == merges


def test_merges_are_the_most_frequent_pairs_in_order() -> None:
    # "ab" stands in three words, "abc" in two; of pairs that are equally frequent the first in order is taken.
    assert learn_merges("abc abc ab", 2) == [("a", "b"), ("ab", "c</w>")]
    assert learn_merges("ba dc", 2) == [("b", "a</w>"), ("d", "c</w>")]


def test_merging_goes_from_the_left() -> None:
    assert merged(("a", "a", "a", "b"), ("a", "a")) == ("aa", "a", "b")
    assert merged(("a", "a", "a", "a"), ("a", "a")) == ("aa", "aa")
