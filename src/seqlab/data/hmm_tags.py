"""Which state of a known hidden Markov model wrote each symbol?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.data.tagging import TaggingDataset, tag_dtype
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class HmmTags(TaggingDataset):
    """Symbols of a hidden Markov model, tagged with the states that wrote them.

    Example: `w4 w4 w9 w1` may be tagged `s2 s2 s3 s1`: states follow one another and write symbols
    with fixed probabilities, so that a symbol alone leaves its state open, and its neighbours help.

    The model is drawn from Dirichlet distributions. The optimum is the accuracy of posterior
    decoding on the very test set: the state that is the most probable at each position given the
    whole sequence and the true model. No tagger does better in expectation.

    Args:
        num_tags: states.
        num_symbols: symbols.
        transition_concentration: of the states that follow a state; small is predictable.
        emission_concentration: of the symbols that a state writes; small is predictable.

    Raises:
        InputError: fewer than two states or symbols, or a concentration that is not positive.
    """

    min_length: int = 5
    max_length: int = 30
    num_tags: int = 6
    num_symbols: int = 20
    transition_concentration: float = 0.3
    emission_concentration: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_tags", self.num_tags, 2)
        check_at_least("data.num_symbols", self.num_symbols, 2)
        for name in ("transition_concentration", "emission_concentration"):
            if not getattr(self, name) > 0:
                raise InputError(f"data.{name}={getattr(self, name)} must be above 0")

    @cached_property
    def model(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities of the first state (tags,), the next one (tags, tags) and the symbols."""
        rng = np.random.default_rng([self.seed, 101])
        follows = np.full(self.num_tags, self.transition_concentration)
        writes = np.full(self.num_symbols, self.emission_concentration)
        start = rng.dirichlet(np.ones(self.num_tags))
        parts = start, rng.dirichlet(follows, self.num_tags), rng.dirichlet(writes, self.num_tags)
        # Nothing is impossible: a sequence of any symbols has a probability.
        start, move, emit = (0.999 * part + 0.001 / part.shape[-1] for part in parts)
        return start, move, emit

    @property
    def tag_names(self) -> tuple[str, ...]:
        return tuple(f"s{number}" for number in range(1, self.num_tags + 1))

    @property
    def spec(self) -> Spec:
        symbols = [f"w{number}" for number in range(1, self.num_symbols + 1)]
        return self.describe_tokens(symbols, self._oracle_accuracy)

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        start, move, emit = self.model
        states = np.zeros((rows, width), tag_dtype(self.num_tags))
        chances = rng.random((rows, width))
        states[:, 0] = _sampled(start[None], np.zeros(rows, int), chances[:, 0])
        for step in range(1, width):
            states[:, step] = _sampled(move, states[:, step - 1].astype(int), chances[:, step])
        symbols = _sampled(emit, states.astype(int), rng.random((rows, width)))
        inputs = (symbols + 1) * valid_positions(lengths, width)
        return Draw(inputs.astype(token_dtype(self.num_symbols + 1)), states)

    def posterior(self, symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """p(state | sequence) by forward–backward (Rabiner 1989, section III.A).

        Args:
            symbols: (rows, time) from 0 on; anything where padded.
            lengths: (rows,) valid positions.

        Returns:
            (rows, time, tags); anything where padded.
        """
        start, move, emit = self.model
        likely = emit.T[symbols]
        width = likely.shape[1]
        forward, backward = np.empty_like(likely), np.ones_like(likely)
        forward[:, 0] = start * likely[:, 0]
        for step in range(width):
            if step:
                forward[:, step] = forward[:, step - 1] @ move * likely[:, step]
            forward[:, step] /= forward[:, step].sum(-1, keepdims=True)
        for step in range(width - 2, -1, -1):
            earlier = (backward[:, step + 1] * likely[:, step + 1]) @ move.T
            earlier /= earlier.sum(-1, keepdims=True)
            backward[:, step] = np.where((step + 1 < lengths)[:, None], earlier, 1.0)
        posterior = forward * backward
        return posterior / posterior.sum(-1, keepdims=True)

    @cached_property
    def _oracle_accuracy(self) -> float:
        test = self.split("test")
        lengths, inputs = test.lengths.numpy(), test.inputs.numpy()
        decoded = self.posterior(np.maximum(inputs, 1).astype(int) - 1, lengths).argmax(-1)
        valid = valid_positions(lengths, inputs.shape[1])
        return float((decoded == test.targets.numpy())[valid].mean())


def _sampled(table: np.ndarray, rows: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Draws from the distribution in the given row of a table, by chances between 0 and 1."""
    sums = table.cumsum(-1)
    # Row k's sums run from k to k + 1: one sorted list, in which each chance finds its place.
    places = np.searchsorted(
        (sums / sums[:, -1:] + np.arange(len(table))[:, None]).ravel(), rows + chances
    )
    return (places - rows * table.shape[1]).clip(0, table.shape[1] - 1)
