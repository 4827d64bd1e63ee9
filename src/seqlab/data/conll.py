"""Tagged sentences from the user's files, in columns as the CoNLL tasks have them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from seqlab.data.examples import Examples
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Split
from seqlab.data.tag_scheme import TagScheme
from seqlab.errors import InputError, check_at_least

Sentence = tuple[list[str], list[str]]
PADDING, UNKNOWN = 0, 1


@dataclass(kw_only=True)
class Conll:
    """One token a line, its tag in the last column, an empty line behind each sentence.

    Example: the lines `EU B-ORG`, `rejects O`, `call O` and an empty one are a sentence of three
    tokens. Columns between the first and the last are skipped, and so are `-DOCSTART-` lines.

    Args:
        train: file with the sentences to train on.
        val: file to validate on.
        test: file to test on.
        scheme: how the tags spell spans: "bio", "bioes" or "iob1"; None for tags that spell none,
            such as parts of speech.
        strict: refuses tags that break the scheme, such as an I- without its B-.
        min_count: a token that occurs less often in training is read as the unknown word, which
            teaches the model what an unknown word may be.

    Raises:
        InputError: a line without tag, a file without sentences, a tag outside the scheme, or with
            `strict` an illegal move; it names file, sentence and position.
    """

    train: str
    val: str
    test: str
    scheme: Literal["bio", "bioes", "iob1"] | None = "bio"
    strict: bool = True
    min_count: int = 2

    def __post_init__(self) -> None:
        check_at_least("data.min_count", self.min_count)

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "val", "test")

    @cached_property
    def sentences(self) -> dict[str, list[Sentence]]:
        """All sentences of each split."""
        return {name: read_conll(getattr(self, name)) for name in self.splits}

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens that the training file holds often enough, the most frequent first."""
        counts = Counter(token for tokens, _ in self.sentences["train"] for token in tokens)
        kept = [token for token, count in counts.most_common() if count >= self.min_count]
        return tuple(kept)

    @cached_property
    def tag_names(self) -> tuple[str, ...]:
        """Every tag of the three files, O first."""
        names: set[str] = set()
        for split in self.splits:
            for number, (_, tags) in enumerate(self.sentences[split], start=1):
                for position, tag in enumerate(tags, start=1):
                    if tag not in names:
                        self._check_tag(tag, f"{getattr(self, split)}, sentence {number}", position)
                        names.add(tag)
        return tuple(sorted(names, key=lambda name: (name != "O", name[2:], name)))

    def _check_tag(self, tag: str, place: str, position: int) -> None:
        if self.scheme is None:
            return
        try:
            TagScheme((tag,), self.scheme)
        except InputError as error:
            raise InputError(f"{place}, position {position}: {error}") from error

    @property
    def spec(self) -> Spec:
        train = Counter(tag for _, tags in self.sentences["train"] for tag in tags)
        test = [tag for _, tags in self.sentences["test"] for tag in tags]
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
            input_names=("·", "<unknown>", *self.vocabulary),
            label_names=self.tag_names,
            scheme=self.scheme,
        )

    def split(self, name: Split) -> Examples:
        ids = {token: number for number, token in enumerate(self.vocabulary, start=2)}
        places = {tag: number for number, tag in enumerate(self.tag_names)}
        scheme = None if self.scheme is None else TagScheme(self.tag_names, self.scheme)
        sentences = self.sentences[name]
        longest = max(len(tokens) for tokens, _ in sentences)
        inputs = torch.zeros(len(sentences), longest, dtype=torch.int32)
        targets = torch.zeros(len(sentences), longest, dtype=torch.int16)
        for row, (tokens, tags) in enumerate(sentences):
            if scheme is not None and self.strict:
                scheme.check(tags, f"{getattr(self, name)}, sentence {row + 1}")
            inputs[row, : len(tokens)] = torch.tensor([ids.get(t, UNKNOWN) for t in tokens])
            targets[row, : len(tags)] = torch.tensor([places[tag] for tag in tags])
        lengths = torch.tensor([len(tokens) for tokens, _ in sentences], dtype=torch.int32)
        return Examples(inputs, lengths, targets, per_token=True)


def read_conll(path: str) -> list[Sentence]:
    """The tokens and tags of each sentence of a file.

    Raises:
        InputError: the file does not exist, a line has no tag, or there is no sentence.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path}; give data.train, data.val and data.test")
    sentences: list[Sentence] = []
    tokens, tags = [], []
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], start=1):
        columns = line.split()
        if columns and columns[0] == "-DOCSTART-":
            continue
        if len(columns) == 1:
            raise InputError(
                f"{path}, line {number}, sentence {len(sentences) + 1}, position "
                f"{len(tokens) + 1}: {columns[0]!r} stands alone; each line needs a token and its "
                "tag, and an empty line ends a sentence"
            )
        if columns:
            tokens.append(columns[0])
            tags.append(columns[-1])
        elif tokens:
            sentences.append((tokens, tags))
            tokens, tags = [], []
    if not sentences:
        raise InputError(f"{path} holds no sentence; write one token and its tag a line")
    return sentences
