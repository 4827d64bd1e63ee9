"""Is this short review for or against?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from seqlab.data import review_words as words
from seqlab.data.classification import ClassificationDataset
from seqlab.data.examples import Examples
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.errors import InputError

PADDING, UNKNOWN = 0, 1


@dataclass(kw_only=True)
class Sentiment(ClassificationDataset):
    """Label 1 exactly when the verdict of a review is in favour.

    Example: `we saw this film on friday . the plot was not very clever but the music was great .`
    is "positive", and `... the music was great but the plot was not very clever .` "negative".

    A review is one verdict among remarks that tell nothing. In a verdict

    - `X but Y`, `although X , Y` and `Y , although X`, one of X and Y is for and one against, and
      Y decides;
    - `X and Y`, both are for or both against, and exactly one of them is negated;
    - `the plot was not A but B`, B decides, and A means the opposite.

    Each review has a partner with the same words and the other label, which is as likely: clauses,
    adjectives or negations change places. A bag of words thus tells nothing.

    Inputs are words: id 0 is padding, 1 any unknown word, and from 2 on come the words of the
    training split, the most frequent first. Some subjects and adjectives are kept out of training.
    At most one adjective of a verdict is among these, and the other one tells what it must be.
    Reviews are written to fit the lengths; none is cut. The evidence is the adjectives that
    decide, with what negates them.

    Args:
        unseen: probability, outside the training split, that a subject is one kept out of
            training, and that one of the two adjectives is.

    Raises:
        InputError: a training split so small that the vocabulary lacks words of the grammar.
    """

    min_length: int = 10
    max_length: int = 30
    unseen: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.unseen <= 1:
            raise InputError(f"data.unseen={self.unseen} must be a probability, from 0 to 1")

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("negative", "positive")

    @property
    def spec(self) -> Spec:
        return self.describe_tokens(["<unknown>", *self.vocabulary], self._best_accuracy)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words of the training split, the most frequent first; their ids start at 2."""
        training = super().split("train").inputs.numpy()
        counts = np.bincount(training.ravel(), minlength=len(words.LEXICON))
        counts[PADDING] = 0
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        vocabulary = tuple(words.LEXICON[number] for number in order)
        if missing := words.GRAMMAR - set(vocabulary):
            raise InputError(
                f"data.train_size={self.train_size} makes the vocabulary too small for the task: "
                f"no training review holds {', '.join(sorted(missing))}; raise data.train_size"
            )
        return vocabulary

    def split(self, name: Split) -> Examples:
        # Splits are drawn and kept apart as words. Only then do words become ids, because the
        # vocabulary takes the whole training split.
        written = super().split(name)
        ids = np.full(len(words.LEXICON), UNKNOWN, token_dtype(len(self.vocabulary) + 2))
        ids[PADDING] = PADDING
        for number, word in enumerate(self.vocabulary, start=2):
            ids[words.NUMBERS[word]] = number
        return replace(written, inputs=torch.from_numpy(ids)[written.inputs.int()])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows = len(lengths)
        unseen = 0.0 if split == "train" else self.unseen
        topics = rng.integers(0, len(words.TOPICS), rows)
        labels = rng.integers(0, 2, rows, np.uint8)
        verdict, decides = _write_verdicts(rng, topics, labels, unseen)

        # As many remarks as fit, some of them before the verdict.
        most = int(lengths.max()) // 6
        choices = words.REMARK_TABLE.shape[1]
        # From a random one on, with a stride that changes both what is remarked and when.
        picks = rng.integers(0, choices, (rows, 1)) + np.arange(most) * (len(words.TIMES) + 1)
        remarks = words.REMARK_TABLE[topics[:, None], picks % choices]
        room = lengths - (verdict > 0).sum(1)
        fit = (remarks > 0).sum(2).cumsum(1) <= room[:, None]
        ahead = np.arange(most) < rng.integers(0, fit.sum(1) + 1)[:, None]
        before, after = (
            (remarks * (fit & side)[..., None]).reshape(rows, -1) for side in (ahead, ~ahead)
        )
        text = np.concatenate([before, verdict, after], axis=1)
        nothing = np.zeros(before.shape, bool)
        evidence = np.concatenate([nothing, decides, nothing], axis=1)

        # Close the gaps: the words, in their order, fall into the valid positions.
        written = text > 0
        lengths = written.sum(1)
        valid = valid_positions(lengths)
        inputs, marks = np.zeros(valid.shape, text.dtype), np.zeros(valid.shape, bool)
        inputs[valid] = text[written]
        marks[valid] = evidence[written]
        return Draw(inputs, labels, marks, lengths)

    @cached_property
    def _best_accuracy(self) -> float:
        """Accuracy of the best reader on the test set: with no adjective known, it guesses."""
        known = np.zeros(len(words.LEXICON), bool)
        known[words.ADJECTIVE_TABLE] = True
        known &= np.isin(words.LEXICON, self.vocabulary)
        decided = known[super().split("test").inputs.numpy()].any(1).mean()
        return float(decided + (1 - decided) * self.shares.max())


def _write_verdicts(
    rng: np.random.Generator, topics: np.ndarray, labels: np.ndarray, unseen: float
) -> tuple[np.ndarray, np.ndarray]:
    """Writes one verdict a row: numbers of words (rows, time), 0 in gaps, and its evidence."""
    rows, both = len(labels), np.arange(2)
    form = rng.integers(0, len(words.JOINTS), rows)
    # Which of the two clauses or adjectives decides, is in favour, and is negated.
    decides = both == np.where(form == words.ALTHOUGH_SECOND, 0, 1)[:, None]
    decides[form >= words.AND] = True
    favours = decides == (labels[:, None] == 1)
    negated = rng.random((rows, 2)) < 0.4
    negated[form == words.AND, 1] = ~negated[form == words.AND, 0]
    negated[form == words.NOT_BUT] = [True, False]
    praises = (favours ^ negated).astype(int)

    adjectives = _any(rng, words.ADJECTIVE_TABLE[topics[:, None], praises])
    replaced = (rng.random(rows) < unseen)[:, None] & (both == rng.integers(0, 2, (rows, 1)))
    adjectives = np.where(replaced, _any(rng, words.KEPT_OUT_ADJECTIVE_TABLE[praises]), adjectives)
    subjects = np.where(
        rng.random((rows, 2)) < unseen,
        _two(rng, words.KEPT_OUT_SUBJECT_TABLE[topics]),
        _two(rng, words.SUBJECT_TABLE[topics]),
    )
    degrees = np.where(
        negated[..., None],
        words.NEGATION_TABLE[rng.integers(0, len(words.NEGATIONS), (rows, 2))],
        words.AFFIRMATION_TABLE[rng.integers(0, len(words.AFFIRMATIONS), (rows, 2))],
    )
    degrees[form == words.NOT_BUT] = words.numbered(["not", ""], 3)

    # A clause is article, subject, verb, three words of degree, and adjective.
    clauses = np.zeros((rows, 2, 7), np.uint8)
    clauses[..., 0] = words.NUMBERS["the"]
    clauses[..., 1] = subjects
    clauses[..., 2] = words.VERB_TABLE[rng.integers(0, len(words.VERB_TABLE), rows)]
    clauses[..., 3:6] = degrees
    clauses[..., 6] = adjectives
    clauses[form == words.NOT_BUT, 1, :6] = 0
    evidence = np.zeros(clauses.shape, bool)
    evidence[..., 3:6] = (decides & negated)[..., None]
    evidence[..., 6] = decides

    front = words.CONCESSION_TABLE[rng.integers(0, len(words.CONCESSIONS), rows)]
    front[form != words.ALTHOUGH_FIRST] = 0
    stop = np.full((rows, 1), words.NUMBERS["."], np.uint8)
    text = [front, clauses[:, 0], words.JOINT_TABLE[form], clauses[:, 1], stop]
    marks = [np.zeros(part.shape, bool) for part in text]
    marks[1], marks[3] = evidence[:, 0], evidence[:, 1]
    return np.concatenate(text, axis=1), np.concatenate(marks, axis=1)


def _any(rng: np.random.Generator, choices: np.ndarray) -> np.ndarray:
    """Picks one along the last axis."""
    picks = rng.integers(0, choices.shape[-1], choices.shape[:-1])
    return np.take_along_axis(choices, picks[..., None], axis=-1)[..., 0]


def _two(rng: np.random.Generator, choices: np.ndarray) -> np.ndarray:
    """Picks two different ones of each row, (rows, 2)."""
    rows, count = choices.shape
    first = rng.integers(0, count, rows)
    second = (first + rng.integers(1, count, rows)) % count
    return np.take_along_axis(choices, np.stack([first, second], axis=1), axis=1)
