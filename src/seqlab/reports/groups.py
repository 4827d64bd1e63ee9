"""Which runs are one configuration, and which configurations may be compared with one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqlab.data.direction import Direction, direction, higher_is_better
from seqlab.errors import InputError
from seqlab.reports.collect import Run, changed, headlines, last_word, metric_names

# Up to so many keys, a name has all of them.
FEW = 3
# Settings of the data that leave its test set as it is.
TRAINING_DATA = ("data.train_", "data.val_")


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in their seed alone, or in what they are averaged over.

    Attributes:
        name: what it is called: its keys and values, of many keys those that most others do not
            share; an option of a config group, such as a model, stands without its key.
        label: what tells it from the others of its section, by key.
        strata: the runs of each stratum: of each dataset, say, that `--by model` averages over.
    """

    name: str
    label: dict[str, str]
    strata: dict[tuple[str, ...], list[Run]]

    @property
    def runs(self) -> list[Run]:
        return [run for runs in self.strata.values() for run in runs]

    def values(self, metric: str) -> list[np.ndarray]:
        """(runs,) the metric, by stratum."""
        return [np.array([run.metrics[metric] for run in runs]) for runs in self.strata.values()]


@dataclass(frozen=True)
class Section:
    """Configurations that were given the same to learn.

    Attributes:
        name: what it is called; empty for an only one.
        problem: what tells it from the other sections, by key.
        configurations: what is compared, in the order of the runs.
    """

    name: str
    problem: dict[str, str]
    configurations: list[Configuration]


@dataclass
class Grouped:
    """The runs that have a metric, in sections.

    Attributes:
        metric: the metric.
        way: which values of it are better.
        sections: what may be compared.
        notes: what is not in the sections, and why.
    """

    metric: str
    way: Direction
    sections: list[Section]
    notes: list[str] = field(default_factory=list)


def own_metrics(runs: Sequence[Run]) -> list[str]:
    """What the runs are ranked by (see `Run.judged_by`); the test loss where nothing says it."""
    judged = {run.judged_by for run in runs}
    found = [name for name in headlines(list(runs)) if direction(name)]
    return [name for name in found if name in judged] or [n for n in found if n == "test/loss"]


def choose_metrics(runs: Sequence[Run], wanted: Sequence[str]) -> list[str]:
    """The metrics to compare by: those wanted, else each run's headline on the test set.

    Raises:
        InputError: no run has one of them, or neither larger nor smaller values of it are better.
    """
    there = metric_names(list(runs))
    chosen = list(dict.fromkeys(wanted)) or own_metrics(runs)
    if not chosen:
        told = f"they have {', '.join(there)}; choose with --metric" if there else "nor any other"
        raise InputError(f"no finished run has the headline metric of its data; {told}")
    for name in chosen:
        if name not in there:
            raise InputError(
                f"--metric {name}: no finished run has it; they have {', '.join(there) or 'none'}"
            )
        try:
            higher_is_better(name)
        except InputError as error:
            others = ", ".join(other for other in there if direction(other))
            raise InputError(f"--metric {error}; choose another of {others}") from error
    return chosen


def check_keys(runs: Sequence[Run], keys: Sequence[str]) -> None:
    """Raises InputError for a key of `--by` that no run has."""
    for key in keys:
        if all(run.value(key) is None for run in runs):
            groups = [name for run in runs for name in run.choices]
            known = dict.fromkeys([*changed(list(runs)), *groups])
            raise InputError(
                f"--by {key}: no run has this key; they differ in or chose {', '.join(known)}, and "
                "every key of their config.yaml will do"
            )


def grouped(runs: Sequence[Run], metric: str, by: Sequence[str] = ()) -> Grouped:
    """Sections of configurations with their runs.

    Keys of the data (`data`, `data.…`) make sections, as scores on different data say nothing about
    each other; where only such keys are given in `by`, they are what is compared.

    Args:
        runs: finished runs.
        metric: what is compared.
        by: the keys that tell configurations apart; if empty, all that differ but the seed. The
            runs of a configuration are averaged over the keys that differ beside these.
    """
    way = direction(metric)
    assert way is not None  # `choose_metrics` asks
    having = [run for run in runs if metric in run.metrics]
    differing = _differing(having)
    keys = list(by) or differing
    problem = [key for key in keys if _is_problem(key)]
    rest = [key for key in keys if key not in problem]
    if by and not rest:
        problem, rest = [], list(by)
    if not rest:  # a single configuration is called by its model
        rest = [key for key in ("model",) if having[0].value(key)]
    averaged = [key for key in differing if key not in keys]
    usual = {key: _commonest(having, key) for key in (*problem, *rest)}
    sections: dict[tuple[str, ...], dict[tuple[str, ...], Configuration]] = {}
    for run in having:
        label = {key: run.value(key) or "" for key in rest}
        section = sections.setdefault(_values(run, problem), {})
        short = _named(label, having) if len(rest) <= FEW else _unusual(label, usual)
        empty = Configuration(short.strip() or "the configuration", label, {})
        configuration = section.setdefault(tuple(label.values()), empty)
        configuration.strata.setdefault(_values(run, averaged), []).append(run)
    notes = []
    if len(having) < len(runs):
        lacking = len(runs) - len(having)
        verb = "run has" if lacking == 1 else "runs have"
        notes.append(f"{lacking} finished {verb} no {metric}")
    repeated = sum(map(_without_repeats, _all(sections)))
    if repeated:
        told = "1 run repeats" if repeated == 1 else f"{repeated} runs repeat"
        notes.append(f"{told} configuration and seed of a newer one; the newest is counted")
    if averaged:
        notes.append(f"averaged over {', '.join(averaged)}, each value weighing the same")
    found = []
    for values, configurations in sections.items():
        asked = dict(zip(problem, values, strict=True))
        name = _unusual(asked, usual if len(problem) > FEW else {})
        found.append(Section(name, asked, list(configurations.values())))
    return Grouped(metric, way, found, notes)


def _named(label: Mapping[str, str], runs: Sequence[Run]) -> str:
    """Values with their keys; the option of a config group says itself what it is."""
    groups = {name for run in runs for name in run.choices}
    words = [value if key in groups else _pair(key, value, label) for key, value in label.items()]
    return " ".join(filter(None, words))


def _pair(key: str, value: str, others: Iterable[str]) -> str:
    return f"{last_word(key, others)}={value}"


def _commonest(runs: Sequence[Run], key: str) -> str:
    return Counter(run.value(key) or "" for run in runs).most_common(1)[0][0]


def _unusual(label: Mapping[str, str], usual: Mapping[str, str]) -> str:
    """The keys and values that most others do not share."""
    told = {key: value for key, value in label.items() if usual.get(key) != value}
    words = [_pair(key, value, label) for key, value in told.items()]
    return " ".join(words) or ("the usual" if label else "")


def _differing(runs: Sequence[Run]) -> list[str]:
    """The keys that differ between runs, however each came by its value; without the seed."""
    keys = [key for key in changed(list(runs)) if key != "seed"]
    # A preset, or a default, may have chosen what another run's command line did.
    keys += [key for key in ("data", "model") if key not in keys and all(r.choices for r in runs)]
    return [key for key in keys if len({run.value(key) for run in runs}) > 1]


def _is_problem(key: str) -> bool:
    # A preset chooses its data.
    if key in ("data", "experiment"):
        return True
    return key.startswith("data.") and not key.startswith(TRAINING_DATA)


def _values(run: Run, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(run.value(key) or "" for key in keys)


def _all(
    sections: dict[tuple[str, ...], dict[tuple[str, ...], Configuration]],
) -> list[Configuration]:
    return [configuration for section in sections.values() for configuration in section.values()]


def _without_repeats(configuration: Configuration) -> int:
    """Keeps the newest run of each seed, as a repeat is no further evidence; how many went."""
    gone = 0
    for stratum, runs in configuration.strata.items():
        seeds = Counter(run.seed for run in runs)
        if len(seeds) == len(runs):
            continue
        newest: dict[str, Run] = {}
        for run in sorted(runs, key=lambda run: _written(run.folder)):
            newest[run.seed] = run
        gone += len(runs) - len(newest)
        configuration.strata[stratum] = [run for run in runs if newest[run.seed] is run]
    return gone


def _written(folder: Path) -> float:
    return (folder / "results.json").stat().st_mtime
