"""Tables, and how they look in Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

LATEX = {
    "\\": r"\textbackslash{}",
    "–": "--",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


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
        [f"**{cell}**" if number in table.bold and cell else cell for cell in row]
        for number, row in enumerate(table.rows)
    ]
    lines = [_markdown_row(table.columns), f"| {' | '.join(rule)} |", *map(_markdown_row, rows)]
    return f"**{table.title}**\n\n" + "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    plain = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(plain)} |"


def as_csv(table: Table) -> str:
    """Numbers in full, nothing for what is missing."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in table.raw for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.raw)
    return text.getvalue()


def as_latex(table: Table) -> str:
    """A table with the rules of the package booktabs."""
    shape = "".join("r" if name in table.numbers else "l" for name in table.columns)
    rows = [
        [rf"\textbf{{{escape(cell)}}}" if number in table.bold else escape(cell) for cell in row]
        for number, row in enumerate(table.rows)
    ]
    lines = [rf"{' & '.join(row)} \\" for row in ([escape(c) for c in table.columns], *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(table.title)}}}",
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


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return re.sub(r"[\\&%$#_{}~^<>–±]", lambda match: LATEX[match[0]], text)


def as_html(table: Table) -> str:
    """A table element."""
    kinds = [' class="number"' if name in table.numbers else "" for name in table.columns]
    head = "".join(
        f"<th{kind}>{html.escape(name)}</th>"
        for kind, name in zip(kinds, table.columns, strict=True)
    )
    body = "\n".join(
        ('<tr class="best">' if number in table.bold else "<tr>")
        + "".join(
            f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>"
        for number, row in enumerate(table.rows)
    )
    return (
        f"<h3>{html.escape(table.title)}</h3>\n<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>\n"
    )
