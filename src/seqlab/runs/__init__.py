"""A run's folder: write, load, evaluate."""
