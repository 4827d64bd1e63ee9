"""Text of unknown origin as each format shows it, and never as a command to the format.

Names, labels, tokens, paths and messages come from users' files and from folders of other people.
Every output passes them through the function of its format here.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata

# What reorders the text around it (Unicode's bidirectional controls), or looks like nothing.
HIDDEN = frozenset("\u061c\u200b\u200e\u200f\u2060\ufeff" + "\u202a\u202b\u202c\u202d\u202e")
HIDDEN |= frozenset("\u2066\u2067\u2068\u2069")
LATEX = {
    "\\": r"\textbackslash{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": "$|$",
    # At the beginning of a row these would be read as options of the row before.
    **{sign: f"{{{sign}}}" for sign in "[]*"},
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# An underscore within a word is no markup, and a link needs its scheme or `www.`.
MARKDOWN = re.compile(
    r"[\\`*\[\]<>|~&$@#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=\w):(?=//)|(?<=www)\.",
    re.IGNORECASE,
)
# What a spreadsheet takes for the beginning of a formula.
FORMULA = re.compile(r"\s*[=+\-@]|\t")
NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def one_line(text: object) -> str:
    r"""Text without control characters, line ends and hidden marks: they are shown as `\n`, `\x1b`.

    Also what a terminal gets: nothing in it moves the cursor or changes a colour.
    """
    text = str(text)
    if text.isprintable() and text.isascii():
        return text
    return "".join(_escaped(sign) if _is_control(sign) else sign for sign in text)


def lines(text: object) -> str:
    """Text as `one_line`, but with its line ends and tabs."""
    return re.sub(r"[^\n\t]+", lambda part: one_line(part[0]), str(text))


def latex(text: object) -> str:
    """Text as LaTeX prints it."""
    return re.sub(r"[\\&%$#_{}~^<>–−±|\[\]*]", lambda match: LATEX[match[0]], one_line(text))


def latex_comment(text: object) -> str:
    """A line of comment, which ends where the line does."""
    return f"% {latex(text)}"


def markdown(text: object) -> str:
    """Text as Markdown shows it, in a line of its own, a list or a table."""
    return MARKDOWN.sub(lambda match: f"\\{match[0]}", one_line(text))


def markdown_code(text: object, *, table: bool = False) -> str:
    """Text as code within a line of Markdown; in a table a bar would end the cell."""
    text = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    text = text.replace("|", "\\|") if table else text
    return f"{fence}{room}{text}{room}{fence}"


def html(text: object) -> str:
    """Text as HTML shows it, between tags and in attributes."""
    return _html.escape(one_line(text))


def csv_cell(value: object) -> object:
    """A cell that a spreadsheet reads as it is: text that looks like a formula gets a `'` first.

    Numbers stay as they are, and so do line ends, which CSV has quotation marks for.
    """
    if not isinstance(value, str):
        return value
    text = lines(value)
    formula = FORMULA.match(text) and not NUMBER.fullmatch(text)
    return f"'{text}" if formula else text


def plot_text(text: object) -> str:
    """Text as Matplotlib draws it; a `$` would begin a formula."""
    return one_line(text).replace("$", r"\$")


def _is_control(sign: str) -> bool:
    return sign in HIDDEN or unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs")


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
