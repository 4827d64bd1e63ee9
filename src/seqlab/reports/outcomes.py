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
    found = [outcomes for side in sides for outcomes in side if outcomes is not None]
    if len(found) < len(first) + len(second):
        if all(_table(run.folder, stage) is not None for run in (*first, *second)):
            return f"{name} is no mean over examples"
        return "some runs keep no outcomes of their test examples"
    if len({outcomes.test_set for outcomes in found}) > 1:
        return "their test sets differ"
    indices = found[0].indices
    if any(o.indices is not indices and not np.array_equal(o.indices, indices) for o in found):
        return "they were tested on different parts of the test set"
    count = len(first)
    return compare_examples(found[:count], found[count:])


# A configuration is compared with many others: its tables are read once.
@lru_cache(maxsize=4096)
def _read(folder: Path, stage: str, name: str, test_set: str | None) -> Outcomes | None:
    table = _table(folder, stage)
    if table is None or test_set is None or f"{name}/of" not in (table.dtype.names or ()):
        return None
    indices, of = table["index"], table[f"{name}/of"]
    # Most scores are means over the whole test set: one array for all, told by `is`.
    every, ones = _usual(len(table))
    indices = every if np.array_equal(indices, every) else indices.copy()
    of = ones if np.array_equal(of, ones) else of.astype(np.float32)
    return Outcomes(test_set, indices, table[name].astype(np.float32), of)


def _outcomes(run: Run, stage: str, name: str) -> Outcomes | None:
    return _read(run.folder, stage, name, (run.results.get("test_sets") or {}).get(stage))


@lru_cache(maxsize=4)
def _usual(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count, dtype=np.int32), np.ones(count, np.float32)


def _table(folder: Path, stage: str) -> np.ndarray | None:
    try:
        table = np.load(folder / outcomes_file(stage), allow_pickle=False)
    except (OSError, ValueError, EOFError):  # none there, or half of one
        return None
    return table if isinstance(table, np.ndarray) and table.dtype.names else None
