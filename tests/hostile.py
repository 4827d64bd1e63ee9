"""One text that means something to every format, for all outputs to show and none to obey."""

from __future__ import annotations

# A formula, a spreadsheet's command, markup, a script, a link, LaTeX, a mathematical formula that
# does not end, an escape of the terminal, line ends, marks that reorder text, and half a letter.
HOSTILE = (
    "=cmd|'/c calc'!A1 $\\frac{$ <script>alert(1)</script> [x](https://evil.example) `code` **b** "
    '\\input{/etc/passwd} %_#&~^{} \x1b[31m\x1b]0;title\x07 a\rb\nc\u2028d \u202egnp.exe | "q" @x'
)
# What may stand in no output that is read as lines, whatever the format.
CONTROLS = ("\x1b", "\x07", "\r", "\u2028", "\u202e")


def assert_harmless(text: str, *, lines: bool = False) -> None:
    """No control character reached the text; in a format of lines no line end either."""
    for sign in CONTROLS:
        assert sign not in text, repr(sign)
    if lines:
        assert not any(line.startswith("c\\u2028d") for line in text.splitlines())
