"""Folds runs that differ in their seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqlab.data.direction import limits
from seqlab.reports.collect import Run, metric_names
from seqlab.reports.statistics import contrast


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
            folded.append(Folded(changed, metric, len(values), *mean_interval(values, metric)))
    return folded


def mean_interval(
    values: Sequence[float],
    metric: str = "",
) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation, and the ends of Student's interval of the mean; see `contrast`.

    The one definition of an interval over seeds, in every table and plot. It is right for values
    spread normally; of a single value there is none. That of a share stays within 0 and 1.

    Args:
        values: one a run.
        metric: what they are; any if it is not given.
    """
    array = np.asarray(values, float)
    found = contrast([(1.0, array)]).within(*limits(metric))
    if len(array) == 1:
        return found.value, None, None, None
    if not math.isfinite(found.value):
        return found.value, math.nan, math.nan, math.nan
    return found.value, float(array.std(ddof=1)), found.low, found.high
