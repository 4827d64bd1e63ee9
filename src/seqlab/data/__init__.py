"""Data: what is to be learned. Knows no network and no task."""
