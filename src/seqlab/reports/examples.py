"""Two trained models on the same test examples: exact, permutation and bootstrap tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seqlab.reports.statistics import Estimate, percentiles, resample_counts

# Sums up to which the exact distribution is computed, and random numbers drawn where it is not.
LARGEST_SUM = 1 << 17
DRAWS = 20_000_000


@dataclass(frozen=True)
class Outcomes:
    """What each test example added to a score, of one run.

    Attributes:
        test_set: the fingerprint of the test set.
        indices: (examples,) which of its examples.
        numerators: (examples,) the score is their sum over that of the denominators.
        denominators: (examples,) likewise.
    """

    test_set: str
    indices: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray


@dataclass(frozen=True)
class Paired:
    """The result on test examples.

    Attributes:
        difference: of the scores, with its paired bootstrap interval over examples, and p.
        test: which test gave p.
        count: how many examples.
    """

    difference: Estimate
    test: str
    count: int


def compare_examples(
    first: Sequence[Outcomes], second: Sequence[Outcomes], seed: int = 0
) -> Paired:
    """Whether two configurations differ on the test examples, given their trained runs.

    Each example is a unit: its outcomes of all runs are exchanged together, as those of one
    example depend on each other. Says nothing of what another training would bring.

    Args:
        first: of each run of the one; all on the same examples.
        second: of each run of the other, on these examples too.
        seed: seeds what is drawn.
    """
    sides = (first, second)
    count = len(first[0].numerators)
    rng = np.random.default_rng(seed)
    rows = int(np.clip(DRAWS // max(count, 1), 2000, 10_000))
    weights = _weights(count, rows // 10, seed)
    same = first[0].denominators
    tops = [np.stack([run.numerators for run in side]) for side in sides]
    if not all(
        run.denominators is same or np.array_equal(run.denominators, same)
        for side in sides
        for run in side
    ):
        # A ratio whose denominator depends on the model, such as F1.
        ones = [np.stack([run.denominators for run in side]) for side in sides]
        value, p = _swap_ratios(tops, ones, rng, rows // 5)
        drawn = [
            ((weights @ top.T) / np.maximum(weights @ one.T, 1e-30)).mean(1)
            for top, one in zip(tops, ones, strict=True)
        ]
        interval = percentiles(drawn[0] - drawn[1])
        return Paired(Estimate(value, *interval, p), "permutation of examples", count)
    runs = len(first), len(second)
    sums = [top.sum(0, dtype=float) for top in tops]
    means = sums[0] / runs[0] - sums[1] / runs[1]
    value = float(means.sum() / max(same.sum(dtype=float), 1e-300))
    # Of a plain mean each resample has as many.
    totals = count if (same == 1).all() else np.maximum(weights @ same, 1e-30)
    # Scaled, as float32 holds no number above 3e38 and none of 1e-50.
    unit = np.abs(means).max(initial=0) or 1.0
    low, high = percentiles((weights @ (means / unit).astype(np.float32)) / totals)
    low, high = low * unit, high * unit
    # Whole numbers as long as they can be: then the distribution is exact.
    differences = sums[0] - sums[1] if runs[0] == runs[1] else sums[0] * runs[1] - sums[1] * runs[0]
    whole = np.array_equal(differences, np.rint(differences))
    if whole and np.abs(differences).sum() <= LARGEST_SUM:
        binary = np.abs(differences).max(initial=0) <= 1
        name = "McNemar, exact" if binary and runs == (1, 1) else "permutation of examples, exact"
        return Paired(Estimate(value, low, high, exact_sign_flips(differences)), name, count)
    differences = differences / (np.abs(differences).max(initial=0) or 1.0)
    signs = rng.integers(0, 2, (rows, count), dtype=np.int8).astype(np.float32) * 2 - 1
    drawn = np.abs(signs @ differences.astype(np.float32))
    observed = abs(differences.sum())
    p = (1 + int((drawn >= observed * (1 - 1e-6)).sum())) / (rows + 1)
    return Paired(Estimate(value, low, high, p), "permutation of examples", count)


def exact_sign_flips(differences: np.ndarray) -> float:
    """P(|Σ ±d| ≥ |Σ d|) over all signs of whole numbers, equally likely (Pagano & Tritchler 1983).

    For numbers of −1, 0 and 1 this is McNemar's exact test (1947). In general the distribution of
    the sum is found by its characteristic function Π cos(θ d).
    """
    sizes = np.abs(np.rint(differences)).astype(np.int64)
    observed, total = abs(int(np.rint(differences.sum()))), int(sizes.sum())
    if observed == 0:
        return 1.0
    values, counts = np.unique(sizes[sizes > 0], return_counts=True)
    if len(values) == 1:
        from scipy.special import bdtr

        pairs, lead = int(counts[0]), observed // int(values[0])
        return min(1.0, 2 * float(bdtr((pairs - lead) // 2, pairs, 0.5)))
    length = 2 << total.bit_length()
    turns = np.arange(length // 2 + 1) * (2 * np.pi / length)
    transform = np.ones(len(turns))
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        transform *= np.cos(turns * value) ** count
    # Of Σ ±d from −total to total; the negative ones stand at the end, and mirror the others.
    chances = np.fft.irfft(transform, length)[: total + 1].clip(0)
    far = float(chances[observed:].sum())
    return min(1.0, max(2 * far, 1e-15))


@lru_cache(maxsize=1)
def _weights(count: int, rows: int, seed: int) -> np.ndarray:
    """Resamples of the examples, drawn once for all comparisons on a test set."""
    return resample_counts(np.random.default_rng(seed), count, rows).astype(np.float32)


def _swap_ratios(
    tops: Sequence[np.ndarray], ones: Sequence[np.ndarray], rng: np.random.Generator, rows: int
) -> tuple[float, float]:
    """The difference of mean ratios, and p when the two sides of examples are exchanged.

    Sides of unequal numbers of runs are first averaged over their runs.
    """
    if len(tops[0]) != len(tops[1]):
        tops = [side.mean(0, keepdims=True) for side in tops]
        ones = [side.mean(0, keepdims=True) for side in ones]
    swapped = rng.integers(0, 2, (rows, tops[0].shape[1])).astype(float)
    swapped[0] = 0

    def score(own: int) -> np.ndarray:
        parts = []
        for table in (tops, ones):
            kept, other = table[own], table[1 - own]
            parts.append(kept.sum(1) + swapped @ (other - kept).T)
        return (parts[0] / np.maximum(parts[1], 1e-300)).mean(1)

    differences = score(0) - score(1)
    reached = np.abs(differences) >= abs(differences[0]) * (1 - 1e-9)
    return float(differences[0]), float(reached.mean())
