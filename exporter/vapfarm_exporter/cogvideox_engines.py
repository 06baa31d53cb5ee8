"""The five engines of the CogVideoX variant: one module per stage, with the stage's own inputs and outputs.

What a caller would have to repeat for every step is inside the denoise graph: rotary tables, the zero padding of image
latents, and the doubling of the video inputs for guidance. All boundaries are float32 or int64.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKLCogVideoX
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from .cogvideox_config import TransformerConfig
from .cogvideox_transformer import CogVideoXMotTransformer
from .components import load_diffusers, load_encoder
from .config_checks import Json
from .engine_spec import EngineSpec, float_spec, int_spec
from .relative_positions import fix_relative_positions
from .timesteps import timestep_frequencies, timestep_sinusoid
from .variant import Sizes

GUIDANCE_ROWS = 2


class TextEncode(nn.Module):
    """T5 over the padded ids; no mask, as in the reference: pads are attended to and their embeddings kept."""

    def __init__(self, encoder: T5EncoderModel, tokens: int) -> None:
        super().__init__()
        fix_relative_positions(encoder, tokens)
        self.encoder = encoder

    def forward(self, input_ids: Tensor) -> Tensor:
        """[1, L] int64 -> [1, L, D]."""
        return self.encoder(input_ids=input_ids, return_dict=False)[0]


class VaeEncode(nn.Module):
    """Pixels to moments (mean, then logvar); frames go through in the reference's chunks, which are part of the function."""

    def __init__(self, vae: AutoencoderKLCogVideoX) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor) -> Tensor:
        """[1, 3, F, H, W] in -1..1 -> [1, 2C, T, h, w]."""
        return self.vae.encode(pixels, return_dict=False)[0].parameters


class VaeDecode(nn.Module):
    """Latents, already divided by the scaling factor, to frames; not clamped."""

    def __init__(self, vae: AutoencoderKLCogVideoX) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """[1, C, T, h, w] -> [1, 3, F, H, W]."""
        return self.vae.decode(latents, return_dict=False)[0]


def _pad_frames(image_latents: Tensor, frames: int) -> Tensor:
    """[b, 1, C, h, w] -> [b, frames, C, h, w], zeros after the first frame."""
    rest = image_latents.new_zeros(1, 1, 1, 1, 1).expand(image_latents.shape[0], frames - 1, *image_latents.shape[2:])
    return torch.cat([image_latents, rest], dim=1)


class Denoise(nn.Module):
    """One call of the transformer for all guidance rows and any number of references up to the maximum."""

    def __init__(self, transformer: CogVideoXMotTransformer, max_references: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.max_references = max_references
        frames = transformer.config.latent_frames
        target, reference = transformer.rotary_tables(frames, max_references)
        self.register_buffer("cos", target[0], persistent=False)
        self.register_buffer("sin", target[1], persistent=False)
        self.register_buffer("frequencies", timestep_frequencies(transformer.config.inner_dim), persistent=False)
        by_reference = [table.reshape(max_references, -1, table.shape[-1]) for table in reference]
        self.register_buffer("ref_cos", by_reference[0], persistent=False)
        self.register_buffer("ref_sin", by_reference[1], persistent=False)

    def forward(
        self,
        latents: Tensor,
        image_latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        ref_latents: Tensor,
        ref_image_latents: Tensor,
        ref_prompt_embeds: Tensor,
    ) -> Tensor:
        """v-prediction [g, T, C, h, w]; g guidance rows are (negative, positive) or (positive), n references.

        latents [1,T,C,h,w]; image_latents [1,1,C,h,w]; timestep [1]; prompt_embeds [g,L,D]; ref_latents [n,T,C,h,w];
        ref_image_latents [n,1,C,h,w]; ref_prompt_embeds [n,g,L,D].
        """
        frames = latents.shape[1]
        video = torch.cat([latents, _pad_frames(image_latents, frames)], dim=2)
        ref_video = torch.cat([ref_latents, _pad_frames(ref_image_latents, frames)], dim=2)
        # The last n references' rows of the full table are the table for n references.
        skipped = self.max_references - ref_latents.shape[0]
        ref_rotary = self.ref_cos[skipped:].flatten(0, 1), self.ref_sin[skipped:].flatten(0, 1)
        rotary = (self.cos, self.sin), ref_rotary
        sinusoid = timestep_sinusoid(timestep, self.frequencies)
        return self.transformer(sinusoid, (prompt_embeds, video), (ref_prompt_embeds, ref_video), rotary)


def engine_specs(config: TransformerConfig, sizes: Sizes) -> tuple[EngineSpec, ...]:
    """The boundary of every engine, in the order in which they are exported."""
    channels, frames = config.out_channels, config.latent_frames
    cells = (config.sample_height, config.sample_width)
    pixels = (sizes.height, sizes.width)
    text = (config.text_tokens, config.text_dim)

    return (
        EngineSpec(
            "text_encode", "text_encode", (int_spec("input_ids", 1, text[0], drawn="ids"),), float_spec("prompt_embeds", 1, *text)
        ),
        EngineSpec(
            "vae_encode_image",
            "vae_encode",
            (float_spec("pixels", 1, 3, 1, *pixels),),
            float_spec("moments", 1, 2 * channels, 1, *cells),
        ),
        EngineSpec(
            "vae_encode",
            "vae_encode",
            (float_spec("pixels", 1, 3, sizes.frames, *pixels),),
            float_spec("moments", 1, 2 * channels, frames, *cells),
        ),
        EngineSpec(
            "denoise",
            "denoise",
            (
                float_spec("latents", 1, frames, channels, *cells),
                float_spec("image_latents", 1, 1, channels, *cells),
                int_spec("timestep", 1, drawn="timestep"),
                float_spec("prompt_embeds", "g", *text),
                float_spec("ref_latents", "n", frames, channels, *cells),
                float_spec("ref_image_latents", "n", 1, channels, *cells),
                float_spec("ref_prompt_embeds", "n", "g", *text),
            ),
            float_spec("noise_pred", "g", frames, channels, *cells),
        ),
        EngineSpec(
            "vae_decode",
            "vae_decode",
            (float_spec("latents", 1, channels, frames, *cells),),
            float_spec("frames", 1, 3, sizes.frames, *pixels),
        ),
    )


def load_text_encoder(folder: Path, config: Json, tokens: int) -> TextEncode:
    """The checkpoint's T5 encoder."""
    return TextEncode(load_encoder(folder, lambda: T5EncoderModel(T5Config(**config))), tokens)


def load_vae(folder: Path, config: Json) -> AutoencoderKLCogVideoX:
    """The checkpoint's VAE, without tiling or slicing, which would change its numbers."""
    return load_diffusers(folder, lambda: AutoencoderKLCogVideoX.from_config(dict(config)))


def load_transformer(folder: Path, config: TransformerConfig) -> CogVideoXMotTransformer:
    """The checkpoint's MoT transformer."""
    return load_diffusers(folder, lambda: CogVideoXMotTransformer(config))
