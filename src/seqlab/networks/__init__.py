"""Whole networks, one a family, built of `seqlab.nn`."""
