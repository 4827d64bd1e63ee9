"""Decoding one sequence a sentence: the likeliest token each time, or a drawn one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seqlab.errors import ArgumentError
from seqlab.nn.decoding.constraints import IMPOSSIBLE, Constraints
from seqlab.nn.decoding.stepping import Hypotheses, TokenDecoder, TokenScores
from seqlab.nn.decoding.unroll import Continuation, M, S, unroll

Choose = Callable[[Tensor, Tensor, int], Tensor]
"""Chooses a token a row: (log_probs (rows, vocabulary), sentences (rows,), step) → (rows,)."""


def greedy(
    decoder: TokenDecoder[S, M],
    state: S,
    memory: M,
    *,
    sentences: int,
    constraints: Constraints,
    device: torch.device | None = None,
) -> Hypotheses:
    """The likeliest token at each step."""

    def likeliest(log_probs: Tensor, rows: Tensor, step: int) -> Tensor:
        return log_probs.argmax(-1)

    return _decode(
        decoder,
        state,
        memory,
        sentences=sentences,
        device=device,
        constraints=constraints,
        choose=likeliest,
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How tokens are drawn.

    Args:
        temperature: divides the logits; below 1 sharper, above 1 flatter.
        top_k: only the k likeliest tokens (Fan et al. 2018); 0 for all.
        top_p: only the smallest set of likeliest tokens that holds this much probability
            (Holtzman et al. 2020); 1 for all.

    Raises:
        InputError: a value out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            rule = "must be above 0; for the likeliest token each time use method=greedy"
            raise ArgumentError("temperature", self.temperature, rule)
        if self.top_k < 0:
            raise ArgumentError("top_k", self.top_k, "must be at least 0; 0 allows all")
        if not 0 < self.top_p <= 1:
            raise ArgumentError("top_p", self.top_p, "must be above 0 and at most 1")


def sample(
    decoder: TokenDecoder[S, M],
    state: S,
    memory: M,
    *,
    sentences: int,
    constraints: Constraints,
    options: SamplingOptions,
    generator: torch.Generator | None = None,
    uniform: Tensor | None = None,
    device: torch.device | None = None,
) -> Hypotheses:
    """Draws each token. A sentence's draws depend on the generator and its place alone.

    Where `uniform` (constraints.max_length + 1, sentences) is given, they are its numbers instead
    of the generator's. The log-probabilities returned are the model's, before temperature and cuts.
    """
    if uniform is None:
        steps = constraints.max_length + 1
        uniform = torch.rand(steps, sentences, generator=generator, dtype=torch.float32)

    def drawn(log_probs: Tensor, rows: Tensor, step: int) -> Tensor:
        kept = truncated((log_probs / options.temperature).log_softmax(-1), options)
        cumulative = kept.exp().cumsum(-1)
        place = uniform.to(rows.device)[step, rows][:, None] * cumulative[:, -1:]
        index = torch.searchsorted(cumulative, place.to(cumulative.dtype), right=True)
        # Rounding may lead beyond the last token that has any probability.
        last = cumulative.shape[-1] - 1 - (kept > IMPOSSIBLE).flip(-1).int().argmax(-1)
        return torch.minimum(index.squeeze(-1), last)

    return _decode(
        decoder,
        state,
        memory,
        sentences=sentences,
        device=device,
        constraints=constraints,
        choose=drawn,
    )


def truncated(
    log_probs: Float[Tensor, "rows vocabulary"], options: SamplingOptions
) -> Float[Tensor, "rows vocabulary"]:
    """Makes impossible all but the likeliest tokens; not normalised."""
    vocabulary = log_probs.shape[-1]
    if 0 < options.top_k < vocabulary:
        least = log_probs.topk(options.top_k).values[:, -1:]
        log_probs = log_probs.masked_fill(log_probs < least, IMPOSSIBLE)
    if options.top_p < 1:
        ordered, index = log_probs.softmax(-1).sort(-1, descending=True)
        # A token stays while those before it hold less than top_p.
        beyond = ordered.cumsum(-1) - ordered >= options.top_p
        beyond = torch.zeros_like(beyond).scatter(-1, index, beyond)
        log_probs = log_probs.masked_fill(beyond, IMPOSSIBLE)
    return log_probs


def _decode(
    decoder: TokenDecoder[S, M],
    state: S,
    memory: M,
    *,
    sentences: int,
    device: torch.device | None,
    constraints: Constraints,
    choose: Choose,
) -> Hypotheses:
    """Steps until every sentence has ended; ended ones leave the batch."""
    width = constraints.max_length
    rows = torch.arange(sentences, device=device)
    tokens = torch.zeros(sentences, width + 1, dtype=torch.long, device=device)
    ends = torch.full((sentences,), width, device=device)
    scores = torch.zeros(sentences, dtype=torch.float32, device=device)

    def advance(step: int, output: TokenScores) -> Continuation | None:
        nonlocal rows
        log_probs = output.log_probs()
        chosen = choose(constraints.apply(log_probs, tokens[rows, :step]), rows, step)
        scores[rows] += log_probs.gather(1, chosen[:, None]).squeeze(1)
        tokens[rows, step] = chosen
        ended = chosen == constraints.end
        if not bool(ended.any()):
            return Continuation(chosen)
        ends[rows[ended]] = step
        alive = (~ended).nonzero().squeeze(1)
        rows = rows[alive]
        return Continuation(chosen[alive], alive, alive) if len(alive) else None

    first = torch.full((sentences,), constraints.begin, device=device)
    for _ in unroll(decoder, first, state, memory, steps=width + 1, next_input=advance):
        pass
    longest = int(ends.max())
    steps = torch.arange(longest, device=device)
    tokens = tokens[:, :longest].masked_fill(steps >= ends[:, None], 0)
    return Hypotheses(tokens[:, None], ends[:, None], scores[:, None], scores[:, None])
