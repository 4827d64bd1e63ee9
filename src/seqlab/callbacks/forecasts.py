"""What a forecaster forecasts, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from lightning import Trainer
from PIL import Image
from torch import Tensor

from seqlab.callbacks.drawing import heatmap
from seqlab.callbacks.figures import FigureCallback, Moment, prepared, when
from seqlab.callbacks.plots import Fan, autocorrelation_plot, coverage_plot, fan_chart, step_errors
from seqlab.data.baselines import baselines
from seqlab.data.batch import Batch
from seqlab.data.spec import SeriesSpec
from seqlab.data.windows import Windows
from seqlab.errors import check_at_least
from seqlab.nn.distributions import Forecast
from seqlab.tasks.base import Task
from seqlab.tasks.forecasting import Prediction

# Levels of the coverage plot, most windows it is drawn from, and lags of the autocorrelation.
LEVELS = torch.linspace(0.05, 0.95, 19)
MOST_WINDOWS = 1000
LAGS = 24
# Samples that the randomised PIT of a count is taken from.
PIT_SAMPLES = 199


class ForecastCallback(FigureCallback):
    """Draws forecasts with their fans, and after the tests how good they are.

    After the tests also: the error by step beside the baselines', whether quantiles hold what
    they promise, the autocorrelation of the one-step residuals, and what the decoder looked at.

    Args:
        folder: the run's folder; pictures go into its `figures`.
        windows: how many windows are shown; they are the same each time.
        every: validations from one drawing to the next.

    Raises:
        InputError: a number below 1.
    """

    def __init__(self, folder: str, *, windows: int = 4, every: int = 5) -> None:
        super().__init__(folder)
        check_at_least("windows", windows)
        check_at_least("every", every)
        self.windows = windows
        self.every = every
        self._validations = 0

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        data = getattr(trainer, "datamodule", None)
        series = task.spec.series
        if data is None or series is None or not series.autoregressive:
            return  # one target a sequence has no history to draw
        split: Windows = data.examples(moment)
        self._validations += moment == "val"
        if moment == "val" and (self._validations - 1) % self.every:
            return
        now = when(trainer, moment)
        chosen = torch.linspace(0, len(split) - 1, min(self.windows, len(split))).long().unique()
        batch, prediction = _predicted(trainer, task, split, chosen)
        if prediction is None:
            return
        fans = [_fan(batch, prediction, row, series) for row in range(len(batch))]
        yield f"{moment}/forecasts", fan_chart(fans, f"Forecasts, {moment} windows, {now}")
        if moment == "val":
            return
        yield from self._errors(task, series, now)
        yield from self._attention(batch, prediction, now)
        yield from self._residuals(trainer, task, split, now)

    def _errors(
        self, task: Task, series: SeriesSpec, now: str
    ) -> Iterator[tuple[str, Image.Image]]:
        steps = task.meter("test").by_step
        metric = task.spec.metric
        if metric not in steps:
            return
        errors = {"model": steps[metric].cpu().numpy()}
        for name, values in steps.items():
            baseline, slash, kind = name.partition("/")
            if slash and kind == metric:
                errors[baseline] = values.cpu().numpy()
        optimum = task.spec.optimum if series.horizon == 1 else None
        title = f"Error by step, test, {now}"
        yield "test/error_by_step", step_errors(errors, title, metric=metric, optimum=optimum)

    def _attention(
        self, batch: Batch, prediction: Prediction, now: str
    ) -> Iterator[tuple[str, Image.Image]]:
        if prediction.weights is None:
            return
        length = prediction.weights.shape[-1]
        weights = prediction.weights[0].float().cpu().numpy()
        steps = [f"+{step + 1}" for step in range(len(weights))] if len(weights) > 1 else ["all"]
        yield (
            "test/attention_over_history",
            heatmap(
                weights,
                steps,
                [str(step - length + 1) for step in range(length)],
                f"Attention over the history, test window 1, {now}",
                rows="step of the horizon",
                columns="step of the history",
                scale="weight",
            ),
        )

    def _residuals(
        self, trainer: Trainer, task: Task, split: Windows, now: str
    ) -> Iterator[tuple[str, Image.Image]]:
        # Windows of whole series, as residuals must follow one another in time.
        whole = int((split.ends <= MOST_WINDOWS).sum())
        count = int(split.ends[whole - 1]) if whole else min(len(split), MOST_WINDOWS)
        below: list[Tensor] = []
        first: list[Tensor] = []
        counts = False
        for indices in torch.arange(count).split(256):
            batch, prediction = _predicted(trainer, task, split, indices)
            assert prediction is not None  # `draw` asked
            counts = prediction.is_count
            if (inside := _below(prediction.forecast, batch.targets, counts=counts)) is not None:
                below.append(inside.cpu())
            first.append((batch.targets - prediction.forecast.point())[:, 0].cpu())
        if below:
            shares = torch.cat(below, dim=1).nanmean(dim=(1, 3)).numpy()
            curves = {"all steps": np.nanmean(shares, axis=1)}
            if shares.shape[1] > 1:
                curves |= {"step 1": shares[:, 0], f"step {shares.shape[1]}": shares[:, -1]}
            title = f"Coverage of quantiles, {count} test windows, {now}"
            share = "share of values at or below it" + (" (randomised PIT)" if counts else "")
            yield "test/coverage", coverage_plot(LEVELS.numpy(), curves, title, share=share)
        residuals = torch.cat(first)
        residuals = residuals.where(residuals.isfinite(), torch.nan)
        windows = split.counts[:whole].tolist() if whole else [count]
        correlations = autocorrelation(residuals, windows, LAGS)
        if len(correlations):
            picture = autocorrelation_plot(
                correlations.numpy(), count, f"One-step residuals, test, {now}"
            )
            yield "test/residual_autocorrelation", picture


def _below(forecast: Forecast, targets: Tensor, *, counts: bool) -> Tensor | None:
    """(level, *shape) 1 where a value is at or below the quantile, NaN where it is missing.

    Of counts more are at or below a quantile than its level says, however good the forecast is, as
    many of them equal it: there the randomised PIT takes the value's place.
    """
    levels = LEVELS.to(targets.device)
    if counts:
        place = randomised_pit(forecast, targets)
        inside = place <= levels.view(-1, *(1 for _ in targets.shape))
    else:
        values = forecast.quantiles(levels)
        if values is None:
            return None
        inside = targets <= values
    return inside.double().masked_fill(targets.isnan(), torch.nan)


def randomised_pit(forecast: Forecast, targets: Tensor) -> Tensor:
    """Randomised probability integral transform of counts, (shape) (Czado et al. 2009, section 2).

    u between P(X < y) and P(X ≤ y), by the rank of y among samples: uniform on (0, 1) where the
    forecast is right.
    """
    with torch.random.fork_rng():  # what is drawn must not change what training draws
        torch.manual_seed(0)
        samples = forecast.sample(PIT_SAMPLES)
        part = torch.rand(targets.shape, dtype=torch.float64).to(targets.device)
    less = (samples < targets).sum(dim=0)
    equal = (samples == targets).sum(dim=0)
    return (less + part * (equal + 1)) / (PIT_SAMPLES + 1)


def autocorrelation(residuals: Tensor, counts: list[int], lags: int) -> Tensor:
    """Σ e_t e_{t−k} / Σ e_t² over all series and channels, (lag,), each series centred.

    Args:
        residuals: (window, channel), series by series in the order of time; NaN counts as 0.
        counts: how many windows each series has.
        lags: most lags; no more than the longest series has windows to compare.
    """
    lags = min(lags, max(counts) - 2)
    products = torch.zeros(max(lags, 0) + 1, dtype=torch.float64)
    for part in residuals.double().split(counts):
        if not len(part):
            continue
        centred = (part - part.nanmean(dim=0)).nan_to_num(0.0)
        for lag in range(min(len(products), len(part))):
            products[lag] += (centred[lag:] * centred[: len(part) - lag]).sum()
    return products[1:] / products[0] if products[0] > 0 else products[:0]


def _predicted(
    trainer: Trainer, task: Task, split: Windows, indices: Tensor
) -> tuple[Batch, Prediction | None]:
    batch = prepared(trainer, task, split.batch(indices))
    # What is drawn must not change what is drawn at random in training.
    with (
        torch.random.fork_rng(),
        torch.inference_mode(),
        trainer.precision_plugin.forward_context(),
    ):
        torch.manual_seed(0)
        return batch, task.forecasts(batch)


def _fan(batch: Batch, prediction: Prediction, row: int, series: SeriesSpec) -> Fan:
    def first_channel(values: Tensor) -> np.ndarray:
        # An axis has no place for what is infinite.
        channel = values[row, ..., 0].double().cpu()
        return channel.where(channel.isfinite(), torch.nan).numpy()

    found = baselines(batch, series)
    calibrated = not bool(prediction.calibrated_lower.isnan().all())
    lower, upper, words = prediction.lower, prediction.upper, ""
    if calibrated:
        lower, upper = prediction.calibrated_lower, prediction.calibrated_upper
        words = " calibrated"
    bounds = {}
    if lower is not None and upper is not None:
        # The widest first, so that the others are drawn on top.
        shares = prediction.intervals
        for number in sorted(range(len(shares)), key=lambda n: -shares[n]):
            pair = first_channel(lower[number]), first_channel(upper[number])
            bounds[f"{100 * shares[number]:g} %{words}"] = pair
    name, age = "", 0
    if batch.context is not None:
        name = series.names[int(batch.context.series[row])]
        age = int(batch.context.age[row])
    return Fan(
        name=f"series {name}, after {age} values",
        history=first_channel(batch.inputs[:, : int(batch.lengths[row])]),
        truth=first_channel(batch.targets),
        point=first_channel(prediction.forecast.point()),
        bounds=bounds,
        naive=first_channel(found.get("seasonal", found["naive"])),
        naive_name="seasonal naive" if "seasonal" in found else "naive",
    )
