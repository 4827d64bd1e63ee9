"""Tables, and how they look in Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqlab.escaping import csv_cell, html, latex, markdown


@dataclass(frozen=True)
class Table:
    """Rows of text, ready to be shown.

    Attributes:
        title: printed above.
        columns: their names.
        rows: one text a column.
        numbers: the columns that are set to the right.
        raw: the same rows with numbers in full, for CSV.
        bold: the rows that stand out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str]
    raw: Sequence[dict[str, object]]
    bold: frozenset[int] = frozenset()


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown."""
    rule = ["---:" if name in table.numbers else "---" for name in table.columns]
    rows = [
        [_markdown_cell(cell, bold=number in table.bold) for cell in row]
        for number, row in enumerate(table.rows)
    ]
    lines = [
        _markdown_row([markdown(name) for name in table.columns]),
        f"| {' | '.join(rule)} |",
        *map(_markdown_row, rows),
    ]
    return f"**{markdown(table.title)}**\n\n" + "\n".join(lines) + "\n"


def _markdown_cell(cell: str, *, bold: bool) -> str:
    return f"**{markdown(cell)}**" if bold and cell else markdown(cell)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_csv(tables: Sequence[Table]) -> str:
    """The rows of all tables as one; numbers in full, nothing for what is missing."""
    return csv_text([row for table in tables for row in table.raw])


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows below a header that has every column of any of them."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in names])
    writer.writerows([csv_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def as_latex(table: Table) -> str:
    """A table with the rules of the package booktabs."""
    shape = "".join("r" if name in table.numbers else "l" for name in table.columns)
    rows = [
        [rf"\textbf{{{latex(cell)}}}" if number in table.bold else latex(cell) for cell in row]
        for number, row in enumerate(table.rows)
    ]
    lines = [rf"{' & '.join(row)} \\" for row in ([latex(c) for c in table.columns], *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(table.title)}}}",
            rf"\begin{{tabular}}{{{shape}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def as_html(table: Table) -> str:
    """A table element."""
    kinds = [' class="number"' if name in table.numbers else "" for name in table.columns]
    head = "".join(
        f"<th{kind}>{html(name)}</th>" for kind, name in zip(kinds, table.columns, strict=True)
    )
    body = "\n".join(
        ('<tr class="best">' if number in table.bold else "<tr>")
        + "".join(f"<td{kind}>{html(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for number, row in enumerate(table.rows)
    )
    return (
        f"<h3>{html(table.title)}</h3>\n<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>\n"
    )
