"""Wan's VAE in the reference's chunks: frame 0, then groups of four (decoding: latent frame by latent frame).

The chunks carry the last frames of each convolution's input along (the stock class's feature cache), so a chunk costs
the memory of four frames whatever the clip's length: at 480x832x49 one of the widest activations is 0.6 GB, where the
whole clip at once would need 7.5 GB for each of three. The function is causal, so both would be the same up to rounding;
the graph holds the chunks unrolled, with each weight once.

A runtime orders a graph as it likes and may keep several chunks alive. So each chunk waits for the one before it, by
adding a zero that is computed from that chunk's output.

Normalisation is the pipeline's: (z - mean) * (1 / std) after encoding, z / (1 / std) + mean before decoding.
"""

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanResample, WanUpsample
from torch import Tensor, nn

from .wan_config import FRAMES_PER_LATENT, LatentStatistics


def _channels(values: tuple[float, ...]) -> Tensor:
    """[1, C, 1, 1, 1] float32."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1, 1)


def after(x: Tensor, previous: Tensor | None) -> Tensor:
    """`x` itself, but not before `previous` is computed."""
    return x if previous is None else x + (-previous.abs().max()).clamp(min=0.0)


class Double(nn.Module):
    """Every pixel twice in both directions: what the stock "nearest-exact" upsampling by 2 is, without index tables."""

    def forward(self, x: Tensor) -> Tensor:
        """[t, c, h, w] -> [t, c, 2h, 2w]."""
        t, c, h, w = x.shape
        return x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(t, c, 2 * h, 2 * w)


def use_doubling(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """The VAE with `Double` in the place of its upsamplings."""
    for module in vae.decoder.modules():
        if isinstance(module, WanResample) and isinstance(module.resample[0], WanUpsample):
            module.resample[0] = Double()
    return vae


def _cache(vae: AutoencoderKLWan, half: str) -> list[Tensor | None]:
    """One place for each cached convolution of the encoder or the decoder."""
    return [None] * vae._cached_conv_counts[half]


class _Normalised(nn.Module):
    """The VAE with the statistics of its latents."""

    def __init__(self, vae: AutoencoderKLWan, statistics: LatentStatistics) -> None:
        super().__init__()
        self.vae = vae
        self.register_buffer("mean", _channels(statistics.mean), persistent=False)
        self.register_buffer("inverse_std", 1.0 / _channels(statistics.std), persistent=False)


class VaeEncode(_Normalised):
    """Pixels to the normalised mean of the latents (the reference's deterministic mode)."""

    def moments(self, pixels: Tensor) -> Tensor:
        """[1, 3, F, H, W] in -1..1 -> mean, then logvar [1, 2C, T, h, w]."""
        cache = _cache(self.vae, "encoder")
        groups = [1] + [FRAMES_PER_LATENT] * ((pixels.shape[2] - 1) // FRAMES_PER_LATENT)
        encoded: list[Tensor] = []
        for group in pixels.split(groups, dim=2):
            chunk = after(group, encoded[-1] if encoded else None)
            encoded.append(self.vae.encoder(chunk, feat_cache=cache, feat_idx=[0]))
        return self.vae.quant_conv(torch.cat(encoded, dim=2))

    def forward(self, pixels: Tensor) -> Tensor:
        """[1, 3, F, H, W] in -1..1 -> [1, C, T, h, w]."""
        mean, _ = self.moments(pixels).chunk(2, dim=1)
        return (mean - self.mean) * self.inverse_std


class VaeDecode(_Normalised):
    """Normalised latents to frames, clamped to -1..1."""

    def forward(self, latents: Tensor) -> Tensor:
        """[1, C, T, h, w] -> [1, 3, F, H, W]."""
        cache = _cache(self.vae, "decoder")
        frames = self.vae.post_quant_conv(latents / self.inverse_std + self.mean).split(1, dim=2)
        decoded: list[Tensor] = []
        for frame in frames:
            chunk = after(frame, decoded[-1] if decoded else None)
            decoded.append(self.vae.decoder(chunk, feat_cache=cache, feat_idx=[0], first_chunk=not decoded))
        return torch.cat(decoded, dim=2).clamp(-1.0, 1.0)
