"""Every component of a Wan checkpoint is read strictly: what is wrong is named, whichever component it is in."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import TINY, TINY_WAN, WAN
from torch import Tensor, nn

from vapfarm_exporter.errors import CheckpointError, ExportError, UnsupportedConfigError
from vapfarm_exporter.variants import variant_of

STEM = "diffusion_pytorch_model"
# A component's file, and one tensor of it.
COMPONENTS = [
    ("text_encoder/model.safetensors", "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"),
    ("image_encoder/model.safetensors", "vision_model.encoder.layers.2.mlp.fc2.bias"),
    ("image_encoder/model.safetensors", "vision_model.post_layernorm.weight"),
    (f"vae/{STEM}.safetensors", "decoder.mid_block.attentions.0.norm.gamma"),
    (f"transformer/{STEM}.safetensors", "blocks.2.attn2_mot_ref.norm_added_k.weight"),
]
each_component = pytest.mark.parametrize(("file", "tensor"), COMPONENTS)


def modules_of(checkpoint: Path) -> dict[str, nn.Module]:
    return dict(variant_of(checkpoint).plan(checkpoint, WAN.sizes).modules())


def spoil(path: Path, **changes: Tensor | None) -> None:
    """Change, add or (None) remove tensors of a file."""
    tensors = {**load_file(path), **changes}
    save_file({name: value for name, value in tensors.items() if value is not None}, path)


def refusal(checkpoint: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        modules_of(checkpoint)
    return str(caught.value)


@each_component
def test_a_missing_tensor_is_named(wan_checkpoint: Path, file: str, tensor: str) -> None:
    spoil(wan_checkpoint / file, **{tensor: None})
    assert refusal(wan_checkpoint).endswith(f"{Path(file).parent}: tensors do not fit the model; 1 missing: {tensor}")


@each_component
def test_an_unexpected_tensor_is_named(wan_checkpoint: Path, file: str, tensor: str) -> None:
    spoil(wan_checkpoint / file, **{f"{tensor}_twin": torch.zeros(1)})
    assert refusal(wan_checkpoint).endswith(f"1 unexpected: {tensor}_twin")


@each_component
def test_a_tensor_of_another_shape_is_named(wan_checkpoint: Path, file: str, tensor: str) -> None:
    spoil(wan_checkpoint / file, **{tensor: torch.zeros(7, 5)})
    assert f"1 of another shape: {tensor} (7, 5) instead of (" in refusal(wan_checkpoint)


@each_component
def test_a_tensor_of_another_type_is_named(wan_checkpoint: Path, file: str, tensor: str) -> None:
    whole = load_file(wan_checkpoint / file)[tensor]
    spoil(wan_checkpoint / file, **{tensor: whole.to(torch.int32)})
    assert f"{tensor} is stored as I32" in refusal(wan_checkpoint)


@each_component
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_named(wan_checkpoint: Path, file: str, tensor: str, value: float) -> None:
    weights = load_file(wan_checkpoint / file)[tensor].clone()
    weights.view(-1)[-1] = value
    spoil(wan_checkpoint / file, **{tensor: weights})
    assert f"{tensor} holds values that are not finite" in refusal(wan_checkpoint)


@each_component
def test_a_file_cut_in_its_data_is_refused_naming_the_tensors(wan_checkpoint: Path, file: str, tensor: str) -> None:
    path = wan_checkpoint / file
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    path.write_bytes(content[: 8 + size + header[tensor]["data_offsets"][1] - 1])
    later = [name for name, entry in header.items() if name != "__metadata__"]
    later = sorted(name for name in later if header[name]["data_offsets"][1] >= header[tensor]["data_offsets"][1])
    message = refusal(wan_checkpoint)
    assert f"{file} is not a readable safetensors file: it ends before the data of {later[0]}" in message
    assert len(later) > 8 or tensor in message


@pytest.mark.parametrize("size", [0, 5, 8, 200])
@each_component
def test_a_file_cut_in_its_header_is_refused(wan_checkpoint: Path, file: str, tensor: str, size: int) -> None:
    path = wan_checkpoint / file
    path.write_bytes(path.read_bytes()[:size])
    assert f"{file} is not a readable safetensors file" in refusal(wan_checkpoint)
    assert tensor not in refusal(wan_checkpoint)


def test_the_positions_that_older_image_encoders_hold_are_accepted(wan_checkpoint: Path) -> None:
    name = "vision_model.embeddings.position_ids"
    spoil(wan_checkpoint / "image_encoder/model.safetensors", **{name: torch.arange(257)[None]})
    assert modules_of(wan_checkpoint)["clip_encode"].vision_model.embeddings.position_ids.shape == (1, 257)
    spoil(wan_checkpoint / "image_encoder/model.safetensors", **{name: torch.arange(257).flip(0)[None]})
    assert f"{name} does not hold the numbers" in refusal(wan_checkpoint)


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "transformer/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "image_encoder/config.json",
        "image_processor/preprocessor_config.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_or_broken_config_is_named(wan_checkpoint: Path, file: str) -> None:
    (wan_checkpoint / file).write_text("[]")
    assert f"{file} is not a JSON object" in refusal(wan_checkpoint)
    (wan_checkpoint / file).unlink()
    assert f"{file} is missing" in refusal(wan_checkpoint)


@pytest.mark.parametrize("folder", ["transformer", "vae", "text_encoder", "scheduler"])
@pytest.mark.parametrize("swap_into", ["cogvideox", "wan"])
def test_a_config_of_the_other_variant_is_refused_by_its_file(
    checkpoint: Path, wan_checkpoint: Path, folder: str, swap_into: str
) -> None:
    name = "scheduler_config.json" if folder == "scheduler" else "config.json"
    into, other = (checkpoint, TINY_WAN) if swap_into == "cogvideox" else (wan_checkpoint, TINY)
    shutil.copyfile(other / folder / name, into / folder / name)
    with pytest.raises(UnsupportedConfigError, match=name if folder == "scheduler" else f"{folder}/config.json"):
        variant_of(into).plan(into, WAN.sizes)


def test_weights_of_the_other_variant_are_refused(wan_checkpoint: Path) -> None:
    shutil.copyfile(TINY / f"vae/{STEM}.safetensors", wan_checkpoint / f"vae/{STEM}.safetensors")
    message = refusal(wan_checkpoint)
    assert "missing: " in message
    assert "unexpected: " in message


def test_a_model_index_of_the_other_variant_is_refused(wan_checkpoint: Path) -> None:
    shutil.copyfile(TINY / "model_index.json", wan_checkpoint / "model_index.json")
    with pytest.raises(ExportError, match=r"transformer/config\.json: unknown keys"):
        modules_of(wan_checkpoint)
