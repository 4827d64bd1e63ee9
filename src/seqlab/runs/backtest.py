"""Rolling-origin back-test: what would have been forecast, had the model stood there each time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from lightning import Trainer
from torch import Tensor

from seqlab.callbacks.figures import prepared
from seqlab.data.baselines import baselines
from seqlab.data.batch import Batch
from seqlab.data.series import SeriesStore
from seqlab.data.spec import Spec
from seqlab.data.windows import Windows, cut_windows
from seqlab.errors import InputError, check_at_least
from seqlab.tasks.forecast_meter import ForecastMeter, defined, point_errors
from seqlab.tasks.forecasting import Forecasting, Prediction

Refit = Callable[[SeriesStore, int], Forecasting]
"""`refit(store, origin)` trains a forecaster on a store that ends where its series are cut."""


@dataclass
class BackTest:
    """The result of a back-test.

    Attributes:
        scores: the metrics over all windows, the baselines' and the skill among them.
        baselines: the metrics of each baseline.
        by_step: the metrics by step of the horizon, the baselines' as `naive/mae`.
        by_origin: the mean headline error by origin, of the `model` and of each baseline; of a
            headline metric that is a root, what it is the root of.
        windows: how many forecasts were made.
        fits: how many forecasters made them.
    """

    scores: dict[str, float]
    baselines: dict[str, dict[str, Tensor]]
    by_step: dict[str, list[float]]
    by_origin: dict[str, list[float]]
    windows: int
    fits: int


def back_test(
    task: Forecasting,
    store: SeriesStore,
    *,
    window: int,
    steps: int,
    stride: int = 1,
    batch_size: int = 512,
    refit: Refit | None = None,
    refit_every: int | None = None,
    trainer: Trainer | None = None,
) -> BackTest:
    """Forecasts from one origin after the other over the last `steps` values of each series.

    Windows are ranges of the store's rows, gathered batch by batch. Metric scales come from before
    the first origin. A refitted forecaster is given the store up to its origin and nothing else.

    Args:
        task: the forecaster to begin with.
        store: the series.
        window: longest history.
        steps: the values to forecast, at the end of each series.
        stride: steps from one origin to the next.
        batch_size: windows forecast at once.
        refit: trains a new forecaster; None goes on with the first.
        refit_every: origins that one forecaster serves; needed with `refit`.
        trainer: in whose precision forecasts are made; single precision if None.

    Raises:
        InputError: fewer steps than the horizon, a series too short for them, or `refit` and
            `refit_every` without each other.
    """
    check_at_least("backtest.stride", stride)
    if (refit is None) != (refit_every is None):
        raise InputError("refit and refit_every need each other; give both or neither")
    spec, horizon = task.spec, task.series.horizon
    if steps < horizon:
        raise InputError(
            f"backtest.steps={steps} is shorter than the horizon of {horizon}; raise it"
        )
    first = store.lengths - steps
    if bool((first < 1).any()):
        number = int((first < 1).nonzero()[0])
        raise InputError(
            f"series {store.names[number]!r} has {int(store.lengths[number])} values, of which "
            f"backtest.steps={steps} leave none for a history; lower it"
        )
    windows = cut_windows(
        store,
        window=window,
        horizon=horizon,
        first_cuts=first,
        last_cuts=store.lengths - horizon,
        stride=stride,
        period=task.series.period,
    )
    meter = ForecastMeter(spec, quantiles=task.quantiles, intervals=task.intervals)
    errors = OriginErrors(meter.headline, int(windows.counts.max()))
    each = errors.origins if refit_every is None else refit_every
    for begin in range(0, errors.origins, each):
        if refit is not None:
            task = refit(store.head(first + begin * stride), begin)
            _check_same(task.spec, spec)
        # All series have equally many origins.
        origin = torch.arange(begin, min(begin + each, errors.origins))
        indices = ((windows.ends - windows.counts)[:, None] + origin).flatten()
        origins = origin.expand(len(store), -1).flatten()
        for part, place in zip(indices.split(batch_size), origins.split(batch_size), strict=True):
            batch = windows.batch(part)
            context = nullcontext()
            if trainer is not None:
                batch = prepared(trainer, task, batch)
                context = trainer.precision_plugin.forward_context()
            with context:
                _measure(task, meter, errors, place, batch)
    return BackTest(
        scores={name: value.item() for name, value in meter.compute().items()},
        baselines=meter.baselines,
        by_step={name: values.tolist() for name, values in meter.by_step.items()},
        by_origin=errors.means(),
        windows=len(windows),
        fits=1 if refit is None else -(-errors.origins // each),
    )


class OriginErrors:
    """Accumulates one error by origin, of the model and of the baselines.

    Args:
        name: which of `point_errors`.
        origins: how many origins.
    """

    def __init__(self, name: str, origins: int) -> None:
        self.name = name
        self.origins = origins
        self.sums: dict[str, Tensor] = {}

    def add(self, forecaster: str, point: Tensor, batch: Batch, place: Tensor) -> None:
        """Takes the forecasts (batch, horizon, channel) made from the origins `place` (batch,)."""
        error = point_errors(point, batch.targets, batch.context)[self.name].double().cpu()
        known = ~error.isnan()
        pair = torch.stack([error.masked_fill(~known, 0.0).sum((1, 2)), known.sum((1, 2))], dim=1)
        sums = self.sums.setdefault(forecaster, pair.new_zeros(self.origins, 2))
        sums.index_add_(0, place, pair)

    def means(self) -> dict[str, list[float]]:
        return {name: (sums[:, 0] / sums[:, 1]).tolist() for name, sums in self.sums.items()}


def forecast_windows(task: Forecasting, windows: Windows, *, batch_size: int = 512) -> Tensor:
    """The point forecast of every window, (window, horizon, channel)."""
    was_training = task.training
    task.eval()
    with torch.inference_mode():
        found = [
            task.predict(windows.batch(part)).forecast.point()
            for part in torch.arange(len(windows)).split(batch_size)
        ]
    task.train(was_training)
    return torch.cat(found)


def _measure(
    task: Forecasting, meter: ForecastMeter, errors: OriginErrors, place: Tensor, batch: Batch
) -> None:
    was_training = task.training
    task.eval()
    with torch.inference_mode():
        loss, prediction = task.measure(batch, "test")
        assert isinstance(prediction, Prediction)  # it is a point in training only
        meter.update(loss, prediction, batch)
        errors.add("model", defined(prediction.forecast.point()), batch, place)
        for name, forecast in baselines(batch, task.series).items():
            errors.add(name, forecast, batch, place)
    task.train(was_training)


def _check_same(found: Spec, wanted: Spec) -> None:
    if found.series is None or wanted.series is None:
        raise InputError("a refitted forecaster must forecast series")
    if found.series.horizon != wanted.series.horizon or found.output_size != wanted.output_size:
        raise InputError(
            "a refitted forecaster must have the horizon and channels of the first: "
            f"{wanted.series.horizon} and {wanted.output_size}, but it has "
            f"{found.series.horizon} and {found.output_size}"
        )
