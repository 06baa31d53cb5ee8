"""Shared set-up: the tiny checkpoints' modules, the golden cases, and one export of each that many tests read."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from golden_cases import COGVIDEOX_CASES, WAN_CASES, Golden, WanGolden, read_golden
from tiny_models import COGVIDEOX, DEMO, GOLDEN, MODELS, ROOT, TINY, TINY_WAN, WAN, TinyModel, export_tiny
from torch import nn

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.cogvideox_config import TransformerConfig, parse_transformer_config
from vapfarm_exporter.engine_spec import EngineSpec
from vapfarm_exporter.metrics.repository import MetricsRequest, demo_modules, export_metrics
from vapfarm_exporter.variant import Plan

__all__ = ["DEMO", "GOLDEN", "ROOT", "TINY", "TINY_WAN", "Golden", "edit_json", "export_tiny"]


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session", params=COGVIDEOX_CASES)
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(*read_golden(request.param))


@pytest.fixture(scope="session", params=WAN_CASES)
def wan_golden(request: pytest.FixtureRequest) -> WanGolden:
    return WanGolden(*read_golden(request.param))


@pytest.fixture(scope="session")
def config() -> TransformerConfig:
    return parse_transformer_config(read_json(TINY / "transformer/config.json"))


@pytest.fixture(scope="session")
def specs() -> dict[str, EngineSpec]:
    return {spec.name: spec for spec in COGVIDEOX.plan().specs}


@pytest.fixture(scope="session")
def modules() -> dict[str, nn.Module]:
    return dict(COGVIDEOX.plan().modules())


@pytest.fixture(scope="session")
def wan_plan() -> Plan:
    return WAN.plan()


@pytest.fixture(scope="session")
def wan_modules(wan_plan: Plan) -> dict[str, nn.Module]:
    return dict(wan_plan.modules())


def _exported(model: TinyModel, factory: pytest.TempPathFactory) -> Path:
    out = factory.mktemp("models") / model.name
    export_tiny(out, model=model)
    return out


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(COGVIDEOX, tmp_path_factory)


@pytest.fixture(scope="session")
def wan_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(WAN, tmp_path_factory)


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg that the farm's own tests decode with."""
    if configured := os.environ.get("VAPFARM_FFMPEG"):
        return configured
    program = "import { testFfmpegPath } from './test/support/ffmpeg.ts'; process.stdout.write(await testFfmpegPath());"
    node = ROOT / "node_modules/.bin/node"
    return subprocess.run(
        [node, "--input-type=module", "-e", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="session")
def metric_modules() -> dict[str, nn.Module]:
    return demo_modules()


@pytest.fixture(scope="session")
def metrics_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("metrics") / "demo-metrics"
    export_metrics(MetricsRequest(out, out.name), lambda _: None)
    return out


@pytest.fixture(scope="session", params=MODELS, ids=lambda model: model.name)
def made(request: pytest.FixtureRequest) -> tuple[TinyModel, Path]:
    """Each tiny model and its export."""
    name = "wan_exported" if request.param is WAN else "exported"
    return request.param, request.getfixturevalue(name)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the tiny CogVideoX checkpoint to spoil."""
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint"))


@pytest.fixture
def wan_checkpoint(tmp_path: Path) -> Path:
    """A copy of the tiny Wan checkpoint to spoil."""
    return Path(shutil.copytree(TINY_WAN, tmp_path / "wan-checkpoint"))


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
