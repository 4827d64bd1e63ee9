"""The specification: what the data tells networks, tasks and reports about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Observation(NamedTuple):
    """One value of a series.

    Attributes:
        series: the series' name.
        time: its time, printable.
        value: the value.
    """

    series: str
    time: str
    value: float


class IllegalMove(NamedTuple):
    """Two tags in a row that the scheme of the tags forbids.

    Attributes:
        place: where the second one stands, printable.
        before: the first tag, or where the sequence starts.
        tag: the second tag, or where the sequence ends.
    """

    place: str
    before: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """What a forecaster needs to know of the series.

    Attributes:
        horizon: steps to forecast.
        period: steps of a season, for the seasonal naive forecast and MASE; 1 for none.
        autoregressive: the inputs' first features are the past of what is to be forecast; false
            where a whole sequence has one target (sequence regression).
        past_size: covariates known for the past only, next among the features.
        known_size: covariates known for the future too, last among the features.
        static_size: covariates of the series that never change.
        num_series: how many series there are.
        missing: some values are missing, which stands as NaN in inputs and targets.
        covariate_location: mean of each past, then known, then static covariate in training.
        covariate_scale: their standard deviations, 1 where constant.
        smallest: the smallest value of any series; None where there are no series.
        not_a_count: the first value that is not a whole number from 0 on; None where all are.
        names: a printable name for each series.
    """

    horizon: int
    period: int = 1
    autoregressive: bool = True
    past_size: int = 0
    known_size: int = 0
    static_size: int = 0
    num_series: int = 1
    missing: bool = False
    covariate_location: tuple[float, ...] = ()
    covariate_scale: tuple[float, ...] = ()
    smallest: Observation | None = None
    not_a_count: Observation | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the data tells everybody else; no configuration repeats it.

    Attributes:
        task: the family that the data asks for.
        kind: "tokens" (ids, 0 is padding) or "values" (real-valued features).
        input_size: size of the vocabulary, padding included, or number of features.
        output_size: number of classes, tags or target tokens, or of series forecast together.
        metric: the headline metric.
        trivial: what a predictor that ignores the input gets on the test set.
        optimum: the best that any predictor can get there; None where nobody knows.
        input_names: a printable name for each token id.
        label_names: a printable name for each class or tag.
        longest_target: tokens of the longest target sequence, the end token not counted; None
            where targets are no sequences of their own.
        scheme: how tags spell spans: "bio", "bioes" or "iob1"; None where they spell none.
        illegal_move: the first place in training where tags break the scheme; None where none do.
        series: more about the series to forecast; None for other families.
    """

    task: str
    kind: str
    input_size: int
    output_size: int
    metric: str
    trivial: float | None
    optimum: float | None
    input_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    longest_target: int | None = None
    scheme: str | None = None
    illegal_move: IllegalMove | None = None
    series: SeriesSpec | None = None
