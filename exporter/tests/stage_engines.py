"""Stages by name, as PyTorch modules or as exported graphs, so that one test covers both."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vapfarm_exporter.onnx_graphs import open_session

TOLERANCE = 1e-4


class Engines:
    """Runs a stage's engine."""

    def __init__(self, modules: dict[str, nn.Module] | None, folder: Path | None) -> None:
        self.modules = modules
        self.sessions = {} if folder is None else {p.parts[-3]: open_session(p, 2) for p in folder.glob("*/1/model.onnx")}

    def run(self, name: str, **inputs: Tensor) -> Tensor:
        """The output of one engine."""
        if self.modules is not None:
            with torch.no_grad():
                return self.modules[name](**inputs)
        return torch.from_numpy(self.sessions[name].run(None, {k: v.numpy() for k, v in inputs.items()})[0])


def assert_near(found: Tensor, wanted: Tensor) -> None:
    """Equal within the tolerance that the golden cases are held to."""
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=0, atol=TOLERANCE)
