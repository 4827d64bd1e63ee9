"""One tag a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlab.data.batch import IGNORED, Batch
from seqlab.data.spec import Spec
from seqlab.data.tag_scheme import TagScheme
from seqlab.errors import InputError, check_probability
from seqlab.networks.tagger import Tagger
from seqlab.nn.precision import at_least_single
from seqlab.tasks.base import MakeOptimizer, MakeScheduler, Task
from seqlab.tasks.meter import Meter
from seqlab.tasks.spans import SpanScore
from seqlab.tasks.views import attention_of_reader


class Tagging(Task):
    """Cross-entropy of each token's tag, or under a CRF of each sequence's tags.

    The loss of a sequence is its mean over the scored tokens, that of a batch the mean over its
    sequences: neither padding nor the length of batch mates changes it.

    Args:
        network: the tagger.
        spec: what the data looks like.
        optimizer: makes the optimiser from the parameters.
        scheduler: makes the learning-rate schedule from the optimiser and the number of steps.
        label_smoothing: probability spread evenly over all tags (Szegedy et al. 2016, section 7);
            softmax head only.
        class_weights: weight of each tag in the loss, in the order of the spec's labels; softmax
            head only.
        decoding: what a CRF predicts: "viterbi", the most probable sequence, or "marginals", the
            most probable tag of each token, which makes the fewest wrong tags but not always a
            legal sequence; "auto" is what suits the headline metric, marginals for the accuracy of
            tokens and viterbi for spans. A softmax head has no such choice.

    Raises:
        InputError: an option of the wrong head, or values that do not fit.
    """

    network: Tagger

    def __init__(
        self,
        *,
        network: Tagger,
        spec: Spec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        decoding: Literal["auto", "viterbi", "marginals"] = "auto",
    ) -> None:
        super().__init__(network=network, spec=spec, optimizer=optimizer, scheduler=scheduler)
        check_probability("label_smoothing", label_smoothing)
        if network.crf is not None and (label_smoothing or class_weights is not None):
            raise InputError(
                "task.label_smoothing and task.class_weights are for the softmax head; leave them "
                "out, or task.crf=true"
            )
        if decoding not in ("auto", "viterbi", "marginals"):
            raise InputError(f"task.decoding={decoding!r} must be auto, viterbi or marginals")
        if network.crf is None and decoding != "auto":
            raise InputError(f"task.decoding={decoding} decodes a CRF; add task.crf=true")
        if decoding == "auto":
            decoding = "marginals" if spec.metric == "token_accuracy" else "viterbi"
        weights = None if class_weights is None else torch.tensor(tuple(class_weights)).float()
        if weights is not None and (len(weights) != spec.output_size or not (weights > 0).all()):
            raise InputError(
                f"task.class_weights={weights.tolist()} must be {spec.output_size} positive "
                f"numbers, one for each of {', '.join(spec.label_names)}"
            )
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.decoding = decoding

    def new_meter(self, stage: str) -> Meter:
        return TaggingMeter(self.spec, brief=stage == "train")

    def self_attention(self, batch: Batch) -> Tensor | None:
        if self.network.attention is None:
            return attention_of_reader(self.network, batch)
        return self.network.forward(batch.inputs, batch.lengths)[1]

    def tags(self, batch: Batch) -> Prediction:
        emissions, _ = self.network.forward(batch.inputs, batch.lengths)
        return self.predict(emissions, batch.lengths, confident=True)

    def transitions(self) -> Tensor | None:
        if self.network.crf is None:
            return None
        tags = self.spec.output_size
        chain = self.network.crf.chain(torch.zeros(1, 1, tags, device=self.device))
        scores = torch.full((tags + 1, tags + 1), -torch.inf)
        scores[:-1, :-1] = chain.transitions.cpu()
        scores[-1, :-1], scores[:-1, -1] = chain.start.cpu(), chain.end.cpu()
        return scores

    def measure(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor | None]:
        emissions, _ = self.network(batch.inputs, batch.lengths)
        loss = self.loss(emissions, batch)
        # To decode a CRF costs as much as to train it, which is too much for every batch.
        dear = self.network.crf is not None or self.spec.metric == "span_f1"
        if stage == "train" and dear and not self.watches_batch:
            return loss, None
        return loss, self.predict(emissions.detach(), batch.lengths).tags

    def loss(self, emissions: Tensor, batch: Batch) -> Tensor:
        """The mean over the sequences of each one's mean over its scored tokens."""
        scored = (batch.targets != IGNORED).sum(1).clamp(min=1)
        if self.network.crf is not None:
            each = -self.network.crf.log_likelihood(emissions, batch.targets, batch.lengths)
        else:
            flat = at_least_single(emissions.flatten(0, 1))
            each = F.cross_entropy(
                flat,
                batch.targets.flatten(),
                weight=None if self.class_weights is None else self.class_weights.to(flat.dtype),
                label_smoothing=self.label_smoothing,
                ignore_index=IGNORED,
                reduction="none",
            )
            each = each.view_as(batch.targets).sum(1)
        return (each / scored).mean()

    def predict(self, emissions: Tensor, lengths: Tensor, *, confident: bool = False) -> Prediction:
        """Decodes emissions.

        Args:
            emissions: (batch, time, tags) from the network.
            lengths: (batch,) valid positions.
            confident: computes the confidences too.
        """
        crf = self.network.crf
        probabilities = None
        if crf is not None and (confident or self.decoding == "marginals"):
            probabilities = crf.marginals(emissions, lengths)
        elif crf is None and confident:
            probabilities = at_least_single(emissions).softmax(-1)
        if crf is not None and self.decoding == "viterbi":
            tags, _ = crf.decode(emissions, lengths)
        else:
            tags = (emissions if probabilities is None else probabilities).argmax(-1)
        if not confident or probabilities is None:
            return Prediction(tags, None)
        return Prediction(tags, probabilities.gather(-1, tags[..., None]).squeeze(-1))


class Prediction(NamedTuple):
    """What a tagger says.

    Attributes:
        tags: (batch, time) tags, anything where padded.
        confidences: (batch, time) the probability of each of them given the whole sequence, under
            a CRF the exact marginal; None where not asked for.
    """

    tags: Tensor
    confidences: Tensor | None


class TaggingMeter(Meter):
    """Token and sentence accuracy, macro-F1, and the scores of spans, over an epoch.

    Args:
        spec: names and scheme of the tags.
        brief: leaves out all but the token accuracy and the headline metric.
    """

    counts: Tensor
    sentences_right: Tensor

    def __init__(self, spec: Spec, *, brief: bool = False) -> None:
        super().__init__()
        self.brief = brief
        tags = spec.output_size
        self.add_state("counts", torch.zeros(tags, tags, dtype=torch.long), "sum")
        self.add_state("sentences_right", torch.zeros((), dtype=torch.long), "sum")
        self.lenient = self.strict = None
        if spec.scheme is not None:
            scheme = TagScheme(spec.label_names, spec.scheme)
            self.lenient = SpanScore(scheme, "lenient")
            self.strict = None if brief else SpanScore(scheme, "strict")

    def collect(self, outputs: Tensor | None, batch: Batch) -> None:
        if outputs is None:
            return
        counted = batch.targets != IGNORED
        tags = self.counts.shape[0]
        cells = batch.targets[counted] * tags + outputs[counted]
        self.counts += torch.bincount(cells, minlength=tags * tags).view(tags, tags)
        right = (outputs == batch.targets) | ~counted
        self.sentences_right += right.all(1).sum()
        for score in (self.lenient, self.strict):
            if score is not None:
                score.update(outputs, batch.targets, counted)

    def scores(self) -> dict[str, Tensor]:
        """`token_accuracy`, `sentence_accuracy`, `macro_f1`, and where tags spell spans `span_*`.

        Macro-F1 is the mean over the tags that occur, in truth or in prediction. Spans have
        precision, recall and F1, also for each type, read as conlleval does, and as
        `span_strict_*` read by the letter of the scheme. The confusion matrix (true, predicted) of
        the tags is kept in `confusion`, that of spans (see `spans.confusion`) in `span_confusion`.
        """
        total = self.counts.sum().double()
        if total == 0:
            return {}
        accuracy = self.counts.diagonal().sum() / total
        if self.brief:
            spans = {} if self.lenient is None else {"span_f1": self.lenient.compute()["f1"]}
            return {"token_accuracy": accuracy, **spans}
        self.confusion = self.counts.clone()
        occurrences = (self.counts.sum(0) + self.counts.sum(1)).double()
        f1 = 2 * self.counts.diagonal() / occurrences
        scores = {
            "token_accuracy": accuracy,
            "sentence_accuracy": self.sentences_right / self.count,
            "macro_f1": f1[occurrences > 0].mean(),
        }
        for name, score in (("span", self.lenient), ("span_strict", self.strict)):
            if score is not None:
                scores |= {f"{name}_{key}": value for key, value in score.compute().items()}
        if self.lenient is not None:
            self.span_confusion = self.lenient.of_all
        return scores

    def outcomes(self, outputs: Tensor | None, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        assert outputs is not None  # tests decode
        counted = batch.targets != IGNORED
        right = (outputs == batch.targets) & counted
        found = {
            "token_accuracy": (right.sum(1), counted.sum(1)),
            "sentence_accuracy": ((right | ~counted).all(1), torch.ones_like(batch.lengths)),
        }
        for name, score in (("span", self.lenient), ("span_strict", self.strict)):
            if score is not None:
                found[f"{name}_f1"] = score.by_sequence(outputs, batch.targets, counted)
        return found

    def reset(self) -> None:
        super().reset()
        for score in (self.lenient, self.strict):
            if score is not None:
                score.reset()
