"""A forecaster's metrics: by step and over all, in units and scaled, beside the baselines'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from seqlab.data.baselines import baselines
from seqlab.data.batch import Batch, SeriesContext
from seqlab.data.spec import Spec
from seqlab.nn.distributions import pinball
from seqlab.tasks.meter import Meter

if TYPE_CHECKING:
    from seqlab.tasks.forecasting import Prediction

# The model's headline error on the values that a baseline has a forecast for.
MODEL = "model"
# Metrics that are the root of a mean: what they are the root of.
ROOTS = {"rmse": "mse", "scaled_rmse": "scaled_mse", "rmsse": "msse"}


class ForecastMeter(Meter):
    """Errors of a forecaster and of the baselines on the same windows.

    With e = y − ŷ, means over all windows, steps and channels whose value is not missing (a
    forecast that is not finite makes its errors infinite):

    - `mae`, `mse`, `rmse` of e; `smape`: 200 |e| / (|y| + |ŷ|), in per cent, 0 where both are 0;
    - `mase`, `rmsse`: |e| and e² over the in-sample mean absolute and square error of the
      (seasonal) naive forecast before the split (Hyndman & Koehler 2006); `scaled_…`: e over the
      series' standard deviation before the split. Series where that is 0 are left out, and the
      metric is absent where no series is left;
    - `pinball`: mean over the quantile levels; `crps`; `coverage_80` and `width_80` of the
      forecast's intervals, `calibrated_…` of those after conformal calibration;
    - `skill_vs_naive` (`_drift`, `_seasonal`, …): 1 − the headline metric over the baseline's, both
      on the values that the baseline has a forecast for, and
      `skill_vs_naive_margin`, half of its 95 % confidence interval over the series (as the ratio
      of two means, by the delta method; with two series or more).

    Args:
        spec: what the data looks like.
        quantiles: levels of the pinball loss.
        intervals: coverage of the intervals.
        headline_only: leaves out all but the loss and the headline metric of the point forecasts,
            which `update` is given in the units of the series, (batch, horizon, channel).
        calibrate: takes the conformity scores of all windows before the metrics are computed.
    """

    of_choices = False
    sums: Tensor
    counts: Tensor
    series_errors: Tensor
    conformity: list[Tensor]

    def __init__(
        self,
        spec: Spec,
        *,
        quantiles: Sequence[float],
        intervals: Sequence[float],
        headline_only: bool = False,
        calibrate: Callable[[Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        assert spec.series is not None  # the task checks
        self.spec = spec
        self.series = spec.series
        self.quantiles = torch.tensor(tuple(quantiles))
        self.intervals = tuple(intervals)
        self.headline_only = headline_only
        self.calibrate = calibrate
        self.headline = ROOTS.get(spec.metric, spec.metric)
        self.names: list[str] = []
        steps = self.series.horizon
        self.add_state("sums", torch.zeros(0, steps, dtype=torch.float64), "sum")
        self.add_state("counts", torch.zeros(0, steps, dtype=torch.float64), "sum")
        errors = torch.zeros(self.series.num_series, 2, dtype=torch.float64)
        self.add_state("series_errors", errors, "sum")
        self.add_state("conformity", [], "cat")

    def collect(self, outputs: Prediction | Tensor, batch: Batch) -> None:
        target, context = batch.targets, batch.context
        if isinstance(outputs, Tensor):
            self._add({self.headline: point_errors(outputs, target, context)[self.headline]})
            return
        values = point_errors(defined(outputs.forecast.point()), target, context)
        own = values[self.headline]
        values |= self._spread(outputs, target, context)
        for name, forecast in baselines(batch, self.series).items():
            errors = point_errors(forecast, target, context)
            same = own.masked_fill(errors[self.headline].isnan(), torch.nan)
            if name == "naive" and context is not None:
                self._by_series(same, errors[self.headline], context.series)
            values |= {f"{name}/{key}": error for key, error in errors.items()}
            values[f"{name}/{MODEL}"] = same
        self._add(values)
        if self.calibrate is not None:
            # Windows first, as states are joined along the first dimension.
            self.conformity.append(outputs.conformity.movedim(1, 0))

    def _spread(
        self, outputs: Prediction, target: Tensor, context: SeriesContext | None
    ) -> dict[str, Tensor]:
        """Errors of what is forecast beside the point."""
        forecast = outputs.forecast
        values: dict[str, Tensor] = {"crps": forecast.crps(target)}
        missing = target.isnan()
        levels = self.quantiles.to(target.device)
        found = forecast.quantiles(levels)
        if found is not None:
            values["pinball"] = pinball(found, target, levels).mean(dim=0)
        bounds = {"calibrated_": (outputs.calibrated_lower, outputs.calibrated_upper)}
        if outputs.lower is not None and outputs.upper is not None:
            bounds[""] = (outputs.lower, outputs.upper)
        for prefix, (lower, upper) in bounds.items():
            for number, probability in enumerate(self.intervals):
                name = f"{100 * probability:g}"
                low, high = lower[number], upper[number]
                # Before the first validation there are no calibrated intervals.
                unknown = missing | (low.isnan() & high.isnan()) if prefix else missing
                inside = ((low <= target) & (target <= high)).to(target.dtype)
                values[f"{prefix}coverage_{name}"] = inside.masked_fill(unknown, torch.nan)
                width = _infinite_if_undefined(high - low)
                values[f"{prefix}width_{name}"] = width.masked_fill(unknown, torch.nan)
        for key in ("crps", "pinball"):
            if key in values:
                undefined = _infinite_if_undefined(values[key])
                values[key] = undefined.masked_fill(missing, torch.nan)
        if context is not None:
            scale = _positive(context.deviation)
            scaled = [key for key in values if "coverage" not in key]
            values |= {f"scaled_{key}": values[key] / scale for key in scaled}
        return values

    def _add(self, values: Mapping[str, Tensor]) -> None:
        if not self.names:
            self.names = list(values)
        if not len(self.sums):
            self.sums = self.sums.new_zeros(len(values), self.sums.shape[1])
            self.counts = torch.zeros_like(self.sums)
        stacked = torch.stack(list(values.values())).double()
        known = ~stacked.isnan()
        self.sums += torch.where(known, stacked, 0.0).sum(dim=(1, 3))
        self.counts += known.sum(dim=(1, 3))

    def _by_series(self, own: Tensor, naive: Tensor, series: Tensor) -> None:
        pair = torch.stack([own, naive], dim=-1).double()
        pair = pair.masked_fill(pair.isnan(), 0.0)
        self.series_errors.index_add_(0, series, pair.sum(dim=(1, 2)))

    def outcomes(
        self, outputs: Prediction | Tensor, batch: Batch
    ) -> dict[str, tuple[Tensor, Tensor]]:
        assert not isinstance(outputs, Tensor)  # those are of training
        point = defined(outputs.forecast.point())
        values = point_errors(point, batch.targets, batch.context)
        wanted = dict.fromkeys((self.spec.metric, "mae", "rmse"))
        found = {}
        for name in wanted:
            errors = values[ROOTS.get(name, name)].double()
            known = ~errors.isnan()
            found[name] = (errors.where(known, 0.0).sum((1, 2)), known.sum((1, 2)))
        return found

    def scores(self) -> dict[str, Tensor]:
        """The metrics over all steps; those by step and the baselines' are kept as attributes."""
        if not len(self.sums):
            return {}
        if self.calibrate is not None:
            self.calibrate(dim_zero_cat(self.conformity).movedim(0, 1))
        # What nothing was counted for is absent.
        rows = [row for row, count in enumerate(self.counts.sum(dim=1).tolist()) if count]
        step = {self.names[row]: self.sums[row] / self.counts[row] for row in rows}
        whole = {self.names[row]: self.sums[row].sum() / self.counts[row].sum() for row in rows}
        of_step = _with_roots(step)
        self.by_step = {key: of_step[key] for key in of_step if not key.endswith(f"/{MODEL}")}
        every = _with_roots(whole)
        if self.headline_only:
            return {name: every[name] for name in (self.spec.metric,) if name in every}
        self.baselines = {}
        for key in [key for key in every if "/" in key]:
            name, metric = key.split("/")
            self.baselines.setdefault(name, {})[metric] = every.pop(key)
        metric = self.spec.metric
        for name, errors in self.baselines.items():
            own = errors.pop(MODEL, None)
            if metric in errors and own is not None:
                own = own.sqrt() if metric in ROOTS else own
                every[f"{name}_{metric}"] = errors[metric]
                if errors[metric] > 0:
                    every[f"skill_vs_{name}"] = 1 - own / errors[metric]
        margin = self._margin()
        if margin is not None and "skill_vs_naive" in every:
            every["skill_vs_naive_margin"] = margin
        return every

    def _margin(self) -> Tensor | None:
        """Half the width of the skill's 95 % confidence interval."""
        own, naive = self.series_errors[naive_seen(self.series_errors)].unbind(dim=1)
        count = len(own)
        if count < 2 or self.headline != self.spec.metric:
            return None
        ratio = own.sum() / naive.sum()
        variance = (own - ratio * naive).square().sum() * count / (count - 1)
        return 1.96 * variance.sqrt() / naive.sum()


def defined(point: Tensor) -> Tensor:
    """A model's forecast, infinite where it is not a number: it is wrong there, not missing."""
    return _infinite_if_undefined(point)


def _infinite_if_undefined(values: Tensor) -> Tensor:
    return torch.where(values.isnan(), torch.inf, values)


def naive_seen(errors: Tensor) -> Tensor:
    """Which series have windows at all, (series,)."""
    return errors.sum(dim=1) > 0


def point_errors(point: Tensor, target: Tensor, context: SeriesContext | None) -> dict[str, Tensor]:
    """The errors of a point forecast by name, (batch, horizon, channel).

    NaN is not counted: where the target is missing, the forecast is NaN or there is no scale.
    Where the forecast is infinite all errors are.
    """
    error = (target - point).abs()
    square = error.square()
    size = target.abs() + point.abs()
    smape = torch.where(size > 0, 200 * error / size, 0.0 * error)
    smape = torch.where(error.isinf(), torch.inf, smape)
    values = {"mae": error, "mse": square, "smape": smape}
    if context is not None:
        deviation = _positive(context.deviation)
        values |= {
            "mase": error / _positive(context.naive_error),
            "msse": square / _positive(context.naive_square),
            "scaled_mae": error / deviation,
            "scaled_mse": square / deviation.square(),
        }
    return values


def _positive(scale: Tensor) -> Tensor:
    """(batch, channel) → (batch, 1, channel), NaN where there is no scale."""
    return torch.where(scale > 0, scale, torch.nan)[:, None]


def _with_roots(means: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adds the roots of means, and drops what is only their square."""
    found: dict[str, Tensor] = {}
    for key, value in means.items():
        prefix, slash, name = key.rpartition("/")
        if name != "msse":
            found[key] = value
        for root, square in ROOTS.items():
            if name == square:
                found[f"{prefix}{slash}{root}"] = value.sqrt()
    return found
