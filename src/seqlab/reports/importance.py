"""How much of a metric's variance each key explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Numbers of which nearly each run has its own are cut into so many parts of equally many runs.
PARTS = 4


@dataclass(frozen=True)
class Importance:
    """A key and its share of the variance.

    Attributes:
        key: the key.
        share: ω², from 0 to 1; None where each run has a value of its own, so that nobody can say.
        parts: into how many parts the values were cut; None where each value stands for itself.
    """

    key: str
    share: float | None
    parts: int | None = None


def importances(columns: Mapping[str, Sequence[str]], values: np.ndarray) -> list[Importance]:
    """The share of the variance that each key explains alone, the largest first.

    Hays' ω² = (SS_between − (k−1) MS_within) / (SS_total + MS_within) of the k groups of runs that
    share the key's value, which in the mean is 0 for a key without effect; below 0 it is 0. On a
    full grid the shares are those of the main effects, and what is missing to 1 is interaction
    and noise. Keys that vary together share what they explain: each is given all of it.

    Args:
        columns: (runs,) values of each key.
        values: (runs,) the metric; runs where it is not finite are left out.
    """
    known = np.isfinite(values)
    found = [
        _importance(key, np.array(column)[known], values[known]) for key, column in columns.items()
    ]
    return sorted(
        found, key=lambda entry: -1.0 if entry.share is None else entry.share, reverse=True
    )


def _importance(key: str, column: np.ndarray, values: np.ndarray) -> Importance:
    groups, parts = column, None
    if len(set(column.tolist())) > len(column) / 2:
        numbers = as_numbers(column.tolist())
        if numbers is None or len(column) < 2 * PARTS:
            return Importance(key, None)
        parts = PARTS
        edges = np.quantile(numbers, np.arange(1, PARTS) / PARTS)
        groups = np.searchsorted(edges, numbers)
    _, places = np.unique(groups, return_inverse=True)
    counts = np.bincount(places)
    k, n = len(counts), len(values)
    if k < 2 or n <= k:
        return Importance(key, 0.0 if k < 2 else None, parts)
    means = np.bincount(places, values) / counts
    total = float(((values - values.mean()) ** 2).sum())
    between = float((counts * (means - values.mean()) ** 2).sum())
    within = (total - between) / (n - k)
    if total <= 1e-24 * float(np.square(values).sum()):
        return Importance(key, 0.0, parts)  # nothing varies
    return Importance(key, max(0.0, (between - (k - 1) * within) / (total + within)), parts)


def as_numbers(column: Sequence[str]) -> np.ndarray | None:
    """The values as numbers; None where one is none."""
    try:
        return np.array([float(value) for value in column])
    except ValueError:
        return None


def looks_logarithmic(numbers: np.ndarray) -> bool:
    """Whether numbers are more evenly spread on a logarithmic scale than on a linear one."""
    distinct = np.unique(numbers)
    if distinct[0] <= 0 or len(distinct) < 2:
        return False
    if len(distinct) == 2:
        return bool(distinct[1] / distinct[0] >= 100)
    gaps = np.diff(distinct), np.diff(np.log(distinct))
    linear, logarithmic = (float(gap.std() / gap.mean()) for gap in gaps)
    return logarithmic < linear
