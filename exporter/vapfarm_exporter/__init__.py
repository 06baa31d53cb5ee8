"""Exports Video-As-Prompt checkpoints to model repositories that the farm's workers open."""
