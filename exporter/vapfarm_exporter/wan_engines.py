"""The five engines of the Wan variant: one module per stage, with the stage's own inputs and outputs.

What a caller would have to repeat for every step is inside the denoise graph: mask channels, concatenations, rotary
tables and the reference's constant time step. One call serves one guidance row; the reference calls twice per step.
All boundaries are float32 or int64, one row, of fixed size.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from .checkpoint import Weights, load_strictly
from .components import TRANSFORMERS_STEM, built, load_diffusers, load_encoder
from .config_checks import Json
from .engine_spec import EngineSpec, float_spec, int_spec
from .relative_positions import fix_relative_positions
from .timesteps import timestep_frequencies, timestep_sinusoid
from .variant import LatentSizes, Sizes
from .wan_config import MASK_CHANNELS, PATCH, TEXT_TOKENS, TransformerConfig
from .wan_rotary import reference_rotary, target_rotary
from .wan_transformer import WanMotTransformer
from .wan_vae import use_doubling

REFERENCE_TIMESTEP = 1.0


class TextEncode(nn.Module):
    """UMT5 over the padded ids with their mask; embeddings past the mask are zero, as the pipeline makes them."""

    def __init__(self, encoder: UMT5EncoderModel) -> None:
        super().__init__()
        fix_relative_positions(encoder, TEXT_TOKENS)
        self.encoder = encoder

    def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[1, L] int64 twice -> [1, L, D], before the zero fill."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[1, L] int64 twice -> [1, L, D]."""
        return self.hidden(input_ids, attention_mask).masked_fill(attention_mask[..., None] == 0, 0.0)


class ClipEncode(nn.Module):
    """CLIP's vision tower up to its last layer but one, without the final norm: the reference's hidden_states[-2]."""

    def __init__(self, vision_model: CLIPVisionModel) -> None:
        super().__init__()
        self.vision_model = vision_model

    def forward(self, pixels: Tensor) -> Tensor:
        """[1, 3, 224, 224], normalised -> [1, P, Di]."""
        hidden = self.vision_model.pre_layrnorm(self.vision_model.embeddings(pixels))
        for layer in self.vision_model.encoder.layers[:-1]:
            hidden = layer(hidden, attention_mask=None)
        return hidden


class Denoise(nn.Module):
    """One call of the transformer for one guidance row."""

    def __init__(self, transformer: WanMotTransformer, latent: LatentSizes) -> None:
        super().__init__()
        self.transformer = transformer
        config, grid = transformer.config, (latent.height // PATCH, latent.width // PATCH)
        tables = target_rotary(config.head_dim, latent.frames, grid), reference_rotary(config.head_dim, latent.frames, grid)
        frequencies = timestep_frequencies(config.freq_dim)
        mask = torch.zeros(1, MASK_CHANNELS, latent.frames, latent.height, latent.width)
        mask[:, :, 0] = 1
        constants = {
            "cos": tables[0][0],
            "sin": tables[0][1],
            "ref_cos": tables[1][0],
            "ref_sin": tables[1][1],
            "frequencies": frequencies,
            "ref_sinusoid": timestep_sinusoid(torch.tensor([REFERENCE_TIMESTEP]), frequencies),
            "mask": mask,
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(
        self,
        latents: Tensor,
        image_latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        image_embeds: Tensor,
        ref_latents: Tensor,
        ref_image_latents: Tensor,
        ref_prompt_embeds: Tensor,
        ref_image_embeds: Tensor,
    ) -> Tensor:
        """Velocity [1, C, T, h, w].

        All latents [1, C, T, h, w]; timestep [1] float32, may be fractional; prompt embeddings [1, L, D]; image
        embeddings [1, P, Di].
        """
        video = torch.cat([latents, self.mask, image_latents], dim=1)
        ref_video = torch.cat([ref_latents, self.mask, ref_image_latents], dim=1)
        sinusoid = timestep_sinusoid(timestep, self.frequencies)
        conditions = (sinusoid, prompt_embeds, image_embeds), (self.ref_sinusoid, ref_prompt_embeds, ref_image_embeds)
        return self.transformer((video, ref_video), conditions, ((self.cos, self.sin), (self.ref_cos, self.ref_sin)))


def engine_specs(config: TransformerConfig, sizes: Sizes, latent: LatentSizes, clip: CLIPVisionConfig) -> tuple[EngineSpec, ...]:
    """The boundary of every engine, in the order of the stages."""
    cells = (1, latent.channels, latent.frames, latent.height, latent.width)
    video = (1, 3, sizes.frames, sizes.height, sizes.width)
    text = (1, TEXT_TOKENS, config.text_dim)
    image = (1, (clip.image_size // clip.patch_size) ** 2 + 1, config.image_dim)
    ids = int_spec("input_ids", 1, TEXT_TOKENS, drawn="ids"), int_spec("attention_mask", 1, TEXT_TOKENS, drawn="mask")
    denoise = (
        float_spec("latents", *cells),
        float_spec("image_latents", *cells),
        float_spec("timestep", 1, drawn="timestep"),
        float_spec("prompt_embeds", *text),
        float_spec("image_embeds", *image),
        float_spec("ref_latents", *cells),
        float_spec("ref_image_latents", *cells),
        float_spec("ref_prompt_embeds", *text),
        float_spec("ref_image_embeds", *image),
    )
    crop = float_spec("pixels", 1, 3, clip.image_size, clip.image_size)
    return (
        EngineSpec("text_encode", "text_encode", ids, float_spec("prompt_embeds", *text)),
        EngineSpec("clip_encode", "clip_encode", (crop,), float_spec("image_embeds", *image)),
        EngineSpec("vae_encode", "vae_encode", (float_spec("pixels", *video),), float_spec("latents", *cells)),
        EngineSpec("denoise", "denoise", denoise, float_spec("noise_pred", *cells)),
        EngineSpec("vae_decode", "vae_decode", (float_spec("latents", *cells),), float_spec("frames", *video)),
    )


def load_text_encoder(folder: Path, config: Json) -> TextEncode:
    """The checkpoint's UMT5 encoder."""
    return TextEncode(load_encoder(folder, lambda: UMT5EncoderModel(UMT5Config(**config))))


def load_clip(folder: Path, config: CLIPVisionConfig) -> ClipEncode:
    """The checkpoint's CLIP vision tower, whole; files of older transformers also hold the positions' numbers."""
    module = built(lambda: ClipEncode(CLIPVisionModel(config)))
    positions = torch.arange(module.vision_model.embeddings.num_positions)[None]
    computed = {"vision_model.embeddings.position_ids": positions}
    return load_strictly(module, Weights(folder, TRANSFORMERS_STEM), computed=computed)


def load_vae(folder: Path, config: Json) -> AutoencoderKLWan:
    """The checkpoint's VAE, without tiling or slicing, which would change its numbers."""
    return use_doubling(load_diffusers(folder, lambda: AutoencoderKLWan.from_config(dict(config))))


def load_transformer(folder: Path, config: TransformerConfig) -> WanMotTransformer:
    """The checkpoint's MoT transformer."""
    return load_diffusers(folder, lambda: WanMotTransformer(config))
