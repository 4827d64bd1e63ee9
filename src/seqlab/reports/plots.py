"""Pictures of many runs, as PNG files in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqlab.escaping import one_line, plot_text
from seqlab.reports.curves import Band
from seqlab.reports.importance import looks_logarithmic

# Okabe & Ito's (2008), told apart by colour-blind readers too; the yellow is too pale for lines.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#3c3c3c")
# Characters of the longest name, and of the longest title.
NAME, TITLE = 60, 100
INK, OTHER, PALE = "#222222", "#8a8f94", "#d9dde1"
DPI = 110


@dataclass(frozen=True)
class Dots:
    """A configuration's runs and their mean.

    Attributes:
        name: the configuration.
        values: (runs,) the metric.
        mean: their mean.
        low: lower end of its interval; None for none.
        high: upper end.
        colour: of the configuration, the same in every picture.
    """

    name: str
    values: np.ndarray
    mean: float
    low: float | None
    high: float | None
    colour: str


@dataclass(frozen=True)
class Panel:
    """One section of a picture.

    Attributes:
        title: what the section is.
        dots: its configurations, the best first.
        references: further values to mark, by name.
    """

    title: str
    dots: Sequence[Dots]
    references: Mapping[str, float] = field(default_factory=dict)


def configurations_plot(panels: Sequence[Panel], *, title: str, metric: str) -> bytes:
    """Each run as a point, each mean with its 95 % interval, the best on top."""
    heights = [len(panel.dots) + 1.2 for panel in panels]
    names = max((min(len(dots.name), NAME) for panel in panels for dots in panel.dots), default=0)
    figure = new_figure(title, 7.2 + min(3.0, 0.05 * names), 1.1 + 0.34 * sum(heights))
    axes = np.ravel(
        figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)
    )
    for axis, panel in zip(axes, panels, strict=True):
        for place, dots in enumerate(panel.dots):
            shift = np.linspace(-0.16, 0.16, len(dots.values)) if len(dots.values) > 1 else 0.0
            several = len(dots.values) > 1
            size, strength = (22, 0.6) if several else (40, 1.0)
            axis.scatter(
                dots.values,
                place + shift,
                s=size,
                color=dots.colour,
                alpha=strength,
                lw=0,
                zorder=3,
            )
            if dots.low is not None and dots.high is not None:
                axis.plot([dots.low, dots.high], [place] * 2, color=dots.colour, lw=2, zorder=2)
            if several:
                axis.plot(dots.mean, place, "|", color=INK, ms=13, mew=2, zorder=4)
        axis.set_yticks(range(len(panel.dots)), [named(dots.name) for dots in panel.dots])
        axis.set_ylim(len(panel.dots) - 0.4, -0.6)
        axis.grid(axis="x", color=PALE, lw=0.7)
        axis.set_title(named(panel.title), fontsize=9, loc="left")
        plain(axis)
        _fit(axis, panels)
        left, right = axis.get_xlim()
        for name, value in panel.references.items():
            if left <= value <= right:
                axis.axvline(value, color=OTHER, lw=1, ls=":", zorder=1)
                text = {"fontsize": 7.5, "color": OTHER, "rotation": 90, "va": "bottom"}
                axis.text(value, len(panel.dots) - 0.45, named(f" {name}"), ha="right", **text)
    axes[-1].set_xlabel(
        f"{named(metric)}   (points: runs; bar and line: mean and its 95 % interval)"
    )
    return png(figure)


def _fit(axis: Axes, panels: Sequence[Panel]) -> None:
    """All runs and intervals in view, and references that do not push them together."""
    dots = [dots for panel in panels for dots in panel.dots]
    ends = [end for one in dots for end in (one.low, one.high) if end is not None]
    shown = np.concatenate([*(one.values for one in dots), np.array(ends, float)])
    shown = shown[np.isfinite(shown)]
    if not len(shown):
        return
    low, high = shown.min(), shown.max()
    spread = high - low
    for value in {value for panel in panels for value in panel.references.values()}:
        if max(high, value) - min(low, value) <= 3 * spread:
            low, high = min(low, value), max(high, value)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    axis.set_xlim(low - room, high + room)


def lines_plot(
    lines: Mapping[str, Sequence[tuple[float, Dots]]], *, title: str, metric: str, key: str
) -> bytes:
    """A line for each configuration over a numeric key of the data, with runs and intervals.

    Args:
        lines: by configuration, the key's values and what was scored there.
        title: printed above.
        metric: what the height is.
        key: what the width is.
    """
    figure = new_figure(title, 7.2, 4.2)
    axis = figure.subplots()
    places = sorted({x for line in lines.values() for x, _ in line})
    logarithmic = looks_logarithmic(np.array(places))
    gap = 0.012 * (places[-1] - places[0])
    for number, (name, line) in enumerate(lines.items()):
        ordered = sorted(line, key=lambda point: point[0])
        # Side by side, so that intervals do not cover one another.
        shift = 0.0 if logarithmic else gap * (number - (len(lines) - 1) / 2)
        colour = ordered[0][1].colour
        x = [point + shift for point, _ in ordered]
        axis.plot(x, [dots.mean for _, dots in ordered], color=colour, lw=1.8, label=named(name))
        for point, (_, dots) in zip(x, ordered, strict=True):
            axis.scatter(
                [point] * len(dots.values), dots.values, s=14, color=colour, alpha=0.5, lw=0
            )
            if dots.low is not None and dots.high is not None:
                axis.plot([point] * 2, [dots.low, dots.high], color=colour, lw=1.2, alpha=0.8)
    if logarithmic:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.set_xlabel(named(key))
    axis.set_ylabel(named(metric))
    axis.grid(color=PALE, lw=0.7)
    plain(axis)
    _legend(figure, axis)
    return png(figure)


def curves_plot(
    panels: Mapping[str, Mapping[str, tuple[Band, str]]], *, title: str, metric: str
) -> bytes:
    """Learning curves over one another: the mean over seeds, and a band from lowest to highest.

    Args:
        panels: by section, the curves and colours of its configurations.
        title: printed above.
        metric: what the height is.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(title, 7.2, 0.9 + (3.4 if rows == 1 else 2.6) * rows)
    axes = np.ravel(figure.subplots(rows, columns, sharey=True, squeeze=False))
    for axis, (name, curves) in zip(axes, panels.items(), strict=False):
        for label, (band, colour) in curves.items():
            marker = "o" if len(band.steps) == 1 else None
            axis.plot(
                band.steps, band.mean, color=colour, lw=1.7, label=named(label), marker=marker
            )
            axis.fill_between(band.steps, band.low, band.high, color=colour, alpha=0.16, lw=0)
        axis.set_title(named(name), fontsize=9, loc="left")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(color=PALE, lw=0.7)
        plain(axis)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[max(0, len(panels) - columns) : len(panels)]:
        axis.set_xlabel("step")
    for axis in axes[::columns]:
        axis.set_ylabel(named(metric))
    _legend(figure, *axes[: len(panels)])
    return png(figure)


def contests_plot(
    contests: Sequence[tuple[str, float, float | None, float | None, bool]],
    *,
    title: str,
    metric: str,
) -> bytes:
    """Differences with their intervals; those that are within noise are grey.

    Args:
        contests: name, difference, ends of its interval, and whether it is more than noise.
        title: printed above.
        metric: of what the differences are.
    """
    names = max(min(len(name), NAME) for name, *_ in contests)
    figure = new_figure(title, 6.4 + min(4.0, 0.05 * names), 1.2 + 0.32 * len(contests))
    axis = figure.subplots()
    for place, (_, value, low, high, decided) in enumerate(contests):
        colour = COLOURS[0] if decided else OTHER
        if low is not None and high is not None:
            axis.plot([low, high], [place] * 2, color=colour, lw=2)
        axis.plot(value, place, "o", color=colour, ms=6)
    axis.axvline(0, color=INK, lw=1)
    axis.set_yticks(range(len(contests)), [named(name) for name, *_ in contests])
    axis.set_ylim(len(contests) - 0.4, -0.6)
    axis.grid(axis="x", color=PALE, lw=0.7)
    axis.set_xlabel(f"difference in {named(metric)}   (grey: within noise after Holm's correction)")
    plain(axis)
    return png(figure)


def named(text: str, most: int = NAME) -> str:
    """A name as it is drawn: of a long one its beginning and its end."""
    text = one_line(text)
    if len(text) > most:
        text = f"{text[: 2 * most // 3]}…{text[-most // 3 :]}"
    return plot_text(text)


def new_figure(title: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.suptitle(named(title, TITLE), fontsize=10, fontweight="bold", x=0.02, ha="left")
    return figure


def plain(axis: Axes) -> None:
    """No frame but the two axes."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.set_axisbelow(True)


def _legend(figure: Figure, *axes: Axes) -> None:
    """One legend below for all axes."""
    entries = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    columns = max(1, min(len(entries), 90 // (6 + max(map(len, entries), default=1))))
    figure.legend(
        list(entries.values()),
        list(entries),
        fontsize=8,
        frameon=False,
        loc="outside lower center",
        ncol=columns,
    )


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, pil_kwargs={"compress_level": 6})
    return file.getvalue()
