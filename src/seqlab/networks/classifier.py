"""The sequence classifier: read, pool, decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from seqlab.data.spec import Spec
from seqlab.errors import InputError, check_probability
from seqlab.networks.reader import Reader
from seqlab.nn.attention import Attention
from seqlab.nn.pooling import (
    FirstLastPooling,
    LastPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
    pool_by_attention,
)

PoolingName = Literal["auto", "attention", "last", "first_last", "mean", "max"]


class Classifier(nn.Module):
    """Logits for each class of a sequence.

    Args:
        spec: what the data looks like.
        reader: makes the network that turns inputs into states.
        attention: makes the attention to pool with, from query and key size.
        pooling: how the states become one vector. "auto" is attention where there is one, else
            the last state, for two directions each one's last ("first_last").
        dropout: probability of zeroing a feature before the linear head.

    Raises:
        InputError: a pooling that does not fit attention or encoder, or data of another family.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        reader: Callable[[Spec], Reader],
        attention: Callable[[int, int], Attention] | None = None,
        pooling: PoolingName = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.task != "classification":
            raise InputError(
                f"task=classification needs data with one class a sequence, but this data is for "
                f"task={spec.task}; leave out task=, which the data sets itself"
            )
        check_probability("dropout", dropout)
        self.reader = reader(spec)
        size, directions = self.reader.output_size, self.reader.encoder.directions
        self.pooling = make_pooling(pooling, attention, size, directions)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(size, spec.output_size)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Classifies.

        Args:
            inputs: (batch, time) ids or (batch, time, feature) values.
            lengths: (batch,) valid positions.

        Returns:
            logits (batch, classes), and the weights of the pooling (batch, time) where defined.
        """
        states, _, _ = self.reader(inputs, lengths, need_state=False)
        pooled, weights = self.pooling(states, lengths)
        return self.head(self.dropout(pooled)), weights


def make_pooling(
    name: PoolingName,
    attention: Callable[[int, int], Attention] | None,
    size: int,
    directions: int,
) -> Pooling:
    """The pooling of that name for states of `size` features from so many directions.

    Raises:
        InputError: an unknown name, or one that does not fit attention or directions.
    """
    if name == "auto":
        name = "attention" if attention else "first_last" if directions == 2 else "last"
    if name == "attention":
        if attention is None:
            raise InputError(
                "task.pooling=attention needs an attention; add model/attention=additive "
                "(`python train.py --help` lists all)"
            )
        return pool_by_attention(attention(size, size))
    if attention is not None:
        raise InputError(
            f"task.pooling={name} leaves the attention without effect; use model/attention=none "
            "or task.pooling=attention"
        )
    if name == "first_last" and directions == 1:
        raise InputError(
            "task.pooling=first_last is for two directions; use task.pooling=last, or a "
            "bidirectional model such as bigru"
        )
    kinds = {
        "last": LastPooling,
        "first_last": FirstLastPooling,
        "mean": MeanPooling,
        "max": MaxPooling,
    }
    if name not in kinds:
        raise InputError(f"task.pooling={name!r} must be auto, attention, {', '.join(kinds)}")
    return kinds[name]()
