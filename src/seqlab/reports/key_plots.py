"""Pictures of what a metric depends on: importance of keys, and runs over their keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from seqlab.reports.collect import last_word
from seqlab.reports.importance import Importance, as_numbers, looks_logarithmic
from seqlab.reports.plots import COLOURS, INK, named, new_figure, plain, png

# Most marks of an axis; up to so many numbers each has its mark; height of a mark's text.
MARKS, FEW_MARKS, LINE = 12, 6, 0.04
RANGE = LinearSegmentedColormap.from_list("pale to dark", ["#cfe3f5", "#56a0d3", "#0b3c6f"])


def importance_plot(entries: Sequence[Importance], *, title: str, scale: str) -> bytes:
    """The importance of each key.

    Args:
        entries: the keys, the most important first.
        title: printed above.
        scale: what importance is.
    """
    figure = new_figure(title, 7.2, 1.3 + 0.36 * len(entries))
    axis = figure.subplots()
    for place, entry in enumerate(entries):
        if entry.share is None:
            text = "  a value of its own in each run: unknown"
        else:
            axis.barh(place, entry.share, color=COLOURS[0], height=0.62)
            text = f"  {entry.share:.0%}"
        axis.text(entry.share or 0, place, text, va="center", fontsize=8, color=INK)
    names = [named(f"{e.key} (in {e.parts} parts)" if e.parts else e.key) for e in entries]
    axis.set_yticks(range(len(entries)), names)
    axis.set_ylim(len(entries) - 0.4, -0.6)
    axis.set_xlim(0, 1.08)
    axis.set_xticks(np.linspace(0, 1, 6), [f"{part:.0%}" for part in np.linspace(0, 1, 6)])
    axis.set_xlabel(scale)
    plain(axis)
    return png(figure)


def parallel_plot(
    columns: Mapping[str, Sequence[str]],
    values: np.ndarray,
    *,
    title: str,
    metric: str,
    smaller: bool,
    logarithmic: Collection[str] | None = None,
) -> bytes:
    """Each run as a line over its keys, the darker the better; the metric is the last axis.

    Args:
        columns: (runs,) values of each key.
        values: (runs,) the metric; runs where it is not finite are left out.
        title: printed above.
        metric: its name.
        smaller: whether smaller values of it are better.
        logarithmic: the keys on a logarithmic scale; None for what their values look like.
    """
    known = np.isfinite(values)
    values = values[known]
    order = np.argsort(-values if smaller else values)  # the best are drawn last, on top
    figure = new_figure(title, max(6.4, 1.9 * (len(columns) + 1)), 4.4)
    axis = figure.subplots()
    heights = []
    rng = np.random.default_rng(0)
    for place, (key, column) in enumerate(columns.items()):
        texts = [text for text, keep in zip(column, known, strict=True) if keep]
        scale = None if logarithmic is None else key in logarithmic
        height, ticks = heights_of(texts, logarithmic=scale)
        for name, tick in ticks:
            label = axis.text(place - 0.03, tick, named(name), ha="right", va="center", fontsize=8)
            # Over the lines, and readable there.
            label.set(zorder=5, bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8})
            axis.plot([place - 0.015, place + 0.015], [tick] * 2, color=INK, lw=0.8)
        # Lines of one value are fanned out a little, so that it is seen how many there are.
        heights.append(height + rng.uniform(-0.022, 0.022, len(height)))
        axis.text(place, 1.07, named(last_word(key, columns)), ha="center", fontsize=9, color=INK)
        axis.plot([place] * 2, [-0.03, 1.03], color=INK, lw=0.8)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    scaled = (values - low) / ((high - low) or 1.0)
    heights.append(scaled)
    end = len(columns)
    axis.plot([end] * 2, [0, 1], color=INK, lw=0.8)
    for part in np.linspace(0, 1, 5):
        axis.text(end + 0.03, part, f"{low + part * (high - low):.4g}", va="center", fontsize=8)
    axis.text(end, 1.07, named(metric), ha="center", fontsize=9, color=INK)
    paths = np.stack(heights, axis=1)
    fine = np.linspace(0, end, 24 * end + 1)
    norm, shades = Normalize(low, high), RANGE.reversed() if smaller else RANGE
    lines = [np.stack([fine, _smooth(paths[row], fine)], axis=1) for row in order]
    colours = shades(norm(values[order]))
    axis.add_collection(LineCollection(lines, colors=colours, lw=1.3, alpha=0.85))
    axis.set_xlim(-0.55, end + 0.4)
    axis.set_ylim(-0.06, 1.14)
    axis.set_axis_off()
    bar = figure.colorbar(ScalarMappable(norm, shades), ax=axis, fraction=0.03, pad=0.02)
    bar.set_label("better is darker", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return png(figure)


def _smooth(path: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Through the points with a level tangent at each, so that lines can be followed by eye."""
    left = np.minimum(fine.astype(int), len(path) - 2)
    part = fine - left
    part = part * part * (3 - 2 * part)
    return path[left] * (1 - part) + path[left + 1] * part


def heights_of(
    texts: Sequence[str], *, logarithmic: bool | None = None
) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Where each value stands on an axis from 0 to 1, and the axis' marks.

    Args:
        texts: the values; numbers stand where they are on a scale, others in even steps.
        logarithmic: whether the scale is; None for what the numbers look like.
    """
    numbers, distinct = as_numbers(texts), list(dict.fromkeys(texts))
    if numbers is None or not np.isfinite(numbers).all():
        spots = np.linspace(0, 1, len(distinct)) if len(distinct) > 1 else np.array([0.5])
        place = dict(zip(distinct, spots.tolist(), strict=True))
        shown = distinct if len(distinct) <= MARKS else distinct[:: -(-len(distinct) // MARKS)]
        return np.array([place[text] for text in texts]), [(name, place[name]) for name in shown]
    if logarithmic is None:
        logarithmic = looks_logarithmic(numbers)
    scaled = np.log10(numbers) if logarithmic and numbers.min() > 0 else numbers
    low, room = scaled.min(), np.ptp(scaled) or 1.0
    heights = (scaled - low) / room if np.ptp(scaled) else np.full(len(scaled), 0.5)
    known = dict(zip(texts, heights.tolist(), strict=True))
    if len(known) <= FEW_MARKS:
        return heights, _apart(sorted(known.items(), key=lambda mark: mark[1]))
    marks = np.linspace(0, 1, 5)
    values = low + marks * room
    names = [f"{10**value if scaled is not numbers else value:.3g}" for value in values]
    return heights, list(zip(names, marks.tolist(), strict=True))


def _apart(marks: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Marks without those that would be printed over the one below."""
    kept: list[tuple[str, float]] = []
    for name, height in marks:
        if not kept or height - kept[-1][1] >= LINE:
            kept.append((name, height))
    return kept
