"""Folds runs that differ in their seed alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from seqlab.reports.collect import Run, metric_names


@dataclass(frozen=True)
class Folded:
    """A metric of one configuration over its seeds.

    Attributes:
        changed: the configuration's changed keys, without the seed.
        metric: the metric's name.
        n: the number of finished runs that have it.
        mean: their mean.
        std: their standard deviation (with n−1); None of a single run.
        low: lower end of the 95 % interval of the mean; None of a single run.
        high: its upper end.
    """

    changed: dict[str, str]
    metric: str
    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None


def fold_seeds(runs: Sequence[Run]) -> list[Folded]:
    """Mean, deviation and interval of every metric, over the seeds of each configuration.

    Runs that did not finish are left out; `n` tells how many are in.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        if run.status == "finished":
            key = tuple((name, value) for name, value in run.changed.items() if name != "seed")
            groups.setdefault(tuple(sorted(key)), []).append(run)
    folded = []
    for members in groups.values():
        changed = {key: value for key, value in members[0].changed.items() if key != "seed"}
        for metric in metric_names(members):
            values = [run.metrics[metric] for run in members if metric in run.metrics]
            folded.append(Folded(changed, metric, len(values), *mean_interval(values)))
    return folded


def mean_interval(
    values: Sequence[float], level: float = 0.95
) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation, and the interval of the mean after Student (1908).

    The interval is mean ± t·s/√n with t the (1+level)/2 quantile at n−1 degrees of freedom. It is
    right for values spread normally; of a single value there is none.

    Returns:
        mean, standard deviation, lower and upper end.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None, None, None
    if not all(map(math.isfinite, values)):
        return mean, math.nan, math.nan, math.nan
    from scipy.special import stdtrit

    std = statistics.stdev(values)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * std / math.sqrt(n)
    return mean, std, mean - half, mean + half
