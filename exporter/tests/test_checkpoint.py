"""Weights are read strictly: whatever is not exactly the model's is refused and named."""

import json
from pathlib import Path

import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file, save_file
from torch import nn

from vapfarm_exporter.checkpoint import Weights, load_strictly, read_json
from vapfarm_exporter.cogvideox_config import TransformerConfig
from vapfarm_exporter.cogvideox_engines import load_text_encoder, load_transformer
from vapfarm_exporter.errors import CheckpointError

STEM = "diffusion_pytorch_model"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tensors() -> Tensors:
    return load_file(TINY / f"transformer/{STEM}.safetensors")


def save_shards(folder: Path, tensors: Tensors) -> Path:
    names = sorted(tensors)
    shards = {f"{STEM}-{i + 1:05d}-of-00003.safetensors": names[i::3] for i in range(3)}
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    index = folder / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {n: f for f, part in shards.items() for n in part}}))
    return index


def same_weights(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_shards_give_the_same_module_as_one_file(tmp_path: Path, tensors: Tensors, config: TransformerConfig) -> None:
    save_shards(tmp_path, tensors)
    assert same_weights(load_transformer(tmp_path, config), load_transformer(TINY / "transformer", config))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_computed_in_float32(
    tmp_path: Path, tensors: Tensors, config: TransformerConfig, dtype: torch.dtype
) -> None:
    save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, tmp_path / f"{STEM}.safetensors")
    state = load_transformer(tmp_path, config).state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert all(torch.equal(state[name], tensor.to(dtype).float()) for name, tensor in tensors.items())


def test_missing_unexpected_and_misshaped_tensors_are_all_named(
    tmp_path: Path, tensors: Tensors, config: TransformerConfig
) -> None:
    del tensors["proj_out.bias"]
    tensors["effect_embeddings.fire"] = torch.zeros(1)
    tensors["norm_final.weight"] = torch.zeros(3)
    save_file(tensors, tmp_path / f"{STEM}.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_transformer(tmp_path, config)
    for part in ("1 missing: proj_out.bias", "1 unexpected: effect_embeddings.fire", r"norm_final.weight (3,) instead of (64,)"):
        assert part in str(caught.value)


def test_a_quantised_tensor_is_refused(tmp_path: Path, tensors: Tensors, config: TransformerConfig) -> None:
    tensors["proj_out.weight"] = tensors["proj_out.weight"].to(torch.float8_e4m3fn)
    save_file(tensors, tmp_path / f"{STEM}.safetensors")
    with pytest.raises(CheckpointError, match=r"proj_out.weight is stored as F8_E4M3"):
        load_transformer(tmp_path, config)


def test_an_index_that_disagrees_with_its_shards_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    index = save_shards(tmp_path, tensors)
    content = json.loads(index.read_text())
    del content["weight_map"]["proj_out.bias"]
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"disagrees with its shards about: proj_out\.bias"):
        Weights(tmp_path, STEM)


def test_a_missing_shard_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    save_shards(tmp_path, tensors)
    (tmp_path / f"{STEM}-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"00002-of-00003\.safetensors"):
        Weights(tmp_path, STEM)


def test_an_index_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / f"{STEM}.safetensors.index.json").write_text('{"weight_map": {"a": "../other.safetensors"}}')
    with pytest.raises(CheckpointError, match="outside its folder"):
        Weights(tmp_path, STEM)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    whole = (TINY / f"transformer/{STEM}.safetensors").read_bytes()
    (tmp_path / f"{STEM}.safetensors").write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        Weights(tmp_path, STEM)


def test_a_folder_without_weights_or_with_broken_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has neither"):
        Weights(tmp_path, STEM)
    with pytest.raises(CheckpointError, match="is missing"):
        read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize("name", ["shared.weight", "encoder.embed_tokens.weight"])
def test_the_text_embedding_may_be_stored_under_either_name(tmp_path: Path, name: str) -> None:
    tensors = load_file(TINY / "text_encoder/model.safetensors")
    tensors[name] = (
        tensors.pop("shared.weight", None) if "shared.weight" in tensors else tensors.pop("encoder.embed_tokens.weight")
    )
    save_file(tensors, tmp_path / "model.safetensors")
    config = read_json(TINY / "text_encoder/config.json")
    assert same_weights(load_text_encoder(tmp_path, config, 226), load_text_encoder(TINY / "text_encoder", config, 226))


def test_a_tensor_that_no_file_fills_is_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = nn.Linear(2, 2)
        module.register_buffer("table", torch.zeros(2), persistent=False)
    save_file({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, tmp_path / f"{STEM}.safetensors")
    with pytest.raises(CheckpointError, match="also needs table"):
        load_strictly(module, Weights(tmp_path, STEM))
