"""Attention: five scores behind one signature, coverage, and copying."""

from seqlab.nn.attention.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    Prepared,
    ScaledDotAttention,
)
from seqlab.nn.attention.copying import CopyMixture
from seqlab.nn.attention.coverage import coverage_loss, shift_by_coverage

__all__ = [
    "AdditiveAttention",
    "Attention",
    "CopyMixture",
    "DotAttention",
    "GeneralAttention",
    "MultiheadAttention",
    "Prepared",
    "ScaledDotAttention",
    "coverage_loss",
    "shift_by_coverage",
]
