"""What is logged and drawn while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.callbacks.attention import AttentionCallback, SelfAttentionCallback
    from seqlab.callbacks.confusion import ConfusionCallback
    from seqlab.callbacks.curves import CurvesLogger
    from seqlab.callbacks.figures import FigureCallback
    from seqlab.callbacks.forecasts import ForecastCallback
    from seqlab.callbacks.hparams import HparamsCallback
    from seqlab.callbacks.last import LastCheckpoint
    from seqlab.callbacks.progress import EpochLines, EpochProgressBar
    from seqlab.callbacks.pruning import PruningCallback
    from seqlab.callbacks.seq2seq import AlignmentCallback, ExactMatchCallback, OutputsCallback
    from seqlab.callbacks.size import SizeSummary
    from seqlab.callbacks.skill import SkillCallback
    from seqlab.callbacks.tagging import (
        SpanConfusionCallback,
        TaggedSentencesCallback,
        TransitionsCallback,
    )
    from seqlab.callbacks.validation import BestValidation

__all__ = [
    "AlignmentCallback",
    "AttentionCallback",
    "BestValidation",
    "ConfusionCallback",
    "CurvesLogger",
    "EpochLines",
    "EpochProgressBar",
    "ExactMatchCallback",
    "FigureCallback",
    "ForecastCallback",
    "HparamsCallback",
    "LastCheckpoint",
    "OutputsCallback",
    "PruningCallback",
    "SelfAttentionCallback",
    "SizeSummary",
    "SkillCallback",
    "SpanConfusionCallback",
    "TaggedSentencesCallback",
    "TransitionsCallback",
]
__getattr__ = lazy(__name__)
