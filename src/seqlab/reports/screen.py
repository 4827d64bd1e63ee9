"""Tables of runs for the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from seqlab.reports.collect import Run, headlines, varying
from seqlab.reports.seeds import Folded

COLOURS = {"finished": "green", "failed": "red"}


def results_table(runs: Sequence[Run]) -> Table:
    """Overrides × metrics: the keys that differ between runs, and each data's own metric."""
    runs = list(runs)
    keys, metrics = varying(runs), headlines(runs)
    with_reasons = any(run.results.get("reason") for run in runs)
    table = Table(title=f"Results of {len(runs)} runs", title_justify="left")
    for name in keys or ["run"]:
        table.add_column(Text(name), overflow="fold")
    for name in metrics:
        table.add_column(Text(name), justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("parameters", justify="right")
    table.add_column("status")
    if with_reasons:
        table.add_column("reason", overflow="fold")
    for run in runs:
        values = [run.changed.get(key, "") for key in keys] or [run.folder.name]
        reason = [Text(str(run.results.get("reason") or ""))] if with_reasons else []
        table.add_row(
            *map(Text, values),
            *(_number(run.metrics.get(name)) for name in metrics),
            _number(run.results.get("seconds"), 1),
            f"{run.results['parameters']:,}" if run.results.get("parameters") else "",
            Text(run.status, style=COLOURS.get(run.status, "yellow")),
            *reason,
        )
    return table


def summary_table(folded: Sequence[Folded]) -> Table:
    """Means over seeds with their 95 % intervals."""
    keys = dict.fromkeys(key for entry in folded for key in entry.changed)
    keys = [key for key in keys if len({entry.changed.get(key) for entry in folded}) > 1]
    table = Table(title="Means over seeds, with 95 % intervals", title_justify="left")
    for name in (*keys, "metric"):
        table.add_column(Text(name), overflow="fold")
    for name in ("mean", "interval", "std", "n"):
        table.add_column(name, justify="right")
    for entry in folded:
        between = "" if entry.low is None else f"{_number(entry.low)} to {_number(entry.high)}"
        table.add_row(
            *(Text(entry.changed.get(key, "")) for key in keys),
            Text(entry.metric),
            _number(entry.mean),
            between,
            _number(entry.std),
            str(entry.n),
        )
    return table


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return ""
    small = math.isfinite(value) and 0 < abs(value) < 10.0**-digits
    return f"{value:.3g}" if small else f"{value:.{digits}f}"
