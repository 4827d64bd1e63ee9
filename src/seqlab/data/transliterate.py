"""Latin letters to Cyrillic ones, by rules that look at the neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from seqlab.data.seq2seq import Seq2SeqDataset, ended, packed
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.data.vocabulary import SPECIAL

PLAIN = dict(zip("abdefghijklmnopqrstuvyz", "абдефгхийклмнопкрстувыз", strict=True))
CYRILLIC = tuple(sorted(set(PLAIN.values()) | set("вшчжцэ")))
LETTERS = (*ascii_lowercase, *CYRILLIC)
CODES = {letter: len(SPECIAL) + place for place, letter in enumerate(LETTERS)}

# h stands behind s, c and z often enough to matter, and vowels are common.
FREQUENT = {"h": 4.0, "s": 3.0, "c": 3.0, "z": 2.0, "x": 1.5, **dict.fromkeys("aeiou", 2.5)}
VOWELS, DEVOICED = "aeiouy", {"b": "п", "d": "т", "g": "к", "v": "ф", "z": "с"}


@dataclass(kw_only=True)
class Transliterate(Seq2SeqDataset):
    """Words in Latin letters become Cyrillic by rules that depend on the neighbours.

    - `sh`, `ch`, `zh` become ш, ч, ж, and the h is silent; another h is х.
    - `c` is ц before e, i and y, else к; `x` is кс; `w` is в.
    - `e` is э at the beginning and behind a vowel, else е.
    - A letter that repeats the one before it is silent, but for h.
    - b, d, g, v and z are п, т, к, ф and с at the end.

    Each letter of the target comes from one letter of the source.

    Example: `chexxod` becomes `чексот`.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        return LETTERS

    def longest_target(self, length: int) -> int:
        return 2 * length

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        inside = valid_positions(lengths, width)
        weights = np.array([FREQUENT.get(letter, 1.0) for letter in ascii_lowercase])
        edges = np.cumsum(weights / weights.sum())[:-1]
        letters = np.searchsorted(edges, rng.random((rows, width)), side="right")
        tokens = np.where(inside, letters + len(SPECIAL), 0).astype(self.dtype)
        written = _rewritten(tokens, lengths)
        places = np.broadcast_to(np.arange(width).repeat(2), (rows, 2 * width))
        flat = written.reshape(rows, 2 * width)
        targets, alignment = packed([flat, places], flat > 0, [0, -1])
        return ended(tokens, lengths, targets, (flat > 0).sum(axis=1), alignment[..., None])


def _rewritten(tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What each letter becomes, (rows, width, 2): up to two letters, 0 for none."""
    before = np.pad(tokens[:, :-1], ((0, 0), (1, 0)))
    after = np.pad(tokens[:, 1:], ((0, 0), (0, 1)))
    last = np.arange(tokens.shape[1]) == lengths[:, None] - 1

    def among(array: np.ndarray, letters: str) -> np.ndarray:
        return np.isin(array, [CODES[letter] for letter in letters])

    plain = np.zeros(len(SPECIAL) + len(LETTERS), tokens.dtype)
    for latin, cyrillic in {**PLAIN, "c": "к", "w": "в", "x": "к"}.items():
        plain[CODES[latin]] = CODES[cyrillic]
    out = np.stack([plain[tokens], np.zeros_like(tokens)], axis=2)
    first = out[..., 0]
    out[..., 1][among(tokens, "x")] = CODES["с"]
    first[among(tokens, "c") & among(after, "eiy")] = CODES["ц"]
    first[among(tokens, "e") & (among(before, VOWELS) | (before == 0))] = CODES["э"]
    for voiced, voiceless in DEVOICED.items():
        first[last & among(tokens, voiced)] = CODES[voiceless]
    for start, joined in {"s": "ш", "c": "ч", "z": "ж"}.items():
        first[among(tokens, start) & among(after, "h")] = CODES[joined]
    silent = among(tokens, "h") & among(before, "scz")
    silent |= (tokens == before) & ~among(tokens, "h")
    out[silent] = 0
    return out
