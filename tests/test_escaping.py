"""What each format makes of a hostile text, by the format's own reader where there is one."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from seqlab import escaping
from tests.hostile import HOSTILE, assert_harmless

GFM = MarkdownIt("gfm-like", {"linkify": False})
PLAIN = escaping.one_line(HOSTILE)


def test_one_line_shows_what_it_takes_out():
    assert escaping.one_line("a\nb\x1b[1m\u202e\u00e9\ud800") == r"a\nb\x1b[1m\u202eé\ud800"
    assert escaping.one_line("plain text, größe, 日本, 👩‍🚀") == "plain text, größe, 日本, 👩‍🚀"
    assert_harmless(PLAIN)
    assert "\n" not in PLAIN


@given(st.text())
def test_one_line_is_one_line_that_can_be_encoded(text):
    shown = escaping.one_line(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert escaping.one_line(shown) == shown


class Shown(HTMLParser):
    """The text of a page, which may hold no other tags than these."""

    def __init__(self, allowed):
        super().__init__()
        self.allowed, self.text, self.attributes = set(allowed), "", []

    def handle_starttag(self, tag, attrs):
        assert tag in self.allowed, tag
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def html_text(page, *allowed):
    reader = Shown(allowed)
    reader.feed(page)
    reader.close()
    return reader.text


@given(st.text(min_size=1).filter(str.strip))
def test_html_shows_the_text(text):
    assert html_text(f"<p>{escaping.html(text)}</p>", "p") == escaping.one_line(text)


def test_html_of_the_hostile_text():
    shown = html_text(f'<p title="{escaping.html(HOSTILE)}">{escaping.html(HOSTILE)}</p>', "p")
    assert shown == PLAIN


MARKUP = st.text("ab_*`[]()<>|~!&$@#\\:/. w\n\x1b-+=1", min_size=1)


def rendered(source):
    return html_text(GFM.render(source), "p", "table", "thead", "tbody", "tr", "th", "td")


@given(MARKUP)
def test_markdown_shows_the_text_within_a_sentence(text):
    source = f"x {escaping.markdown(text)} x"
    assert rendered(source).strip() == f"x {escaping.one_line(text)} x"


@given(MARKUP)
def test_markdown_shows_the_text_in_a_table(text):
    source = f"| x |\n| --- |\n| x{escaping.markdown(text)}x |\n"
    assert rendered(source).split() == f"x x{escaping.one_line(text)}x".split()


def test_markdown_of_the_hostile_text():
    assert rendered(f"x {escaping.markdown(HOSTILE)} x").strip() == f"x {PLAIN} x"
    # No reader makes a link of what is no address as it stands.
    links = escaping.markdown(f"{HOSTILE} www.evil.example")
    assert not re.search(r"https?://|www\.|(?<!\\)@", links)


@given(MARKUP, st.booleans())
def test_markdown_code_shows_the_text(text, table):
    code = escaping.markdown_code(text, table=table)
    source = f"| x |\n| --- |\n| {code} |\n" if table else f"x {code} x"
    shown = html_text(GFM.render(source), "p", "code", "table", "thead", "tbody", "tr", "th", "td")
    assert shown.split() == (["x", *escaping.one_line(text).split()] + ["x"] * (not table))


def test_csv_of_the_hostile_text():
    cell = escaping.csv_cell(HOSTILE)
    assert cell.startswith("'=cmd")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([cell, "next"])
    ((shown, following),) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert (shown, following) == (cell, "next")
    assert_harmless(shown)


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM", " =1", "\t=1", "\tx", "\n=1"])
def test_formulas_are_text(text):
    assert escaping.csv_cell(text).startswith("'")


def test_numbers_and_plain_text_stay():
    for value in ("-1", "+0.5", "1e-3", "-.5e+4", "-inf", "nan", "a=b", "", "a\n=1", 3, None):
        assert escaping.csv_cell(value) == value


def test_latex_of_the_hostile_text():
    text = escaping.latex(HOSTILE)
    assert "\n" not in text
    # All that is left of a command is what the table makes.
    commands = set(re.findall(r"\\([A-Za-z]+|.)", text))
    assert commands <= {"textbackslash", "textasciitilde", "textasciicircum", *"&%$#_{}"}
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[&%#_]", text)
    assert escaping.latex_comment(HOSTILE).startswith("% ")
    assert "\n" not in escaping.latex_comment(HOSTILE)


@pytest.mark.parametrize("text", [HOSTILE, "$x$", "$$", r"\$a$", "$", "a$b$c", r"$\frac{$"])
def test_plots_draw_the_text(text):
    figure = Figure()
    drawn = figure.text(0.1, 0.5, escaping.plot_text(text))
    FigureCanvasAgg(figure).draw()
    assert isinstance(drawn, Text)
    shown, is_formula = drawn._preprocess_math(drawn.get_text())
    assert not is_formula
    # Matplotlib takes the backslash before a dollar away.
    assert shown.replace("\\$", "$") == escaping.one_line(text).replace("\\$", "$")
