"""T5's relative positions as a table in the graph.

The stock encoders compute each distance's bucket with a logarithm that lands exactly on bucket borders: another
runtime's last bit would move a distance to the next bucket, whose bias is another. The buckets are therefore computed
once, by the stock code, and kept as data, shared by all layers.
"""

import torch
from torch import Tensor, nn


class FixedBuckets(nn.Module):
    """A bias embedding that looks up known buckets, whatever buckets it is given."""

    def __init__(self, embedding: nn.Embedding, buckets: Tensor) -> None:
        super().__init__()
        self.embedding = embedding
        self.register_buffer("buckets", buckets, persistent=False)

    def forward(self, _: Tensor) -> Tensor:
        """-> [L, L, heads]."""
        return self.embedding(self.buckets)


def _buckets(attention: nn.Module, length: int) -> Tensor:
    """[L, L] int32: the buckets that the stock attention looks up."""
    seen: list[Tensor] = []
    hook = attention.relative_attention_bias.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        attention.compute_bias(length, length, device=torch.device("cpu"))
    finally:
        hook.remove()
    return seen[0].to(torch.int32)


def fix_relative_positions(encoder: nn.Module, length: int) -> None:
    """Give every attention of a T5 or UMT5 encoder the buckets of texts of `length` tokens."""
    biased = [module for module in encoder.modules() if hasattr(module, "relative_attention_bias")]
    with torch.no_grad():
        buckets = _buckets(biased[0], length)
    for attention in biased:
        attention.relative_attention_bias = FixedBuckets(attention.relative_attention_bias, buckets)
