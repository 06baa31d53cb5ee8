"""Our modules and the exported graphs give what the reference's own code gave, within 1e-4."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Golden
from torch import Tensor, nn

from vapfarm_exporter.onnx_graphs import open_session

TOLERANCE = 1e-4


class Engines:
    """Runs a stage by name: as a PyTorch module, or as an exported graph."""

    def __init__(self, modules: dict[str, nn.Module] | None, folder: Path | None) -> None:
        self.modules = modules
        self.sessions = (
            {} if folder is None else {p.name: open_session(p / "1/model.onnx", 2) for p in folder.iterdir() if p.is_dir()}
        )

    def run(self, name: str, **inputs: Tensor) -> Tensor:
        if self.modules is not None:
            with torch.no_grad():
                return self.modules[name](**inputs)
        return torch.from_numpy(self.sessions[name].run(None, {k: v.numpy() for k, v in inputs.items()})[0])


@pytest.fixture(scope="module", params=["module", "graph"])
def engines(request: pytest.FixtureRequest) -> Engines:
    if request.param == "module":
        return Engines(request.getfixturevalue("modules"), None)
    return Engines(None, request.getfixturevalue("exported"))


def assert_near(found: Tensor, wanted: Tensor) -> None:
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=0, atol=TOLERANCE)


def test_text_embeddings_are_the_references(engines: Engines, golden: Golden) -> None:
    for text in golden.case["text_calls"]:
        found = engines.run("text_encode", input_ids=golden.tensors[f"{text}_ids"])
        assert_near(found, golden.tensors[f"{text}_embeds"])


def test_image_and_video_moments_are_the_references(engines: Engines, golden: Golden) -> None:
    names = [name.removesuffix("_moments") for name in golden.tensors if name.endswith("_moments")]
    assert len(names) == 1 + 2 * golden.case["refs"]
    for name in names:
        pixels = golden.tensors[f"{name}_pixels"]
        engine = "vae_encode_image" if pixels.shape[2] == 1 else "vae_encode"
        assert_near(engines.run(engine, pixels=pixels), golden.tensors[f"{name}_moments"])


def test_the_noise_prediction_of_every_step_is_the_references(engines: Engines, golden: Golden) -> None:
    for step in range(golden.case["steps"]):
        found = engines.run("denoise", **golden.denoise_inputs(step))
        assert_near(found, golden.tensors[f"step{step}_noise_pred"])


def test_one_guidance_row_gives_the_same_as_that_row_of_two(engines: Engines, golden: Golden) -> None:
    inputs = golden.denoise_inputs(0)
    inputs["prompt_embeds"] = inputs["prompt_embeds"][1:].contiguous()
    inputs["ref_prompt_embeds"] = inputs["ref_prompt_embeds"][:, 1:].contiguous()
    assert_near(engines.run("denoise", **inputs), golden.tensors["step0_noise_pred"][1:])


def test_decoded_frames_are_the_references(engines: Engines, golden: Golden) -> None:
    frames = engines.run("vae_decode", latents=golden.tensors["decode_input"])
    unit = (frames[0].transpose(0, 1) * 0.5 + 0.5).clamp(0, 1)
    assert_near(unit, golden.tensors["frames"])
