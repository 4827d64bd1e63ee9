"""Tables for the screen."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from seqlab.escaping import one_line
from seqlab.reports.collect import Run, headlines, last_word, varying
from seqlab.reports.seeds import Folded
from seqlab.reports.tables import Table
from seqlab.reports.words import number
from seqlab.terminal import cell, say

COLOURS = {"finished": "green", "failed": "red"}
# Where nothing tells how wide the screen is: in a file, in a pipe.
WIDTH = 100


@dataclass(frozen=True)
class Column:
    """A column of a table on the screen.

    Attributes:
        name: its head.
        number: set to the right, in one piece.
        spare: left out where the screen is too narrow.
    """

    name: str
    number: bool = False
    spare: bool = False


def screen() -> Console:
    """Standard output, which is wide where it is no terminal."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console


def print_results(console: Console, runs: Sequence[Run]) -> None:
    """Overrides × metrics: the keys that differ between runs, and each data's own metric."""
    runs = list(runs)
    keys, metrics = varying(runs), headlines(runs)
    reasons = any(run.results.get("reason") for run in runs)
    columns = [
        *map(Column, keys or ["run"]),
        *(Column(name, number=True) for name in metrics),
        Column("seconds", number=True, spare=True),
        Column("parameters", number=True, spare=True),
        Column("status"),
        *([Column("reason")] if reasons else []),
    ]
    rows = [
        [
            *([run.changed.get(key, "") for key in keys] or [run.folder.name]),
            *(_number(run.metrics.get(name)) for name in metrics),
            _number(run.results.get("seconds"), 1),
            f"{run.results['parameters']:,}" if run.results.get("parameters") else "",
            cell(run.status, COLOURS.get(run.status, "yellow")),
            *([str(run.results.get("reason") or "")] if reasons else []),
        ]
        for run in runs
    ]
    _print(console, f"Results of {len(runs)} runs", columns, rows)


def print_summary(console: Console, folded: Sequence[Folded]) -> None:
    """Means over seeds with their 95 % intervals."""
    keys = dict.fromkeys(key for entry in folded for key in entry.changed)
    keys = [key for key in keys if len({entry.changed.get(key) for entry in folded}) > 1]
    columns = [
        *map(Column, [*keys, "metric"]),
        *(Column(name, number=True) for name in ("mean", "interval", "std", "n")),
    ]
    rows = [
        [
            *(entry.changed.get(key, "") for key in keys),
            entry.metric,
            _number(entry.mean),
            "" if entry.low is None else f"{_number(entry.low)} to {_number(entry.high)}",
            _number(entry.std),
            str(entry.n),
        ]
        for entry in folded
    ]
    _print(console, "Means over seeds, with 95 % intervals", columns, rows)


def print_table(console: Console, table: Table, most: int) -> None:
    """A table with so many rows at most."""
    columns = [Column(name, number=name in table.numbers) for name in table.columns]
    _print(console, table.title, columns, table.rows[:most], table.bold)
    left = len(table.rows) - most
    if left > 0:
        say(console, f"… and {left} more rows; --output DIR writes all")


def _print(
    console: Console,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str | Text]],
    bold: frozenset[int] = frozenset(),
) -> None:
    """Prints a table. One too wide gets heads of several lines, then loses its spare columns.

    After that the names and values of keys give way; numbers stay in one piece.
    """
    unlimited = console.options.update(width=10_000)
    table = _drawn(columns, rows, bold)
    for spared in (False, True):
        if console.measure(table, options=unlimited).maximum > console.width:
            table = _drawn(columns, rows, bold, broken=True, spared=spared)
    # As the table's own title it would be broken at the table's width.
    say(console, title, style="italic")
    console.print(table)


def _drawn(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str | Text]],
    bold: frozenset[int],
    *,
    broken: bool = False,
    spared: bool = False,
) -> RichTable:
    table = RichTable(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    names = [column.name for column in columns]
    for column in columns:
        if not (spared and column.spare):
            head = one_line(last_word(column.name, names))
            table.add_column(
                Text(re.sub(r"(?<=[_/])(?=\w)", "\n", head) if broken else head),
                justify="right" if column.number else "left",
                overflow="fold",
                no_wrap=column.number,
            )
    for place, row in enumerate(rows):
        cells = [
            text if isinstance(text, Text) else cell(text)
            for column, text in zip(columns, row, strict=True)
            if not (spared and column.spare)
        ]
        table.add_row(*cells, style="bold" if place in bold else None)
    return table


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else number(value, digits)
