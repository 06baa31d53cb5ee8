"""Video-As-Prompt's CogVideoX mixture-of-transformers, with the released checkpoint's tensor names.

Two streams of equal width: the target (text, video) and the references (text, video), whose weights carry the suffix
`_mot_ref`. In a MoT block both attend to both; in a plain block the reference stream is untouched. Follows
cogvideox_transformer_3d_mot.py of the reference, inference path only (one timestep for both streams).

Shapes: g guidance rows (negative, positive), n references, T latent frames, L text tokens, D width, S = T * patches.
What the last MoT block computes for the reference stream beyond its keys and values feeds nothing, so it is left out;
the output is the same function.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cogvideox_config import TransformerConfig
from .cogvideox_positions import reference_rotary, sincos_table, target_rotary
from .errors import UnsupportedConfigError
from .layers import FeedForward, Rotary, TimestepEmbedding, attend, merge_heads, rotate, split_heads

Stream = tuple[Tensor, Tensor]  # text [g, L', D], video [g, S', D]


class PatchEmbedding(nn.Module):
    """Patches and text to tokens, plus the additive positions (none on text: those rows of the buffer may be learned)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.proj = nn.Conv2d(config.in_channels, config.inner_dim, config.patch, config.patch, bias=config.patch_bias)
        self.text_proj = nn.Linear(config.text_dim, config.inner_dim)
        rows, columns = config.grid
        tokens = config.text_tokens + config.latent_frames * rows * columns
        self.register_buffer("pos_embedding", torch.zeros(1, tokens, config.inner_dim))

    def positions(self, frames: int, height: int, width: int) -> Tensor:
        """[1, L+S, D]: the checkpoint's buffer for the trained length, computed ones for another, no other size."""
        config = self.config
        if (height, width) != (config.sample_height, config.sample_width):
            raise UnsupportedConfigError(
                f"learned positions cover {config.sample_height}x{config.sample_width} latents, not {height}x{width}"
            )
        if frames == config.latent_frames:
            return self.pos_embedding
        scales = (config.spatial_scale, config.temporal_scale)
        video = sincos_table(config.inner_dim, frames, config.grid, scales)
        return torch.cat([video.new_zeros(config.text_tokens, config.inner_dim), video])[None]

    def forward(self, text: Tensor, video: Tensor) -> Stream:
        """text [a, L, text_dim], video [b, T, C, h, w] -> text [a, L, D], video [b, S, D]."""
        batch, frames, channels, height, width = video.shape
        positions = self.positions(frames, height, width)
        length = self.config.text_tokens
        patches = self.proj(video.reshape(batch * frames, channels, height, width))
        tokens = patches.flatten(2).transpose(1, 2).reshape(batch, -1, self.config.inner_dim)
        return self.text_proj(text) + positions[:, :length], tokens + positions[:, length:]


class LayerNormZero(nn.Module):
    """Layer norm modulated by the timestep, separately for video and text; gates for the residuals."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.time_dim, 6 * config.inner_dim)
        self.norm = nn.LayerNorm(config.inner_dim, config.norm_eps, config.norm_affine)

    def forward(self, stream: Stream, conditioning: Tensor) -> tuple[Stream, Stream]:
        """-> modulated stream, gates (text [1, 1, D], video [1, 1, D])."""
        text, video = stream
        chunks = self.linear(F.silu(conditioning))[:, None, :].chunk(6, dim=-1)
        shift, scale, gate, text_shift, text_scale, text_gate = chunks
        modulated = self.norm(text) * (1 + text_scale) + text_shift, self.norm(video) * (1 + scale) + shift
        return modulated, (text_gate, gate)


class Attention(nn.Module):
    """Projections of one stream; the joint attention itself is the block's, since it spans both streams."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.inner_dim
        self.heads = config.heads
        self.norm_q = nn.LayerNorm(config.head_dim, eps=1e-6)
        self.norm_k = nn.LayerNorm(config.head_dim, eps=1e-6)
        self.to_q = nn.Linear(width, width, bias=config.attention_bias)
        self.to_k = nn.Linear(width, width, bias=config.attention_bias)
        self.to_v = nn.Linear(width, width, bias=config.attention_bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def query(self, stream: Stream, rotary: Rotary) -> list[Tensor]:
        """Text and video queries [g, heads, ., d], normalised per head, video ones rotated."""
        text, video = (self.norm_q(split_heads(self.to_q(x), self.heads)) for x in stream)
        return [text, rotate(video, rotary)]

    def key(self, stream: Stream, rotary: Rotary) -> list[Tensor]:
        """Text and video keys, like the queries."""
        text, video = (self.norm_k(split_heads(self.to_k(x), self.heads)) for x in stream)
        return [text, rotate(video, rotary)]

    def value(self, stream: Stream) -> list[Tensor]:
        """Text and video values [g, heads, ., d]."""
        return [split_heads(self.to_v(x), self.heads) for x in stream]

    def project(self, attended: Tensor) -> Tensor:
        """[g, heads, ., d] -> [g, ., D]."""
        return self.to_out[0](merge_heads(attended))


def _add_gated(stream: Stream, gates: Stream, update: Stream) -> Stream:
    return stream[0] + gates[0] * update[0], stream[1] + gates[1] * update[1]


class Block(nn.Module):
    """One transformer block; a MoT block has twins of every part for the reference stream."""

    def __init__(self, config: TransformerConfig, has_reference: bool, ends_reference: bool) -> None:
        super().__init__()
        self.has_reference = has_reference
        self.ends_reference = ends_reference
        for suffix in ["", "_mot_ref"] if has_reference else [""]:
            self.add_module(f"norm1{suffix}", LayerNormZero(config))
            self.add_module(f"attn1{suffix}", Attention(config))
            self.add_module(f"norm2{suffix}", LayerNormZero(config))
            self.add_module(f"ff{suffix}", FeedForward((config.inner_dim, 4 * config.inner_dim, config.inner_dim)))

    def forward(
        self, streams: tuple[Stream, Stream], conditioning: tuple[Tensor, Tensor], rotary: tuple[Rotary, Rotary]
    ) -> tuple[Stream, Stream]:
        """Each pair is (target, reference)."""
        if not self.has_reference:
            return self._plain(streams[0], conditioning[0], rotary[0]), streams[1]
        return self._joint(streams, conditioning, rotary)

    def _plain(self, stream: Stream, conditioning: Tensor, rotary: Rotary) -> Stream:
        normed, gates = self.norm1(stream, conditioning)
        attn = self.attn1
        parts = attend(attn.query(normed, rotary), attn.key(normed, rotary), attn.value(normed))
        stream = _add_gated(stream, gates, (attn.project(parts[0]), attn.project(parts[1])))
        return self._feed_forward(stream, conditioning, "")

    def _joint(
        self, streams: tuple[Stream, Stream], conditioning: tuple[Tensor, Tensor], rotary: tuple[Rotary, Rotary]
    ) -> tuple[Stream, Stream]:
        normed, gates = self.norm1(streams[0], conditioning[0])
        ref_normed, ref_gates = self.norm1_mot_ref(streams[1], conditioning[1])
        attn, ref_attn = self.attn1, self.attn1_mot_ref
        query = attn.query(normed, rotary[0])
        if not self.ends_reference:
            query += ref_attn.query(ref_normed, rotary[1])
        key = attn.key(normed, rotary[0]) + ref_attn.key(ref_normed, rotary[1])
        parts = attend(query, key, attn.value(normed) + ref_attn.value(ref_normed))
        target = _add_gated(streams[0], gates, (attn.project(parts[0]), attn.project(parts[1])))
        target = self._feed_forward(target, conditioning[0], "")
        if self.ends_reference:
            return target, streams[1]
        reference = _add_gated(streams[1], ref_gates, (ref_attn.project(parts[2]), ref_attn.project(parts[3])))
        return target, self._feed_forward(reference, conditioning[1], "_mot_ref")

    def _feed_forward(self, stream: Stream, conditioning: Tensor, suffix: str) -> Stream:
        normed, gates = self.get_submodule(f"norm2{suffix}")(stream, conditioning)
        ff = self.get_submodule(f"ff{suffix}")
        return _add_gated(stream, gates, (ff(normed[0]), ff(normed[1])))


class FinalNorm(nn.Module):
    """The last modulated norm: shift first, then scale, in the linear's output."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.time_dim, 2 * config.inner_dim)
        self.norm = nn.LayerNorm(config.inner_dim, config.norm_eps, config.norm_affine)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """x [g, S, D], conditioning [1, time_dim] -> [g, S, D]."""
        shift, scale = self.linear(F.silu(conditioning))[:, None, :].chunk(2, dim=-1)
        return self.norm(x) * (1 + scale) + shift


class CogVideoXMotTransformer(nn.Module):
    """The denoiser; its state dict has exactly the checkpoint's names and shapes."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config)
        self.patch_embed_mot_ref = PatchEmbedding(config)
        self.time_embedding = TimestepEmbedding(config.inner_dim, config.time_dim)
        self.time_embedding_mot_ref = TimestepEmbedding(config.inner_dim, config.time_dim)
        last = max(config.mot_blocks)
        self.transformer_blocks = nn.ModuleList(Block(config, i in config.mot_blocks, i == last) for i in range(config.layers))
        self.norm_final = nn.LayerNorm(config.inner_dim, config.norm_eps, config.norm_affine)
        self.norm_out = FinalNorm(config)
        self.proj_out = nn.Linear(config.inner_dim, config.patch**2 * config.out_channels)

    def rotary_tables(self, frames: int, references: int) -> tuple[Rotary, Rotary]:
        """Tables of the target and of the references, for any number of frames and references."""
        config = self.config
        return (
            target_rotary(config.head_dim, frames, config.grid),
            reference_rotary(config.head_dim, frames, references, config.grid),
        )

    def _reference_stream(self, text: Tensor, video: Tensor) -> Stream:
        """text [n, g, L, text_dim], video [n, T, C, h, w] -> text [g, nL, D], video [g, nS, D]: each reference on its own."""
        rows = text.shape[1]
        text_tokens, video_tokens = self.patch_embed_mot_ref(text.flatten(0, 1), video)
        text_tokens = text_tokens.unflatten(0, (-1, rows)).transpose(0, 1).flatten(1, 2)
        return text_tokens, video_tokens.flatten(0, 1)[None].expand(rows, -1, -1)

    def _unpatch(self, tokens: Tensor) -> Tensor:
        """[g, S, C*p*p] in the order (channel, row, column) -> [g, T, C, h, w]."""
        rows, columns = self.config.grid
        patch = self.config.patch
        grid = tokens.unflatten(1, (-1, rows, columns)).unflatten(-1, (-1, patch, patch))
        return grid.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)

    def forward(
        self, sinusoid: Tensor, target: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor], rotary: tuple[Rotary, Rotary]
    ) -> Tensor:
        """v-prediction [g, T, C/2, h, w].

        sinusoid [1, D] of the timestep; target: text [g, L, text_dim] and video [1, T, C, h, w]; reference: text
        [n, g, L, text_dim] and video [n, T, C, h, w], the same for every guidance row; rotary: tables of both streams.
        """
        conditioning = self.time_embedding(sinusoid), self.time_embedding_mot_ref(sinusoid)
        text, video = self.patch_embed(*target)
        streams = (text, video.expand(text.shape[0], -1, -1)), self._reference_stream(*reference)
        for block in self.transformer_blocks:
            streams = block(streams, conditioning, rotary)
        video = self.norm_out(self.norm_final(streams[0][1]), conditioning[0])
        return self._unpatch(self.proj_out(video))
