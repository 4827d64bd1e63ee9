"""Pictures of what a model does: matrices as heat-maps, sequences as strips of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seqlab.callbacks.canvas import (
    BAD,
    BAD_PAPER,
    GOOD,
    INK,
    LINE,
    MARK,
    MUTED,
    SMALL,
    TEXT,
    Canvas,
    colour_bar_width,
    coloured,
    readable_on,
    shortened,
    text_width,
    visible,
    widest,
)
from seqlab.callbacks.panels import (
    BOX,
    CurvePanel,
    Panel,
    TokenPanel,
    draw_legend,
    legend_width,
    narrowest_box,
)

MARGIN = 16
# Longest printed name, in pixels.
NAME = 180
# Up to so many rows and columns each cell shows its number.
NUMBERED = 14
# Side of the largest and the smallest cell without number, and of a whole matrix of many cells.
CELL, SMALLEST_CELL, MATRIX = 32, 3, 960
# Widest matrix whose cells are made wider so that column names need not be turned.
FLAT = 560
# Between two sequences.
GAP = 12


def heatmap(
    matrix: np.ndarray,
    row_names: Sequence[str],
    column_names: Sequence[str],
    title: str,
    *,
    rows: str = "",
    columns: str = "",
    scale: str = "",
    numbers: np.ndarray | None = None,
    marked: np.ndarray | None = None,
    high: float | None = None,
) -> Image.Image:
    """A matrix as coloured cells, with numbers in them where there are few.

    Args:
        matrix: (rows, columns) what the colours show; NaN, where missing, is grey.
        row_names: a name, such as a token, for each row.
        column_names: a name for each column.
        title: printed above.
        rows: what the rows are.
        columns: what the columns are.
        scale: what the colours are.
        numbers: (rows, columns) what is printed in the cells; the matrix itself if None.
        marked: (rows, columns) true where a cell is outlined, such as the known alignment.
        high: the value shown as the darkest colour; the largest of the matrix if None.

    White is 0. A matrix with negative values gets a scale of two sides, equally far from 0.
    """
    matrix = np.asarray(matrix, np.float64)
    height, width = matrix.shape
    if (height, width) != (len(row_names), len(column_names)):
        raise ValueError(
            f"a matrix of {matrix.shape} needs as many names, but there are {len(row_names)} for "
            f"rows and {len(column_names)} for columns"
        )
    if high is None:
        high = float(np.nanmax(np.abs(matrix), initial=0.0))
    low = -high if np.nanmin(matrix, initial=0.0) < 0 else 0.0
    row_names, column_names = (
        [shortened(visible(name), NAME) for name in names] for names in (row_names, column_names)
    )
    numbered = max(height, width) <= NUMBERED
    texts = _number_texts(matrix if numbers is None else np.asarray(numbers)) if numbered else []
    cell_width = cell_height = max(SMALLEST_CELL, min(CELL, MATRIX // max(height, width)))
    if numbered:
        cell_height = 38
        cell_width = max(56, 16 + max((widest(row) for row in texts), default=0))
        if width * (widest(column_names) + 16) <= FLAT:
            cell_width = max(cell_width, widest(column_names) + 16)
    size = TEXT if cell_height >= TEXT else SMALL
    turned = widest(column_names, size) > cell_width - 6
    # Where cells are smaller than a line of text, only every second, third, … name is printed.
    row_step, column_step = -(-size // cell_height), -(-size // cell_width) if turned else 1
    name_height = widest(column_names[::column_step], size) + 12 if turned else size + 12

    left = MARGIN + (TEXT + 12 if rows else 0) + widest(row_names[::row_step], size) + 10
    top = MARGIN + 34 + 24 + (TEXT + 12 if columns else 0) + name_height
    right, bottom = left + width * cell_width, top + height * cell_height
    full = max(
        right, MARGIN + text_width(title, TEXT, True), MARGIN + colour_bar_width(low, high, scale)
    )
    canvas = Canvas(full + MARGIN, bottom + MARGIN)
    canvas.text(MARGIN, MARGIN + 8, title, bold=True)
    canvas.colour_bar(MARGIN, MARGIN + 38, low, high, scale)

    colours = coloured(matrix, low, high)
    pixels = colours.repeat(cell_height, axis=0).repeat(cell_width, axis=1)
    canvas.image.paste(Image.fromarray(pixels), (left, top))
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            x, y = left + (column + 0.5) * cell_width, top + (row + 0.5) * cell_height
            colour = readable_on(colours[row, column])
            canvas.text(x, y, text, colour=colour, align="centre")
    if min(cell_width, cell_height) >= 12:
        _grid(canvas, (left, top, right, bottom), cell_width, cell_height)
    canvas.frame((left - 1, top - 1, right + 1, bottom + 1), LINE, 1)
    for row, column in np.argwhere(marked) if marked is not None else ():
        x, y = left + column * cell_width, top + row * cell_height
        canvas.frame((x, y, x + cell_width, y + cell_height), MARK, 1 + (cell_height > 12))

    middle = (top + bottom) / 2 + text_width(rows, SMALL) / 2
    canvas.upward_text(MARGIN + 8, middle, rows, size=SMALL, colour=MUTED)
    y = top - name_height - 12
    canvas.text((left + right) / 2, y, columns, size=SMALL, colour=MUTED, align="centre")
    for row in range(0, height, row_step):
        y = top + (row + 0.5) * cell_height
        canvas.text(left - 8, y, row_names[row], size=size, align="right")
    for column in range(0, width, column_step):
        x, name = left + (column + 0.5) * cell_width, column_names[column]
        if turned:
            canvas.upward_text(x, top - 6, name, size=size)
        else:
            canvas.text(x, top - 6 - size / 2, name, size=size, align="centre")
    return canvas.image


def _number_texts(numbers: np.ndarray) -> list[list[str]]:
    return [[_number_text(number) for number in row] for row in numbers.tolist()]


def _number_text(number: float) -> str:
    if isinstance(number, int):
        return str(number)
    if math.isnan(number):
        return ""
    # A bare 0 leaves the eye to what is there.
    return "0" if abs(number) < 0.005 else f"{number:.2f}"


def _grid(canvas: Canvas, box: tuple[int, int, int, int], width: int, height: int) -> None:
    left, top, right, bottom = box
    for x in range(left, right, width):
        canvas.pen.line((x, top, x, bottom - 1), fill=LINE)
    for y in range(top, bottom, height):
        canvas.pen.line((left, y, right - 1, y), fill=LINE)


@dataclass
class Strip:
    """One sequence, to be drawn with the weight of each position.

    Attributes:
        content: the tokens, or (time, feature) values.
        weights: (time,) weight of each position.
        label: the right class.
        prediction: the class that was predicted.
        evidence: (time,) true at positions known to decide the answer; None where unknown.
    """

    content: Sequence[str] | np.ndarray
    weights: np.ndarray
    label: str
    prediction: str
    evidence: np.ndarray | None = None

    @property
    def wrong(self) -> bool:
        return self.label != self.prediction


def strips(
    sequences: Sequence[Strip],
    title: str,
    *,
    scale: str = "weight",
    high: float | None = None,
    features: Sequence[str] = (),
) -> Image.Image:
    """Sequences below one another, each with its label, its prediction and its weights.

    A wrong prediction is marked, and evidence is outlined.

    Args:
        sequences: what is drawn: all tokens, or all values with equally many features.
        title: printed above.
        scale: what the colours are.
        high: the weight shown as the darkest colour; a round number above all weights if None.
        features: the names of the values' features, for a legend of their curves.
    """
    if high is None:
        high = round_above(max((float(s.weights.max()) for s in sequences), default=1.0))
    panels = _panels(sequences, high)
    labels = [shortened(visible(s.label), NAME) for s in sequences]
    predictions = [shortened(visible(s.prediction), NAME) for s in sequences]
    second = MARGIN + 10 + max(widest(labels), text_width("label", SMALL)) + 24
    left = second + 20 + max(widest(predictions), text_width("predicted", SMALL) - 20) + 24
    key = MARGIN + colour_bar_width(0, high, scale) + 16
    known = any(s.evidence is not None for s in sequences)
    right = max(
        left + max((panel.width for panel in panels), default=0),
        MARGIN + text_width(title, TEXT, True),
        key + (24 + text_width("evidence", SMALL) if known else 0),
        MARGIN + legend_width(features),
    )
    # A single curve needs no name.
    several = len(features) > 1
    top = MARGIN + 84 + (26 if several else 0)
    canvas = Canvas(right + MARGIN, top + sum(p.height + GAP for p in panels) - GAP + MARGIN)
    canvas.text(MARGIN, MARGIN + 8, title, bold=True)
    canvas.colour_bar(MARGIN, MARGIN + 38, 0, high, scale)
    if known:
        canvas.frame((key, MARGIN + 31, key + 18, MARGIN + 45), MARK, 2)
        canvas.text(key + 24, MARGIN + 38, "evidence", size=SMALL, colour=MUTED)
    if several:
        draw_legend(canvas, MARGIN, MARGIN + 64, features)
    canvas.text(MARGIN + 10, top - 18, "label", size=SMALL, colour=MUTED)
    canvas.text(second, top - 18, "predicted", size=SMALL, colour=MUTED)
    y = top
    for sequence, panel, label, prediction in zip(
        sequences, panels, labels, predictions, strict=True
    ):
        wrong = sequence.wrong
        if wrong:
            above, below = y - GAP // 2 + 1, y + panel.height + GAP // 2 - 1
            canvas.box((MARGIN, above, right + MARGIN // 2, below), BAD_PAPER, None)
            canvas.box((MARGIN, above, MARGIN + 4, below), BAD, None)
        middle = y + BOX / 2
        canvas.text(MARGIN + 10, middle, label)
        canvas.text(second, middle, "✗" if wrong else "✓", colour=BAD if wrong else GOOD)
        canvas.text(second + 20, middle, prediction, colour=BAD if wrong else INK)
        panel.draw(canvas, left, y)
        y += panel.height + GAP
    return canvas.image


def _panels(sequences: Sequence[Strip], high: float) -> list[Panel]:
    tokens = [s.content for s in sequences if not isinstance(s.content, np.ndarray)]
    values = [s.content for s in sequences if isinstance(s.content, np.ndarray)]
    # One width, and one scale, for all sequences, so that they compare.
    narrowest = narrowest_box(tokens)
    together = np.concatenate(values) if values else np.zeros((1, 0))
    bounds = np.stack([together.min(axis=0), together.max(axis=0)])
    return [
        CurvePanel(s.content, s.weights, high=high, bounds=bounds, evidence=s.evidence)
        if isinstance(s.content, np.ndarray)
        else TokenPanel(s.content, s.weights, high=high, evidence=s.evidence, narrowest=narrowest)
        for s in sequences
    ]


def round_above(value: float) -> float:
    """1, 0.5, 0.2, 0.1, 0.05, …: the smallest of them that is not below the value."""
    steps = [lead * 10.0**-power for power in range(4) for lead in (10, 5, 2)]
    return min((step / 10 for step in steps if step / 10 >= value), default=value)
