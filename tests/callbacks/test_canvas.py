"""Colours follow values in even steps, and text stands out from them."""

import numpy as np
import pytest

from seqlab.callbacks.canvas import (
    MISSING,
    PAPER,
    Canvas,
    colour_table,
    coloured,
    readable_on,
    shortened,
    text_width,
    visible,
)


def luminance(colours):
    """Relative luminance of sRGB (IEC 61966-2-1)."""
    parts = np.asarray(colours, float) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_lightness_falls_in_even_steps():
    # CIE 1976 lightness, another space than the one that the table is made in.
    lightness = 116 * np.cbrt(luminance(colour_table())) - 16
    steps = -np.diff(lightness[::15])
    assert lightness[0] == pytest.approx(100, abs=0.1)
    assert lightness[-1] < 25
    assert steps.min() > 0.8 * steps.mean()
    assert steps.max() < 1.2 * steps.mean()


def test_colours_follow_values_and_missing_is_grey():
    low, middle, high, over, missing = coloured(np.array([1.0, 2.0, 3.0, 9.0, np.nan]), 1, 3)
    assert tuple(low) == PAPER
    assert luminance(low) > luminance(middle) > luminance(high)
    assert tuple(over) == tuple(high)
    assert tuple(missing) == MISSING


def test_one_value_has_a_colour():
    assert coloured(np.array([[2.0]]), 2, 2).shape == (1, 1, 3)


def test_text_is_readable_on_every_colour():
    for colour in colour_table():
        pair = sorted([luminance(colour), luminance(readable_on(colour))])
        # WCAG 2.1, 1.4.3: 3 for large text; 4.5 cannot be had in the middle of any scale with
        # an ink that is not quite black.
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.8


def test_shortened_text_fits_and_short_text_stays():
    long = "incomprehensibilities"
    assert shortened("short", 100) == "short"
    cut = shortened(long, 80)
    assert text_width(cut) <= 80 < text_width(long)
    assert long.startswith(cut[:-1])
    assert cut.endswith("…")


def test_blanks_become_visible_only_where_nothing_else_is():
    assert visible(" ") == "␣"
    assert visible("\n") == "↵"
    assert visible("two words") == "two words"


def ink_box(image):
    """Left, top, right, bottom of all that is not paper."""
    dark = np.asarray(image).min(axis=-1) < 255
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize(("align", "edge"), [("left", 0), ("right", 2)])
def test_text_stands_where_it_is_aligned(align, edge):
    canvas = Canvas(300, 60)
    canvas.text(150, 30, "HHH", align=align)
    box = ink_box(canvas.image)
    assert abs(box[edge] - 150) <= 2
    assert abs((box[1] + box[3]) / 2 - 30) <= 1


def test_upward_text_is_the_text_turned():
    flat, upward = Canvas(200, 200), Canvas(200, 200)
    flat.text(20, 100, "Happy")
    upward.upward_text(100, 180, "Happy")
    left, top, right, bottom = ink_box(flat.image)
    turned = np.rot90(np.asarray(flat.image)[top:bottom, left:right])
    left, top, right, bottom = ink_box(upward.image)
    np.testing.assert_array_equal(np.asarray(upward.image)[top:bottom, left:right], turned)
    assert abs(bottom - 180) <= 2
