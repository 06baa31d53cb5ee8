"""Video-As-Prompt's Wan mixture-of-transformers, with the released checkpoint's tensor names.

Two streams of equal width, target and reference video, whose weights carry the suffix `_mot_ref`; each has its own
conditioning (time step, text, image), which its cross attention reads. In a MoT block both videos attend to both; in a
plain block the reference stream is untouched. Follows transformer_wan_mot.py of the reference, inference path only.

Shapes, one row: T latent frames, h x w latents, S = T * h/2 * w/2 tokens, L text and P image tokens, D width.
What the last MoT block computes for the reference stream beyond its keys and values feeds nothing, so it is left out;
the output is the same function.
"""

import torch
from torch import Tensor, nn

from .layers import FeedForward, RmsNorm, Rotary, attend, merge_heads, rotate, split_heads
from .wan_conditioning import ConditionEmbedding, Conditioning
from .wan_config import PATCH, TransformerConfig


class Attention(nn.Module):
    """A stream's projections for self attention; the joint attention itself is the block's, since it spans streams."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.inner_dim
        self.heads = config.heads
        self.norm_q = RmsNorm(width, config.eps)
        self.norm_k = RmsNorm(width, config.eps)
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def query(self, x: Tensor) -> Tensor:
        """[1, S, D] -> [1, heads, S, d], normalised."""
        return split_heads(self.norm_q(self.to_q(x)), self.heads)

    def key(self, x: Tensor) -> Tensor:
        """[1, S, D] -> [1, heads, S, d], normalised."""
        return split_heads(self.norm_k(self.to_k(x)), self.heads)

    def value(self, x: Tensor) -> Tensor:
        """[1, S, D] -> [1, heads, S, d]."""
        return split_heads(self.to_v(x), self.heads)

    def project(self, attended: Tensor) -> Tensor:
        """[1, heads, S, d] -> [1, S, D]."""
        return self.to_out[0](merge_heads(attended))


class CrossAttention(Attention):
    """Attention to text and, with keys and values of its own, to the image; the two results are added."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        width = config.inner_dim
        self.add_k_proj = nn.Linear(width, width)
        self.add_v_proj = nn.Linear(width, width)
        self.norm_added_k = RmsNorm(width, config.eps)

    def forward(self, x: Tensor, conditioning: Conditioning) -> Tensor:
        """[1, S, D] -> [1, S, D]."""
        query, text, image = self.query(x), conditioning.text, conditioning.image
        image_key = split_heads(self.norm_added_k(self.add_k_proj(image)), self.heads)
        (from_image,) = attend([query], [image_key], [split_heads(self.add_v_proj(image), self.heads)])
        (from_text,) = attend([query], [self.key(text)], [self.value(text)])
        return self.project(from_text + from_image)


class Block(nn.Module):
    """One transformer block; a MoT block has twins of every part for the reference stream."""

    def __init__(self, config: TransformerConfig, has_reference: bool, ends_reference: bool) -> None:
        super().__init__()
        self.has_reference = has_reference
        self.ends_reference = ends_reference
        self.norm = nn.LayerNorm(config.inner_dim, config.eps, elementwise_affine=False)
        for suffix in ["", "_mot_ref"] if has_reference else [""]:
            self.register_parameter(f"scale_shift_table{suffix}", nn.Parameter(torch.zeros(1, 6, config.inner_dim)))
            self.add_module(f"attn1{suffix}", Attention(config))
            self.add_module(f"attn2{suffix}", CrossAttention(config))
            self.add_module(f"norm2{suffix}", nn.LayerNorm(config.inner_dim, config.eps))
            self.add_module(f"ffn{suffix}", FeedForward((config.inner_dim, config.ffn_dim, config.inner_dim)))

    def forward(
        self, videos: tuple[Tensor, Tensor], conditioning: tuple[Conditioning, Conditioning], rotary: tuple[Rotary, Rotary]
    ) -> tuple[Tensor, Tensor]:
        """Each pair is (target, reference); videos [1, S, D]."""
        if not self.has_reference:
            return self._plain(videos[0], conditioning[0], rotary[0]), videos[1]
        return self._joint(videos, conditioning, rotary)

    def _plain(self, video: Tensor, conditioning: Conditioning, rotary: Rotary) -> Tensor:
        parts = self._modulations(conditioning, "")
        query, key, value = self._projections(video, parts, rotary, "")
        (attended,) = attend([query], [key], [value])
        return self._finish(video, attended, parts, (conditioning, ""))

    def _joint(
        self, videos: tuple[Tensor, Tensor], conditioning: tuple[Conditioning, Conditioning], rotary: tuple[Rotary, Rotary]
    ) -> tuple[Tensor, Tensor]:
        parts = self._modulations(conditioning[0], "")
        ref_parts = self._modulations(conditioning[1], "_mot_ref")
        query, key, value = self._projections(videos[0], parts, rotary[0], "")
        ref_query, ref_key, ref_value = self._projections(videos[1], ref_parts, rotary[1], "_mot_ref")
        queries = [query] if self.ends_reference else [query, ref_query]
        attended = attend(queries, [key, ref_key], [value, ref_value])
        target = self._finish(videos[0], attended[0], parts, (conditioning[0], ""))
        if self.ends_reference:
            return target, videos[1]
        return target, self._finish(videos[1], attended[1], ref_parts, (conditioning[1], "_mot_ref"))

    def _modulations(self, conditioning: Conditioning, suffix: str) -> tuple[Tensor, ...]:
        """Shift, scale and gate of self attention, then of the feed-forward, each [1, 1, D]."""
        return (self.get_parameter(f"scale_shift_table{suffix}") + conditioning.modulations).chunk(6, dim=1)

    def _projections(self, video: Tensor, parts: tuple[Tensor, ...], rotary: Rotary, suffix: str) -> tuple[Tensor, ...]:
        attn = self.get_submodule(f"attn1{suffix}")
        normed = self.norm(video) * (1 + parts[1]) + parts[0]
        return rotate(attn.query(normed), rotary), rotate(attn.key(normed), rotary), attn.value(normed)

    def _finish(self, video: Tensor, attended: Tensor, parts: tuple[Tensor, ...], stream: tuple[Conditioning, str]) -> Tensor:
        """The residuals in the reference's order: self attention, cross attention, feed-forward."""
        conditioning, suffix = stream
        attn1, attn2, norm2, ffn = (self.get_submodule(f"{name}{suffix}") for name in ("attn1", "attn2", "norm2", "ffn"))
        video = video + attn1.project(attended) * parts[2]
        video = video + attn2(norm2(video), conditioning)
        return video + ffn(self.norm(video) * (1 + parts[4]) + parts[3]) * parts[5]


class WanMotTransformer(nn.Module):
    """The denoiser; its state dict has exactly the checkpoint's names and shapes."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        patch = (1, PATCH, PATCH)
        self.patch_embedding = nn.Conv3d(config.in_channels, config.inner_dim, patch, patch)
        self.patch_embedding_mot_ref = nn.Conv3d(config.in_channels, config.inner_dim, patch, patch)
        self.condition_embedder = ConditionEmbedding(config)
        self.condition_embedder_mot_ref = ConditionEmbedding(config)
        last = max(config.mot_blocks)
        self.blocks = nn.ModuleList(Block(config, i in config.mot_blocks, i == last) for i in range(config.layers))
        self.norm_out = nn.LayerNorm(config.inner_dim, config.eps, elementwise_affine=False)
        self.proj_out = nn.Linear(config.inner_dim, PATCH**2 * config.out_channels)
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 2, config.inner_dim))

    def _unpatch(self, tokens: Tensor, grid: tuple[int, ...]) -> Tensor:
        """[1, S, p*p*C] in the order (row, column, channel) -> [1, C, T, h, w]."""
        patches = tokens.unflatten(1, grid).unflatten(-1, (PATCH, PATCH, -1))
        return patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def forward(
        self,
        videos: tuple[Tensor, Tensor],
        conditions: tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
        rotary: tuple[Rotary, Rotary],
    ) -> Tensor:
        """Velocity [1, C, T, h, w].

        Each pair is (target, reference): videos [1, 2C+4, T, h, w]; conditions (sinusoid [1, freq_dim], text
        [1, L, text_dim], image [1, P, image_dim]); rotary tables [S, d].
        """
        conditioning = self.condition_embedder(*conditions[0]), self.condition_embedder_mot_ref(*conditions[1])
        target = self.patch_embedding(videos[0])
        grid = tuple(target.shape[2:])
        streams = tuple(x.flatten(2).transpose(1, 2) for x in (target, self.patch_embedding_mot_ref(videos[1])))
        for block in self.blocks:
            streams = block(streams, conditioning, rotary)
        shift, scale = (self.scale_shift_table + conditioning[0].timestep[:, None]).chunk(2, dim=1)
        return self._unpatch(self.proj_out(self.norm_out(streams[0]) * (1 + scale) + shift), grid)
