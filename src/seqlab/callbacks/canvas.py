"""Text and colour for pictures drawn with PIL, quick enough for every validation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from seqlab.escaping import one_line

Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (33, 37, 41)
MUTED: Colour = (108, 117, 125)
LINE: Colour = (206, 212, 218)
MISSING: Colour = (233, 236, 239)
GOOD: Colour = (22, 120, 70)
BAD: Colour = (196, 28, 46)
BAD_PAPER: Colour = (253, 234, 235)
# Marks what is known to matter; far in hue from the blues of the colour map.
MARK: Colour = (232, 119, 0)
# Okabe & Ito's (2008), told apart by colour-blind readers too; the yellow is too pale for lines.
LINES: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (60, 60, 60),
)

TEXT = 17
SMALL = 14


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    # Matplotlib brings its own fonts, so that pictures look alike on every machine.
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def _glyphs(text: str, size: int, bold: bool) -> Any:
    """The rendered text as a mask: the same few tokens are drawn again and again."""
    return _font(size, bold).getmask(text)


@lru_cache(maxsize=8192)
def text_width(text: str, size: int = TEXT, bold: bool = False) -> int:
    """Pixels that a text takes."""
    return round(_font(size, bold).getlength(text))


def widest(texts: Sequence[str], size: int = TEXT, bold: bool = False) -> int:
    """Pixels that the widest of some texts takes; 0 for none."""
    return max((text_width(text, size, bold) for text in texts), default=0)


def visible(text: str) -> str:
    """A token as it can be printed: blanks and line ends get signs, other controls their codes."""
    signs = one_line(text.replace("\n", "↵").replace("\t", "⇥"))
    return signs.replace(" ", "␣") if not signs.strip() else signs


def shortened(text: str, width: int, size: int = TEXT) -> str:
    """The text, cut with an ellipsis where it is wider than so many pixels."""
    if text_width(text, size) <= width:
        return text
    kept = len(text)
    while kept > 1 and text_width(text[:kept] + "…", size) > width:
        kept -= 1
    return text[:kept] + "…"


class Canvas:
    """A white picture to draw on.

    Args:
        width: pixels.
        height: pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.pen = ImageDraw.Draw(self.image)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: Colour = INK,
        size: int = TEXT,
        bold: bool = False,
        align: Literal["left", "centre", "right"] = "left",
    ) -> None:
        """Writes a line with its middle at height y, and left end, centre or right end at x."""
        if not text:
            return
        font = _font(size, bold)
        mask = _glyphs(text, size, bold)
        left, top = font.getbbox(text)[:2]
        x -= {"left": 0, "centre": 0.5, "right": 1}[align] * text_width(text, size, bold)
        # Lines are centred by capital letters: a text's own height would make baselines jump.
        y -= sum(font.getbbox("H")[1::2]) / 2
        place = (round(x + left), round(y + top))
        self.pen.draw.draw_bitmap(place, mask, self.pen.draw.draw_ink(colour))

    def upward_text(
        self, x: float, y: float, text: str, *, colour: Colour = INK, size: int = TEXT
    ) -> None:
        """Writes a line from bottom to top, with its middle at x and its left end at y."""
        if not text:
            return
        left, top, right, bottom = _font(size, False).getbbox(text)
        line = Image.new("L", (round(right - left), round(bottom - top)))
        ImageDraw.Draw(line).text((-left, -top), text, fill=255, font=_font(size, False))
        turned = line.transpose(Image.Transpose.ROTATE_90)
        x += top - sum(_font(size, False).getbbox("H")[1::2]) / 2
        place = (round(x), round(y - left - turned.height))
        self.pen.draw.draw_bitmap(place, turned.im, self.pen.draw.draw_ink(colour))

    def box(
        self, box: tuple[float, float, float, float], fill: Colour | None, outline: Colour | None
    ) -> None:
        """A rectangle from (left, top) up to, not including, (right, bottom)."""
        left, top, right, bottom = (round(edge) for edge in box)
        self.pen.rectangle((left, top, right - 1, bottom - 1), fill=fill, outline=outline)

    def frame(self, box: tuple[float, float, float, float], colour: Colour, width: int) -> None:
        """The outline of a rectangle, drawn inside it."""
        left, top, right, bottom = (round(edge) for edge in box)
        self.pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)

    def colour_bar(self, x: int, y: int, low: float, high: float, name: str) -> None:
        """A lying scale of the colour map: its name, and the values at both ends."""
        for text in (name, f"{low:.3g}"):
            self.text(x, y, text, size=SMALL, colour=MUTED)
            x += text_width(text, SMALL) + 8
        colours = scale_colours(low)
        colours = colours[np.linspace(0, len(colours) - 1, 128).astype(int)]
        ramp = Image.fromarray(np.broadcast_to(colours, (12, 128, 3)).copy())
        self.image.paste(ramp, (x, y - 6))
        self.frame((x, y - 6, x + 128, y + 6), LINE, 1)
        self.text(x + 136, y, f"{high:.3g}", size=SMALL, colour=MUTED)


def colour_bar_width(low: float, high: float, name: str) -> int:
    """Pixels that `Canvas.colour_bar` takes."""
    return 160 + sum(text_width(text, SMALL) for text in (name, f"{low:.3g}", f"{high:.3g}"))


@cache
def colour_table() -> np.ndarray:
    """(256, 3) bytes: from white to dark blue, in even steps of perceived lightness.

    White for nothing, so that the eye goes to what is there. A path through the space OKLab
    (Ottosson 2020): lightness falls in a line, hue turns from sky to ink.
    """
    return _ramp(235 + 32 * np.linspace(0, 1, 256))


def _ramp(degrees: np.ndarray) -> np.ndarray:
    """(256, 3) bytes from white to dark along hues (256,) of OKLab."""
    part = np.linspace(0, 1, 256)
    chroma = 0.125 * np.sin(np.pi * part**1.15) + 0.05 * part
    hue = np.radians(degrees)
    lab = np.stack([1 - 0.72 * part, chroma * np.cos(hue), chroma * np.sin(hue)])
    cones = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    primaries = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = (primaries @ (cones @ lab) ** 3).clip(0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * shown.T).astype(np.uint8)


@cache
def signed_colour_table() -> np.ndarray:
    """(511, 3) bytes: from dark red over white to dark blue, for values of two signs."""
    negative = _ramp(35 - 15 * np.linspace(0, 1, 256))
    return np.concatenate([negative[:0:-1], colour_table()])


def scale_colours(low: float) -> np.ndarray:
    """The colours from the lowest value of a scale to its highest."""
    return signed_colour_table() if low < 0 else colour_table()


def coloured(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours (…, 3) of values between low and high; what is missing (NaN) is grey.

    A scale that begins below 0 has two sides, white in its middle.
    """
    places = (np.asarray(values, np.float64) - low) / ((high - low) or 1.0)
    missing = np.isnan(places)
    table = scale_colours(low)
    index = np.rint((len(table) - 1) * np.where(missing, 0, places).clip(0, 1)).astype(np.intp)
    return np.where(missing[..., None], np.array(MISSING, np.uint8), table[index])


def readable_on(colour: Sequence[int]) -> Colour:
    """White or dark text, whichever stands out from the colour."""
    red, green, blue = ((part / 255) ** 2.2 for part in colour)
    # Where the contrast ratios of both texts (WCAG 2, section 1.4.3) meet.
    return INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.217 else PAPER
