"""Nothing of the Wan export is fitted to the one tiny checkpoint: another one passes the same comparisons."""

import json
from pathlib import Path

import pytest
import torch
from made_up_wan import SIZES, make_checkpoint
from stage_engines import Engines
from tiny_models import WAN, export_tiny
from torch import nn

from vapfarm_exporter.onnx_graphs import Bounds, random_inputs
from vapfarm_exporter.variant import Plan
from vapfarm_exporter.variants import variant_of


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    make_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def plan(other: Path) -> Plan:
    return variant_of(other).plan(other, SIZES)


@pytest.fixture(scope="module")
def modules(plan: Plan) -> dict[str, nn.Module]:
    return dict(plan.modules())


@pytest.fixture(scope="module")
def exported(other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "other"
    # From 100 kB on, weights have a file of their own, as the released model's have.
    export_tiny(out, other, WAN, sizes=SIZES, external_from_bytes=100_000)
    return out


def test_each_engine_computes_what_its_module_computes(plan: Plan, modules: dict[str, nn.Module], exported: Path) -> None:
    graphs, torch_modules = Engines(None, exported), Engines(modules, None)
    for spec in plan.specs:
        for seed in range(3):
            inputs = random_inputs(spec, Bounds({}, plan.text.vocabulary), seed)
            found, wanted = graphs.run(spec.name, **inputs), torch_modules.run(spec.name, **inputs)
            assert wanted.std() > 1e-3, spec.name
            torch.testing.assert_close(found, wanted, rtol=0, atol=5e-5, msg=spec.name)


def test_image_embeddings_are_the_stock_towers_last_hidden_states_but_one(modules: dict[str, nn.Module]) -> None:
    pixels = torch.randn(1, 3, 56, 56)
    clip = modules["clip_encode"]
    with torch.no_grad():
        stock = clip.vision_model(pixels, output_hidden_states=True).hidden_states[-2]
        torch.testing.assert_close(clip(pixels), stock, rtol=0, atol=1e-6)


def test_the_last_block_may_end_the_reference_stream(plan: Plan, modules: dict[str, nn.Module]) -> None:
    module = modules["denoise"]
    blocks = module.transformer.blocks
    assert [(block.has_reference, block.ends_reference) for block in blocks] == [(False, False), (True, False), (True, True)]
    spec = next(spec for spec in plan.specs if spec.name == "denoise")
    inputs = random_inputs(spec, Bounds({}, 400), 7)
    with torch.no_grad():
        pruned = module(**inputs)
        blocks[2].ends_reference = False
        whole = module(**inputs)
        blocks[2].ends_reference = True
    torch.testing.assert_close(pruned, whole, rtol=0, atol=2e-6)


def test_the_manifest_has_the_checkpoints_own_numbers(exported: Path) -> None:
    farm = json.loads((exported / "farm.json").read_text())
    assert [farm[key] for key in ("variant", "height", "width", "frames", "max_references")] == ["wan", 32, 48, 9, 1]
    assert farm["latent"] == {"channels": 8, "frames": 3, "height": 4, "width": 6}
    assert farm["clip"] | {"mean": None, "std": None} == {
        "tokens": 17,
        "embed_width": 40,
        "shortest_edge": 64,
        "crop_height": 56,
        "crop_width": 56,
        "mean": None,
        "std": None,
        "rescale": 1 / 255,
    }
    assert farm["scheduler"]["shift"] == 5.0
    assert (farm["text"]["max_tokens"], farm["text"]["width"]) == (512, 24)
    assert [file["path"].rsplit("/", 1)[1] for file in farm["engines"]["denoise"]["files"]] == ["model.onnx", "model.onnx.data"]
