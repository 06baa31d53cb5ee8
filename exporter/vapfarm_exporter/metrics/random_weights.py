"""Seeded random weights, the same on every machine.

torch's normal draws differ in the last bit between instruction sets; these are uniform and come from integers, so that
only exact arithmetic stands between the seed and the weights. Each tensor is seeded by its own name.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

_NORMS = (nn.LayerNorm, nn.GroupNorm)
# Deviation of tables and tokens that nothing is multiplied with.
_TABLE_DEVIATION = 0.5


def _uniform(shape: torch.Size, deviation: float, seed: str) -> Tensor:
    """Numbers of the given deviation around zero."""
    digest = hashlib.sha256(seed.encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))
    unit = generator.random(tuple(shape), dtype=np.float32) * np.float32(2) - np.float32(1)
    return torch.from_numpy(unit * np.float32(deviation * math.sqrt(3)))


def _deviation(owner: nn.Module, name: str, parameter: Tensor) -> float:
    """Such that numbers of deviation 1 stay so through a weight; biases are small."""
    if name == "bias":
        return 0.1
    if isinstance(owner, nn.ConvTranspose2d):
        # Each output sees a quarter of the kernel.
        return (parameter[:, 0].numel() / 4) ** -0.5
    if isinstance(owner, nn.Linear | nn.Conv2d):
        return parameter[0].numel() ** -0.5
    if name in ("proj", "text_projection"):
        return parameter.shape[0] ** -0.5
    return _TABLE_DEVIATION


@torch.no_grad()
def fill_random(
    module: nn.Module, seed: str, gains: Mapping[str, float] | None = None, centres: Mapping[str, float] | None = None
) -> nn.Module:
    """Fill all parameters in place; norms become the identity.

    `gains` multiply deviations by a name's ending; `centres` are the middle of what is drawn for a whole name, else 0.
    """
    for path, parameter in module.named_parameters():
        prefix, _, name = path.rpartition(".")
        owner = module.get_submodule(prefix)
        if isinstance(owner, _NORMS):
            parameter.fill_(1.0 if name == "weight" else 0.0)
            continue
        gain = math.prod(value for ending, value in (gains or {}).items() if f".{path}".endswith(f".{ending}"))
        drawn = _uniform(parameter.shape, gain * _deviation(owner, name, parameter), f"{seed}/{path}")
        parameter.copy_(drawn + (centres or {}).get(path, 0.0))
    return module.eval().requires_grad_(False)
