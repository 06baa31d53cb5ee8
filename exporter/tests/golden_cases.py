"""The golden cases: tensors of the reference's own runs, and how its inputs become those of our engines."""

import json
from dataclasses import dataclass

from safetensors import safe_open
from tiny_models import GOLDEN
from torch import Tensor

COGVIDEOX_CASES = ("cogvideox-ddim-1ref", "cogvideox-dpm-1ref", "cogvideox-ddim-2ref")
WAN_CASES = ("wan-unipc", "wan-euler")
WAN_CHANNELS, WAN_MASK_CHANNELS = 16, 4


def read_golden(name: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors by name, and the case's description."""
    with safe_open(GOLDEN / f"{name}.safetensors", framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["case"])  # noqa: SIM118


@dataclass(frozen=True)
class Golden:
    """One CogVideoX case."""

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


@dataclass(frozen=True)
class WanGolden:
    """One Wan case."""

    tensors: dict[str, Tensor]
    case: dict

    def denoise_inputs(self, step: int, row: str) -> dict[str, Tensor]:
        """The denoise engine's inputs for the guidance row `cond` or `uncond` of a step."""
        t, prefix = self.tensors, "step0_uncond_" if row == "uncond" else "step0_"
        hidden, ref = t["step0_hidden_states"], t["step0_hidden_states_mot_ref"]
        image = WAN_CHANNELS + WAN_MASK_CHANNELS
        return {
            "latents": t["initial_noise"] if step == 0 else t[f"step{step - 1}_latents"],
            "image_latents": hidden[:, image:].contiguous(),
            "timestep": t["timesteps"][step : step + 1],
            "prompt_embeds": t[f"{prefix}encoder_hidden_states"],
            "image_embeds": t["step0_encoder_hidden_states_image"],
            "ref_latents": ref[:, :WAN_CHANNELS].contiguous(),
            "ref_image_latents": ref[:, image:].contiguous(),
            "ref_prompt_embeds": t[f"{prefix}encoder_hidden_states_mot_ref"],
            "ref_image_embeds": t["step0_encoder_hidden_states_image_mot_ref"],
        }
