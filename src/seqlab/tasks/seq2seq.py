"""One target sequence a source sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.networks.search import Search
from seqlab.networks.seq2seq import Seq2Seq
from seqlab.nn.attention.coverage import coverage_loss
from seqlab.nn.masking import valid_mask
from seqlab.nn.precision import at_least_single
from seqlab.tasks.base import MakeOptimizer, MakeScheduler, Task
from seqlab.tasks.meter import Meter
from seqlab.tasks.seq2seq_meter import Outcome, Seq2SeqMeter
from seqlab.tasks.teacher_forcing import ScheduleName, make_forcing
from seqlab.tasks.views import Written, attention_of_reader


class Losses(NamedTuple):
    """Losses of a batch.

    Attributes:
        mean: what is trained on.
        log_loss: Σ −log P of all target tokens, without smoothing.
    """

    mean: Tensor
    log_loss: Tensor


class SequenceToSequence(Task):
    """Cross-entropy of each target token, given the source and the tokens before.

    The loss of a sequence is its mean over the target's tokens, its end among them; that of a
    batch the mean over its sequences: neither padding nor the length of batch mates changes it.

    In training each token before is the true one with the probability that the schedule says, else
    the likeliest by the network itself (scheduled sampling, Bengio et al. 2015). Where it is 1 the
    whole target is one pass. Validation and tests report the loss both ways: `loss` reads the
    truth, `free_loss` nothing but what was written.

    Args:
        network: the encoder and decoder.
        spec: what the data looks like.
        optimizer: makes the optimiser from the parameters.
        scheduler: makes the learning-rate schedule from the optimiser and the number of steps.
        label_smoothing: probability spread evenly over all tokens (Szegedy et al. 2016, sec. 7).
        coverage_weight: weight of `coverage_loss`; 0 leaves it out.
        forcing: how the probability of reading the truth falls; see `make_forcing`.
        forcing_start: the probability at the beginning.
        forcing_end: the probability to fall to.
        forcing_steps: training steps of the fall.
        search: how the tests' outputs are looked for; validation is always greedy.

    Raises:
        InputError: a value out of its range, or an option that needs an attention.
    """

    network: Seq2Seq

    def __init__(
        self,
        *,
        network: Seq2Seq,
        spec: Spec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
        search: Search,
        label_smoothing: float = 0.0,
        coverage_weight: float = 0.0,
        forcing: ScheduleName = "constant",
        forcing_start: float = 1.0,
        forcing_end: float = 0.0,
        forcing_steps: int = 1000,
    ) -> None:
        super().__init__(network=network, spec=spec, optimizer=optimizer, scheduler=scheduler)
        check_probability("label_smoothing", label_smoothing)
        check_at_least("coverage_weight", coverage_weight, 0)
        attends = network.decoder.attention is not None
        if not attends and (coverage_weight or search.coverage_penalty):
            raise InputError(
                "task.coverage_weight and task.search.coverage_penalty weigh where an attention "
                "looks; add model/attention=general (`python train.py --help` lists all)"
            )
        search.constraints(spec.longest_target)  # refuses what cannot work before training
        self.search = search
        self.greedy = Search(max_length=search.max_length)
        self.label_smoothing = label_smoothing
        self.coverage_weight = coverage_weight
        self.forcing = make_forcing(
            forcing, start=forcing_start, end=forcing_end, steps=forcing_steps
        )

    def new_meter(self, stage: str) -> Meter:
        return Seq2SeqMeter(self.spec, brief=stage == "train", by_length=stage.startswith("test"))

    def self_attention(self, batch: Batch) -> Tensor | None:
        return attention_of_reader(self.network, batch)

    def alignment(self, batch: Batch) -> Tensor | None:
        return self.network.forward(batch.inputs, batch.lengths, batch.targets)[1]

    def written(self, batch: Batch, hypotheses: int) -> Written:
        wide = max(hypotheses, self.search.beam_size)
        beams = replace(self.search, method="beam", beam_size=wide)
        sources = self.network, batch.inputs, batch.lengths, self.spec.longest_target
        return Written(self.greedy.run(*sources), beams.run(*sources, n_best=hypotheses))

    def measure(self, batch: Batch, stage: str) -> tuple[Tensor, Outcome]:
        ratio = 1.0 if stage != "train" else self.forcing(self.global_step)
        mask = None
        if ratio < 1:
            drawn = torch.rand_like(batch.targets, dtype=torch.float32)
            mask = drawn < ratio
        logits, weights = self.network(batch.inputs, batch.lengths, batch.targets, mask)
        losses = self.losses(logits, batch)
        loss = losses.mean
        if self.coverage_weight and weights is not None:
            loss = loss + self.coverage_weight * coverage_loss(weights, valid_targets(batch)).mean()
        if stage == "train":
            # Greedy search writes the reference just where each token, with the true ones before
            # it, is the likeliest: no search is needed to know.
            right = (logits.detach().argmax(-1) == batch.targets) | ~valid_targets(batch)
            return loss, Outcome(losses.log_loss.detach(), right=right.all(1))
        never = torch.zeros_like(batch.targets, dtype=torch.bool)
        autoregressive, _ = self.network(batch.inputs, batch.lengths, batch.targets, never)
        search = self.greedy if stage == "val" else self.search
        longest = self.spec.longest_target
        found = search.run(self.network, batch.inputs, batch.lengths, longest, batch.indices)
        return loss, Outcome(
            losses.log_loss,
            free_loss=self.losses(autoregressive, batch).mean,
            weights=weights,
            tokens=found.tokens[:, 0],
            lengths=found.lengths[:, 0],
        )

    def scheduled(self) -> dict[str, float]:
        return {"teacher_forcing": self.forcing(self.global_step)}

    def losses(self, logits: Tensor, batch: Batch) -> Losses:
        """The losses of the logits (batch, steps, vocabulary)."""
        valid = valid_targets(batch)
        flat, targets = at_least_single(logits.flatten(0, 1)), batch.targets.flatten()
        each = F.cross_entropy(
            flat, targets, reduction="none", label_smoothing=self.label_smoothing
        )
        each = each.view_as(batch.targets).masked_fill(~valid, 0.0)
        mean = (each.sum(1) / valid.sum(1)).mean()
        if not self.label_smoothing:
            return Losses(mean, each.detach().sum())
        with torch.no_grad():
            plain = F.cross_entropy(flat, targets, reduction="none").view_as(batch.targets)
            return Losses(mean, plain.masked_fill(~valid, 0.0).sum())


def valid_targets(batch: Batch) -> Tensor:
    """(batch, steps), true at the tokens of each target, its end among them.

    Raises:
        InputError: the batch has no target sequences, or an empty one.
    """
    if batch.target_lengths is None:
        raise InputError(
            "task=seq2seq needs data with target sequences; leave out task=, which the data sets"
        )
    if batch.target_lengths.device.type == "cpu" and int(batch.target_lengths.min()) < 1:
        raise InputError("a target sequence is empty; leave out pairs without a target")
    return valid_mask(batch.target_lengths, batch.targets.shape[1])
