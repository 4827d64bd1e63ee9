"""Beam search over many sentences at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqlab.errors import ArgumentError, InputError, check_at_least
from seqlab.nn.decoding.constraints import IMPOSSIBLE, Constraints
from seqlab.nn.decoding.stepping import Hypotheses, TokenDecoder, TokenScores
from seqlab.nn.decoding.unroll import Continuation, M, S, unroll

# Sentences that have ended leave the batch when they are this share of it: to leave costs a copy.
LEAVING = 1 / 8


@dataclass(frozen=True, kw_only=True)
class BeamOptions:
    """How hypotheses are kept and ranked.

    A hypothesis y of a source x scores log P(y | x) / ((5 + |y|) / 6)^α plus
    β Σ_i log min(Σ_t α_{t,i}, 1) (Wu et al. 2016, equation 14), |y| counting the end token.

    Args:
        beam_size: hypotheses kept at each step.
        n_best: hypotheses returned.
        length_penalty: α; 0 ranks by probability alone.
        coverage_penalty: β; needs attention.

    Raises:
        InputError: a value out of its range.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        check_at_least("beam_size", self.beam_size)
        check_at_least("n_best", self.n_best)
        check_at_least("length_penalty", self.length_penalty, 0)
        check_at_least("coverage_penalty", self.coverage_penalty, 0)
        if self.n_best > self.beam_size:
            rule = f"is above beam_size={self.beam_size}; lower the one or raise the other"
            raise ArgumentError("n_best", self.n_best, rule)

    def normaliser(self, length: int) -> float:
        """What a log-probability of so many tokens, the end token among them, is divided by."""
        return ((5 + length) / 6) ** self.length_penalty


@dataclass
class _Beams:
    """The unfinished hypotheses of the sentences in the batch, and their finished ones.

    Attributes:
        sentences: (batch,) their places among all sentences.
        tokens: (batch, beam, steps).
        log_probs: (batch, beam), −∞ where there is no hypothesis.
        coverage: (batch, beam, time) sum of the attention's weights; None if not asked for.
        pool: finished hypotheses, best first.
        done: (batch,) nothing can change any more.
    """

    sentences: Tensor
    tokens: Tensor
    log_probs: Tensor
    coverage: Tensor | None
    pool: Hypotheses
    done: Tensor


def beam_search(
    decoder: TokenDecoder[S, M],
    state: S,
    memory: M,
    *,
    sentences: int,
    constraints: Constraints,
    options: BeamOptions,
    device: torch.device | None = None,
) -> Hypotheses:
    """The best hypotheses of each sentence.

    At each step the `beam_size` best continuations of a sentence's hypotheses are taken; those
    that end go into its pool, and the best that do not end go on. A sentence is done when its pool
    holds `beam_size` hypotheses, or when no unfinished one can still enter its n best. So a beam
    of one is greedy search, and a beam as wide as the space finds the best sequence of all.

    Raises:
        InputError: a coverage penalty without attention.
    """
    size, width = options.beam_size, constraints.max_length
    found = _empty_pool(sentences, size, width, device)
    beams = _Beams(
        sentences=torch.arange(sentences, device=device),
        tokens=torch.zeros(sentences, 1, 0, dtype=torch.long, device=device),
        log_probs=torch.zeros(sentences, 1, dtype=torch.float32, device=device),
        coverage=None,
        pool=_empty_pool(sentences, size, width, device),
        done=torch.zeros(sentences, dtype=torch.bool, device=device),
    )

    def advance(step: int, output: TokenScores) -> Continuation | None:
        old = beams.tokens.shape[1]
        parents, last = _extend(beams, output, constraints, options)
        _mark_done(beams, step, width, options)
        places, sources = torch.arange(len(beams.done), device=device), None
        count = int(beams.done.sum())
        if count and (count == len(places) or count >= LEAVING * len(places)):
            places = sources = _leave(beams, found)
            if not len(places):
                return None
            parents, last = parents[places], last[places]
        return Continuation(last.flatten(), (places[:, None] * old + parents).flatten(), sources)

    first = torch.full((sentences,), constraints.begin, device=device)
    for _ in unroll(decoder, first, state, memory, steps=width + 1, next_input=advance):
        pass
    best = Hypotheses(*(part[:, : options.n_best] for part in found))
    return best._replace(tokens=best.tokens[..., : int(best.lengths.max())])


def _extend(
    beams: _Beams, output: TokenScores, constraints: Constraints, options: BeamOptions
) -> tuple[Tensor, Tensor]:
    """Takes the best continuations; returns their parents and last tokens, (batch, beam)."""
    size, step = options.beam_size, beams.tokens.shape[-1]
    coverage = _covered(beams, output.weights, options)
    log_probs = constraints.apply(output.log_probs(), beams.tokens.flatten(0, 1))
    # (batch, beam · vocabulary) of all continuations
    total = (beams.log_probs[..., None] + log_probs.unflatten(0, (len(beams.done), -1))).flatten(1)
    values, places = total.topk(min(2 * size, total.shape[1]), dim=1)
    parents, tokens = places // log_probs.shape[1], places % log_probs.shape[1]
    ending = tokens == constraints.end
    _finish(
        beams,
        log_probs=values[:, :size],
        parents=parents[:, :size],
        ending=ending[:, :size],
        coverage=coverage,
        options=options,
    )
    # The best that do not end, in their order.
    kept = ending.int().argsort(dim=1, stable=True)[:, :size]
    values = values.masked_fill(ending, IMPOSSIBLE).gather(1, kept)
    parents, last = parents.gather(1, kept), tokens.gather(1, kept)
    before = beams.tokens.gather(1, parents[..., None].expand(-1, -1, step))
    beams.tokens = torch.cat([before, last[..., None]], -1)
    beams.log_probs = values
    if coverage is not None:
        index = parents[..., None].expand(-1, -1, coverage.shape[-1])
        beams.coverage = coverage.gather(1, index)
    return parents, last


def _covered(beams: _Beams, weights: Tensor | None, options: BeamOptions) -> Tensor | None:
    """The sum of the weights so far, this step's among them."""
    if not options.coverage_penalty:
        return None
    if weights is None:
        raise InputError(
            f"coverage_penalty={options.coverage_penalty} needs a decoder with attention, "
            "whose weights it sums"
        )
    weights = weights.unflatten(0, (len(beams.done), -1)).float()
    return weights if beams.coverage is None else beams.coverage + weights


def _finish(
    beams: _Beams,
    *,
    log_probs: Tensor,
    parents: Tensor,
    ending: Tensor,
    coverage: Tensor | None,
    options: BeamOptions,
) -> None:
    """Puts the continuations that end into the pool, and keeps the best of it."""
    step, size = beams.tokens.shape[-1], options.beam_size
    scores = log_probs / options.normaliser(step + 1)
    if coverage is not None:
        # Padded positions have no weight ever, and no say.
        seen = torch.where(coverage > 0, coverage.clamp(max=1), 1.0).log().sum(-1)
        scores = scores + options.coverage_penalty * seen.gather(1, parents)
    usable = ending & ~beams.done[:, None]
    scores = scores.masked_fill(~usable, IMPOSSIBLE)
    if not bool((scores > IMPOSSIBLE).any()):
        return
    index = parents[..., None].expand(-1, -1, step)
    tokens = beams.tokens.new_zeros(*parents.shape, beams.pool.tokens.shape[-1])
    tokens[..., :step] = beams.tokens.gather(1, index)
    fresh = Hypotheses(tokens, torch.full_like(parents, step), log_probs, scores)
    merged = [torch.cat(parts, 1) for parts in zip(beams.pool, fresh, strict=True)]
    order = merged[3].argsort(dim=1, descending=True, stable=True)[:, :size]
    beams.pool = Hypotheses(
        merged[0].gather(1, order[..., None].expand(-1, -1, merged[0].shape[-1])),
        *(part.gather(1, order) for part in merged[1:]),
    )


def _mark_done(beams: _Beams, step: int, width: int, options: BeamOptions) -> None:
    scores = beams.pool.scores
    full = scores[:, -1] > IMPOSSIBLE
    # Probabilities only fall, and penalties are at most 0: the most that can still be had.
    bound = beams.log_probs.amax(1) / options.normaliser(width + 1)
    settled = scores[:, options.n_best - 1] >= bound
    beams.done = beams.done | full | settled
    if step == width:
        beams.done = torch.ones_like(beams.done)


def _leave(beams: _Beams, found: Hypotheses) -> Tensor:
    """Takes the done sentences out of the batch; returns the places of those that stay."""
    for part, pooled in zip(found, beams.pool, strict=True):
        part[beams.sentences[beams.done]] = pooled[beams.done]
    places = (~beams.done).nonzero().squeeze(1)
    beams.sentences = beams.sentences[places]
    beams.tokens = beams.tokens[places]
    beams.log_probs = beams.log_probs[places]
    beams.coverage = None if beams.coverage is None else beams.coverage[places]
    beams.pool = Hypotheses(*(part[places] for part in beams.pool))
    beams.done = beams.done[places]
    return places


def _empty_pool(sentences: int, size: int, width: int, device: torch.device | None) -> Hypotheses:
    scores = torch.full((sentences, size), IMPOSSIBLE, dtype=torch.float32, device=device)
    tokens = torch.zeros(sentences, size, width, dtype=torch.long, device=device)
    lengths = torch.zeros(sentences, size, dtype=torch.long, device=device)
    return Hypotheses(tokens, lengths, scores, scores.clone())
