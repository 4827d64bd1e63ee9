"""Which configuration is best, and which differences are more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from seqlab.data.direction import Direction, limits
from seqlab.errors import InputError
from seqlab.reports.collect import Run
from seqlab.reports.examples import Paired
from seqlab.reports.groups import Configuration, Grouped, Section
from seqlab.reports.outcomes import paired_on_examples
from seqlab.reports.statistics import (
    Estimate,
    bootstrap,
    contrast,
    holm,
    probability_of_improvement,
    sign_flips,
    stratified_mean,
)

ALPHA = 0.05


@dataclass(frozen=True)
class Score:
    """A configuration's metric over its runs.

    Attributes:
        configuration: whose.
        n: how many runs.
        mean: over its strata, with Student's interval.
        std: standard deviation within the strata; None where a stratum has a single run.
        resampled: the mean with its bootstrap interval.
        middle: the interquartile mean with its bootstrap interval.
    """

    configuration: Configuration
    n: int
    mean: Estimate
    std: float | None
    resampled: Estimate
    middle: Estimate


@dataclass(frozen=True)
class Contest:
    """Two configurations against each other, the one with the better mean first.

    Attributes:
        first: the better one, as far as the means tell.
        second: the other.
        difference: mean of the first less that of the second, with Student's interval and p.
        seeds: how many seeds both have; 0 where the difference is of independent runs.
        flips: p of exchanging the two of each seed; None without common seeds.
        improvement: the probability that a run of the first beats one of the second.
        examples: the result on the same test examples; None where there is none.
        why_not: why there is none.
        adjusted: p after Holm's correction for all contests of the metric; None without any p.
    """

    section: Section
    first: Score
    second: Score
    difference: Estimate
    seeds: int
    flips: float | None
    improvement: Estimate
    examples: Paired | None
    why_not: str
    adjusted: float | None = None

    @property
    def p(self) -> float | None:
        """The p-value that decides: over seeds, and of single runs over test examples."""
        if self.difference.p is not None:
            return self.difference.p
        # Where nothing varies, Student's t has nothing to go by.
        if self.difference.low is not None and self.flips is not None:
            return self.flips
        return None if self.examples is None else self.examples.difference.p

    @property
    def over_seeds(self) -> bool:
        """Whether `p` speaks of other seeds too."""
        return self.difference.low is not None and (
            self.difference.p is not None or self.flips is not None
        )

    @property
    def decided(self) -> bool:
        return self.adjusted is not None and self.adjusted < ALPHA


@dataclass(frozen=True)
class Comparison:
    """All about one metric.

    Attributes:
        scores: by section, the best first.
        contests: by section.
    """

    metric: str
    way: Direction
    scores: list[tuple[Section, list[Score]]]
    contests: list[Contest]
    notes: list[str]


def compare(groups: Grouped, against: str | None = "best") -> Comparison:
    """Scores of all configurations, and contests within each section.

    Args:
        groups: the runs.
        against: "best", each with the best of its section; "all", each with each; or a
            configuration, as `model=gru` or `model=gru,optimizer.lr=0.1`, each with that one; None
            for no contests.

    Raises:
        InputError: more than one configuration is called so.
    """
    rng = np.random.default_rng(0)
    scores = [(section, _ranked(section, groups, rng)) for section in groups.sections]
    pairs = [(section, *pair) for section, ranked in scores for pair in _pairs(ranked, against)]
    together = [pair for pair in pairs if _common(*pair[1:])]
    contests = [_contest(groups, *pair, rng=rng) for pair in together]
    notes = list(groups.notes)
    if len(together) < len(pairs):
        apart = [pair for pair in pairs if not _common(*pair[1:])]
        names = f"{apart[0][1].configuration.name} and {apart[0][2].configuration.name}"
        count = f" ({len(apart)} such pairs)" if len(apart) > 1 else ""
        notes.append(
            f"{names} share no value of what they are averaged over and are not compared{count}"
        )
    known = [place for place, contest in enumerate(contests) if contest.p is not None]
    p_values = [contests[place].p or 0.0 for place in known]
    for place, adjusted in zip(known, holm(p_values), strict=True):
        contests[place] = replace(contests[place], adjusted=adjusted)
    return Comparison(groups.metric, groups.way, scores, contests, notes)


def _ranked(section: Section, groups: Grouped, rng: np.random.Generator) -> list[Score]:
    scores = []
    for configuration in section.configurations:
        strata = configuration.values(groups.metric)
        spread = None
        if min(map(len, strata)) > 1:
            spread = math.sqrt(float(np.mean([values.var(ddof=1) for values in strata])))
        count = sum(map(len, strata))
        mean = stratified_mean(strata).within(*limits(groups.metric))
        means = mean, spread, *bootstrap(strata, rng)
        scores.append(Score(configuration, count, *means))
    sign = 1 if groups.way == "smaller" else -1
    # What is not a number is worse than any.
    return sorted(scores, key=lambda score: (math.isnan(score.mean.value), sign * score.mean.value))


def _pairs(ranked: Sequence[Score], against: str | None) -> list[tuple[Score, Score]]:
    if against is None:
        return []
    if against == "all":
        return list(combinations(ranked, 2))
    chosen = ranked[:1] if against == "best" else _called(ranked, against)
    if len(chosen) != 1:
        if chosen:
            raise InputError(
                f"--against {against} fits {len(chosen)} configurations "
                f"({', '.join(score.configuration.name for score in chosen[:4])}); name one"
            )
        return []
    place = ranked.index(chosen[0])
    return [
        (other, chosen[0]) if number < place else (chosen[0], other)
        for number, other in enumerate(ranked)
        if number != place
    ]


def _called(ranked: Sequence[Score], against: str) -> list[Score]:
    return [score for score in ranked if _fits(score.configuration.label, against)]


def _fits(label: dict[str, str], against: str) -> bool:
    pairs = [word.partition("=") for word in against.split(",")]
    return {key: value for key, _, value in pairs}.items() <= label.items()


def check_rival(groups: Sequence[Grouped], against: str) -> None:
    """Raises InputError where `against` is the name of no configuration."""
    labels = [
        configuration.label
        for each in groups
        for section in each.sections
        for configuration in section.configurations
    ]
    if against in ("best", "all") or any(_fits(label, against) for label in labels):
        return
    names = [",".join(f"{key}={value}" for key, value in label.items()) for label in labels]
    raise InputError(
        f"--against {against} fits no configuration; use best, all, or one of "
        f"{'; '.join(list(dict.fromkeys(names))[:8])}"
    )


def _common(first: Score, second: Score) -> list[tuple[str, ...]]:
    """Of what both are averaged over, what both were given."""
    there = second.configuration.strata
    return [key for key in first.configuration.strata if key in there]


def _contest(
    groups: Grouped, section: Section, first: Score, second: Score, *, rng: np.random.Generator
) -> Contest:
    sides = first.configuration.strata, second.configuration.strata
    shared = _common(first, second)
    runs = [[side[key] for key in shared] for side in sides]
    found = [
        [np.array([run.metrics[groups.metric] for run in stratum]) for stratum in side]
        for side in runs
    ]
    pairs = [_same_seeds(*strata) for strata in zip(*runs, strict=True)]
    whole = all(len(p) == len(a) == len(b) for p, a, b in zip(pairs, *runs, strict=True))
    paired = all(pairs) and (whole or min(map(len, pairs)) > 1)
    flips = None
    if paired:
        runs = [[[pair[side] for pair in stratum] for stratum in pairs] for side in (0, 1)]
        gaps = [
            np.array([one.metrics[groups.metric] - two.metrics[groups.metric] for one, two in each])
            for each in pairs
        ]
        difference = contrast([(1 / len(gaps), gap) for gap in gaps])
        if math.isfinite(difference.value):
            flips = sign_flips(gaps, rng)
    else:
        coefficients = zip((1 / len(shared), -1 / len(shared)), found, strict=True)
        difference = contrast([(c, values) for c, side in coefficients for values in side])
    improvement = probability_of_improvement(
        found[0], found[1], smaller=groups.way == "smaller", rng=rng
    )
    flat = [[run for stratum in side for run in stratum] for side in runs]
    examples = paired_on_examples(groups.metric, *flat)
    return Contest(
        section=section,
        first=first,
        second=second,
        difference=difference,
        seeds=min(map(len, pairs)) if paired else 0,
        flips=flips,
        improvement=improvement,
        examples=examples if isinstance(examples, Paired) else None,
        why_not=examples if isinstance(examples, str) else "",
    )


def _same_seeds(first: Sequence[Run], second: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The runs of equal seeds, which share initial noise and order of the data."""
    others = {run.seed: run for run in second}
    return [(run, others[run.seed]) for run in first if run.seed in others]
