"""Whole networks, one a family, built of `seqlab.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.networks.classifier import Classifier
    from seqlab.networks.forecaster import Forecaster
    from seqlab.networks.reader import Reader
    from seqlab.networks.search import Search
    from seqlab.networks.seq2seq import Seq2Seq
    from seqlab.networks.tagger import Tagger

__all__ = ["Classifier", "Forecaster", "Reader", "Search", "Seq2Seq", "Tagger"]
__getattr__ = lazy(__name__)
