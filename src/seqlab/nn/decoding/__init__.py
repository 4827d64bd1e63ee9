"""Decoding: the recurrent decoder, how it is unrolled, and how its outputs are searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.nn.decoding.beam import BeamOptions
    from seqlab.nn.decoding.constraints import Constraints
    from seqlab.nn.decoding.decoder import AttentionDecoder
    from seqlab.nn.decoding.sampling import SamplingOptions

__all__ = ["AttentionDecoder", "BeamOptions", "Constraints", "SamplingOptions"]
__getattr__ = lazy(__name__)
