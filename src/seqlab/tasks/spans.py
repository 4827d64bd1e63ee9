"""Spans in sequences of tags: found, counted and compared, a batch at a time."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from seqlab.data.tag_scheme import TagScheme

Reading = Literal["lenient", "strict"]


class Spans(NamedTuple):
    """Spans of a batch, in order.

    Attributes:
        starts: (spans,) each first position, counted through all rows of time + 1 positions.
        ends: (spans,) the position behind each last one, counted alike.
        types: (spans,) ids of their types.
    """

    starts: Tensor
    ends: Tensor
    types: Tensor


class SpanFinder:
    """Finds spans by looking at each two tags in a row.

    Args:
        scheme: what the tags mean.
        reading: "lenient", as conlleval (Tjong Kim Sang 2002) and seqeval's default, where any
            tag that cannot continue a span starts one; "strict", as seqeval's strict mode, where
            what does not follow the scheme is no span.
    """

    def __init__(self, scheme: TagScheme, reading: Reading = "lenient") -> None:
        rules = scheme.lenient if reading == "lenient" else scheme.strict
        self.rules = torch.from_numpy(rules.starts + 2 * rules.continues + 4 * rules.closes)
        self.types = torch.from_numpy(scheme.types)
        self.outside = len(scheme.names)

    def __call__(self, tags: Tensor, counted: Tensor) -> Spans:
        """The spans of tags (batch, time), where `counted` (batch, time) is true."""
        if self.rules.device != tags.device:
            self.rules, self.types = self.rules.to(tags.device), self.types.to(tags.device)
        batch, time = tags.shape
        padded = tags.new_full((batch, time + 1), self.outside)
        padded[:, :time] = tags.where(counted, self.outside)
        # Each row ends outside, so that it is also what stands before the next one.
        current = padded.flatten()
        before = current.roll(1)
        said = self.rules[before, current]
        continues = (said & 2).bool()
        starts = (said & 1).bool()
        # iob1: the I- right behind a B- would start a span, unless the B- has started it.
        starts &= ~(continues & starts.roll(1))
        first = starts.nonzero().squeeze(-1)
        breaks = (~continues).nonzero().squeeze(-1)
        ends = breaks[torch.searchsorted(breaks, first, right=True)]
        whole = (said[ends] & 4).bool()
        first, ends = first[whole], ends[whole]
        return Spans(first, ends, self.types[current[first]])


def confusion(true: Spans, predicted: Spans, positions: int, types: int) -> Tensor:
    """What became of each true span, and which predicted ones are spurious.

    A true span whose boundaries were found counts for the type found there. One that was only
    overlapped has a wrong boundary; one that was not even overlapped was missed. A predicted span
    that overlaps no true one is spurious.

    Args:
        true: the true spans.
        predicted: the predicted spans.
        positions: batch · (time + 1).
        types: how many types there are.

    Returns:
        (types + 1, types + 2): rows are the true types, then "spurious"; columns the predicted
        types, then "wrong boundary" and "missed".
    """
    found = true.types.new_full((positions,), -1)
    ends = found.clone()
    found[predicted.starts], ends[predicted.starts] = predicted.types, predicted.ends
    exact = ends[true.starts] == true.ends
    overlapped = _overlapped(true, predicted, positions)
    column = torch.where(overlapped, types, types + 1).where(~exact, found[true.starts])
    spurious = predicted.types[~_overlapped(predicted, true, positions)]
    cells = torch.cat([true.types * (types + 2) + column, types * (types + 2) + spurious])
    return torch.bincount(cells, minlength=(types + 1) * (types + 2)).view(types + 1, types + 2)


def _overlapped(spans: Spans, others: Spans, positions: int) -> Tensor:
    """True for each of `spans` that shares a position with any of `others`."""
    edges = spans.starts.new_zeros(positions + 1)
    edges[others.starts] += 1
    edges.index_add_(0, others.ends, -torch.ones_like(others.ends))
    # Covered positions before each one; spans do not overlap among themselves.
    covered = F.pad(edges.cumsum(0), (1, 0)).cumsum(0)
    return covered[spans.ends] > covered[spans.starts]


class SpanScore(Metric):
    """Precision, recall and F1 over the spans of an epoch, as the CoNLL tasks score them.

    A span is correct when both boundaries and its type are. Micro-averaged; 0 where nothing is
    predicted, or nothing is there.

    Args:
        scheme: what the tags mean.
        reading: see `SpanFinder`.
    """

    full_state_update = False
    confusion: Tensor
    predicted: Tensor

    def __init__(self, scheme: TagScheme, reading: Reading = "lenient") -> None:
        super().__init__()
        self.finder = SpanFinder(scheme, reading)
        self.type_names = scheme.type_names
        types = len(scheme.type_names)
        zeros = torch.zeros(types + 1, types + 2, dtype=torch.long)
        self.add_state("confusion", zeros, "sum")
        self.add_state("predicted", torch.zeros(types, dtype=torch.long), "sum")

    def update(self, predicted: Tensor, targets: Tensor, counted: Tensor) -> None:
        """Adds a batch of tags (batch, time), of which those count where `counted` is true."""
        true, guessed = self.finder(targets, counted), self.finder(predicted, counted)
        positions, types = len(targets) * (targets.shape[1] + 1), len(self.type_names)
        self.confusion += confusion(true, guessed, positions, types)
        self.predicted += torch.bincount(guessed.types, minlength=types)

    def compute(self) -> dict[str, Tensor]:
        """`precision`, `recall`, `f1`, and `f1_<type>` for each type."""
        # Here it is of all devices.
        self.of_all = self.confusion.clone()
        correct = self.confusion[:-1, :-2].diagonal().double()
        true, predicted = self.confusion[:-1].sum(1).double(), self.predicted.double()
        each = 2 * correct / (true + predicted).clamp(min=1)
        total, there, guessed = correct.sum(), true.sum(), predicted.sum()
        return {
            "precision": total / guessed.clamp(min=1),
            "recall": total / there.clamp(min=1),
            "f1": 2 * total / (there + guessed).clamp(min=1),
            **{f"f1_{name}": score for name, score in zip(self.type_names, each, strict=True)},
        }

    def by_sequence(
        self, predicted: Tensor, targets: Tensor, counted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(batch,) twice the correct spans, and the true with the predicted ones: F1's parts."""
        true, guessed = self.finder(targets, counted), self.finder(predicted, counted)
        batch, width = len(targets), targets.shape[1] + 1
        kinds = true.ends.new_full((batch * width, 2), -1)
        kinds[true.starts] = torch.stack([true.ends, true.types], 1)
        right = (kinds[guessed.starts] == torch.stack([guessed.ends, guessed.types], 1)).all(1)
        rows = guessed.starts // width
        correct = torch.bincount(rows[right], minlength=batch)
        there = torch.bincount(true.starts // width, minlength=batch)
        return 2 * correct, there + torch.bincount(rows, minlength=batch)
