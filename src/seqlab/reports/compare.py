"""What `seqlab compare` does: reads folders, compares, and shows or writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqlab.command import training
from seqlab.errors import InputError
from seqlab.reports.collect import Run, runs_below
from seqlab.reports.comparison import Comparison, check_rival, compare
from seqlab.reports.comparison_tables import contests_table, scores_table, shown_lines
from seqlab.reports.documents import best_commands, document, image_names, write_documents
from seqlab.reports.groups import check_keys, choose_metrics, grouped
from seqlab.reports.words import damaged, statuses
from seqlab.terminal import say

# Rows of a table and verdicts on the screen; its width where it goes to a file.
ROWS, VERDICTS = 30, 10


@dataclass(frozen=True)
class Found:
    """All runs of some folders, and what their comparison by each metric says."""

    runs: list[Run]
    comparisons: list[Comparison]


def compare_folders(
    folders: Sequence[Path],
    *,
    by: Sequence[str] = (),
    metrics: Sequence[str] = (),
    against: str = "best",
) -> Found:
    """Compares all runs in and below folders.

    Raises:
        InputError: a folder that does not exist or holds no runs, or a metric, key or
            configuration that the runs do not have.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; give a run's, a sweep's, or one above")
    runs = runs_below(folders)
    names = ", ".join(map(str, folders))
    if not runs:
        raise InputError(
            f"there is no run in or below {names}; `{training([])}` puts them below outputs"
        )
    finished = [run for run in runs if run.status == "finished"]
    if not finished:
        raise InputError(f"no run below {names} is finished ({statuses(runs)})")
    check_keys(finished, by)
    groups = [
        # Unless asked for another, each run is judged by the metric of its own data.
        grouped([run for run in finished if metrics or _judged_by(run, metric)], metric, by)
        for metric in choose_metrics(finished, metrics)
    ]
    check_rival(groups, against)
    return Found(runs, [compare(each, against) for each in groups])


def _judged_by(run: Run, metric: str) -> bool:
    return metric in ("test/loss", run.judged_by)


def show(found: Found) -> None:
    """Prints tables and verdicts."""
    from seqlab.reports.screen import print_table, screen  # brings rich

    console = screen()

    say(console, f"{statuses(found.runs)}.")
    for line in damaged(found.runs):
        say(console, line, style="yellow", whole=True)
    for comparison in found.comparisons:
        console.print()
        print_table(console, scores_table(comparison), ROWS)
        if any(contest.p is not None for contest in comparison.contests):
            print_table(console, contests_table(comparison), ROWS)
        for line in shown_lines(comparison, VERDICTS):
            say(console, f"• {line}")
        for reason in dict.fromkeys(c.why_not for c in comparison.contests if c.why_not):
            say(console, f"• No test on the same examples: {reason}.")
        for note in comparison.notes:
            say(console, f"• {note[0].upper()}{note[1:]}.")
        for sentence, line in best_commands(comparison):
            say(console, sentence, style="bold")
            say(console, f"  {line}", whole=True)


def text(found: Found, kind: str) -> str:
    """The comparison as one document."""
    return document(kind, found.runs, found.comparisons, images(found) if kind == "html" else {})


def write(found: Found, folder: Path, kinds: Sequence[str]) -> None:
    """Writes documents and pictures into a folder."""
    from seqlab.reports.screen import screen  # brings rich

    names = write_documents(folder, kinds, found.runs, found.comparisons, images(found))
    console = screen()
    say(console, statuses(found.runs), whole=True)
    for line in damaged(found.runs):
        say(console, line, style="yellow", whole=True)
    say(console, f"{folder}: {', '.join(names)}", whole=True)


def images(found: Found) -> dict[str, bytes]:
    """All pictures."""
    from seqlab.reports.pictures import pictures  # brings matplotlib

    return image_names(found.comparisons, [pictures(each) for each in found.comparisons])
