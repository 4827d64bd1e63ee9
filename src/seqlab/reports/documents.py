"""A whole comparison as one document, and as the files of a folder."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqlab.errors import InputError
from seqlab.escaping import html, latex, latex_comment, markdown, markdown_code
from seqlab.reports.collect import Run
from seqlab.reports.comparison import Comparison
from seqlab.reports.comparison_tables import contests_table, scores_table, shown_lines
from seqlab.reports.tables import Table, as_csv, as_html, as_latex, as_markdown
from seqlab.reports.words import command, statuses, summary
from seqlab.saving import write_atomically

FORMATS = {"markdown": "compare.md", "csv": "compare.csv", "latex": "compare.tex"}
FORMATS |= {"html": "compare.html"}
CONTESTS_CSV = "contests.csv"
# How the numbers came about, below every table.
METHOD = (
    "Intervals (t) are Student's, of the mean over runs; those of the bootstrap are percentiles of "
    "2000 resamples within strata. IQM is the interquartile mean, P(better) the probability that a "
    "run of the first beats one of the second. p is of Student's t of the differences on shared "
    "seeds, of Welch's where no seeds are shared, and for single runs that of the test examples, "
    "corrected for all rows after Holm. p (ex.) exchanges the outcomes of test examples, exact "
    "where they are counts (McNemar's test for single runs)."
)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #d9dde1; text-align: left; }
th { border-bottom: 2px solid #8a8f94; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.best { font-weight: 600; }
img { max-width: 100%; height: auto; margin: .5rem 0 1.5rem; }
code { background: #f2f4f6; padding: .1rem .3rem; }
.note { color: #666; }
"""


def document(
    kind: str,
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    images: Mapping[str, bytes],
) -> str:
    """The comparison in one of `FORMATS`.

    Args:
        kind: which.
        runs: all runs that were found.
        comparisons: one for each metric.
        images: PNG files by name; Markdown and LaTeX name them, HTML holds them.
    """
    if kind == "csv":
        return as_csv([scores_table(comparison) for comparison in comparisons])
    return {"markdown": _markdown, "latex": _latex, "html": _html}[kind](runs, comparisons, images)


def write_documents(
    folder: Path,
    kinds: Sequence[str],
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    images: Mapping[str, bytes],
) -> list[str]:
    """Writes the documents and pictures into a folder, which is made; returns the files' names.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    files: dict[str, str | bytes] = {
        FORMATS[kind]: document(kind, runs, comparisons, images) for kind in kinds
    }
    if "csv" in kinds:
        files[CONTESTS_CSV] = as_csv([contests_table(each) for each in comparisons])
    files |= {f"{name}.png": image for name, image in images.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise InputError(
            f"--output {folder} cannot be written to ({error.strerror}); choose another folder"
        ) from error
    return list(files)


def image_names(
    comparisons: Sequence[Comparison], made: Sequence[Mapping[str, bytes]]
) -> dict[str, bytes]:
    """All pictures under one name each, with the metric before it where there are several."""
    several = len(comparisons) > 1
    return {
        (f"{re.sub(r'[^a-z0-9]+', '_', each.metric.lower())}_" if several else "") + name: image
        for each, images in zip(comparisons, made, strict=True)
        for name, image in images.items()
    }


def best_commands(comparison: Comparison) -> list[tuple[str, str]]:
    """What is best in each section, and the command that runs it again."""
    sentences = summary(comparison)
    return [
        (sentence, command(scores[0].configuration))
        for sentence, (_, scores) in zip(sentences, comparison.scores, strict=True)
    ]


def _tables(comparison: Comparison) -> list[Table]:
    tables = [scores_table(comparison)]
    return [*tables, contests_table(comparison)] if comparison.contests else tables


def _markdown(
    runs: Sequence[Run], comparisons: Sequence[Comparison], images: Mapping[str, bytes]
) -> str:
    parts = [f"# Comparison\n\n{markdown(statuses(runs))}.\n"]
    for comparison in comparisons:
        parts.append(f"## {markdown(comparison.metric)}\n")
        parts += [
            f"- {markdown(sentence)}\n  {markdown_code(line)}"
            for sentence, line in best_commands(comparison)
        ]
        parts.append("")
        parts += [as_markdown(table) for table in _tables(comparison)]
        told = shown_lines(comparison, len(comparison.contests))
        parts += [f"- {markdown(line)}" for line in told]
        parts += [f"- Note: {markdown(note)}." for note in comparison.notes]
        parts.append("")
    parts += [f"![{name}]({name}.png)\n" for name in images]
    return "\n".join([*parts, METHOD, ""])


def _latex(
    runs: Sequence[Run], comparisons: Sequence[Comparison], images: Mapping[str, bytes]
) -> str:
    parts = [r"% \usepackage{booktabs,graphicx}", latex_comment(f"{statuses(runs)}.")]
    for comparison in comparisons:
        parts += [as_latex(table) for table in _tables(comparison)]
        parts += map(latex_comment, (*summary(comparison), *comparison.notes))
    parts += [rf"% \includegraphics[width=\linewidth]{{{name}.png}}" for name in images]
    return "\n".join([*parts, f"\\footnotesize {latex(METHOD)}", ""])


def _html(
    runs: Sequence[Run], comparisons: Sequence[Comparison], images: Mapping[str, bytes]
) -> str:
    parts = [f"<h1>Comparison</h1>\n<p>{html(statuses(runs))}.</p>"]
    for comparison in comparisons:
        parts.append(f"<h2>{html(comparison.metric)}</h2>\n<ul>")
        parts += [
            f"<li>{html(sentence)}<br><code>{html(line)}</code></li>"
            for sentence, line in best_commands(comparison)
        ]
        parts.append("</ul>")
        parts += map(as_html, _tables(comparison))
        lines = shown_lines(comparison, len(comparison.contests))
        notes = [f"Note: {note}." for note in comparison.notes]
        items = "\n".join(f"<li>{html(line)}</li>" for line in (*lines, *notes))
        parts.append(f"<ul>\n{items}\n</ul>" if items else "")
    for name, image in images.items():
        content = base64.b64encode(image).decode()
        parts.append(f'<img alt="{html(name)}" src="data:image/png;base64,{content}">')
    body = "\n".join([*parts, f'<p class="note">{html(METHOD)}</p>'])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n<title>Comparison</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
