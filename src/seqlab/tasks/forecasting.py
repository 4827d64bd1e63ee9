"""The future of a series, and how uncertain it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlab.data.batch import Batch
from seqlab.data.spec import SeriesSpec, Spec
from seqlab.errors import InputError, check_at_least
from seqlab.networks.forecaster import Forecaster, Outcome
from seqlab.nn.conformal import Conformal
from seqlab.nn.distributions import Forecast
from seqlab.nn.distributions.heads import check_levels
from seqlab.tasks.base import MakeOptimizer, MakeScheduler, Task
from seqlab.tasks.forecast_meter import ForecastMeter, defined
from seqlab.tasks.meter import Meter
from seqlab.tasks.teacher_forcing import ScheduleName, make_forcing


@dataclass
class Prediction:
    """A forecast in the units of the series.

    Attributes:
        forecast: of (batch, horizon, channel).
        lower: (interval, batch, horizon, channel) lower bounds; None where only a point is known.
        upper: upper bounds.
        calibrated_lower: lower bounds widened by what validation missed them by; NaN before the
            first validation.
        calibrated_upper: upper bounds.
        conformity: by how much the targets lie outside the bounds, in the window's frame.
        weights: (batch, horizon or 1, time) of the attention over the history, or None.
        intervals: coverage of each interval.
        is_count: the head forecasts counts.
    """

    forecast: Forecast
    lower: Tensor | None
    upper: Tensor | None
    calibrated_lower: Tensor
    calibrated_upper: Tensor
    conformity: Tensor
    weights: Tensor | None
    intervals: tuple[float, ...]
    is_count: bool


class Forecasting(Task):
    """Trains a forecaster by its head's loss, in the windows' frames.

    The loss is the mean over all values that are not missing. No score depends on how windows are
    put into batches, but for those of sampled paths, which differ by what is drawn.

    Args:
        network: the forecaster.
        spec: what the data looks like.
        optimizer: makes the optimiser from the parameters.
        scheduler: makes the learning-rate schedule from the optimiser and the number of steps.
        horizon: steps to forecast; those of the data.
        quantiles: levels that the pinball loss is measured at.
        intervals: coverage of the intervals that are measured and calibrated.
        num_samples: paths to sample where a decoder reads what it wrote.
        forcing: the schedule of teacher forcing.
        forcing_start: its probability at the beginning.
        forcing_end: the probability that it falls to.
        forcing_steps: training steps of the fall.

    Raises:
        InputError: a horizon that is not the data's, or values out of range.
    """

    network: Forecaster

    def __init__(
        self,
        *,
        network: Forecaster,
        spec: Spec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
        horizon: int,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        intervals: Sequence[float] = (0.8, 0.95),
        num_samples: int = 100,
        forcing: ScheduleName = "constant",
        forcing_start: float = 1.0,
        forcing_end: float = 0.0,
        forcing_steps: int = 1000,
    ) -> None:
        check_levels(quantiles)
        check_at_least("num_samples", num_samples, 2)
        # Read by `new_meter`, which the base calls.
        self.quantiles = tuple(quantiles)
        self.intervals = tuple(intervals)
        super().__init__(network=network, spec=spec, optimizer=optimizer, scheduler=scheduler)
        if horizon != self.series.horizon:
            raise InputError(
                f"task.horizon={horizon} does not fit this data, whose horizon is "
                f"{self.series.horizon}; leave it out"
            )
        self.num_samples = num_samples
        self.forcing = make_forcing(
            forcing, start=forcing_start, end=forcing_end, steps=forcing_steps
        )
        self.conformal = Conformal(intervals, horizon=horizon, channels=spec.output_size)

    @property
    def series(self) -> SeriesSpec:
        """What the spec tells of the series."""
        if self.spec.series is None:
            raise InputError("task=forecasting needs series; leave out task=")
        return self.spec.series

    def new_meter(self, stage: str) -> Meter:
        return ForecastMeter(
            self.spec,
            quantiles=self.quantiles,
            intervals=self.intervals,
            headline_only=stage == "train",
            calibrate=self._calibrate if stage == "val" else None,
        )

    def measure(self, batch: Batch, stage: str) -> tuple[Tensor, Prediction | Tensor]:
        training = stage == "train"
        # The likelihood of a path is that of each step given the true ones before it.
        by_chain = self.network.stepwise and self.network.head.is_probabilistic
        ratio = self.forcing(self.global_step) if training else float(by_chain)
        outcome = self.network(
            batch.inputs,
            batch.lengths,
            batch.context,
            targets=batch.targets,
            teacher_forcing_ratio=ratio,
        )
        scaled = outcome.frame.scaled(batch.targets)
        missing = scaled.isnan()
        loss = outcome.forecast.loss(scaled.masked_fill(missing, 0.0))
        loss = loss.masked_fill(missing, 0.0).sum() / (~missing).sum().clamp(min=1)
        if training:
            with torch.no_grad():
                return loss, defined(outcome.frame.in_units(outcome.forecast).point())
        # The likelihood comes from the true values before each step, the forecast does not.
        return loss, self.predict(batch) if by_chain else self._prediction(outcome, batch)

    def scheduled(self) -> dict[str, float]:
        if not self.network.stepwise:
            return {}
        return {"teacher_forcing": self.forcing(self.global_step)}

    def predict(self, batch: Batch) -> Prediction:
        """Forecasts a batch, without looking at its targets but to judge the intervals."""
        outcome = self.network(
            batch.inputs, batch.lengths, batch.context, num_samples=self.num_samples
        )
        return self._prediction(outcome, batch)

    def forecasts(self, batch: Batch) -> Prediction:
        return self.predict(batch)

    def _prediction(self, outcome: Outcome, batch: Batch) -> Prediction:
        frame, forecast = outcome.frame, outcome.forecast
        bounds = forecast.quantiles(self.conformal.levels)
        point = forecast.point()
        count = len(self.intervals)
        lower, upper = (
            (bounds[:count], bounds[count:])
            if bounds is not None
            else (point.expand(count, *point.shape),) * 2
        )
        # A bound that is not a number bounds nothing.
        lower = lower.where(~lower.isnan(), -torch.inf)
        upper = upper.where(~upper.isnan(), torch.inf)
        wider = self.conformal(lower, upper)
        known = bounds is not None
        return Prediction(
            forecast=frame.in_units(forecast),
            lower=frame.undo(lower) if known else None,
            upper=frame.undo(upper) if known else None,
            calibrated_lower=frame.undo(wider[0]),
            calibrated_upper=frame.undo(wider[1]),
            conformity=Conformal.scores(lower, upper, frame.scaled(batch.targets)),
            weights=outcome.weights,
            intervals=self.intervals,
            is_count=self.network.head.is_count,
        )

    def _calibrate(self, conformity: Tensor) -> None:
        self.conformal.fit(conformity)
