"""VBench's metrics in plain PyTorch, as VBench itself computes them: what the farm's own arithmetic is compared with."""
