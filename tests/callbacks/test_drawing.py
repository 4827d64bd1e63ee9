"""Pictures show what they are given: cells by value, marks where marked, nothing left out."""

from itertools import pairwise

import numpy as np
import pytest

from seqlab.callbacks.canvas import BAD_PAPER, LINES, MARK, PAPER, colour_table, signed_colour_table
from seqlab.callbacks.drawing import Strip, heatmap, strips
from seqlab.callbacks.panels import BOX, GAP, MOST_LINES, WIDTH, CurvePanel, TokenPanel
from tests.hostile import HOSTILE

RNG = np.random.default_rng(0)


def pixels(image):
    return np.asarray(image).astype(int)


def count(image, colour):
    return int((pixels(image) == colour).all(axis=-1).sum())


def shade(value):
    return tuple(colour_table()[round(255 * value)].tolist())


def names(size):
    return [f"n{number}" for number in range(size)]


@pytest.mark.parametrize("shape", [(20, 30), (16, 16), (70, 15)])
def test_every_cell_has_the_colour_of_its_value(shape):
    matrix = np.zeros(shape)
    places = [tuple(RNG.integers(0, shape)) for _ in range(5)]
    values = [0.2, 0.4, 0.6, 0.8, 1.0]
    areas = set()
    for (row, column), value in zip(places, values, strict=True):
        one = matrix.copy()
        one[row, column] = value
        # The same picture without the value: what differs is the cell.
        image = pixels(heatmap(one, names(shape[0]), names(shape[1]), "", high=1.0))
        empty = pixels(heatmap(matrix, names(shape[0]), names(shape[1]), "", high=1.0))
        changed = (image != empty).any(axis=-1)
        assert {tuple(colour) for colour in image[changed]} == {shade(value)}
        areas.add(int(changed.sum()))
        rows, columns = np.nonzero(changed)
        height = rows.max() - rows.min() + 1
        assert int(changed.sum()) == height * (columns.max() - columns.min() + 1)
    assert len(areas) == 1


def test_cells_stand_in_the_order_of_rows_and_columns():
    def centre(row, column):
        one = np.zeros((20, 20))
        one[row, column] = 1
        found = (pixels(heatmap(one, names(20), names(20), "", high=1.0)) != base).any(axis=-1)
        return np.argwhere(found).mean(axis=0)

    base = pixels(heatmap(np.zeros((20, 20)), names(20), names(20), "", high=1.0))
    step = centre(1, 1) - centre(0, 0)
    np.testing.assert_allclose(centre(5, 17) - centre(0, 0), step * [5, 17])


def test_few_cells_show_numbers_and_many_do_not():
    def colours_at_cells(size):
        image = heatmap(np.full((size, size), 0.5), names(size), names(size), "", high=1.0)
        return count(image, shade(0.5)) / size**2

    empty, numbered = colours_at_cells(15), colours_at_cells(14)
    assert empty > 900
    # Larger cells, of which digits cover a part.
    assert numbered > empty
    assert numbered < 56 * 38 - 100


def test_numbers_may_differ_from_colours():
    shares, counts = np.eye(2), np.array([[51, 0], [0, 49]])
    one = heatmap(shares, names(2), names(2), "", numbers=counts)
    other = heatmap(shares, names(2), names(2), "", numbers=counts + 1)
    assert one.size == other.size
    assert one.tobytes() != other.tobytes()


def test_marked_cells_are_outlined():
    marked = np.eye(3, dtype=bool)
    bare = heatmap(np.eye(3), names(3), names(3), "")
    image = heatmap(np.eye(3), names(3), names(3), "", marked=marked)
    assert count(bare, MARK) == 0
    assert count(image, MARK) == 3 * count(
        heatmap(np.eye(3), names(3), names(3), "", marked=marked & (np.arange(3) == 1)), MARK
    )


def test_missing_values_do_not_disturb():
    matrix = np.array([[np.nan, 1.0], [0.0, 0.5]])
    assert heatmap(matrix, names(2), names(2), "").size[0] > 0
    assert heatmap(np.full((2, 2), np.nan), names(2), names(2), "").size[0] > 0


def test_names_must_fit_the_matrix():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        heatmap(np.zeros((2, 3)), names(2), names(2), "")


def test_sizes_stay_bounded():
    image = heatmap(RNG.random((300, 200)), ["token" * 20] * 300, names(200), "title")
    assert max(image.size) < 1600


def strip(length=6, *, wrong=False, evidence=False, peak=0):
    weights = np.zeros(length)
    weights[peak] = 1
    marks = np.arange(length) == peak
    return Strip(
        [str(number % 20) for number in range(length)],
        weights,
        "absent",
        "present" if wrong else "absent",
        marks if evidence else None,
    )


def test_wrong_predictions_are_marked_in_their_row():
    right = strips([strip(), strip()], "")
    wrong = pixels(strips([strip(), strip(wrong=True)], ""))
    assert count(right, BAD_PAPER) == 0
    rows = np.flatnonzero((wrong == BAD_PAPER).all(axis=-1).any(axis=1))
    assert len(rows) > BOX
    # The second of two rows: the lower part of the picture.
    assert rows.min() > wrong.shape[0] - 2 * BOX - 2 * GAP


def test_evidence_is_outlined_at_its_position():
    def panel(place):
        image = pixels(strips([strip(evidence=True, peak=place)], ""))
        marked = (image == MARK).all(axis=-1)
        marked[:80] = False  # the key
        return np.argwhere(marked)

    first, third = panel(0), panel(2)
    assert len(first) == len(third) > 100
    step = (third - first).mean(axis=0)
    assert step[0] == 0
    assert step[1] == pytest.approx(68)  # two boxes
    assert count(strips([strip(evidence=False)], ""), MARK) == 0


def test_box_colours_follow_weights():
    weights = np.array([0.0, 0.25, 0.5, 1.0])
    image = strips([Strip(["a", "b", "c", "d"], weights, "x", "x")], "", high=1.0)
    for weight in weights[1:]:
        assert count(image, shade(weight)) > 400


@pytest.mark.parametrize("length", [1, 5, 31, 32, 60, 124, 125, 1000])
def test_every_token_is_shown_or_counted(length):
    tokens = ["7"] * length
    panel = TokenPanel(tokens, np.ones(length) / length, high=1.0)
    assert len(panel.boxes) + panel.rest == length
    assert panel.width <= WIDTH
    assert max(line for _, _, line in panel.boxes) < MOST_LINES
    assert panel.height == (panel.boxes[-1][2] + 1) * (BOX + GAP) - GAP
    edges = [(line, left, right) for left, right, line in panel.boxes]
    assert edges == sorted(edges)
    for (line, _, right), (next_line, left, _) in pairwise(edges):
        assert left == (right if line == next_line else 0)
    assert (panel.rest == 0) == (length <= MOST_LINES * (WIDTH // 34))


def test_a_peak_in_a_long_series_is_not_lost():
    weights = np.zeros(5000)
    weights[1234] = 1
    series = Strip(RNG.standard_normal((5000, 2)), weights, "x", "x")
    assert count(strips([series], "", high=1.0), shade(1.0)) > count(
        strips([Strip(series.content, weights * 0, "x", "x")], "", high=1.0), shade(1.0)
    )


def test_shading_stands_below_its_step():
    weights = np.array([0, 0, 1.0, 0])
    image = pixels(strips([Strip(np.ones((4, 1)), weights, "x", "x")], "", high=1.0))
    dark = np.argwhere((image == shade(1.0)).all(axis=-1) & (np.arange(len(image)) > 80)[:, None])
    panel = CurvePanel(np.ones((4, 1)), weights, high=1.0, bounds=np.ones((2, 1)))
    assert dark[:, 1].max() - dark[:, 1].min() + 1 == panel.width // 4


def test_constant_series_and_empty_lists_can_be_drawn():
    assert strips([Strip(np.zeros((5, 3)), np.ones(5) / 5, "x", "x")], "").size[0] > 100
    assert strips([], "nothing").size[0] > 100


def test_paper_is_white():
    assert strips([strip()], "title").getpixel((1, 1)) == PAPER


def test_values_of_two_signs_have_two_colours_equally_far_from_white():
    matrix = np.array([[-2.0, 2.0], [0.0, -1.0]])
    image = heatmap(matrix, names(2), names(2), "", numbers=np.full((2, 2), np.nan))
    table = signed_colour_table()
    assert table[255].tolist() == [255, 255, 255]
    assert len(table) == 511
    for value in (-2.0, 2.0, -1.0):
        assert count(image, tuple(table[round(255 + 127.5 * value)].tolist())) > 500
    # As dark on one side as on the other, and of different hues.
    assert table[0].sum() == pytest.approx(table[-1].sum(), abs=60)
    assert table[100][0] > table[100][2]
    assert table[410][2] > table[410][0]


def test_curves_of_several_features_have_a_legend():
    strip = Strip(RNG.normal(size=(30, 3)), np.full(30, 1 / 30), "a", "a")
    named = strips([strip], "", features=("x", "y", "z"))
    bare = strips([strip], "")
    assert named.height > bare.height
    top = pixels(named)[: named.height - bare.height + 84]
    for colour in LINES[:3]:
        assert (top == colour).all(axis=-1).sum() >= 30
    single = Strip(RNG.normal(size=(30, 1)), np.full(30, 1 / 30), "a", "a")
    assert strips([single], "", features=("x",)).size == strips([single], "").size


def test_hostile_names_are_drawn():
    few = heatmap(np.eye(2), [HOSTILE, "b"], [HOSTILE, "b"], HOSTILE)
    assert few.width < 4000
    assert strips([Strip([HOSTILE] * 3, np.ones(3) / 3, HOSTILE, "b")], HOSTILE).height > 50
    many = strips(
        [Strip(np.zeros((5, 2)), np.ones(5) / 5, "a", "b")], "", features=(HOSTILE, HOSTILE)
    )
    assert many.height > 50
