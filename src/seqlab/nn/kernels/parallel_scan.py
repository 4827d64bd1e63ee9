"""Linear recurrences h_t = a_t ⊙ h_{t−1} + b_t over whole sequences, in logarithmic depth.

The sequence is cut into blocks of `BLOCK` positions. All blocks run at once, each from zero; the
states at their ends form a recurrence `BLOCK` times as short, solved in the same way; and what
enters a block is added to its states, times the product of its decays. That is BLOCK · log_BLOCK T
kernels in a row and a linear amount of work (Blelloch 1990, section 1.4, with blocks for pairs).
The gradient is such a recurrence from right to left (Martin & Cundy 2018, section 2.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor

from seqlab.nn.compiling import uncompiled
from seqlab.nn.kernels.once import differentiable_once

# Large enough that few levels are needed, small enough that the depth stays low.
BLOCK = 16
# Numbers that a processor's cache holds a few times.
CACHED = 1 << 18

Gates = Callable[[Tensor], tuple[Tensor, Tensor]]


@uncompiled
def linear_scan(
    decay: Num[Tensor, "#batch time hidden"],
    values: Num[Tensor, "batch time hidden"],
    state: Num[Tensor, "batch hidden"] | None = None,
) -> Num[Tensor, "batch time hidden"]:
    """h_t = decay_t ⊙ h_{t−1} + values_t, real or complex, for |decay| ≤ 1.

    Args:
        decay: may be an expanded tensor, if it is the same everywhere.
        values: what is added.
        state: h_0; zeros if None.
    """
    if state is not None:
        first = torch.addcmul(values[:, :1], decay[:, :1], state[:, None])
        values = torch.cat([first, values[:, 1:]], dim=1)
    return _LinearScan.apply(decay, values)  # type: ignore[return-value]


@uncompiled
def log_scan(
    log_decay: Float[Tensor, "batch time hidden"],
    log_values: Float[Tensor, "batch time hidden"],
    state: Float[Tensor, "batch hidden"] | None = None,
) -> Float[Tensor, "batch time hidden"]:
    """h_t = exp(log_decay_t) ⊙ h_{t−1} + exp(log_values_t), for log_decay ≤ 0, in log space.

    Computes log h_t = logaddexp(log_decay_t + log h_{t−1}, log_values_t), so that nothing under-
    or overflows on the way. Feng et al. 2024 (appendix B, after Heinsen 2023) take the prefix
    sums of log_decay out of one cumulative logsumexp; in float32 these sums lose the decays'
    digits after some thousand positions. Here they never reach beyond a block.

    Args:
        log_decay: logarithm of the decays.
        log_values: logarithm of what is added.
        state: h_0, of any sign; zeros if None.
    """
    states = _LogScan.apply(log_decay, log_values)
    if state is not None:
        # What is left of the start is added as it is, as it may be zero or negative.
        states = states + state[:, None] * log_decay.cumsum(dim=1).exp()
    return states  # type: ignore[return-value]


@uncompiled
def gated_log_scan(
    projected: Float[Tensor, "batch time projected"], gates: Gates
) -> Float[Tensor, "batch time hidden"]:
    """`log_scan(*gates(projected))` from zero, which keeps nothing but `projected` and the states.

    The gates are computed again on the way back. That takes a third of the memory, and is faster
    on long sequences, where memory is what a processor waits for.

    Args:
        projected: the input's share of all gates.
        gates: computes log_decay and log_values from it, position by position.
    """
    return _GatedLogScan.apply(projected, gates)  # type: ignore[return-value]


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, values: Tensor) -> Tensor:
        states = _scan(_LINEAR, decay, values)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        later = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1).conj()
        by_values = _scan(_LINEAR, later, gradients[0], reverse=True)
        by_decay = torch.zeros_like(by_values)
        torch.mul(by_values[:, 1:], states[:, :-1].conj(), out=by_decay[:, 1:])
        return by_decay.sum_to_size(decay.shape), by_values


class _LogScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_decay: Tensor, log_values: Tensor) -> Tensor:
        states = _scan(_LOG, log_decay, log_values).exp_()
        ctx.save_for_backward(log_decay, log_values, states)
        return states

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        log_decay, log_values, states = ctx.saved_tensors
        return _log_scan_gradients(log_decay, log_values, states, gradients[0])


class _GatedLogScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, gates: Gates) -> Tensor:
        states = [_scan(_LOG, *gates(part)).exp_() for part in _pieces(projected)]
        joined = states[0] if len(states) == 1 else torch.cat(states)
        ctx.save_for_backward(projected, joined)
        ctx.gates = gates
        return joined

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        projected, states = ctx.saved_tensors
        by_projected = torch.empty_like(projected)
        pieces = (_pieces(x, like=projected) for x in (projected, states, *gradients, by_projected))
        for part, state, gradient, into in zip(*pieces, strict=True):
            with torch.enable_grad():
                leaf = part.detach().requires_grad_()
                log_decay, log_values = ctx.gates(leaf)
            by_logarithms = _log_scan_gradients(
                log_decay.detach(), log_values.detach(), state, gradient
            )
            into.copy_(torch.autograd.grad((log_decay, log_values), leaf, by_logarithms)[0])
        return by_projected, None


def _log_scan_gradients(
    log_decay: Tensor, log_values: Tensor, states: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    later = torch.zeros_like(log_decay)
    torch.exp(log_decay[:, 1:], out=later[:, :-1])
    by_values = _scan(_LINEAR, later, gradient, reverse=True)
    by_log_decay = torch.zeros_like(by_values)
    torch.mul(later[:, :-1], states[:, :-1], out=by_log_decay[:, 1:])
    by_log_decay[:, 1:] *= by_values[:, 1:]
    return by_log_decay, by_values.mul_(log_values.exp())


def _pieces(tensor: Tensor, like: Tensor | None = None) -> tuple[Tensor, ...]:
    """On a processor a few sequences at a time, so that what is done to them stays in its cache."""
    like = tensor if like is None else like
    if like.device.type != "cpu":
        return (tensor,)
    return tensor.split(max(1, CACHED // like[0].numel()))


class _Algebra(NamedTuple):
    """How a step is written: h ← apply(b, a, h), and two steps' decays become one."""

    apply: Callable[..., Tensor]
    compose: Callable[..., Tensor]


def _log_apply(value: Tensor, decay: Tensor, state: Tensor, *, out: Tensor) -> Tensor:
    return torch.logaddexp(value, decay + state, out=out)


_LINEAR = _Algebra(torch.addcmul, torch.mul)
_LOG = _Algebra(_log_apply, torch.add)


def _scan(algebra: _Algebra, decay: Tensor, values: Tensor, *, reverse: bool = False) -> Tensor:
    """All states from an empty start; `reverse` runs from right to left.

    Args:
        algebra: linear or logarithmic.
        decay: (batch or 1, time, hidden).
        values: (batch, time, hidden).
        reverse: the direction.
    """
    states = torch.empty_like(values, memory_format=torch.contiguous_format)
    time = values.shape[1]
    # What does not fill a block goes on its own, at the end that is reached last.
    rest = time % BLOCK if time > BLOCK else 0
    main = slice(rest, None) if reverse else slice(0, time - rest)
    tail = slice(0, rest) if reverse else slice(time - rest, None)
    if time <= BLOCK:
        _walk(algebra, decay, values, states, carry=None, reverse=reverse)
        return states
    blocks = [x[:, main].unflatten(1, (-1, BLOCK)) for x in (decay, values, states)]
    _scan_blocks(algebra, *blocks, reverse=reverse)
    if rest:
        carry = states[:, rest] if reverse else states[:, time - rest - 1]
        places = (decay[:, tail], values[:, tail], states[:, tail])
        _walk(algebra, *places, carry=carry, reverse=reverse)
    return states


def _scan_blocks(
    algebra: _Algebra, decay: Tensor, values: Tensor, states: Tensor, *, reverse: bool
) -> None:
    """Fills the states of (batch, blocks, position, hidden)."""
    order = _order(BLOCK, reverse)
    products = torch.empty(decay.shape, dtype=decay.dtype, device=decay.device)
    first, last = order[0], order[-1]
    states[:, :, first] = values[:, :, first]
    products[:, :, first] = decay[:, :, first]
    for before, t in itertools.pairwise(order):
        algebra.apply(values[:, :, t], decay[:, :, t], states[:, :, before], out=states[:, :, t])
        algebra.compose(decay[:, :, t], products[:, :, before], out=products[:, :, t])
    if states.shape[1] == 1:
        return
    ends = _scan(algebra, products[:, :, last], states[:, :, last], reverse=reverse)
    into, out_of = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
    inner = states[:, into]
    algebra.apply(inner, products[:, into], ends[:, out_of, None], out=inner)


def _walk(
    algebra: _Algebra,
    decay: Tensor,
    values: Tensor,
    states: Tensor,
    *,
    carry: Tensor | None,
    reverse: bool,
) -> None:
    """Fills the states of a few positions one by one."""
    for t in _order(values.shape[1], reverse):
        if carry is None:
            states[:, t] = values[:, t]
        else:
            algebra.apply(values[:, t], decay[:, t], carry, out=states[:, t])
        carry = states[:, t]


def _order(count: int, reverse: bool) -> range:
    return range(count - 1, -1, -1) if reverse else range(count)
