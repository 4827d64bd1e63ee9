"""Reads tagged sentences in columns: the CoNLL tasks' files, and CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from seqlab.errors import InputError
from seqlab.files import read_text, split_lines

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# A word's number; that of several words written as one; that of a word left out of the text.
WORD, JOINED, EMPTY = r"\d+", r"\d+-\d+", r"\d+\.\d+"
CONLLU_ID = re.compile(rf"{JOINED}|{EMPTY}|{WORD}")


class Sentence(NamedTuple):
    """The tokens of a sentence, their tags, and the line that each stands on."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ColumnsFile:
    """How a file's lines are read; see `seqlab.data.conll.Conll` for the settings."""

    form: Literal["columns", "conllu"] = "columns"
    token_column: int | str | None = None
    tag_column: int | str | None = None
    comments: bool | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.form not in ("columns", "conllu"):
            raise InputError(f"data.format={self.form!r} must be columns or conllu")
        for name in ("token_column", "tag_column"):
            column = getattr(self, name)
            if self.form == "columns" and isinstance(column, str):
                raise InputError(
                    f"data.{name}={column}: columns have names in CoNLL-U only; give a number, 1 "
                    "for the first and -1 for the last, or set data.format=conllu"
                )
            if column == 0:
                raise InputError(
                    f"data.{name}=0: columns are counted from 1; use 1 for the first, -1 for the "
                    "last"
                )
            if isinstance(column, str) and column not in CONLLU:
                raise InputError(f"data.{name}={column} must be one of {', '.join(CONLLU)}")

    def read(self, path: str) -> list[Sentence]:
        """The sentences of a file.

        Raises:
            InputError: it cannot be read, a line does not fit the first, or there is no sentence;
                it names the line.
        """
        text = read_text(path, encoding=self.encoding, setting="data.encoding")
        sentences: list[Sentence] = []
        tokens: list[str] = []
        tags: list[str] = []
        places: list[int] = []
        lines = split_lines(text)
        first = next((n for n, line in enumerate(lines) if _is_token(line)), 0)
        width = len(split_columns(lines[first])) if lines else 0
        looks_like_ids = True
        for number, line in enumerate([*lines, ""], start=1):
            where = (
                f"{path}, line {number}, sentence {len(sentences) + 1}, position {len(tokens) + 1}"
            )
            cells = split_columns(line)
            if not cells:
                if tokens:
                    sentences.append(Sentence(tuple(tokens), tuple(tags), tuple(places)))
                    tokens, tags, places = [], [], []
                continue
            if cells[0] == "-DOCSTART-":
                continue
            if line[0] == "#" and self._is_comment(line, lines[first], bool(tokens), where):
                continue
            if len(cells) == 1:
                raise InputError(
                    f"{where}: {_shown(cells[0])} stands alone; each line needs a token and its "
                    "tag, and an empty line ends a sentence"
                )
            if len(cells) != width:
                remedy = "give every line as many, with tabs where a column holds blanks"
                if line[0] == "#":
                    remedy += "; set data.comments=true if this is a comment"
                raise InputError(
                    f"{where}: {_shown(line)} has {len(cells)} columns, but line {first + 1} has "
                    f"{width}; {remedy}"
                )
            if self.form == "conllu" and self._skips(cells, where):
                continue
            looks_like_ids &= len(cells) == len(CONLLU) and bool(CONLLU_ID.fullmatch(cells[0]))
            tokens.append(self._cell(cells, "token_column", where))
            tags.append(self._cell(cells, "tag_column", where))
            places.append(number)
        if not sentences:
            raise InputError(f"{path} holds no sentence; write one token and its tag a line")
        if self.form == "columns" and looks_like_ids and self.token_column is None:
            raise InputError(
                f"{path} looks like CoNLL-U, whose first column numbers the words; read it with "
                "data.format=conllu, or choose data.token_column"
            )
        return sentences

    def _is_comment(self, line: str, first: str, within: bool, where: str) -> bool:
        """Whether a line that begins with # is a comment, and not the token `#`.

        Unless `comments` says so, it is one between sentences, if it has not the columns of the
        file's first token.
        """
        if self.form == "conllu":
            return True
        if self.comments is not None:
            return self.comments
        if "\t" in line or within:
            return False
        if "\t" in first or len(split_columns(line)) != len(split_columns(first)):
            return True
        raise InputError(
            f"{where}: {_shown(line)} may be a comment or the token #; set data.comments=true "
            "where lines with # are comments, and false where # is a token"
        )

    def _skips(self, cells: Sequence[str], where: str) -> bool:
        """Whether a line of CoNLL-U stands for no word of its own.

        Of a word such as `1-2 don't` the syntactic words 1 and 2 follow and are read; an empty
        node such as `8.1` is not in the text.
        """
        if len(cells) != len(CONLLU) or not CONLLU_ID.fullmatch(cells[0]):
            raise InputError(
                f"{where}: this is no line of CoNLL-U, which has {len(CONLLU)} columns between "
                "tabs and a word's number first; correct it, or set data.format=columns"
            )
        return not re.fullmatch(WORD, cells[0])

    def _cell(
        self,
        cells: Sequence[str],
        setting: Literal["token_column", "tag_column"],
        where: str,
    ) -> str:
        column = getattr(self, setting)
        if column is None:
            usual = ("form", "upos") if self.form == "conllu" else (1, -1)
            column = usual[setting == "tag_column"]
        if isinstance(column, str):
            column = CONLLU.index(column) + 1
        if abs(column) > len(cells):
            raise InputError(
                f"{where}: there is no column {column} for data.{setting}; the line has "
                f"{len(cells)} columns, counted from 1"
            )
        cell = cells[column - 1 if column > 0 else column]
        if not cell:
            what = "token" if setting == "token_column" else "tag"
            raise InputError(f"{where}: the {what} is empty; fill it in, or leave out the line")
        return cell


def split_columns(line: str) -> list[str]:
    """A line's columns: between tabs if it has any, else between blanks; other spaces are text."""
    if "\t" in line:
        cells = [cell.strip(" ") for cell in line.split("\t")]
        return cells if any(cells) else []
    return [cell for cell in line.split(" ") if cell]


def _is_token(line: str) -> bool:
    """Whether a line holds a token for certain."""
    cells = split_columns(line)
    return bool(cells) and line[0] != "#" and cells[0] != "-DOCSTART-"


def _shown(line: str) -> str:
    return repr(line if len(line) <= 40 else line[:37] + "...")
