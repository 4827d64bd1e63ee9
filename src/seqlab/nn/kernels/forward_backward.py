"""Log Z of a linear chain and its marginals: the forward–backward algorithm, batched.

Each step is a matrix product of normalised probabilities, many times faster than logsumexp over
broadcast scores. Both directions run in the same step, as the two halves of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor

from seqlab.nn.forward_backward import (
    Chain,
    log_partition_in_log_space,
    unary_marginals_by_gradient,
)
from seqlab.nn.kernels.once import differentiable_once
from seqlab.nn.masking import reversal_index, valid_mask


def run_log_partition(chain: Chain, lengths: Tensor) -> Tensor:
    """Of `log_partition`; its gradient is the marginals, which both passes hold already."""
    scan = _scan(chain, lengths)
    if scan is None:
        return log_partition_in_log_space(chain, lengths)
    return _LogPartition.apply(scan, *chain)  # type: ignore[return-value]


def run_unary_marginals(chain: Chain, lengths: Tensor) -> Tensor:
    """Of `unary_marginals`."""
    scan = _scan(chain, lengths)
    if scan is None:
        return unary_marginals_by_gradient(chain, lengths)
    return scan.unary.transpose(0, 1).to(chain.emissions.dtype)


@dataclass
class _Scan:
    """What both passes leave for the gradient; time first, (time, batch, tags), 0 where padded.

    Attributes:
        log_z: (batch,).
        forward: p(tag | all inputs up to here).
        backward: ∝ exp(emission) · the weight of all continuations.
        unary: the marginals.
        move: (tags, tags), ∝ exp(transitions).
        last: (1, batch, tags), each sequence's last position.
    """

    log_z: Tensor
    forward: Tensor
    backward: Tensor
    unary: Tensor
    move: Tensor
    last: Tensor


def _scan(chain: Chain, lengths: Tensor) -> _Scan | None:
    """Runs both passes in float32, or in float64 where float32 might underflow.

    None where float64 might too, or where no path is legal.
    """
    # Apple's GPUs have no float64.
    wider = () if chain.emissions.device.type == "mps" else (torch.float64,)
    for dtype in (torch.promote_types(chain.emissions.dtype, torch.float32), *wider):
        scan = _scan_in(dtype, chain, lengths)
        if scan is not None:
            return scan
    return None


@torch.no_grad()
def _scan_in(dtype: torch.dtype, chain: Chain, lengths: Tensor) -> _Scan | None:
    """Runs both passes in one precision; None where a probability may have underflowed.

    Works in place where it can: fresh memory costs more here than arithmetic.
    """
    batch, time, tags = chain.emissions.shape
    valid = valid_mask(lengths, time).T
    padding = None if bool(valid.all()) else ~valid[..., None]
    factors = chain.emissions.new_empty(time, 2, batch, tags, dtype=dtype)
    emissions = factors[:, 0].copy_(chain.emissions.transpose(0, 1))
    if padding is not None:
        emissions.masked_fill_(padding, 0.0)
    emission_max, emission_spread = _scale_(emissions)
    scores = [part.to(dtype, copy=True) for part in (chain.transitions, chain.start, chain.end)]
    (move_max, move_spread), (start_max, start_spread), (end_max, end_spread) = (
        _scale_(part.view(-1)) for part in scores
    )
    move, start, end = scores
    # The backward pass reads reversed sequences, so that all of them start at step 0.
    index = reversal_index(lengths, time).T * batch + torch.arange(batch, device=lengths.device)
    factors[:, 1] = _permuted(emissions, index)
    factors[0] *= torch.stack([start, end])[:, None]
    arrived, states, sums = _run(factors, torch.stack([move, move.T]))
    if padding is not None:
        states.masked_fill_(padding[:, None], 0.0)

    forward, backward = states[:, 0], _permuted(states[:, 1], index)
    last = (lengths - 1)[None, :, None].expand(1, batch, tags)
    final = forward.gather(0, last)[0] @ end
    maxima = emission_max.sum(0) + move_max * (lengths - 1) + start_max + end_max
    log_z = sums[:, 0].log().where(valid, 0.0).sum(0) + final.log() + maxima
    # The weight of all continuations of a position, without its own emission.
    unary = _permuted(arrived[:, 1], index).scatter_(0, last, end.expand(1, batch, tags))
    unary *= forward
    total = unary.sum(-1, keepdim=True)

    # Where every move is legal no step can leave less than its worst factors. Else, by induction:
    # nothing legal became 0 if the least of each step survives the worst factors of the next.
    tiny = torch.finfo(dtype).tiny
    least = torch.zeros((), dtype=dtype, device=states.device)
    if not move.all():
        least = states.where(states > 0, 1.0).amin().log()
    worst = emission_spread.amax() + torch.maximum(move_spread, start_spread + end_spread)
    safe = (least - worst > log(tiny * tags)) & torch.isfinite(log_z).all()
    # Where forward and backward weights hardly overlap, their products may be 0 as well.
    safe &= (torch.minimum(total[..., 0], sums.amin(1)) > tiny**0.5).where(valid, True).all()
    if not safe:
        return None
    unary /= total
    if padding is not None:
        unary.masked_fill_(padding, 0.0)
    return _Scan(log_z.to(chain.emissions.dtype), forward, backward, unary, move, last)


def _run(factors: Tensor, moves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Runs both passes: arrived = state · move, state ∝ arrived · factor, and the sums divided out.

    Args:
        factors: (time, 2, batch, tags).
        moves: (2, tags, tags).
    """
    arrived, states = torch.empty_like(factors), torch.empty_like(factors)
    arrived[0] = 1.0
    sums = factors.new_empty(factors.shape[:-1])
    # The views are made outside the loop: to make them costs as much as the arithmetic.
    views = zip(factors, arrived, states, sums.unsqueeze(-1), strict=True)
    previous: Tensor | None = None
    for factor, before, state, total in views:
        if previous is not None:
            torch.bmm(previous, moves, out=before)
        torch.mul(before, factor, out=state)
        torch.sum(state, -1, keepdim=True, out=total)
        previous = state.div_(total)
    return arrived, states, sums


class _LogPartition(torch.autograd.Function):
    """Its gradient is the marginals, which the scan holds already."""

    @staticmethod
    def forward(ctx: Any, scan: _Scan, *chain: Tensor) -> Tensor:
        ctx.scan = scan
        ctx.dtypes = [part.dtype for part in chain]
        return scan.log_z

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scan: _Scan = ctx.scan
        unary = scan.unary * gradients[0].to(scan.unary.dtype)[:, None]
        tags = unary.shape[-1]
        # p(i, j) ∝ forward_t(i) · move(i, j) · backward_{t+1}(j), summed over all t and sequences.
        here, there = scan.forward[:-1], scan.backward[1:]
        total = ((here @ scan.move) * there).sum(-1, keepdim=True)
        weight = unary[1:].sum(-1, keepdim=True)
        here = here * (weight / total).where(weight != 0, 0.0)
        pairs = here.reshape(-1, tags).T @ there.reshape(-1, tags) * scan.move
        parts = unary.transpose(0, 1), pairs, unary[0].sum(0), unary.gather(0, scan.last)[0].sum(0)
        return None, *(part.to(dtype) for part, dtype in zip(parts, ctx.dtypes, strict=True))


def _scale_(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Replaces scores by exp(scores − their maximum).

    Returns:
        the maximum, and how far below it the least legal score is.
    """
    maximum = scores.amax(-1)
    maximum = maximum.where(maximum > float("-inf"), 0.0)
    scores -= maximum[..., None]
    least = scores.amin(-1)
    if torch.isneginf(least).any():
        least = scores.where(scores > float("-inf"), 0.0).amin(-1)
    scores.exp_()
    return maximum, -least


def _permuted(states: Tensor, rows: Tensor) -> Tensor:
    """(time, batch, tags), gathered by (time, batch) indices into time · batch."""
    return states.flatten(0, 1).index_select(0, rows.flatten()).view(states.shape)
