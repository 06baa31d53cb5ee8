"""Our modules and the exported graphs give what the reference's own code gave, within 1e-4."""

import pytest
from golden_cases import Golden
from stage_engines import Engines, assert_near


@pytest.fixture(scope="module", params=["module", "graph"])
def engines(request: pytest.FixtureRequest) -> Engines:
    if request.param == "module":
        return Engines(request.getfixturevalue("modules"), None)
    return Engines(None, request.getfixturevalue("exported"))


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
