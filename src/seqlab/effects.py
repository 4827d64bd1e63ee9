"""Settings that have an effect only beside others: which, in one table, and how that is told."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from seqlab.errors import InputError
from seqlab.value_types import shown, value_at

# Values that switch a setting off, and so need nothing else.
OFF = (None, False, 0)


@dataclass(frozen=True)
class Rule:
    """Settings that need another one.

    Conditions are `key=a|b`, `key!=a|b` or `key>1`; several, between blanks, must all hold. An
    empty section counts as null.

    Attributes:
        keys: the settings, between blanks; `section.*` for all below one.
        needs: the condition under which they have an effect.
        where: the condition under which the rule applies at all.
    """

    keys: str
    needs: str
    where: str = ""


BEAM = "beam_size length_penalty coverage_penalty"
SAMPLING = "temperature top_k top_p seed"
FORCING = "task.forcing task.forcing_start"
SCHEDULE = "task.forcing_end task.forcing_steps"
STEPWISE = "task.decoder!=direct|null"
VALIDATES = "trainer.limit_val_batches!=0|0.0"
RULES = (
    Rule(" ".join(f"task.search.{name}" for name in BEAM.split()), "task.search.method=beam"),
    Rule(" ".join(f"task.search.{name}" for name in SAMPLING.split()), "task.search.method=sample"),
    Rule(SCHEDULE, "task.forcing!=constant"),
    Rule(f"{FORCING} {SCHEDULE} task.num_samples", STEPWISE, where="task.name=forecasting"),
    Rule("task.num_samples task.quantiles", "task.head!=mse|mae|huber"),
    Rule("task.constraints", "task.crf=true"),
    Rule("task.decoder.dropout", "task.decoder.num_layers>1"),
    Rule(
        "model.encoder.dropout",
        "model.encoder.num_layers>1",
        where="model.encoder._target_=*.RecurrentEncoder",
    ),
    Rule("model.encoder.hidden_size", "model.match_parameters=null"),
    Rule("scheduler", VALIDATES, where="scheduler._target_=*.plateau"),
    Rule("callbacks.early_stopping.*", VALIDATES),
    Rule("callbacks.best.*", f"{VALIDATES} trainer.enable_checkpointing=true"),
    Rule("callbacks.progress_bar.*", "trainer.enable_progress_bar=true"),
    Rule("callbacks.learning_rate.*", "logger!=null"),
    Rule("trainer.gradient_clip_algorithm", "trainer.gradient_clip_val>0"),
)


def refuse_without_effect(config: DictConfig) -> None:
    """Refuses what the user set on the command line and what has no effect there.

    What a file of `conf` sets is left alone. In a sweep, where a setting may be meant for other
    jobs, it is a warning: whether a swept one has an effect in each job was checked before.

    Raises:
        InputError: such a setting.
    """
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    in_a_sweep = not OmegaConf.is_missing(hydra.job, "num")
    for told in without_effect(config, hydra.overrides.task):
        if not in_a_sweep:
            raise InputError(f"{told}, or leave it out")
        warnings.warn(told, stacklevel=2)


def refuse_if_set(key: str, reason: str) -> None:
    """As `refuse_without_effect` for one key that has no effect for a reason seen in the data.

    Raises:
        InputError: the user set it.
    """
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    if key in (override.lstrip("+").partition("=")[0] for override in hydra.overrides.task):
        if OmegaConf.is_missing(hydra.job, "num"):
            raise InputError(f"{key} has no effect {reason}; leave it out")
        warnings.warn(f"{key} has no effect {reason}", stacklevel=2)


def without_effect(config: DictConfig, overrides: Sequence[str]) -> Iterator[str]:
    """What to tell about each override that has no effect.

    Args:
        config: what the overrides led to.
        overrides: of the command line.
    """
    for override in overrides:
        match = re.match(r"[+]*([\w./]+)=", override)
        if match is None or value_at(config, match[1]) in OFF:
            continue
        wrong = next(_wrong(config, match[1]), None)
        if wrong is not None:
            key, _, _ = _split(wrong)
            # Of a section it tells the option that was chosen of its group.
            choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
            now = f"{key}={choices.get(key) or _text(value_at(config, key))}"
            yield f"{override.lstrip('+')} has no effect with {now}; {_remedy(wrong)}"


def _wrong(config: DictConfig, key: str) -> Iterator[str]:
    """The conditions that a setting needs and that do not hold."""
    for rule in RULES:
        applies = any(fnmatchcase(key, pattern) for pattern in rule.keys.split())
        if applies and next(_unmet(config, rule.where), None) is None:
            yield from _unmet(config, rule.needs)


def _unmet(config: DictConfig, conditions: str) -> Iterator[str]:
    """The conditions that do not hold; one about a key that is not there does not."""
    for condition in conditions.split():
        key, sign, wanted = _split(condition)
        value = _text(value_at(config, key))
        if sign == ">":
            met = _number(value) > float(wanted)
        else:
            met = any(fnmatchcase(value, option) for option in wanted.split("|"))
            met = met if sign == "=" else not met
        if not met:
            yield condition


def _split(condition: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"([\w.]+)(!=|=|>)(.+)", condition)
    assert match is not None, condition
    return match[1], match[2], match[3]


def _text(value: Any) -> str:
    if OmegaConf.is_config(value):
        return "a section" if value else "null"
    return value if isinstance(value, str) else shown(value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _remedy(condition: str) -> str:
    key, sign, wanted = _split(condition)
    if sign == ">":
        return f"raise {key} above {wanted}"
    if sign == "!=":
        return f"choose another {key}"
    return f"add {key}={wanted.replace('|', ' or ')}"
