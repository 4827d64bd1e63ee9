"""The tables of a sweep: a row a run, and a row a configuration with its seeds folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from seqlab.reports.collect import Run, changed, headlines, metric_names, sweep_runs
from seqlab.reports.comparison import compare
from seqlab.reports.documents import image_names
from seqlab.reports.groups import grouped, own_metrics
from seqlab.reports.screen import print_results, print_summary, screen
from seqlab.reports.seeds import Folded, fold_seeds
from seqlab.reports.tables import csv_text
from seqlab.reports.words import damaged
from seqlab.saving import write_atomically
from seqlab.terminal import say

Rows = list[dict[str, Any]]


def report(folder: Path, console: Console | None = None) -> None:
    """Writes the tables and plots of a sweep into its folder, and prints the tables.

    `results.csv` and, where pyarrow is installed, `results.parquet` have a row a run;
    `summary.csv` has a row a configuration and metric. Plots (`pictures`) are drawn again only
    where the results changed.
    """
    console = console or screen()
    runs = sweep_runs(folder)
    if not runs:
        return
    rows = result_rows(runs, folder)
    changed_since = write_csv(folder / "results.csv", rows)
    folded = fold_seeds(runs)
    write_csv(folder / "summary.csv", summary_rows(folded))
    written = ["results.csv", "summary.csv"]
    if find_spec("pyarrow") is None:
        note = "no results.parquet without pyarrow: pip install 'seqlab[parquet]'"
    else:
        write_parquet(folder / "results.parquet", rows)
        written.insert(1, "results.parquet")
        note = ""
    print_results(console, runs)
    shown = [entry for entry in folded if entry.metric in headlines(runs)]
    if any(entry.n > 1 for entry in shown):
        print_summary(console, shown)
    notes = [note] if note else []
    try:
        written += draw(folder, runs, again=changed_since)
    except Exception as error:  # what was found is told, whether or not it can be drawn
        notes.append(f"the plots cannot be drawn: {type(error).__name__}: {error}")
    told = f"sweep folder {folder}  ({'; '.join([', '.join(written), *notes])})"
    say(console, told, whole=True)
    for line in damaged(runs):
        say(console, line, style="yellow", whole=True)
    if len({tuple(entry.changed.items()) for entry in folded}) > 1:
        told = f"which differences are more than noise   seqlab compare {folder}"
        say(console, told, whole=True)


def result_rows(runs: Sequence[Run], folder: Path) -> Rows:
    """A row a run: folder, every key that any run changed, status, time, size, metrics."""
    keys, metrics = changed(list(runs)), metric_names(list(runs))
    return [
        {
            "run": str(run.folder.relative_to(folder)),
            **{key: run.changed.get(key) for key in keys},
            "status": run.status,
            "reason": run.results.get("reason"),
            "seconds": run.results.get("seconds"),
            "parameters": run.results.get("parameters"),
            **{name: run.metrics.get(name) for name in metrics},
        }
        for run in runs
    ]


def summary_rows(folded: Sequence[Folded]) -> Rows:
    """A row a configuration and metric."""
    keys = dict.fromkeys(key for entry in folded for key in entry.changed)
    return [
        {
            **{key: entry.changed.get(key) for key in keys},
            "metric": entry.metric,
            "n": entry.n,
            "mean": entry.mean,
            "std": entry.std,
            "low": entry.low,
            "high": entry.high,
        }
        for entry in folded
    ]


def draw(folder: Path, runs: Sequence[Run], *, again: bool) -> list[str]:
    """Draws the finished runs by their headline metrics; the names of the pictures.

    Args:
        folder: where the pictures go.
        runs: all runs.
        again: draws what is there already too.
    """
    finished = [run for run in runs if run.status == "finished"]
    if len(finished) < 2:
        return []
    there = sorted(path.name for path in folder.glob("*.png"))
    if there and not again:
        return there
    from seqlab.reports.pictures import pictures  # brings matplotlib

    metrics = own_metrics(finished)
    comparisons = [compare(grouped(finished, metric), against=None) for metric in metrics]
    images = image_names(comparisons, [pictures(each) for each in comparisons])
    for name, image in images.items():
        write_atomically(folder / f"{name}.png", image)
    return [f"{name}.png" for name in images]


def write_csv(path: Path, rows: Rows) -> bool:
    """Writes rows that share their columns; numbers in full, nothing for None.

    Returns:
        whether this changed the file.
    """
    before = path.read_bytes() if path.is_file() else None
    text = csv_text(rows)
    write_atomically(path, text)
    return text.encode() != before


def write_parquet(path: Path, rows: Rows) -> None:
    """Writes rows as columns of whole numbers, numbers, or text."""
    import pyarrow
    from pyarrow import parquet

    columns = {name: _typed([row[name] for row in rows]) for name in rows[0]}
    part = path.with_name(f".{path.name}")
    parquet.write_table(pyarrow.table(columns), part)
    part.replace(path)


def _typed(values: Iterable[Any]) -> list[Any]:
    """Values as whole numbers or as numbers where all of them are; else as they are."""
    values = list(values)
    for kind in (_whole, float):
        try:
            return [None if value is None else kind(value) for value in values]
        except ValueError:
            continue
    return values


def _whole(value: Any) -> int:
    if isinstance(value, float):
        raise ValueError  # 1.5 is not 1
    return int(value)
