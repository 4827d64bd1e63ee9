"""Which settings of a forecaster fit together and fit the series."""

from __future__ import annotations

from seqlab.data.spec import Observation, SeriesSpec, Spec
from seqlab.errors import InputError, check_at_least
from seqlab.nn.scaling import NORMALISERS


def check_settings(
    spec: Spec,
    *,
    head: str,
    normaliser: str,
    stepwise: bool,
    log: bool,
    difference: int,
    series_embedding: int,
) -> SeriesSpec:
    """What the spec tells of the series.

    Raises:
        InputError: settings that cannot work together or with the data.
    """
    series = spec.series
    if spec.task != "forecasting" or series is None:
        raise InputError(
            f"task=forecasting needs series, but this data is for task={spec.task}; leave out "
            "task=, which the data sets itself"
        )
    check_at_least("difference", difference, 0)
    check_at_least("series_embedding", series_embedding, 0)
    if normaliser not in (*NORMALISERS, "reversible"):
        raise InputError(
            f"task.normaliser={normaliser!r} must be {', '.join(NORMALISERS)} or reversible"
        )
    if not series.autoregressive:
        _check_regression(
            {
                "task.decoder": stepwise and "recursive or attention",
                "task.normaliser": normaliser != "none" and normaliser,
                "task.log": log,
                "task.difference": difference,
                "task.head": head == "negative_binomial" and head,
            }
        )
    if series_embedding and series.num_series == 1:
        raise InputError(
            f"task.series_embedding={series_embedding} tells series apart, but there is only one; "
            "set it to 0"
        )
    if log and series.smallest is not None and series.smallest.value <= 0:
        raise InputError(
            f"task.log=true needs positive values, but {_describe(series.smallest)}; "
            "use task.log=false"
        )
    if head == "negative_binomial":
        _check_counts(series)
        if NORMALISERS.get(normaliser, NORMALISERS["standard"]).shifts or log or difference:
            raise InputError(
                "task.head=negative_binomial forecasts counts, which can be scaled but not moved; "
                "use task.normaliser=mean or none, task.log=false and task.difference=0"
            )
    return series


def _check_regression(wrong: dict[str, object]) -> None:
    for key, value in wrong.items():
        if value:
            raise InputError(
                f"{key}={value} is for forecasting a series from its own past, but this data asks "
                "for one target a sequence; leave it out"
            )


def _check_counts(series: SeriesSpec) -> None:
    if series.not_a_count is not None:
        raise InputError(
            "task.head=negative_binomial needs whole numbers from 0 on, but "
            f"{_describe(series.not_a_count)}; use task.head=gaussian, student_t or quantile"
        )


def _describe(value: Observation) -> str:
    return f"series {value.series!r} at {value.time} is {value.value:g}"
