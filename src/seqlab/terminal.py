"""Text on the screen: whatever its origin, it neither moves the cursor nor changes colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.escaping import one_line

if TYPE_CHECKING:  # takes a tenth of a second to import
    from rich.console import Console
    from rich.text import Text


def say(console: Console, text: object, *, style: str | None = None, whole: bool = False) -> None:
    """Prints a line of text as it stands; `whole` does not break it at the screen's width."""
    console.print(one_line(text), style=style, soft_wrap=whole, highlight=False, markup=False)


def cell(text: object, style: str = "") -> Text:
    """A cell of a table, as it stands."""
    from rich.text import Text

    return Text(one_line(text), style=style)
