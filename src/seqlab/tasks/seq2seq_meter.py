"""The scores of a sequence-to-sequence epoch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.data.vocabulary import SPECIAL
from seqlab.nn.masking import valid_mask
from seqlab.nn.precision import at_least_single
from seqlab.tasks.meter import Meter
from seqlab.tasks.sequence_scores import alignment_sums, bleu, chrf, edit_distances

# Source lengths that are counted together in the scores by length.
BUCKET = 5


class Outcome(NamedTuple):
    """What a batch brought.

    Attributes:
        log_loss: Σ −log P of all target tokens, reading the truth.
        free_loss: mean loss that reads nothing but what was written.
        weights: (batch, steps, time) of the attention, reading the truth.
        tokens: (batch, steps) the output, without its end.
        lengths: (batch,) of the output.
        right: (batch,) in training, whether greedy search would write the reference.
    """

    log_loss: Tensor
    free_loss: Tensor | None = None
    weights: Tensor | None = None
    tokens: Tensor | None = None
    lengths: Tensor | None = None
    right: Tensor | None = None


class Seq2SeqMeter(Meter):
    """Perplexity of the truth, agreement of the outputs with it, and where the attention looked.

    Args:
        spec: names of the tokens.
        brief: leaves out all but the perplexity and exact match.
        by_length: adds exact match by the length of the source.
    """

    log_loss: Tensor
    free_sum: Tensor
    target_tokens: Tensor
    sum_right: Tensor
    looks: Tensor
    outputs: list[Tensor]
    output_lengths: list[Tensor]
    references: list[Tensor]
    reference_lengths: list[Tensor]
    source_lengths: list[Tensor]

    def __init__(self, spec: Spec, *, brief: bool = False, by_length: bool = False) -> None:
        super().__init__()
        self.names = [visible_name(name) for name in spec.label_names]
        # Characters make words; other tokens are words themselves.
        self.characters = all(len(name) == 1 for name in self.names[len(SPECIAL) :])
        self.brief = brief
        self.by_length = by_length
        for name in ("log_loss", "free_sum", "target_tokens", "sum_right"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("looks", torch.zeros(7, dtype=torch.float64), "sum")
        for name in (
            "outputs",
            "output_lengths",
            "references",
            "reference_lengths",
            "source_lengths",
        ):
            self.add_state(name, [], "cat")

    def collect(self, outputs: Outcome, batch: Batch) -> None:
        assert batch.target_lengths is not None  # the loss asked
        self.log_loss += outputs.log_loss.double()
        self.target_tokens += batch.target_lengths.sum()
        if outputs.right is not None:
            self.sum_right += outputs.right.sum()
        if self.brief or outputs.tokens is None or outputs.lengths is None:
            return
        if outputs.free_loss is not None:
            self.free_sum += outputs.free_loss.double() * len(batch)
        # Without the end, which an output and its reference both have.
        lengths = batch.target_lengths - 1
        self.outputs.append(_flat(outputs.tokens, outputs.lengths))
        self.output_lengths.append(outputs.lengths)
        self.references.append(_flat(batch.targets, lengths))
        self.reference_lengths.append(lengths)
        self.source_lengths.append(batch.lengths)
        if outputs.weights is not None:
            valid = valid_mask(batch.target_lengths, batch.targets.shape[1])
            self.looks += alignment_sums(at_least_single(outputs.weights), valid, batch.alignment)

    def scores(self) -> dict[str, Tensor]:
        """The perplexity of the truth, and how the outputs agree with it.

        - `perplexity`, reading the truth; all that follows reads nothing but what was written;
        - `free_loss`, the loss without reading the truth;
        - `exact_match`, the share of outputs that are the reference;
        - `token_accuracy`, the share of the references' tokens, their ends among them, that stand
          at the same place in the output;
        - `edit_distance`, over the length of the longer one, mean over sequences;
        - `bleu` and `chrf` from 0 to 100;
        - `exact_match_length_…` by the length of the source.

        Where there is attention: `attention_entropy` in nats, `attention_monotonicity`, the share
        of steps that do not move to the left; and where the true alignment is known
        `alignment_accuracy` and `alignment_mass`, of reading the truth.
        """
        scores = {"perplexity": (self.log_loss / self.target_tokens).exp()}
        if self.brief:
            return scores | {"exact_match": self.sum_right / self.count}
        if not len(self.output_lengths):  # a tensor, once devices are gathered
            return scores
        scores["free_loss"] = self.free_sum / self.count
        outputs, output_lengths = self._padded("outputs", "output_lengths")
        references, reference_lengths = self._padded("references", "reference_lengths")
        scores |= self._agreement(outputs, output_lengths, references, reference_lengths)
        written = _numbers(outputs, output_lengths), self.texts(outputs, output_lengths)
        true = _numbers(references, reference_lengths), self.texts(references, reference_lengths)
        # BLEU splits a text at every kind of blank, which may be a token or within one.
        scores["bleu"] = bleu(written[0], true[0])
        scores["chrf"] = chrf(written[1], true[1])
        return scores | self._looks()

    def outcomes(self, outputs: Outcome, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        assert batch.target_lengths is not None
        assert outputs.tokens is not None
        assert outputs.lengths is not None
        tokens, written, lengths = outputs.tokens, outputs.lengths, batch.target_lengths - 1
        distances = edit_distances(tokens, written, batch.targets, lengths)
        one = torch.ones_like(distances)
        longer = torch.maximum(written, lengths).clamp(min=1)
        return {
            "exact_match": (distances == 0, one),
            "token_accuracy": (_tokens_right(tokens, written, batch.targets, lengths), lengths + 1),
            "edit_distance": (distances / longer, one),
        }

    def texts(self, tokens: Tensor, lengths: Tensor) -> list[str]:
        """Each sequence's tokens between blanks."""
        pairs = zip(tokens.tolist(), lengths.tolist(), strict=True)
        return [" ".join(self.names[token] for token in row[:length]) for row, length in pairs]

    def _agreement(
        self, outputs: Tensor, output_lengths: Tensor, references: Tensor, lengths: Tensor
    ) -> dict[str, Tensor]:
        distances = edit_distances(outputs, output_lengths, references, lengths)
        exact = distances == 0
        right = _tokens_right(outputs, output_lengths, references, lengths).sum()
        longer = torch.maximum(output_lengths, lengths).clamp(min=1)
        scores = {
            "exact_match": exact.double().mean(),
            "token_accuracy": right / self.target_tokens,
            "edit_distance": (distances / longer).double().mean(),
        }
        sources = dim_zero_cat(self.source_lengths)
        self.exact_by_length = {
            int(length): (
                exact[sources == length].double().mean().item(),
                int((sources == length).sum()),
            )
            for length in sources.unique()
        }
        if self.by_length:
            buckets = (sources - 1) // BUCKET
            for bucket in buckets.unique().tolist():
                name = f"exact_match_length_{bucket * BUCKET + 1:02}_{(bucket + 1) * BUCKET:02}"
                scores[name] = exact[buckets == bucket].double().mean()
        return scores

    def _looks(self) -> dict[str, Tensor]:
        right, mass, known, entropy, tokens, forward, pairs = self.looks
        scores = {}
        if tokens > 0:
            scores["attention_entropy"] = entropy / tokens
        if pairs > 0:
            scores["attention_monotonicity"] = forward / pairs
        if known > 0:
            scores["alignment_accuracy"] = right / known
            scores["alignment_mass"] = mass / known
        return scores

    def _padded(self, name: str, lengths_name: str) -> tuple[Tensor, Tensor]:
        """All sequences of a state, (sequences, longest), and their lengths."""
        flat, lengths = dim_zero_cat(getattr(self, name)), dim_zero_cat(getattr(self, lengths_name))
        inside = valid_mask(lengths, max(1, int(lengths.max())))
        padded = torch.zeros(inside.shape, dtype=flat.dtype, device=flat.device)
        padded[inside] = flat
        return padded, lengths


def visible_name(name: str) -> str:
    """A token's name without blanks, which separate tokens."""
    return name.replace(" ", "␣")


def _numbers(tokens: Tensor, lengths: Tensor) -> list[str]:
    """Each sequence's token ids between blanks."""
    pairs = zip(tokens.tolist(), lengths.tolist(), strict=True)
    return [" ".join(map(str, row[:length])) for row, length in pairs]


def _flat(tokens: Tensor, lengths: Tensor) -> Tensor:
    """All valid tokens in a row: batches of different widths can be put together."""
    return tokens[valid_mask(lengths, tokens.shape[1])]


def _tokens_right(outputs: Tensor, written: Tensor, references: Tensor, lengths: Tensor) -> Tensor:
    """(batch,) tokens of each reference that stand at their place; its end is one of them."""
    width = min(outputs.shape[1], references.shape[1])
    same = outputs[:, :width] == references[:, :width]
    inside = valid_mask(torch.minimum(written, lengths), width)
    return (same & inside).sum(1) + (written == lengths)
