"""What became of each test example, kept so that runs can be compared example by example."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seqlab.saving import write_atomically

if TYPE_CHECKING:  # reports read without torch, and without Hydra
    from seqlab.data.datamodule import SequenceDataModule
    from seqlab.tasks.base import Task
    from seqlab.tasks.meter import ExampleScores

# Examples that are kept of a test set: enough for any comparison, a few megabytes at most.
MOST = 100_000


def outcomes_file(stage: str) -> str:
    """The name of the file that keeps a test set's outcomes in a run's folder."""
    return f"{stage}_outcomes.npy"


def write_outcomes(folder: Path, task: Task, data: SequenceDataModule) -> dict[str, str]:
    """Writes a table for each test set: a row an example, with its index and what it adds.

    A score has two columns, such as `accuracy` and `accuracy/of`: numerator and denominator (see
    `Meter.outcomes`).

    Returns:
        the fingerprint of each test set: rows of equal index are the same example where it is
        equal.
    """
    fingerprints = {}
    for stage in data.test_splits:
        found = task.meter(stage).examples
        if found is not None:
            file = io.BytesIO()
            np.save(file, as_table(found), allow_pickle=False)
            write_atomically(folder / outcomes_file(stage), file.getvalue())
            fingerprints[stage] = data.examples(stage).fingerprint()
    return fingerprints


def as_table(found: ExampleScores) -> np.ndarray:
    """(examples,) records in the smallest types that hold the numbers."""
    indices = found.indices.cpu().numpy()
    chosen = indices < MOST
    columns = {"index": indices[chosen].astype(np.int32)}
    for name, pair in zip(found.names, found.scores.cpu().numpy().transpose(1, 2, 0), strict=True):
        columns[name], columns[f"{name}/of"] = (_small(part[chosen]) for part in pair)
    table = np.empty(chosen.sum(), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


def _small(values: np.ndarray) -> np.ndarray:
    if (np.abs(values) < 2**31).all():
        for dtype in (np.uint8, np.int32):
            if np.array_equal(values.astype(dtype), values):
                return values.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    # The squares of very large or small series are beyond float32.
    return single if np.allclose(single, values, rtol=1e-6, atol=0, equal_nan=True) else values
