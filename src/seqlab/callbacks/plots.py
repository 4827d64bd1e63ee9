"""Line plots of forecasts, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from seqlab.escaping import one_line, plot_text

# Characters of the longest name.
LONGEST = 90
# Blue for the model, black for the truth, grey for what it is measured against.
MODEL, TRUTH, OTHER = "#1f6fb4", "#222222", "#9a9a9a"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.", (0, (1, 3)))


@dataclass
class Fan:
    """One window and its forecast, all of one channel.

    Attributes:
        name: the series.
        history: (time,) the past, NaN where missing.
        truth: (horizon,) what came.
        point: (horizon,) what was forecast.
        bounds: lower and upper bounds (horizon,) by the interval's label, the widest first.
        naive: (horizon,) the naive or the seasonal naive forecast.
        naive_name: which of them it is.
    """

    name: str
    history: np.ndarray
    truth: np.ndarray
    point: np.ndarray
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]]
    naive: np.ndarray
    naive_name: str = "naive"


def fan_chart(fans: Sequence[Fan], title: str) -> Image.Image:
    """History, truth and forecast with its intervals, one panel a window."""
    columns = 2 if len(fans) > 1 else 1
    rows = -(-len(fans) // columns)
    figure, axes = _figure(title, rows, columns, height=2.6)
    for axis, fan in zip(axes, fans, strict=False):
        past = np.arange(1 - len(fan.history), 1)
        ahead = np.arange(1, len(fan.point) + 1)
        # A line of one step is a point, which only a marker shows; its intervals get a width.
        one = len(ahead) == 1
        marker = "o" if one else None
        axis.plot(past, fan.history, color=TRUTH, linewidth=1.2, label="history and truth")
        truth = np.append(fan.history[-1:], fan.truth)
        axis.plot(
            np.append(0, ahead),
            truth,
            color=TRUTH,
            linewidth=1.2,
            linestyle="--",
            marker=marker,
            markevery=[len(ahead)] if one else None,
            markersize=4,
        )
        for number, (label, (lower, upper)) in enumerate(fan.bounds.items()):
            places = np.array([0.6, 1.4]) if one else ahead
            low, high = (np.broadcast_to(edge, places.shape) for edge in (lower, upper))
            axis.fill_between(
                places, low, high, color=MODEL, alpha=0.15 + 0.15 * number, lw=0, label=shown(label)
            )
        look = {"marker": marker, "markersize": 5}
        axis.plot(ahead, fan.naive, color=OTHER, linewidth=1.0, label=fan.naive_name, **look)
        axis.plot(ahead, fan.point, color=MODEL, linewidth=1.6, label="forecast", **look)
        axis.axvline(0.5, color=OTHER, linewidth=0.8, linestyle=":")
        axis.set_title(shown(fan.name), fontsize=9, loc="left")
    legend(figure, axes[0])
    for axis in axes[len(fans) :]:
        axis.set_visible(False)
    for axis in axes[max(0, len(fans) - columns) : len(fans)]:
        axis.set_xlabel("step after the cut")
    return _image(figure)


def step_errors(
    errors: Mapping[str, np.ndarray],
    title: str,
    *,
    metric: str,
    along: str = "step of the horizon",
    optimum: float | None = None,
) -> Image.Image:
    """The error at each step of the horizon, or from each origin, the model's first.

    Args:
        errors: (horizon,) by name.
        title: printed above.
        metric: what the errors are.
        along: what is counted from 1 on.
        optimum: the best possible error of a step, where known.
    """
    figure, (axis,) = _figure(title, 1, 1, height=4.0)
    for number, (name, found) in enumerate(errors.items()):
        values = np.where(np.isfinite(found), found, np.nan)
        steps = np.arange(1, len(values) + 1)
        style = DASHES[(number - 1) % len(DASHES)] if number else "-"
        # Of a single step there are no lines to tell apart.
        marker = MARKERS[number % len(MARKERS)] if len(values) == 1 else None if number else "o"
        axis.plot(
            steps,
            values,
            color=OTHER if number else MODEL,
            linestyle=style,
            marker=marker,
            markersize=5 if len(values) == 1 else 3,
            label=shown(name),
        )
    if optimum is not None:
        axis.axhline(optimum, color="#2a8f4f", linewidth=1, label="optimum")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel(along)
    axis.set_ylabel(shown(metric))
    legend(figure, axis)
    return _image(figure)


def coverage_plot(
    nominal: np.ndarray,
    curves: Mapping[str, np.ndarray],
    title: str,
    *,
    share: str = "share of values at or below it",
) -> Image.Image:
    """The share of values below each quantile against its level; on the diagonal all is well.

    Args:
        nominal: (level,) the levels.
        curves: (level,) the shares, by name.
        title: printed above.
        share: what the shares are.
    """
    figure, (axis,) = _figure(title, 1, 1, height=4.6, width=5.0)
    axis.plot([0, 1], [0, 1], color=OTHER, linewidth=1, linestyle=":", label="as promised")
    for name, shares in curves.items():
        axis.plot(nominal, shares, marker="o", markersize=3, label=shown(name))
    axis.set_xlabel("level of the quantile")
    axis.set_ylabel(share)
    axis.set_aspect("equal")
    legend(figure, axis)
    return _image(figure)


def autocorrelation_plot(values: np.ndarray, count: int, title: str) -> Image.Image:
    """Autocorrelation of one-step residuals by lag, with the band that white noise stays within.

    Args:
        values: (lag,) from lag 1 on.
        count: how many residuals there are.
        title: printed above.
    """
    figure, (axis,) = _figure(title, 1, 1, height=3.4)
    lags = np.arange(1, len(values) + 1)
    band = 1.96 / np.sqrt(max(count, 1))
    axis.axhspan(-band, band, color=OTHER, alpha=0.25, lw=0, label="95 % of white noise")
    axis.vlines(lags, 0, values, color=MODEL)
    axis.plot(lags, values, "o", color=MODEL, markersize=4)
    axis.axhline(0, color=TRUTH, linewidth=0.8)
    largest = float(np.abs(values).max(initial=0.0))
    axis.set_ylim(-max(1.2 * largest, 2 * band), max(1.2 * largest, 2 * band))
    axis.set_xlabel("lag")
    axis.set_ylabel("autocorrelation")
    legend(figure, axis)
    return _image(figure)


def shown(text: str) -> str:
    """A name as it is drawn; a long one is cut."""
    text = one_line(text)
    return plot_text(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def legend(figure: Figure, axis: Axes) -> None:
    """A legend below the axes, where it covers nothing."""
    handles, labels = axis.get_legend_handles_labels()
    columns = max(1, min(len(labels), 90 // (6 + max(map(len, labels), default=1))))
    figure.legend(
        handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncol=columns
    )


def _figure(
    title: str, rows: int, columns: int, *, height: float, width: float = 7.6
) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, 0.4 + height * rows), dpi=110, layout="constrained")
    figure.suptitle(shown(title), fontsize=10, fontweight="bold", x=0.02, ha="left")
    axes = list(np.ravel(figure.subplots(rows, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _image(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
