"""One sequence and its weights: tokens in boxes, or curves above a shading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from seqlab.callbacks.canvas import (
    INK,
    LINE,
    LINES,
    MARK,
    MUTED,
    PAPER,
    SMALL,
    TEXT,
    Canvas,
    coloured,
    readable_on,
    shortened,
    text_width,
    visible,
)

# Pixels for all that stands in one line; the longest token, and the narrowest.
WIDTH, LONGEST, NARROWEST = 1080, 180, 34
# Height of a token's box, and the gap to the next line.
BOX, GAP = 30, 4
# Lines that one sequence may take, and room for the mark that says how much is left out.
MOST_LINES, REST = 4, 70
# Height of a curve and of the shading below it, and the widest position.
CURVE, SHADING, STEP = 64, 16, 20


class Panel(ABC):
    """A part of a picture that knows its size before it is drawn."""

    width: int
    height: int

    @abstractmethod
    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        """Draws with the upper left corner at (x, y)."""


class TokenPanel(Panel):
    """Tokens in boxes coloured by weight, in as many lines as they need.

    What does not fit into `MOST_LINES` lines is counted instead.

    Args:
        tokens: the tokens.
        weights: (time,) weight of each.
        high: the weight shown as the darkest colour.
        evidence: (time,) true where a box is outlined.
        narrowest: pixels of the narrowest box: equal boxes stand in columns.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        weights: np.ndarray,
        *,
        high: float,
        evidence: np.ndarray | None = None,
        narrowest: int = NARROWEST,
    ) -> None:
        self.tokens = [shortened(visible(token), LONGEST) for token in tokens]
        self.colours = coloured(weights, 0, high)
        self.evidence = evidence
        widths = [max(narrowest, text_width(token) + 12) for token in self.tokens]
        self.boxes = _wrapped(widths)
        self.rest = len(widths) - len(self.boxes)
        # The mark for what is left out stands behind the last box.
        rights = [right for _, right, _ in self.boxes]
        self.width = max([*rights, rights[-1] + REST] if self.rest else rights, default=0)
        self.height = (1 + self.boxes[-1][2] if self.boxes else 1) * (BOX + GAP) - GAP

    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        for place, (left, right, line) in enumerate(self.boxes):
            colour = tuple(self.colours[place].tolist())
            top = y + line * (BOX + GAP)
            edges = (x + left, top, x + right, top + BOX)
            canvas.box(edges, colour, LINE)
            if self.evidence is not None and self.evidence[place]:
                canvas.frame(edges, MARK, 3)
            middle = x + (left + right) / 2
            ink = readable_on(colour)
            canvas.text(middle, top + BOX / 2, self.tokens[place], colour=ink, align="centre")
        if self.rest:
            right, line = self.boxes[-1][1:]
            middle = y + line * (BOX + GAP) + BOX / 2
            canvas.text(x + right + 8, middle, f"… +{self.rest}", size=SMALL, colour=MUTED)


def narrowest_box(sequences: Sequence[Sequence[str]]) -> int:
    """One width for all boxes, as long as no token is much wider than others."""
    widths = [text_width(visible(token)) + 12 for tokens in sequences for token in tokens]
    widest = max(widths, default=0)
    return max(NARROWEST, widest) if widest <= NARROWEST + TEXT else NARROWEST


def _wrapped(widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(left, right, line) of each box that finds room."""
    boxes: list[tuple[int, int, int]] = []
    x, line = 0, 0
    for number, width in enumerate(widths):
        last = line == MOST_LINES - 1
        if last and x + sum(widths[number:]) > WIDTH and x + width > WIDTH - REST:
            break
        if x + width > WIDTH:
            x, line = 0, line + 1
        boxes.append((x, x + width, line))
        x += width
    return boxes


class CurvePanel(Panel):
    """Values as one curve a feature, with the weights as shading below.

    Args:
        values: (time, feature) values.
        weights: (time,) weight of each position.
        high: the weight shown as the darkest colour.
        bounds: (2, feature) the values at the lower and the upper edge.
        evidence: (time,) true where the shading is outlined.
    """

    def __init__(
        self,
        values: np.ndarray,
        weights: np.ndarray,
        *,
        high: float,
        bounds: np.ndarray,
        evidence: np.ndarray | None = None,
    ) -> None:
        self.values = values
        self.weights = weights
        self.high = high
        self.bounds = bounds
        self.evidence = evidence
        self.width = min(WIDTH, STEP * len(values))
        self.height = CURVE + SHADING

    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        canvas.image.paste(self._curves(), (x, y))
        canvas.frame((x, y, x + self.width, y + CURVE), LINE, 1)
        # Each pixel shows the largest weight of its positions, so that no peak is lost.
        edges = np.linspace(0, len(self.weights), self.width, endpoint=False).astype(int)
        shades = coloured(np.maximum.reduceat(self.weights, edges), 0, self.high)
        row = np.broadcast_to(shades, (SHADING, self.width, 3)).copy()
        canvas.image.paste(Image.fromarray(row), (x, y + CURVE))
        canvas.frame((x, y + CURVE - 1, x + self.width, y + self.height), LINE, 1)
        if self.evidence is not None:
            step = self.width / len(self.values)
            for first, end in _stretches(self.evidence):
                right = max(end * step, first * step + 4)
                canvas.frame((x + first * step, y, x + right, y + self.height), MARK, 2)

    def _curves(self) -> Image.Image:
        # Drawn twice as large and reduced, which smooths the lines.
        picture = Image.new("RGB", (2 * self.width, 2 * CURVE), PAPER)
        pen = ImageDraw.Draw(picture)
        times = (np.arange(len(self.values)) + 0.5) * (2 * self.width / len(self.values))
        low, high = self.bounds
        room = np.where(high > low, high - low, 1.0)
        heights = 2 * (CURVE - 6 - (CURVE - 12) * (self.values - low) / room)
        if self.values.shape[1] == 1 and low[0] < 0 < high[0]:
            zero = 2 * (CURVE - 6 + (CURVE - 12) * low[0] / room[0])
            pen.line((0, zero, 2 * self.width, zero), fill=LINE, width=2)
        for feature, column in enumerate(heights.T):
            points = np.stack([times, column], axis=1).ravel().tolist()
            colour = INK if heights.shape[1] == 1 else LINES[feature % len(LINES)]
            pen.line(points, fill=colour, width=3, joint="curve")
        return picture.reduce(2)


def draw_legend(canvas: Canvas, x: int, y: int, features: Sequence[str]) -> None:
    """The names of the features behind lines in their curves' colours, from (x, y) to the right."""
    for number, name in enumerate(features):
        text = shortened(visible(name), LONGEST, SMALL)
        canvas.box((x, y - 2, x + 18, y + 1), LINES[number % len(LINES)], None)
        canvas.text(x + 24, y, text, size=SMALL, colour=MUTED)
        x += 24 + text_width(text, SMALL) + 16


def legend_width(features: Sequence[str]) -> int:
    """Pixels that `draw_legend` takes."""
    texts = [shortened(visible(name), LONGEST, SMALL) for name in features]
    return sum(40 + text_width(text, SMALL) for text in texts)


def _stretches(marks: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) of each run of true values."""
    steps = np.diff(np.concatenate([[0], np.asarray(marks, np.int8), [0]]))
    firsts, ends = np.flatnonzero(steps > 0).tolist(), np.flatnonzero(steps < 0).tolist()
    return list(zip(firsts, ends, strict=True))
