"""From a comparison to its pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqlab.reports import key_plots, plots
from seqlab.reports.collect import Run
from seqlab.reports.comparison import Comparison, Contest, Score
from seqlab.reports.comparison_tables import data_of, references
from seqlab.reports.curves import band, curve_metric
from seqlab.reports.groups import Section
from seqlab.reports.importance import Importance, as_numbers, importances
from seqlab.reports.study_file import Study

# What one picture can show: sections, configurations of a section, and curves of a panel.
SECTIONS, CONFIGURATIONS, CURVES = 6, 16, 7
# Contests, and lines of the parallel coordinates.
CONTESTS, LINES = 24, 300


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """PNG files by name: `configurations`, `curves`, `contests`, `importance`, `parallel`.

    Those that would show nothing are left out: contests of one configuration, importance and
    parallel coordinates unless two keys differ.
    """
    scores = [(section, found) for section, found in comparison.scores if found]
    if not scores:
        return {}
    colours = _colours(scores)
    made = {"configurations": _configurations(comparison, scores, colours)}
    for name, draw in (("curves", _curves), ("contests", _contests)):
        picture = draw(comparison, scores, colours)
        if picture is not None:
            made[name] = picture
    runs = [run for _, found in scores for score in found for run in score.configuration.runs]
    columns = _columns(scores, runs)
    values = np.array([run.metrics[comparison.metric] for run in runs])
    if len([key for key in columns if key != "seed"]) > 1 and np.isfinite(values).sum() > 2:
        title = f"What {comparison.metric} depends on, {len(runs)} runs"
        study = _common_study(runs)
        made["importance"] = _importance(study, columns, values, title)
        lined = {key: column for key, column in columns.items() if key != "seed"}
        chosen = np.unique(np.linspace(0, len(runs) - 1, min(len(runs), LINES)).astype(int))
        few = f", {len(chosen)} of {len(runs)} runs" if len(chosen) < len(runs) else ""
        made["parallel"] = key_plots.parallel_plot(
            {key: [column[n] for n in chosen] for key, column in lined.items()},
            values[chosen],
            title=f"Runs over their keys{few}",
            metric=comparison.metric,
            smaller=comparison.way == "smaller",
            logarithmic=None if study is None else study.logarithmic,
        )
    return made


def _common_study(runs: Sequence[Run]) -> Study | None:
    """The search that all runs are trials of."""
    studies = [run.study for run in runs]
    return studies[0] if all(study == studies[0] for study in studies) else None


def _importance(
    study: Study | None, columns: dict[str, list[str]], values: np.ndarray, title: str
) -> bytes:
    """Optuna's own importances of a search; else the share of the variance."""
    if study is not None and study.importances:
        ordered = sorted(study.importances.items(), key=lambda item: -item[1])
        entries = [Importance(key, share) for key, share in ordered]
        return key_plots.importance_plot(
            entries, title=title, scale=f"importance for {study.metrics[0]} by Optuna"
        )
    scale = "share of the variance over all runs, each key alone (ω²)"
    return key_plots.importance_plot(importances(columns, values), title=title, scale=scale)


def _colours(scores: Sequence[tuple[Section, list[Score]]]) -> dict[str, str]:
    """One colour a configuration in all pictures; those that come first get the first ones."""
    names = dict.fromkeys(s.configuration.name for _, found in scores for s in found)
    return {name: plots.COLOURS[n % len(plots.COLOURS)] for n, name in enumerate(names)}


def _dots(score: Score, comparison: Comparison, colours: dict[str, str]) -> plots.Dots:
    values = np.concatenate(score.configuration.values(comparison.metric))
    name = score.configuration.name
    ends = score.mean.low, score.mean.high
    return plots.Dots(name, values, score.mean.value, *ends, colours[name])


def _configurations(
    comparison: Comparison,
    scores: Sequence[tuple[Section, list[Score]]],
    colours: dict[str, str],
) -> bytes:
    title = f"{comparison.metric}{data_of(comparison)}, {comparison.way} is better"
    key = _numeric_key(scores)
    if key is not None:
        lines: dict[str, list[tuple[float, plots.Dots]]] = {}
        for section, found in scores:
            for score in found:
                point = float(section.problem[key]), _dots(score, comparison, colours)
                lines.setdefault(score.configuration.name, []).append(point)
        if len(lines) <= CURVES:
            return plots.lines_plot(lines, title=title, metric=comparison.metric, key=key)
    panels = []
    for section, found in scores[:SECTIONS]:
        few = f"best {CONFIGURATIONS} of {len(found)}" if len(found) > CONFIGURATIONS else ""
        dots = [_dots(score, comparison, colours) for score in found[:CONFIGURATIONS]]
        name = ", ".join(filter(None, (section.name, few)))
        panels.append(
            plots.Panel(name, dots, references(found[0].configuration.runs, comparison.metric))
        )
    if len(scores) > SECTIONS:
        title += f", first {SECTIONS} of {len(scores)}"
    return plots.configurations_plot(panels, title=title, metric=comparison.metric)


def _numeric_key(scores: Sequence[tuple[Section, list[Score]]]) -> str | None:
    """The one key that tells sections apart, if it is a number with three values or more."""
    keys = list(scores[0][0].problem)
    if len(keys) != 1 or len(scores) < 3:
        return None
    numbers = as_numbers([section.problem[keys[0]] for section, _ in scores])
    return None if numbers is None else keys[0]


def _curves(
    comparison: Comparison,
    scores: Sequence[tuple[Section, list[Score]]],
    colours: dict[str, str],
) -> bytes | None:
    for metric in curve_metric(comparison.metric):
        panels = {}
        for section, found in scores[:SECTIONS]:
            best = [score.configuration for score in found[:CURVES]]
            bands = {one.name: (band(one.runs, metric), colours[one.name]) for one in best}
            known = {name: (line, c) for name, (line, c) in bands.items() if line is not None}
            if known:
                panels[section.name] = known
        if panels:
            many = any(len(found) > CURVES for _, found in scores)
            title = f"{metric} while training, mean and range of seeds"
            title += f" (best {CURVES})" if many else ""
            return plots.curves_plot(panels, title=title, metric=metric)
    return None


def _contests(
    comparison: Comparison,
    scores: Sequence[tuple[Section, list[Score]]],
    colours: dict[str, str],
) -> bytes | None:
    rows = [
        (
            f"{contest.section.name}: " * bool(contest.section.problem)
            + f"{contest.first.configuration.name} − {contest.second.configuration.name}",
            contest.difference.value,
            *_interval(contest),
            contest.decided,
        )
        for contest in comparison.contests
        if np.isfinite(contest.difference.value) and contest.p is not None
    ]
    if not rows:
        return None
    few = f", {CONTESTS} of {len(rows)}" if len(rows) > CONTESTS else ""
    title = f"Differences, with their 95 % intervals{few}"
    return plots.contests_plot(rows[:CONTESTS], title=title, metric=comparison.metric)


def _interval(contest: Contest) -> tuple[float | None, float | None]:
    """Over seeds, and of single runs over test examples."""
    if contest.difference.low is None and contest.examples is not None:
        return contest.examples.difference.low, contest.examples.difference.high
    return contest.difference.low, contest.difference.high


def _columns(
    scores: Sequence[tuple[Section, list[Score]]], runs: Sequence[Run]
) -> dict[str, list[str]]:
    """Values of every key that differs, the seed last."""
    keys = dict.fromkeys(
        key
        for section, found in scores
        for score in found
        for key in (*section.problem, *score.configuration.label)
    )
    columns = {key: [run.value(key) or "" for run in runs] for key in (*keys, "seed")}
    return {key: column for key, column in columns.items() if len(set(column)) > 1}
