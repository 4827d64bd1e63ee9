"""LightningModules, one a family: loss, metrics, optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.tasks.base import Meter, Task
    from seqlab.tasks.classification import Classification
    from seqlab.tasks.forecasting import Forecasting
    from seqlab.tasks.schedules import constant, cosine, plateau, warmup_cosine
    from seqlab.tasks.seq2seq import SequenceToSequence
    from seqlab.tasks.tagging import Tagging

__all__ = [
    "Classification",
    "Forecasting",
    "Meter",
    "SequenceToSequence",
    "Tagging",
    "Task",
    "constant",
    "cosine",
    "plateau",
    "warmup_cosine",
]
__getattr__ = lazy(__name__)
