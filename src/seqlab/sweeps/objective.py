"""What a search judges its trials by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqlab.data.direction import higher_is_better
from seqlab.errors import InputError
from seqlab.trials.handover import NOT_MEASURED

Direction = Literal["minimize", "maximize"]
# Entries of results.json beside the metrics.
COSTS = ("parameters", "seconds")


@dataclass(frozen=True)
class Objective:
    """One metric or two, and which of their values are better.

    Attributes:
        metrics: `val/…`, or `parameters` or `seconds`.
        directions: for each `minimize` or `maximize`.
    """

    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]

    def values(self, results: Mapping[str, Any]) -> list[float]:
        """The values that a run's `results.json` holds; not a number where it has none.

        Raises:
            InputError: the run has no such metric.
        """
        there = dict(results.get("metrics") or {})
        there |= {name: results[name] for name in COSTS if results.get(name) is not None}
        for metric in self.metrics:
            if metric not in there:
                names = [name for name in there if name.startswith("val/") or name in COSTS]
                raise InputError(
                    f"hydra.sweeper.metric={metric} {NOT_MEASURED}; use one of "
                    f"{', '.join(sorted(names))}"
                )
        return [float(there[metric]) for metric in self.metrics]

    @property
    def watched(self) -> str | None:
        """What a trial reports while it trains; None of two, or of one known only at the end."""
        one = len(self.metrics) == 1 and self.metrics[0] not in COSTS
        return self.metrics[0] if one else None

    def told(self) -> str:
        return ", ".join(f"{d} {m}" for m, d in zip(self.metrics, self.directions, strict=True))

    def show(self, values: Sequence[float]) -> str:
        pairs = zip(self.metrics, values, strict=True)
        return "  ".join(f"{name} {_short(value)}" for name, value in pairs)


def objective(
    metric: str | Sequence[str] | None,
    direction: str | Sequence[str] | None,
    headline: Callable[[], str],
) -> Objective:
    """The objective that the sweeper's settings name.

    Args:
        metric: one, a list of one or two, or None for the data's own.
        direction: the same for the directions, or None for the metric's known one.
        headline: asks the data for its own metric.

    Raises:
        InputError: a test score; more than two; a direction that is none or not known.
    """
    metrics = _listed(metric) or [headline()]
    if len(metrics) > 2 or len(set(metrics)) < len(metrics):
        raise InputError(
            f"hydra.sweeper.metric=[{','.join(metrics)}] must be one metric or two different ones"
        )
    for name in metrics:
        if name.startswith("test"):
            raise InputError(
                f"hydra.sweeper.metric={name} would choose by what the choice is judged with; use "
                f"val/{name.partition('/')[2] or 'loss'}"
            )
    directions = _listed(direction) or [_direction(name) for name in metrics]
    if len(directions) != len(metrics) or not set(directions) <= {"minimize", "maximize"}:
        raise InputError(
            f"hydra.sweeper.direction=[{','.join(directions)}] must be minimize or maximize for "
            f"each metric ({', '.join(metrics)})"
        )
    return Objective(tuple(metrics), tuple(directions))  # type: ignore[arg-type]


def finite(values: Sequence[float]) -> bool:
    """Whether all values are numbers that a study can compare."""
    return all(map(math.isfinite, values))


def _direction(metric: str) -> Direction:
    try:
        return "maximize" if higher_is_better(metric) else "minimize"
    except InputError as error:
        raise InputError(
            f"hydra.sweeper.metric: {error}; add hydra.sweeper.direction=minimize or maximize"
        ) from error


def _listed(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 100 else f"{value:.4g}"
