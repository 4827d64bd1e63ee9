"""Recurrences: each cell's equation once, the layer that runs it over time, and the encoder."""
