"""Shared set-up: the tiny checkpoint's modules, the golden cases, and one export that many tests read."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.cogvideox_config import TransformerConfig, parse_transformer_config
from vapfarm_exporter.cogvideox_engines import (
    Denoise,
    EngineSpec,
    Sizes,
    VaeDecode,
    VaeEncode,
    engine_specs,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from vapfarm_exporter.cogvideox_manifest import ModelName
from vapfarm_exporter.repository import ExportRequest, export_repository

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "test/fixtures/vap-cogvideox-tiny"
GOLDEN = ROOT / "test/fixtures/golden"
DEMO = ROOT / "models/demo"
CASES = ("cogvideox-ddim-1ref", "cogvideox-dpm-1ref", "cogvideox-ddim-2ref")


@dataclass(frozen=True)
class Golden:
    """One golden case: tensors by name, and its description."""

    tensors: dict[str, Tensor]
    case: dict

    def denoise_inputs(self, step: int) -> dict[str, Tensor]:
        """The denoise engine's inputs at a step, taken apart from the reference's own transformer inputs."""
        n, t = self.case["refs"], self.tensors
        hidden, ref = t["step0_hidden_states"], t["step0_hidden_states_mot_ref"]
        channels = hidden.shape[2] // 2
        ref = ref[0].unflatten(0, (n, -1))
        return {
            "latents": t["initial_noise"] if step == 0 else t[f"step{step - 1}_latents"],
            "image_latents": hidden[:1, :1, channels:].contiguous(),
            "timestep": t["timesteps"][step : step + 1],
            "prompt_embeds": t["step0_encoder_hidden_states"],
            "ref_latents": ref[:, :, :channels].contiguous(),
            "ref_image_latents": ref[:, :1, channels:].contiguous(),
            "ref_prompt_embeds": t["step0_encoder_hidden_states_mot_ref"].unflatten(1, (n, -1)).transpose(0, 1).contiguous(),
        }


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session", params=CASES)
def golden(request: pytest.FixtureRequest) -> Golden:
    with safe_open(GOLDEN / f"{request.param}.safetensors", framework="pt") as file:
        return Golden({name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["case"]))  # noqa: SIM118


@pytest.fixture(scope="session")
def config() -> TransformerConfig:
    return parse_transformer_config(read_json(TINY / "transformer/config.json"))


@pytest.fixture(scope="session")
def specs(config: TransformerConfig) -> dict[str, EngineSpec]:
    return {spec.name: spec for spec in engine_specs(config, Sizes(48, 64, 17, 3))}


@pytest.fixture(scope="session")
def modules(config: TransformerConfig) -> dict[str, nn.Module]:
    vae = load_vae(TINY / "vae", read_json(TINY / "vae/config.json"))
    return {
        "text_encode": load_text_encoder(TINY / "text_encoder", read_json(TINY / "text_encoder/config.json")),
        "vae_encode_image": VaeEncode(vae),
        "vae_encode": VaeEncode(vae),
        "vae_decode": VaeDecode(vae),
        "denoise": Denoise(load_transformer(TINY / "transformer", config), 3),
    }


def export_tiny(out: Path, checkpoint: Path = TINY, **options: object) -> list[str]:
    """Export a checkpoint as the demo is exported; the progress lines."""
    lines: list[str] = []
    request = ExportRequest(checkpoint, out, ModelName("demo", "1", "random", 16), **options)
    export_repository(request, lines.append)
    return lines


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "demo"
    export_tiny(out)
    return out


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to spoil."""
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint"))


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
