"""The learning curves of a run as one growing CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

Row = tuple[str, str, str]


class CurvesLogger(Logger):
    """Appends `step,metric,value` rows to `metrics.csv`.

    Rows are only ever added, none twice: a run that is resumed keeps its curves up to its
    checkpoint.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        # The last row of each metric; None before anything is logged.
        self._last: dict[str, Row] | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        fresh = not self.path.exists()
        if self._last is None:
            self._last = {} if fresh else self._read_last()
        rows = []
        for name, value in metrics.items():
            row = (str(step), name, str(float(value)))
            # Lightning tells the epoch with the metrics of training and with those of validation,
            # and the learning rate at each batch of a group that makes one step.
            if self._last.get(name) != row:
                rows.append(row)
                self._last[name] = row
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(("step", "metric", "value"))
            writer.writerows(rows)

    def _read_last(self) -> dict[str, Row]:
        """The last row of each metric, of a run that is resumed."""
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return {row["metric"]: (row["step"], row["metric"], row["value"]) for row in rows}

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's `config.yaml` is the record of these."""
