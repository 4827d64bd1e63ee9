"""LightningModules, one a family: loss, metrics, optimiser."""
