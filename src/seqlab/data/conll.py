"""Tagged sentences from the user's files, in columns as the CoNLL tasks have them."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from seqlab.data.columns import ColumnsFile, Sentence
from seqlab.data.examples import Examples
from seqlab.data.spec import IllegalMove, Spec
from seqlab.data.synthetic import Split
from seqlab.data.tag_scheme import TagScheme
from seqlab.data.vocabulary import with_special
from seqlab.errors import InputError, check_at_least

PADDING, UNKNOWN = 0, 1


@dataclass(kw_only=True)
class Conll:
    """One token a line with its tag, an empty line behind each sentence.

    Example: the lines `EU B-ORG`, `rejects O`, `call O` and an empty one are a sentence of three
    tokens. The token stands in the first column and the tag in the last, unless settings say
    otherwise; `-DOCSTART-` lines are skipped. Columns stand between tabs in a line that has any,
    else between blanks. Only a line feed, or a carriage return and a line feed, end a line.

    Sentences that validation and test share with training are counted and told.

    Args:
        train: file with the sentences to train on.
        val: file to validate on.
        test: file to test on.
        format: "columns", or "conllu" for CoNLL-U (https://universaldependencies.org/format.html):
            ten columns with names. Its comments and empty nodes are skipped, and a multiword token
            is read as the syntactic words that it consists of.
        token_column: which column holds the token: 1 for the first, −1 for the last; in CoNLL-U a
            name too, such as form or lemma. None is the first, in CoNLL-U form.
        tag_column: which column holds the tag, likewise. None is the last, in CoNLL-U upos.
        comments: whether lines that begin with # are comments; None: they are between sentences,
            if they have other columns than the tokens.
        encoding: of the files, such as utf-8 or latin-1.
        scheme: how the tags spell spans: "bio", "bioes" or "iob1"; None for tags that spell none,
            such as parts of speech.
        strict: refuses tags that break the scheme, such as an I- without its B-.
        min_count: a token that occurs less often in training is read as the unknown word, which
            teaches the model what an unknown word may be.

    Raises:
        InputError: a line without tag or with other columns than the first, a file without
            sentences, a tag outside the scheme, or with `strict` an illegal move; it names file,
            line, sentence and position.
    """

    train: str
    val: str
    test: str
    format: Literal["columns", "conllu"] = "columns"
    token_column: int | str | None = None
    tag_column: int | str | None = None
    comments: bool | None = None
    encoding: str = "utf-8"
    scheme: Literal["bio", "bioes", "iob1"] | None = "bio"
    strict: bool = True
    min_count: int = 2

    def __post_init__(self) -> None:
        check_at_least("data.min_count", self.min_count)
        self._file = ColumnsFile(
            form=self.format,
            token_column=self.token_column,
            tag_column=self.tag_column,
            comments=self.comments,
            encoding=self.encoding,
        )

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "val", "test")

    @cached_property
    def sentences(self) -> dict[str, list[Sentence]]:
        """All sentences of each split; tells how many of training are in the others too."""
        found = {name: self._file.read(getattr(self, name)) for name in self.splits}
        known = {sentence.tokens for sentence in found["train"]}
        for name in self.splits[1:]:
            shared = sum(sentence.tokens in known for sentence in found[name])
            if shared:
                warnings.warn(
                    f"{shared} of {len(found[name])} sentences of {name} are in training too",
                    stacklevel=1,
                )
        return found

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens that the training file holds often enough, the most frequent first."""
        counts = Counter(token for one in self.sentences["train"] for token in one.tokens)
        kept = [token for token, count in counts.most_common() if count >= self.min_count]
        return tuple(kept)

    @cached_property
    def tag_names(self) -> tuple[str, ...]:
        """Every tag of the three files, O first."""
        names: set[str] = set()
        for split in self.splits:
            for number, sentence in enumerate(self.sentences[split], start=1):
                for position, tag in enumerate(sentence.tags, start=1):
                    if tag not in names:
                        self._check_tag(tag, self._place(split, number, position))
                        names.add(tag)
        return tuple(sorted(names, key=lambda name: (name != "O", name[2:], name)))

    def _place(self, split: Split, number: int, position: int) -> str:
        """Where a token of a sentence stands, both counted from 1."""
        line = self.sentences[split][number - 1].lines[position - 1]
        path = getattr(self, split)
        return f"{path}, line {line}, sentence {number}, position {position}"

    def _check_tag(self, tag: str, place: str) -> None:
        if self.scheme is None:
            return
        try:
            TagScheme((tag,), self.scheme)
        except InputError as error:
            raise InputError(
                f"{place}: {error}, or data.scheme=null where tags spell no spans"
            ) from error

    def _illegal_move(self, split: Split) -> IllegalMove | None:
        """The first tag of a split that breaks the scheme."""
        if self.scheme is None:
            return None
        scheme = TagScheme(self.tag_names, self.scheme)
        for number, sentence in enumerate(self.sentences[split], start=1):
            if (move := scheme.illegal_move(sentence.tags)) is not None:
                return IllegalMove(self._place(split, number, move[0]), *move[1:])
        return None

    @property
    def spec(self) -> Spec:
        train = Counter(tag for one in self.sentences["train"] for tag in one.tags)
        test = [tag for one in self.sentences["test"] for tag in one.tags]
        share = test.count(train.most_common(1)[0][0]) / len(test)
        return Spec(
            task="tagging",
            kind="tokens",
            input_size=2 + len(self.vocabulary),
            output_size=len(self.tag_names),
            metric="token_accuracy" if self.scheme is None else "span_f1",
            # Who ignores the input tags everything with one tag, and finds no span by O.
            trivial=share if self.scheme is None else 0.0,
            optimum=None,
            input_names=with_special(self.vocabulary, ("·", "<unknown>")),
            label_names=self.tag_names,
            scheme=self.scheme,
            illegal_move=None if self.strict else self._illegal_move("train"),
        )

    def split(self, name: Split) -> Examples:
        ids = {token: number for number, token in enumerate(self.vocabulary, start=2)}
        places = {tag: number for number, tag in enumerate(self.tag_names)}
        if self.strict and (move := self._illegal_move(name)):
            raise InputError(
                f"{move.place}: in the scheme {self.scheme}, {move.tag} may not follow "
                f"{move.before}; correct the tags, or read them with data.strict=false and without "
                "constraints (task.constraints=none)"
            )
        sentences = self.sentences[name]
        longest = max(len(one.tokens) for one in sentences)
        inputs = torch.zeros(len(sentences), longest, dtype=torch.int32)
        targets = torch.zeros(len(sentences), longest, dtype=torch.int16)
        for row, one in enumerate(sentences):
            length = len(one.tokens)
            inputs[row, :length] = torch.tensor([ids.get(t, UNKNOWN) for t in one.tokens])
            targets[row, :length] = torch.tensor([places[tag] for tag in one.tags])
        lengths = torch.tensor([len(one.tokens) for one in sentences], dtype=torch.int32)
        return Examples(inputs, lengths, targets, per_token=True)
