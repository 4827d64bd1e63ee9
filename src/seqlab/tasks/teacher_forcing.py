"""How often a decoder reads the truth instead of what it wrote, as training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from seqlab.errors import ArgumentError, check_at_least

ScheduleName = Literal["constant", "linear", "exponential", "inverse_sigmoid"]
# What is left of the exponential's fall after `steps`.
REST = 0.01


def make_forcing(
    name: ScheduleName, *, start: float = 1.0, end: float = 0.0, steps: int = 1000
) -> Callable[[int], float]:
    """The probability of reading the truth by training step (Bengio et al. 2015, section 2.4).

    With p = step / steps: "constant" stays at `start`; "linear" falls to `end` at p = 1;
    "exponential" is end + (start − end) 0.01^p; "inverse_sigmoid" is end + (start − end)
    k/(k + exp(step/k)), with k such that half of the fall is done at p = ½.

    Args:
        name: the schedule.
        start: the probability at the beginning.
        end: the probability to fall to; the constant schedule has none.
        steps: training steps of the fall.

    Raises:
        InputError: an unknown schedule, a probability outside [0, 1], or no steps.
    """
    for key, value in (("start", start), ("end", end)):
        if not 0 <= value <= 1:
            raise ArgumentError(f"forcing_{key}", value, "must be from 0 to 1")
    check_at_least("forcing_steps", steps)
    fall = start - end
    if name == "constant":
        return lambda step: start
    if name == "linear":
        return lambda step: start - fall * min(1.0, step / steps)
    if name == "exponential":
        return lambda step: end + fall * REST ** (step / steps)
    if name == "inverse_sigmoid":
        k = _solve(steps / 2)
        # exp overflows long after the probability has reached its end.
        return lambda step: end + fall * k / (k + math.exp(min(step / k, 700.0)))
    rule = "must be constant, linear, exponential or inverse_sigmoid"
    raise ArgumentError("forcing", name, rule)


def _solve(middle: float) -> float:
    """Solves k ln k = middle for k, by Newton's method."""
    k = middle + math.e
    for _ in range(50):
        k -= (k * math.log(k) - middle) / (math.log(k) + 1)
    return k
