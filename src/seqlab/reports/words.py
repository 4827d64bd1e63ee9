"""A comparison in words: what is better, and what is within noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from seqlab.command import composing_flags, training
from seqlab.data.direction import Direction
from seqlab.reports.collect import SHOWN, Run, overrides
from seqlab.reports.comparison import Comparison, Contest
from seqlab.reports.groups import Configuration
from seqlab.reports.records import read_yaml

NOTHING = "–"
# From here on the digits of a number fill a table and tell nothing.
HUGE = 1e9


def number(value: float | None, digits: int = 4) -> str:
    """A metric with so many digits behind the point; with an exponent where it is tiny or huge."""
    if value is None:
        return NOTHING
    size = abs(value) if math.isfinite(value) else 0
    short = 0 < size < 10.0**-digits or size >= HUGE
    return f"{value:.3g}" if short else f"{value:.{digits}f}"


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


def damaged(runs: Sequence[Run]) -> list[str]:
    """A line for each run whose record cannot be read."""
    return [f"{run.folder / run.damaged} is damaged: left out" for run in runs if run.damaged]


def statuses(runs: Sequence[Run]) -> str:
    """How many runs there are, and what became of those that are not counted."""
    counts = Counter(run.status for run in runs)
    finished = counts.pop("finished", 0)
    if not counts:
        return f"{len(runs)} runs, all finished"
    rest = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{len(runs)} runs: {finished} finished; not counted: {rest}"


def command(configuration: Configuration) -> str:
    """What runs a configuration again, all its seeds, and all that it is averaged over."""
    runs = configuration.runs
    words = _swept([_words(run) for run in runs])
    if words is None:  # no product of values: the first of them stands for all
        runs = next(iter(configuration.strata.values()))
        words = _words(runs[0])
    seeds = list(dict.fromkeys(run.seed for run in runs if run.seed))
    many = ["-m"] if len(seeds) > 1 or words != _words(runs[0]) else []
    words |= {"seed": f"={','.join(seeds)}"} if seeds else {}
    given = [f"{key}{value}" for key, value in words.items()]
    former = read_yaml(runs[0].folder / "environment.json")  # JSON is YAML
    typed_then = former.get("command") if isinstance(former, dict) else None
    flags = composing_flags(list(map(str, typed_then))) if isinstance(typed_then, list) else []
    return training([*flags, *many, *given])


def _words(run: Run) -> dict[str, str]:
    """A run's command line, as {key: "=value"}; without its seed and what decides nothing."""
    words = overrides(run.folder) or [f"{key}={value}" for key, value in run.given.items()]
    pairs = (word.partition("=") for word in words)
    return {
        key: f"{equals}{value}"
        for key, equals, value in pairs
        if key.lstrip("+") != "seed" and not key.lstrip("+").startswith(SHOWN)
    }


def _swept(lines: Sequence[Mapping[str, str]]) -> dict[str, str] | None:
    """The command lines as one of a sweep; None where they are not each value with each."""
    first = lines[0]
    if any(list(line) != list(first) for line in lines):
        return None
    values = {key: list(dict.fromkeys(line[key] for line in lines)) for key in first}
    combinations = {tuple(line.values()) for line in lines}
    if math.prod(map(len, values.values())) != len(combinations):
        return None
    return {
        key: found[0] if len(found) == 1 else f"={','.join(value[1:] for value in found)}"
        for key, found in values.items()
    }


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
