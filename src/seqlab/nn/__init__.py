"""Layers: tensors in, tensors out. Knows no task and no configuration."""
