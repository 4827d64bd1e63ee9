"""Reads what runs keep of each test example, and pairs it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from seqlab.reports.collect import Run
from seqlab.reports.examples import Outcomes, Paired, compare_examples
from seqlab.runs.outcomes import outcomes_file


def paired_on_examples(metric: str, first: Sequence[Run], second: Sequence[Run]) -> Paired | str:
    """Compares two configurations example by example, or says in words why that cannot be."""
    stage, _, name = metric.partition("/")
    if not stage.startswith("test"):
        return f"{metric} is no score of a test set"
    sides = [[_outcomes(run, stage, name) for run in side] for side in (first, second)]
    reasons = [found for side in sides for found in side if isinstance(found, str)]
    if reasons:
        return reasons[0]
    found = [outcomes for side in sides for outcomes in side if isinstance(outcomes, Outcomes)]
    if len({outcomes.test_set for outcomes in found}) > 1:
        return "their test sets differ"
    indices = found[0].indices
    if any(o.indices is not indices and not np.array_equal(o.indices, indices) for o in found):
        return "they were tested on different parts of the test set"
    count = len(first)
    return compare_examples(found[:count], found[count:])


# A configuration is compared with many others: its tables are read once.
@lru_cache(maxsize=4096)
def _read(folder: Path, stage: str, name: str, test_set: str | None) -> Outcomes | str:
    """What became of each example, or in words why nobody can say."""
    path = folder / outcomes_file(stage)
    if test_set is None or not path.exists():
        return "some runs keep no outcomes of their test examples"
    try:
        # Without pickles: reading executes nothing. Mapped: what the head of a damaged file claims
        # is not allocated.
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # NumPy raises half a dozen kinds for a damaged file
        return f"{path} is damaged"
    if not isinstance(table, np.ndarray) or table.ndim != 1 or not table.dtype.names:
        return f"{path} is damaged"
    of_name = f"{name}/of"
    if "index" in table.dtype.names and not {name, of_name} & set(table.dtype.names):
        return f"{name} is no mean over examples"
    columns = [_column(table, column) for column in ("index", name, of_name)]
    if any(column is None for column in columns):
        return f"{path} is damaged"
    indices, values, of = (np.asarray(column) for column in columns)
    # Most scores are means over the whole test set: one array for all, told by `is`.
    every, ones = _usual(len(table))
    indices = every if np.array_equal(indices, every) else indices.copy()
    of = ones if np.array_equal(of, ones) else of.astype(np.float32)
    return Outcomes(test_set, indices, values.astype(np.float32), of)


def _column(table: np.ndarray, name: str) -> np.ndarray | None:
    """A column of numbers; None where it is none."""
    if name not in (table.dtype.names or ()):
        return None
    column = table[name]
    numbers = column.ndim == 1 and column.dtype.kind in ("uif" if name != "index" else "ui")
    return column if numbers else None


def _outcomes(run: Run, stage: str, name: str) -> Outcomes | str:
    return _read(run.folder, stage, name, (run.results.get("test_sets") or {}).get(stage))


@lru_cache(maxsize=4)
def _usual(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count, dtype=np.int32), np.ones(count, np.float32)
