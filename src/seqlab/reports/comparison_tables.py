"""The tables of a comparison: scores, and contests."""

from __future__ import annotations

from collections.abc import Sequence

from seqlab.reports.collect import Run
from seqlab.reports.comparison import Comparison, Contest, Score
from seqlab.reports.groups import FEW, Section
from seqlab.reports.tables import Table
from seqlab.reports.words import NOTHING, number, p_text, span, verdict

# More columns than these would not fit on a screen.
MOST_KEYS = 4


def scores_table(comparison: Comparison) -> Table:
    """A row a configuration, the best of each section first and bold."""
    entries = [(section, score) for section, scores in comparison.scores for score in scores]
    problem, label = _keys(comparison)
    wide = len(problem) + len(label) > MOST_KEYS
    named = ["on", "configuration"] if wide else [*problem, *label]
    rows, raw, bold = [], [], set()
    for section, score in entries:
        if any(score is scores[0] for _, scores in comparison.scores):
            bold.add(len(rows))
        known = section.problem | score.configuration.label
        cells = [known.get(key, "") for key in named]
        if wide:
            cells = [section.name, score.configuration.name]
        rows.append([*cells, *_numbers(score)])
        raw.append(_raw(comparison.metric, section, score))
    return Table(
        title=f"{comparison.metric}{data_of(comparison)}, {comparison.way} is better"
        + _references(comparison),
        columns=[*named, "n", "mean", "95 % (t)", "95 % (bootstrap)", "IQM"],
        rows=rows,
        numbers=frozenset(["n", "mean", "95 % (t)", "95 % (bootstrap)", "IQM"]),
        raw=raw,
        bold=frozenset(bold),
    )


def contests_table(comparison: Comparison) -> Table:
    """A row a contest."""
    problem = _keys(comparison)[0]
    wide = len(problem) > FEW
    rows = [
        [
            *([contest.section.name] if wide else contest.section.problem.values()),
            contest.first.configuration.name,
            contest.second.configuration.name,
            _signed(contest.difference.value),
            span(contest.difference.low, contest.difference.high),
            p_text(contest.adjusted),
            _chance(contest),
            p_text(contest.examples.difference.p) if contest.examples else NOTHING,
        ]
        for contest in comparison.contests
    ]
    numbers = ["diff.", "95 %", "p (Holm)", "P(better)", "p (ex.)"]
    return Table(
        title=f"Differences in {comparison.metric}",
        columns=[*(["on"] if wide else problem), "first", "second", *numbers],
        rows=rows,
        numbers=frozenset(numbers),
        raw=[_raw_contest(comparison, contest) for contest in comparison.contests],
        bold=frozenset(n for n, contest in enumerate(comparison.contests) if contest.decided),
    )


def _keys(comparison: Comparison) -> tuple[list[str], list[str]]:
    problem = dict.fromkeys(key for section, _ in comparison.scores for key in section.problem)
    label = dict.fromkeys(
        key for _, scores in comparison.scores for s in scores for key in s.configuration.label
    )
    return list(problem), list(label)


def _numbers(score: Score) -> list[str]:
    return [
        str(score.n),
        number(score.mean.value),
        span(score.mean.low, score.mean.high),
        span(score.resampled.low, score.resampled.high),
        number(score.middle.value),
    ]


def data_of(comparison: Comparison) -> str:
    """What was learned, where it is one and the same."""
    runs = [run for _, scores in comparison.scores for s in scores for run in s.configuration.runs]
    names = {run.choices.get("data", "") for run in runs}
    return f" on {names.pop()}" if len(names) == 1 and "" not in names else ""


def _references(comparison: Comparison) -> str:
    """What is trivial and what is possible, where it is the same everywhere."""
    told = {
        tuple(references(score.configuration.runs, comparison.metric).items())
        for _, scores in comparison.scores
        for score in scores
    }
    if len(told) != 1:
        return ""
    return "".join(f", {name} {number(value)}" for name, value in next(iter(told)))


def references(runs: Sequence[Run], metric: str) -> dict[str, float]:
    """Trivial and best possible score, where the data of runs knows them of this metric."""
    known = runs[0].results.get("reference") or {}
    if metric != f"test/{runs[0].headline}":
        return {}
    return {name: known[name] for name in ("trivial", "optimum") if known.get(name) is not None}


def _raw(metric: str, section: Section, score: Score) -> dict[str, object]:
    return {
        **section.problem,
        **score.configuration.label,
        "metric": metric,
        "n": score.n,
        "mean": score.mean.value,
        "std": score.std,
        "low": score.mean.low,
        "high": score.mean.high,
        "bootstrap_low": score.resampled.low,
        "bootstrap_high": score.resampled.high,
        "iqm": score.middle.value,
        "iqm_low": score.middle.low,
        "iqm_high": score.middle.high,
    }


def _raw_contest(comparison: Comparison, contest: Contest) -> dict[str, object]:
    examples = contest.examples
    return {
        **contest.section.problem,
        "metric": comparison.metric,
        "first": contest.first.configuration.name,
        "second": contest.second.configuration.name,
        "difference": contest.difference.value,
        "low": contest.difference.low,
        "high": contest.difference.high,
        "shared_seeds": contest.seeds,
        "p_student": contest.difference.p,
        "p_exchanged_seeds": contest.flips,
        "p_holm": contest.adjusted,
        "probability_better": contest.improvement.value,
        "probability_low": contest.improvement.low,
        "probability_high": contest.improvement.high,
        "examples": examples.count if examples else None,
        "examples_low": examples.difference.low if examples else None,
        "examples_high": examples.difference.high if examples else None,
        "p_examples": examples.difference.p if examples else None,
        "examples_test": examples.test if examples else contest.why_not,
        "verdict": verdict(contest, comparison.way),
    }


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value).replace("-", "−")


def _chance(contest: Contest) -> str:
    # Of single runs it would be 0 or 1, whatever the truth.
    if min(contest.first.n, contest.second.n) < 2:
        return NOTHING
    return f"{contest.improvement.value:.2f}"


def shown_lines(comparison: Comparison, most: int) -> Sequence[str]:
    """The verdicts, so many at most, and a word about the rest."""
    known = [contest for contest in comparison.contests if contest.p is not None]
    lines = [
        (f"{contest.section.name}: " if contest.section.problem else "")
        + verdict(contest, comparison.way)
        for contest in known
    ]
    unknown = len(comparison.contests) - len(known)
    if unknown:
        lines.append(
            f"{unknown} of {len(comparison.contests)} differences are of single runs, with no test "
            "examples to go by: whether they are noise is unknown; add seeds."
        )
    left = len(lines) - most
    return lines if left <= 0 else [*lines[:most], f"… and {left} more; --output DIR has all"]
