"""How a trained network's outputs are searched for: one set of options, one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from seqlab.data.vocabulary import BEGIN, END, PAD, UNKNOWN
from seqlab.errors import ArgumentError, InputError
from seqlab.networks.seq2seq import Seq2Seq
from seqlab.nn.decoding.beam import BeamOptions, beam_search
from seqlab.nn.decoding.constraints import Constraints
from seqlab.nn.decoding.sampling import SamplingOptions, greedy, sample
from seqlab.nn.decoding.stepping import Hypotheses
from seqlab.nn.masking import valid_mask

# Tokens that an output may have beyond the longest reference, unless a maximum is given.
SPARE = 5


@dataclass(kw_only=True)
class Search:
    """How outputs are searched for.

    Args:
        method: "greedy", "beam" or "sample".
        beam_size: hypotheses kept by the beam.
        length_penalty: see `BeamOptions`.
        coverage_penalty: see `BeamOptions`.
        temperature: see `SamplingOptions`.
        top_k: see `SamplingOptions`.
        top_p: see `SamplingOptions`.
        seed: seeds the sampling.
        min_length: tokens at least.
        max_length: tokens at most; None: five more than the longest reference.
        no_repeat_ngram: no n-gram of this size occurs twice; 0 for any.

    Raises:
        InputError: an unknown method, or a value out of its range.
    """

    method: Literal["greedy", "beam", "sample"] = "greedy"
    beam_size: int = 5
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    min_length: int = 0
    max_length: int | None = None
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("greedy", "beam", "sample"):
            raise InputError(f"task.search.method={self.method!r} must be greedy, beam or sample")
        self.beam = BeamOptions(
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
        )
        self.sampling = SamplingOptions(
            temperature=self.temperature, top_k=self.top_k, top_p=self.top_p
        )

    def constraints(self, longest: int | None) -> Constraints:
        """The bounds on an output.

        Args:
            longest: tokens of the longest reference, where it is known.

        Raises:
            InputError: a maximum below the references'.
        """
        if self.max_length is None and longest is None:
            raise InputError("task.search.max_length is needed where no reference says it")
        width = (longest or 0) + SPARE if self.max_length is None else self.max_length
        if longest is not None and width < longest:
            raise InputError(
                f"task.search.max_length={width} is below the {longest} tokens of the longest "
                "reference, which could never be found; raise it, or use null"
            )
        try:
            return Constraints(
                end=END,
                begin=BEGIN,
                max_length=width,
                min_length=self.min_length,
                forbidden=(PAD, BEGIN, UNKNOWN),
                no_repeat_ngram=self.no_repeat_ngram,
            )
        except ArgumentError as error:  # not while this is built, where the builder would place it
            raise error.within("task.search", vars(self)) from error

    def run(
        self,
        network: Seq2Seq,
        inputs: Tensor,
        lengths: Tensor,
        longest: int | None,
        numbers: Tensor | None = None,
        *,
        n_best: int = 1,
    ) -> Hypotheses:
        """Decodes sources.

        Args:
            network: the encoder and decoder.
            inputs: (batch, time) sources.
            lengths: (batch,) their valid positions.
            longest: see `constraints`.
            numbers: (batch,) which examples they are: with the seed what is drawn for each,
                whatever batch it is in; their places if None.
            n_best: hypotheses to return of a beam, at most its size.
        """
        memory, state = network.start(inputs, lengths)
        bounds, count, device = self.constraints(longest), len(lengths), lengths.device
        if self.method == "beam":
            return beam_search(
                network,
                state,
                memory,
                sentences=count,
                constraints=bounds,
                options=replace(self.beam, n_best=n_best),
                device=device,
            )
        if self.method == "sample":
            return sample(
                network,
                state,
                memory,
                sentences=count,
                constraints=bounds,
                options=self.sampling,
                uniform=self._draws(bounds.max_length + 1, count, numbers),
                device=device,
            )
        return greedy(network, state, memory, sentences=count, constraints=bounds, device=device)

    def _draws(self, steps: int, count: int, numbers: Tensor | None) -> Tensor:
        """(steps, count) uniform random numbers, a stream of its own for each example."""
        seeds = range(count) if numbers is None else numbers.tolist()
        generator, columns = torch.Generator(), []
        for seed in seeds:
            generator.manual_seed(self.seed * 1_000_003 + seed)
            columns.append(torch.rand(steps, generator=generator, dtype=torch.float32))
        return torch.stack(columns, dim=1)


def score(
    network: Seq2Seq, inputs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> Tensor:
    """The log-probability of each given target, its end among its tokens, (batch,)."""
    logits, _ = network(inputs, lengths, targets)
    each = logits.float().log_softmax(-1).gather(2, targets[..., None]).squeeze(2)
    return each.masked_fill(~valid_mask(target_lengths, targets.shape[1]), 0.0).sum(1)
