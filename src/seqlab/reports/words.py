"""A comparison in words: what is better, and what is within noise."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence

from seqlab.data.direction import Direction
from seqlab.reports.collect import SHOWN, Run, overrides
from seqlab.reports.comparison import Comparison, Contest
from seqlab.reports.groups import Configuration

NOTHING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """A metric with so many digits behind the point; more where all of them would be 0."""
    if value is None or math.isnan(value):
        return NOTHING if value is None else "nan"
    small = math.isfinite(value) and 0 < abs(value) < 10.0**-digits
    return f"{value:.3g}" if small else f"{value:.{digits}f}"


def span(low: float | None, high: float | None) -> str:
    """An interval."""
    return NOTHING if low is None else f"{number(low)} to {number(high)}"


def p_text(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def verdict(contest: Contest, way: Direction) -> str:
    """A sentence or two about two configurations."""
    gap = contest.difference.value
    names = contest.first.configuration.name, contest.second.configuration.name
    if math.isnan(gap):
        return f"{names[0]} and {names[1]} cannot be compared: a score is missing or not a number."
    if (gap < 0) != (way == "smaller") and gap != 0:
        names = names[1], names[0]
    if gap == 0:
        text = f"{names[0]} and {names[1]} are equal"
    elif contest.p is None:
        return (
            f"{names[0]} is ahead of {names[1]} by {number(abs(gap))}; whether that is noise is "
            f"unknown with one run each and no test examples to go by ({contest.why_not}): add "
            "seeds."
        )
    elif contest.decided:
        text = f"{names[0]} is better than {names[1]} by {number(abs(gap))}"
    else:
        text = f"{names[0]} is within noise of {names[1]}: {number(abs(gap))} apart"
    return f"{text} ({_evidence(contest)}).{_examples(contest)}"


def _evidence(contest: Contest) -> str:
    p = f"p {_equals(contest.adjusted)}"
    if not contest.over_seeds:
        assert contest.examples is not None or contest.p is None
        return f"{p}, on test examples of single runs: other seeds may differ" if contest.p else p
    interval = span(contest.difference.low, contest.difference.high)
    counts = contest.first.n, contest.second.n
    units = (
        f"{contest.seeds} shared seeds" if contest.seeds else f"{counts[0]} and {counts[1]} runs"
    )
    return f"95 % interval {interval}, {p}, {units}"


def _equals(p: float | None) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _examples(contest: Contest) -> str:
    """What the test examples say beside the seeds, where they say something else."""
    if contest.examples is None or not contest.over_seeds or contest.decided:
        return ""
    p = contest.examples.difference.p
    if p is None or p >= 0.05:
        return ""
    return (
        f" The trained models themselves do differ on the {contest.examples.count} test examples "
        f"(p {_equals(p)}): other seeds may turn it."
    )


def statuses(runs: Sequence[Run]) -> str:
    """How many runs there are, and what became of those that are not counted."""
    counts = Counter(run.status for run in runs)
    finished = counts.pop("finished", 0)
    if not counts:
        return f"{len(runs)} runs, all finished"
    rest = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{len(runs)} runs: {finished} finished; not counted: {rest}"


def command(configuration: Configuration) -> str:
    """What runs a configuration again, all its seeds."""
    runs = configuration.runs
    words = [
        word
        for word in overrides(runs[0].folder)
        or [f"{key}={value}" for key, value in runs[0].changed.items()]
        if not word.lstrip("+").startswith(("seed=", *SHOWN))
    ]
    strata = list(configuration.strata)
    if len(strata) > 1:  # averaged over other keys: the first of them stands for all
        runs = configuration.strata[strata[0]]
    seeds = list(dict.fromkeys(run.seed for run in runs if run.seed))
    words += [f"seed={','.join(seeds)}"] if seeds else []
    many = ["-m"] if len(seeds) > 1 else []
    return " ".join(["python", "train.py", *many, *map(shlex.quote, words)])


def summary(comparison: Comparison) -> list[str]:
    """The best of each section, in a sentence each."""
    lines = []
    for section, scores in comparison.scores:
        best = scores[0]
        where = f"{section.name}: " if section.problem else ""
        verb = "is best with" if len(scores) > 1 else "reaches"
        text = f"{where}{best.configuration.name} {verb} {number(best.mean.value)}"
        if best.mean.low is not None:
            text += f" ({span(best.mean.low, best.mean.high)})"
        rivals = [c for c in comparison.contests if c.section is section and c.first is best]
        close = [c.second.configuration.name for c in rivals if c.p is not None and not c.decided]
        unknown = [c.second.configuration.name for c in rivals if c.p is None]
        for told, names in (("within noise of it", close), ("unknown without seeds", unknown)):
            rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
            text += f"; {told}: {', '.join(names[:5])}{rest}" if names else ""
        lines.append(f"{text}.")
    return lines
