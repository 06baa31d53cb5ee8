"""Built from the released configs on the meta device, the modules have exactly the released checkpoints' tensors."""

from collections.abc import Callable

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX, AutoencoderKLWan
from released_configs import CLIP, COGVIDEOX_TRANSFORMER, COGVIDEOX_VAE, T5, WAN_TRANSFORMER, WAN_VAE, released_tensors
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from vapfarm_exporter import cogvideox_config, wan_config
from vapfarm_exporter.cogvideox_transformer import CogVideoXMotTransformer
from vapfarm_exporter.wan_transformer import WanMotTransformer

Build = Callable[[], nn.Module]


def on_meta(build: Build) -> nn.Module:
    with torch.device("meta"):
        return build()


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def cogvideox() -> nn.Module:
    return CogVideoXMotTransformer(cogvideox_config.parse_transformer_config(COGVIDEOX_TRANSFORMER))


def wan() -> nn.Module:
    return WanMotTransformer(wan_config.parse_transformer_config(WAN_TRANSFORMER))


@pytest.mark.parametrize(
    ("variant", "build", "tensors", "size"),
    [("cogvideox", cogvideox, 2018, 11_005_400_896), ("wan", wan, 1643, 20_674_265_664)],
)
def test_the_released_transformer_has_exactly_the_released_tensors(variant: str, build: Build, tensors: int, size: int) -> None:
    model = on_meta(build)
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(found) == tensors
    assert found == released_tensors(variant)
    assert parameters(model) == size


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: T5EncoderModel(T5Config(**T5, vocab_size=32128)), 4_762_310_656),
        (lambda: UMT5EncoderModel(UMT5Config(**T5, vocab_size=256384)), 5_680_910_336),
        (lambda: CLIPVisionModel(CLIPVisionConfig(**CLIP)), 630_766_080),
        (lambda: AutoencoderKLCogVideoX.from_config(COGVIDEOX_VAE), 215_583_907),
        (lambda: AutoencoderKLWan.from_config(WAN_VAE), 126_892_531),
    ],
    ids=["t5", "umt5", "clip", "cogvideox-vae", "wan-vae"],
)
def test_the_stock_modules_have_the_released_sizes(build: Build, size: int) -> None:
    assert parameters(on_meta(build)) == size
