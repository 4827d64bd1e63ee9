"""Means, differences and their intervals over few runs; nothing here knows what a run is.

A *stratum* is a task of several that are averaged, such as one of the datasets of `--by model`:
resampling and variances stay within it. With one stratum the formulas are the textbook's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
# Sign patterns that are all tried; of more a sample is drawn.
MOST_PATTERNS = 1 << 14
Strata = Sequence[np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Attributes:
        value: the number.
        low: lower end of the 95 % interval; None where it is unknown, as of a single run.
        high: its upper end.
        p: two-sided p-value of "it is 0"; None where it is unknown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    def within(self, least: float, largest: float) -> Estimate:
        """The interval without what no mean of values from `least` to `largest` can be.

        Student's interval knows nothing of limits; that of a share must not leave 0 to 1.
        """
        if self.low is None or self.high is None or not least <= self.value <= largest:
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, largest))


def contrast(parts: Sequence[tuple[float, np.ndarray]]) -> Estimate:
    """Σ c·mean over independent samples, with its interval after Student (1908), Welch (1947).

    The variance is v = Σ c²s²/n, the degrees of freedom v² / Σ (c²s²/n)²/(n−1) (Satterthwaite
    1946). One sample with c = 1 gives Student's interval of a mean, or of paired differences; two
    with c = 1 and −1 give Welch's; several with c = 1/K the mean over K strata.

    Args:
        parts: coefficient and values of each sample.

    Returns:
        the estimate. Without interval and p where a sample has a single value; without p where
        nothing varies, which tells nothing of how it would.
    """
    value = math.fsum(c * float(values.mean()) for c, values in parts)
    if abs(value) < 1e-14 * max(abs(values).max() for _, values in parts):
        value = 0.0  # what rounding leaves of equal means
    if min(len(values) for _, values in parts) < 2 or not math.isfinite(value):
        return Estimate(value)
    from scipy.special import stdtr, stdtrit

    each = [c * c * float(values.var(ddof=1)) / len(values) for c, values in parts]
    variance = math.fsum(each)
    # What is left of equal values by rounding is no spread.
    if variance <= (1e-12 * max(abs(values).max() for _, values in parts)) ** 2:
        return Estimate(value, value, value)
    rest = math.fsum(v * v / (len(values) - 1) for v, (_, values) in zip(each, parts, strict=True))
    freedom, error = variance * variance / rest, math.sqrt(variance)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(value) / error))
    return Estimate(value, value - half, value + half, p)


def stratified_mean(strata: Strata) -> Estimate:
    """The mean over strata of each one's mean."""
    return contrast([(1 / len(strata), values) for values in strata])


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half along the last axis: a quarter, rounded down, off each end.

    As rliable's (Agarwal et al. 2021, section 4.3), which is SciPy's `trim_mean` of 0.25.
    """
    count = values.shape[-1]
    cut = int(0.25 * count)
    if not cut:
        return values.mean(-1)
    return np.sort(values, axis=-1)[..., cut : count - cut].mean(-1)


def bootstrap(strata: Strata, rng: np.random.Generator) -> tuple[Estimate, Estimate]:
    """Mean over strata, and interquartile mean over all values, with percentile intervals.

    Values are drawn again within each stratum (rliable's stratified bootstrap).
    """
    together = np.concatenate(strata)
    mean, middle = stratified_mean(strata).value, float(interquartile_mean(together))
    if min(map(len, strata)) < 2 or not np.isfinite(together).all():
        return Estimate(mean), Estimate(middle)
    drawn = [values[rng.integers(0, len(values), (RESAMPLES, len(values)))] for values in strata]
    means = np.mean([part.mean(1) for part in drawn], axis=0)
    middles = interquartile_mean(np.concatenate(drawn, axis=1))
    return Estimate(mean, *percentiles(means)), Estimate(middle, *percentiles(middles))


def probability_of_improvement(
    first: Strata, second: Strata, *, smaller: bool, rng: np.random.Generator
) -> Estimate:
    """P(a run of the first is better than one of the second), ties counting half.

    The mean over strata of the Mann–Whitney statistic U / nm (rliable, section 4.3), with its
    stratified percentile bootstrap.

    Args:
        first: (runs,) values by stratum.
        second: likewise, the same strata.
        smaller: smaller values are better.
        rng: draws the resamples.
    """
    value, drawn = 0.0, np.zeros(RESAMPLES)
    for x, y in zip(first, second, strict=True):
        sign = -1 if smaller else 1
        wins = (np.sign(sign * (x[:, None] - y)) + 1) / 2
        value += float(wins.mean()) / len(first)
        weights = [resample_counts(rng, len(part), RESAMPLES) for part in (x, y)]
        drawn += np.einsum("rx,xy,ry->r", weights[0], wins, weights[1], optimize=True) / (
            wins.size * len(first)
        )
    if min(map(len, (*first, *second))) < 2 or not math.isfinite(value):
        return Estimate(value)
    return Estimate(value, *percentiles(drawn))


def sign_flips(differences: Strata, rng: np.random.Generator) -> float:
    """Two-sided p of the permutation test that exchanges the two of each pair (Fisher 1935).

    All exchanges are tried where there are few; else a sample, the observed one among them.

    Args:
        differences: (pairs,) by stratum; the statistic is the mean over strata of their means.
        rng: draws the sample.
    """
    weighted = np.concatenate([part / (len(part) * len(differences)) for part in differences])
    count = len(weighted)
    if 2**count <= MOST_PATTERNS:
        numbers = np.arange(2**count)[:, None]
        signs = 1 - 2.0 * (numbers >> np.arange(count) & 1)
    else:
        signs = rng.choice([-1.0, 1.0], (MOST_PATTERNS, count))
        signs[0] = 1
    observed = abs(weighted.sum())
    return float((np.abs(signs @ weighted) >= observed * (1 - 1e-9) - 1e-300).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: the k-th smallest of m times m−k+1, never falling.

    All claims with an adjusted value below α are right together with probability 1−α (Holm 1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def resample_counts(rng: np.random.Generator, count: int, rows: int) -> np.ndarray:
    """(rows, count) how often each of so many values is drawn, drawing as many."""
    drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The ends of the middle 95 %."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
