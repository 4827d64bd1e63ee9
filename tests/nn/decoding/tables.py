"""Tiny models whose probabilities depend on the whole history, to search by brute force."""

from itertools import product

import torch

from seqlab.nn.decoding.stepping import TokenScores


class Histories:
    """The state: every token so far."""

    def __init__(self, tokens):
        self.tokens = tokens

    def select(self, rows):
        return Histories(self.tokens[rows])


class Names:
    """The memory: which sentence it is."""

    def __init__(self, names, time=3):
        self.names = names
        self.time = time

    def select(self, sentences):
        return Names(self.names[sentences], self.time)


class TableModel:
    """Log-probabilities and weights drawn from a seed that sentence and history determine."""

    def __init__(self, vocabulary, sharpness=2.0):
        self.vocabulary = vocabulary
        self.sharpness = sharpness
        self.rows_seen = []

    def start(self, sentences):
        return Histories(torch.zeros(sentences, 0, dtype=torch.long)), Names(
            torch.arange(sentences)
        )

    def step(self, inputs, state, memory):
        state = Histories(torch.cat([state.tokens, inputs[:, None]], 1))
        self.rows_seen.append(len(inputs))
        beams = len(inputs) // len(memory.names)
        names = memory.names.repeat_interleave(beams).tolist()
        rows = [self.row(*x) for x in zip(names, state.tokens.tolist(), strict=True)]
        log_probs, weights = (torch.stack(part) for part in zip(*rows, strict=True))
        return TokenScores(log_probs, weights), state

    def row(self, name, history):
        seed = hash((name, *history)) % (1 << 31)
        noise = torch.randn(self.vocabulary + 3, generator=torch.Generator().manual_seed(seed))
        return (self.sharpness * noise[:-3]).log_softmax(-1), noise[-3:].softmax(-1)

    def score(self, name, sequence, begin, end):
        """Log-probability and summed weights of a sequence and its end."""
        history, total, coverage = [begin], 0.0, torch.zeros(3)
        for token in (*sequence, end):
            log_probs, weights = self.row(name, history)
            total += log_probs[token].item()
            coverage += weights
            history.append(token)
        return total, coverage


def sequences(tokens, lengths):
    """All sequences of these tokens with these lengths."""
    return [s for length in lengths for s in product(tokens, repeat=length)]
