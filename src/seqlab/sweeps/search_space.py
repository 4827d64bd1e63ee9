"""The search space: which keys are searched, over what, and when each exists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from seqlab.errors import InputError

Value = str | int | float | bool | None
EXAMPLE = "'optimizer.lr=tag(log,interval(1e-4,1e-1))' or model=gru,lstm"


@dataclass(frozen=True)
class Parameter:
    """One key that is searched.

    Attributes:
        key: the key or config group, as it stands in an override.
        distribution: the values that it may take.
        when: other keys and the values, as text, that they must have for this one to exist.
    """

    key: str
    distribution: BaseDistribution
    when: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return self.key.lstrip("+")

    def exists(self, chosen: Mapping[str, Value]) -> bool:
        return all(
            name in chosen and _text(chosen[name]) in values for name, values in self.when.items()
        )

    def suggest(self, trial: Trial) -> Value:
        space = self.distribution
        if isinstance(space, CategoricalDistribution):
            return trial.suggest_categorical(self.name, space.choices)
        if isinstance(space, IntDistribution):
            return trial.suggest_int(
                self.name, space.low, space.high, step=space.step, log=space.log
            )
        assert isinstance(space, FloatDistribution)
        return trial.suggest_float(self.name, space.low, space.high, step=space.step, log=space.log)

    def values(self) -> list[Value] | None:
        """All values; None where they cannot be counted."""
        space = self.distribution
        if isinstance(space, CategoricalDistribution):
            return list(space.choices)
        if isinstance(space, IntDistribution):
            return list(range(space.low, space.high + 1, space.step))
        assert isinstance(space, FloatDistribution)
        if space.step is None:
            return None
        low, step = Decimal(str(space.low)), Decimal(str(space.step))
        count = int((Decimal(str(space.high)) - low) / step) + 1
        return [float(low + step * number) for number in range(count)]

    def text(self, value: Value) -> str:
        """A value as an override holds it; of a number in an interval six digits, if these do."""
        space = self.distribution
        if isinstance(space, FloatDistribution) and space.step is None:
            assert isinstance(value, (int, float))
            short = f"{float(f'{value:.6g}')}"
            if abs(float(short) - value) <= 1e-4 * (space.high - space.low):
                return short
        return _text(value)

    def __str__(self) -> str:
        space = self.distribution
        if isinstance(space, CategoricalDistribution):
            told = f"one of {', '.join(map(_text, space.choices))}"
        else:
            assert isinstance(space, (IntDistribution, FloatDistribution))
            told = f"{space.low} to {space.high}"
            told += f" in steps of {space.step}" if space.step not in (None, 1) else ""
            told += ", log" if space.log else ""
        for name, values in sorted(self.when.items()):
            told += f", when {name}={','.join(values)}"
        return told


@dataclass(frozen=True)
class SearchSpace:
    """Everything that is searched, and what all trials have in common.

    Attributes:
        parameters: in an order in which each stands behind those that it depends on.
        fixed: the overrides of every trial.
    """

    parameters: Sequence[Parameter]
    fixed: Sequence[str]

    def suggest(self, trial: Trial) -> list[str]:
        """The overrides of a trial: what is suggested first, as it tells trials apart."""
        chosen: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.exists(chosen):
                chosen[parameter.name] = parameter.suggest(trial)
        return self.words(chosen)

    def words(self, chosen: Mapping[str, Value]) -> list[str]:
        """The overrides that a trial's parameters make."""
        own = [
            f"{parameter.key}={parameter.text(chosen[parameter.name])}"
            for parameter in self.parameters
            if parameter.name in chosen
        ]
        return [*own, *self.fixed]

    def grid(self) -> list[dict[str, Value]]:
        """Every point, the last parameter varying fastest.

        Raises:
            InputError: an interval, of whose values there is no end.
        """
        points: list[dict[str, Value]] = [{}]
        for parameter in self.parameters:
            values = parameter.values()
            if values is None:
                raise InputError(
                    f"hydra/sweeper/sampler=grid needs values, and {parameter.name} has the "
                    f"interval {parameter}; use {parameter.key}=range(start,stop,step) or choice(…)"
                )
            points = [
                {**point, parameter.name: value} if parameter.exists(point) else point
                for point in points
                for value in (values if parameter.exists(point) else values[:1])
            ]
        return points

    def told(self) -> dict[str, str]:
        """Each parameter's values in words; two spaces are the same if these are."""
        return {parameter.name: str(parameter) for parameter in self.parameters}


def search_space(overrides: Sequence[Override]) -> SearchSpace:
    """The space that overrides in Hydra's grammar describe.

    `interval(a,b)` is a range of numbers, `int(interval(a,b))` of whole numbers, `range(a,b,step)`
    and `choice(…)` are values; `tag(log,…)` searches by the logarithm, and `tag('model=lstm',…)`
    makes a parameter that exists only where `model` is `lstm`.

    Args:
        overrides: the parsed command line; of a key given twice the last one counts.

    Raises:
        InputError: nothing is searched; a range without values; a condition on no parameter.
    """
    by_key = {override.get_key_element().lstrip("+"): override for override in overrides}
    swept = {key: entry for key, entry in by_key.items() if entry.is_sweep_override()}
    if not swept:
        raise InputError(f"hydra/sweeper=optuna has nothing to search; add a range as {EXAMPLE}")
    found = {key: _parameter(override) for key, override in swept.items()}
    for parameter in found.values():
        _check_conditions(parameter, found)
    ordered: list[Parameter] = []
    for parameter in found.values():
        _place(parameter, found, ordered, ())
    fixed = [str(entry.input_line) for key, entry in by_key.items() if key not in swept]
    return SearchSpace(ordered, fixed)


def _parameter(override: Override) -> Parameter:
    key = override.get_key_element()
    sweep: Any = override.value()
    tags: list[str] = sorted(getattr(sweep, "tags", []))
    when = {}
    for tag in tags:
        name, equals, values = tag.partition("=")
        if equals:
            when[name.strip()] = tuple(value.strip() for value in values.split(","))
        elif tag != "log":
            raise InputError(
                f"{override.input_line}: the tag {tag} has no meaning; use log, or a condition as "
                "'model=lstm'"
            )
    log = "log" in tags
    if isinstance(sweep, IntervalSweep):
        space = _interval(override, sweep, log=log)
    elif isinstance(sweep, RangeSweep):
        space = _range(override, sweep, log=log)
    else:
        if log:
            raise _refused(override, "choices have no logarithm; use interval(…) or leave out log")
        elements: Any = override.sweep_iterator()
        choices = list({_text(value): value for value in map(_choice, elements)}.values())
        # Optuna takes values that are equal, as 1 and true are, for the same.
        apart = len(set(choices)) == len(choices)
        space = CategoricalDistribution(choices if apart else tuple(map(_text, choices)))
    return Parameter(key, space, when)


def _choice(element: Any) -> Value:
    plain = element is None or isinstance(element, (bool, int, float))
    return element if plain else Transformer.str(element)


def _interval(override: Override, sweep: IntervalSweep, *, log: bool) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        raise _refused(override, "both ends must be finite numbers")
    if low >= high:
        raise _refused(override, f"it begins at {low} and ends at {high}; give the smaller first")
    if log and low <= 0:
        raise _refused(override, "a logarithm needs a range above 0; raise its lower end")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _range(override: Override, sweep: RangeSweep, *, log: bool) -> BaseDistribution:
    start, step = Decimal(str(sweep.start)), Decimal(str(sweep.step))
    # Counted as for a grid, which adds up binary fractions.
    count = sum(1 for _ in sweep.range()) if step else 0
    if count < 1:
        raise _refused(override, "it holds no values; give start, stop and a step towards stop")
    last = start + step * (count - 1)
    low, high, step = min(start, last), max(start, last), abs(step)
    whole = all(part == part.to_integral_value() for part in (low, high, step))
    if log:
        if not whole or step != 1:
            raise _refused(override, "steps have no logarithm; use tag(log,interval(…))")
        if low <= 0:
            raise _refused(override, "a logarithm needs a range above 0; raise its lower end")
    if whole and isinstance(sweep.start, int):
        return IntDistribution(int(low), int(high), step=int(step), log=log)
    return FloatDistribution(float(low), float(high), step=float(step))


def _check_conditions(parameter: Parameter, found: Mapping[str, Parameter]) -> None:
    for name, values in parameter.when.items():
        if name not in found:
            raise InputError(
                f"{parameter.name} exists only with {name}={','.join(values)}, but {name} is not "
                f"searched ({', '.join(found)} are); add {name}=…, or leave the condition out"
            )
        there = found[name].values()
        if there is not None and not set(values) <= set(map(_text, there)):
            raise InputError(
                f"{parameter.name} exists only with {name}={','.join(values)}, but {name} is "
                f"{found[name]}; use its values"
            )


def _place(
    parameter: Parameter,
    found: Mapping[str, Parameter],
    ordered: list[Parameter],
    path: tuple[str, ...],
) -> None:
    """Appends a parameter behind all those that it depends on."""
    if parameter.name in path:
        circle = " → ".join((*path, parameter.name))
        raise InputError(f"the conditions go in a circle ({circle}); leave one out")
    for name in parameter.when:
        _place(found[name], found, ordered, (*path, parameter.name))
    if parameter not in ordered:
        ordered.append(parameter)


def _refused(override: Override, reason: str) -> InputError:
    return InputError(f"{override.input_line}: {reason}")


def _text(value: Value) -> str:
    """A value as an override holds it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
