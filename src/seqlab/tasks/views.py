"""What a task can show of what it learned; callbacks draw it without knowing the families."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from seqlab.data.batch import Batch
from seqlab.networks.reader import Reader

if TYPE_CHECKING:
    from seqlab.nn.decoding.stepping import Hypotheses
    from seqlab.tasks.forecasting import Prediction as Forecasts
    from seqlab.tasks.tagging import Prediction as Tags


class Pooled(NamedTuple):
    """What a classifier decided, and where it looked.

    Attributes:
        predicted: (batch,) classes.
        weights: (batch, time) the weights that the states were pooled with.
    """

    predicted: Tensor
    weights: Tensor


class Written(NamedTuple):
    """What a decoder writes.

    Attributes:
        output: by greedy search.
        beams: the hypotheses of a beam search, the best first.
    """

    output: Hypotheses
    beams: Hypotheses


class Views:
    """What callbacks may ask of a task. A family overrides what it has; None: it has no such thing.

    A batch is one of a split, on the task's device and in its precision. The caller is in inference
    mode. Networks are asked by `forward` itself: a compiled one would be compiled once more for the
    few sequences that are shown.
    """

    def pooled(self, batch: Batch) -> Pooled | None:
        """Each sequence's class, and the weights that its states were pooled with."""
        return None

    def self_attention(self, batch: Batch) -> Tensor | None:
        """(batch, time, time) how the states attend to one another."""
        return None

    def alignment(self, batch: Batch) -> Tensor | None:
        """(batch, steps, time) where the decoder looks while it is given the true tokens."""
        return None

    def written(self, batch: Batch, hypotheses: int) -> Written | None:
        """What the decoder writes of each source, with so many hypotheses of a beam search."""
        return None

    def tags(self, batch: Batch) -> Tags | None:
        """Each token's tag, and how certain it is."""
        return None

    def transitions(self) -> Tensor | None:
        """Scores of moves from tag to tag, (tags + 1, tags + 1), −inf where forbidden.

        The last row holds those of starts, the last column those of ends.
        """
        return None

    def forecasts(self, batch: Batch) -> Forecasts | None:
        """Each window's forecast."""
        return None


def attention_of_reader(network: nn.Module, batch: Batch) -> Tensor | None:
    """(batch, time, time) of the reader's self-attention; None where it has none."""
    reader = getattr(network, "reader", None)
    if not isinstance(reader, Reader) or reader.self_attention is None:
        return None
    _, _, weights = reader.forward(batch.inputs, batch.lengths, need_state=False)
    return weights
