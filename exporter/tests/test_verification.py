"""An engine that computes something else than its module never passes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import DEMO
from onnx import numpy_helper
from torch import nn

from vapfarm_exporter.engine_spec import EngineSpec
from vapfarm_exporter.errors import VerificationError
from vapfarm_exporter.onnx_graphs import TOLERANCE, Bounds, verify_graph

LIMITS = Bounds({"g": 2, "n": 3}, 367)
Spoil = Callable[[np.ndarray], np.ndarray]


def spoiled_copy(name: str, folder: Path, tensor: str, spoil: Spoil) -> Path:
    """The demo's graph with one weight changed."""
    model = onnx.load(DEMO / name / "1/model.onnx")
    weight = next(value for value in model.graph.initializer if value.name.endswith(tensor))
    weight.CopyFrom(numpy_helper.from_array(spoil(numpy_helper.to_array(weight).copy()), weight.name))
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.mark.parametrize("name", ["text_encode", "vae_encode_image", "vae_encode", "vae_decode", "denoise"])
def test_the_demos_graphs_pass(modules: dict[str, nn.Module], specs: dict[str, EngineSpec], name: str) -> None:
    assert verify_graph(modules[name], specs[name], DEMO / name / "1", LIMITS) <= TOLERANCE


def test_a_slightly_changed_weight_is_refused(
    tmp_path: Path, modules: dict[str, nn.Module], specs: dict[str, EngineSpec]
) -> None:
    folder = spoiled_copy("denoise", tmp_path, "proj_out.bias", lambda bias: bias + np.float32(2 * TOLERANCE))
    with pytest.raises(VerificationError, match=r"denoise: .* differs from the module by 0\.0001.* at g=1, n=1"):
        verify_graph(modules["denoise"], specs["denoise"], folder, LIMITS)


def test_a_graph_that_is_wrong_only_for_three_references_is_refused(
    tmp_path: Path, modules: dict[str, nn.Module], specs: dict[str, EngineSpec]
) -> None:
    def spoil(table: np.ndarray) -> np.ndarray:
        table[0] += 1
        return table

    folder = spoiled_copy("denoise", tmp_path, "ref_cos", spoil)
    with pytest.raises(VerificationError, match="at g=1, n=3"):
        verify_graph(modules["denoise"], specs["denoise"], folder, LIMITS)


def test_a_graph_that_gives_no_numbers_is_refused(
    tmp_path: Path, modules: dict[str, nn.Module], specs: dict[str, EngineSpec]
) -> None:
    folder = spoiled_copy("vae_decode", tmp_path, "decoder.conv_out.conv.weight", lambda kernel: kernel * np.float32("nan"))
    with pytest.raises(VerificationError, match=r"vae_decode: .* differs from the module by inf at fixed sizes"):
        verify_graph(modules["vae_decode"], specs["vae_decode"], folder, LIMITS)


def test_a_graph_with_another_boundary_is_refused(modules: dict[str, nn.Module], specs: dict[str, EngineSpec]) -> None:
    with pytest.raises(VerificationError, match="boundary"):
        verify_graph(modules["vae_encode"], specs["vae_encode"], DEMO / "vae_encode_image/1", LIMITS)
