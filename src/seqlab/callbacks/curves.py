"""The learning curves of a run as one growing CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class CurvesLogger(Logger):
    """Appends `step,metric,value` rows to `metrics.csv`.

    Rows are only ever added: a run that is resumed keeps its curves up to its checkpoint.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        # The last step at which the epoch was told.
        self._epoch_told_at: int | None = None

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
        rows = [(step, name, float(value)) for name, value in metrics.items()]
        fresh = not self.path.exists()
        if "epoch" in metrics:
            # Lightning tells it with the metrics of training and again with those of validation.
            if self._epoch_told_at is None and not fresh:
                self._epoch_told_at = self._read_epoch()
            if step == self._epoch_told_at:
                rows = [row for row in rows if row[1] != "epoch"]
            self._epoch_told_at = step
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(("step", "metric", "value"))
            writer.writerows(rows)

    def _read_epoch(self) -> int | None:
        """The same for a run that is resumed."""
        with self.path.open(newline="", encoding="utf-8") as file:
            steps = [int(row["step"]) for row in csv.DictReader(file) if row["metric"] == "epoch"]
        return steps[-1] if steps else None

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's `config.yaml` is the record of these."""
