"""Which way a metric gets better: the one place that knows every metric of a run."""

from __future__ import annotations

import math
import re
from typing import Literal

from seqlab.errors import InputError

Direction = Literal["larger", "smaller"]

STAGES = ("train", "val", "test", "test_long", "backtest")
BASELINES = ("naive", "drift", "moving_average", "seasonal", "drift_seasonal")
ERRORS = ("mae", "mse", "rmse", "smape", "mase", "rmsse", "crps", "pinball")

_ERROR = rf"(scaled_)?({'|'.join(ERRORS)})"
_BASELINE = f"({'|'.join(BASELINES)})"
# The whole name of a metric without its stage, as a regular expression. A part of a name decides
# nothing: a class may be called "loss", and f1_loss is better when it is larger.
METRICS: dict[str, Direction | None] = {
    r"accuracy|macro_f1|f1_.+|auroc|attention_on_evidence": "larger",
    r"token_accuracy|sentence_accuracy|span_(strict_)?(precision|recall|f1)(_.+)?": "larger",
    r"exact_match(_length_\d+_\d+)?|bleu|chrf|alignment_(accuracy|mass)": "larger",
    rf"skill_vs_{_BASELINE}": "larger",
    r"(free_)?loss(_step)?|perplexity|edit_distance|calibration_error": "smaller",
    rf"({_BASELINE}_)?{_ERROR}": "smaller",
    r"parameters|seconds": "smaller",
    # What is wanted is a certain value, or nothing at all.
    r"(scaled_)?(calibrated_)?(coverage|width)_[\d.]+": None,
    rf"skill_vs_{_BASELINE}_margin": None,
    r"attention_(entropy|monotonicity)|teacher_forcing(_step)?|lr-.+": None,
}
# Those that are shares of something, or means of shares: from 0 to 1.
SHARES = (
    r"(token_|sentence_|alignment_)?accuracy|macro_f1|f1_.+|auroc|calibration_error"
    r"|span_(strict_)?(precision|recall|f1)(_.+)?|exact_match(_length_\d+_\d+)?|alignment_mass"
    r"|attention_(on_evidence|monotonicity)|edit_distance|(calibrated_)?coverage_[\d.]+"
)
_STAGE = re.compile(rf"({'|'.join(STAGES)})/")


def direction(metric: str) -> Direction | None:
    """Which values of a metric are better; None where neither are, or where it is not known.

    Args:
        metric: its name, with or without the stage: `accuracy`, `test/loss`.
    """
    _, way = _look_up(metric)
    return way


def is_known(metric: str) -> bool:
    """Whether this is the name of a metric, with or without the stage."""
    known, _ = _look_up(metric)
    return known


def limits(metric: str) -> tuple[float, float]:
    """The least and the largest value that a metric, and so its mean, can have.

    Args:
        metric: its name, with or without the stage: `accuracy`, `test/loss`.
    """
    return (0.0, 1.0) if re.fullmatch(SHARES, _without_stage(metric)) else (-math.inf, math.inf)


def higher_is_better(metric: str) -> bool:
    """Whether larger values of a metric are better.

    Args:
        metric: its name, with or without the stage: `accuracy`, `test/loss`.

    Raises:
        InputError: the metric is not known, or neither larger nor smaller values are better.
    """
    known, way = _look_up(metric)
    if way is not None:
        return way == "larger"
    if known:
        raise InputError(f"{metric}: neither larger nor smaller values are better")
    raise InputError(
        f"{metric} is not a known metric, so whether larger or smaller values are better is unknown"
    )


def _look_up(metric: str) -> tuple[bool, Direction | None]:
    """Whether the metric is known, and its direction."""
    name = _without_stage(metric)
    for pattern, way in METRICS.items():
        if re.fullmatch(pattern, name):
            return True, way
    return False, None


def _without_stage(metric: str) -> str:
    return _STAGE.sub("", metric, count=1) if _STAGE.match(metric) else metric
