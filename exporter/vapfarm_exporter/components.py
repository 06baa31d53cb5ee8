"""A checkpoint's components, built on the meta device and filled from its files, for any variant; and what every
MoT transformer of the reference has in its config.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from .checkpoint import Weights, load_strictly
from .config_checks import Allowed

Module = TypeVar("Module", bound=nn.Module)

DIFFUSERS_STEM, TRANSFORMERS_STEM = "diffusion_pytorch_model", "model"
# An encoder's embedding is stored once, under either of two names.
_TIED = {"encoder.embed_tokens.weight": "shared.weight", "shared.weight": "encoder.embed_tokens.weight"}

# Options of the reference's MoT transformers that no released recipe sets, and that the modules do not build.
MOT_FIXED: Allowed = {
    "attention_head_dim_mot_ref": (None,),
    "supported_effect_types": (None,),
    "num_ref_embeddings": (None, 0),
    "reference_train_mode": (None,),
    "ablation_single_encoder": (None, False),
    "ablation_residual_addition": (None, False),
}


def built(build: Callable[[], Module]) -> Module:
    """A module without memory for its tensors."""
    with torch.device("meta"):
        return build()


def load_diffusers(folder: Path, build: Callable[[], Module]) -> Module:
    """A VAE or transformer with exactly the folder's tensors."""
    return load_strictly(built(build), Weights(folder, DIFFUSERS_STEM))


def load_encoder(folder: Path, build: Callable[[], Module]) -> Module:
    """A text encoder with exactly the folder's tensors."""
    return load_strictly(built(build), Weights(folder, TRANSFORMERS_STEM), _TIED)
