"""Learning curves from the runs' `metrics.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqlab.reports.collect import Run


@dataclass(frozen=True)
class Band:
    """Curves of several seeds as one.

    Attributes:
        steps: (points,) every step that any of them was measured at.
        mean: (points,) over the seeds that were.
        low: (points,) the lowest of them.
        high: (points,) the highest.
    """

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curve_metric(metric: str) -> list[str]:
    """Which curves to look for, the best first: the same metric while training, else the loss."""
    name = metric.partition("/")[2]
    return list(dict.fromkeys([f"val/{name}", "val/loss", "train/loss"]))


def read_curve(folder: Path, metric: str) -> dict[int, float]:
    """A metric by step, of a step that occurs twice the later row; empty where there is none."""
    try:
        text = (folder / "metrics.csv").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    found = {}
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            with suppress(ValueError):  # half a row, of a run that was killed
                step, name, value = row
                if name == metric:
                    found[int(step)] = float(value)
    except csv.Error:  # what is no table has no curves
        return {}
    return found


def band(runs: Sequence[Run], metric: str) -> Band | None:
    """The curves of runs that differ in their seed; None where none has the metric.

    A run that was stopped early is in the mean as far as it went.
    """
    curves = [curve for run in runs if (curve := read_curve(run.folder, metric))]
    if not curves:
        return None
    steps = sorted({step for curve in curves for step in curve})
    values = [[curve[step] for curve in curves if step in curve] for step in steps]
    return Band(
        np.array(steps),
        np.array([np.mean(each) for each in values]),
        np.array([min(each) for each in values]),
        np.array([max(each) for each in values]),
    )
