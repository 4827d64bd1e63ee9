import math

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.decoding.beam import BeamOptions, beam_search
from seqlab.nn.decoding.constraints import Constraints
from seqlab.nn.decoding.sampling import greedy
from tests.nn.decoding.tables import TableModel, sequences

# Ids: 0 end, 1 begin, then what sequences are made of.
END, BEGIN, TOKENS, SENTENCES = 0, 1, (2, 3, 4), 5


def search(model, constraints, **options):
    state, memory = model.start(SENTENCES)
    return beam_search(
        model,
        state,
        memory,
        sentences=SENTENCES,
        constraints=constraints,
        options=BeamOptions(**options),
    )


def limits(**more):
    return Constraints(end=END, begin=BEGIN, forbidden=(BEGIN,), **more)


def decoded(found, sentence, rank=0):
    return tuple(found.tokens[sentence, rank, : found.lengths[sentence, rank]].tolist())


def repeats(sequence, size):
    grams = [sequence[i : i + size] for i in range(len(sequence) - size + 1)]
    return len(set(grams)) < len(grams)


@pytest.mark.parametrize(
    ("alpha", "beta", "low", "ngram"),
    [(0, 0, 0, 0), (1.0, 0, 0, 0), (0.6, 0.4, 0, 0), (0, 0, 2, 0), (2.0, 0, 1, 2), (0, 1.0, 0, 1)],
)
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all(alpha, beta, low, ngram):
    model, high, best = TableModel(5), 3, 4
    found = search(
        model,
        limits(max_length=high, min_length=low, no_repeat_ngram=ngram),
        beam_size=120,
        n_best=best,
        length_penalty=alpha,
        coverage_penalty=beta,
    )
    for sentence in range(SENTENCES):
        ranked = []
        for sequence in sequences(TOKENS, range(low, high + 1)):
            if ngram and repeats(sequence, ngram):
                continue
            total, coverage = model.score(sentence, sequence, BEGIN, END)
            score = total / ((5 + len(sequence) + 1) / 6) ** alpha
            score += beta * sum(math.log(min(c, 1)) for c in coverage.tolist())
            ranked.append((score, total, sequence))
        ranked.sort(reverse=True)
        for rank, (score, total, sequence) in enumerate(ranked[:best]):
            assert decoded(found, sentence, rank) == sequence
            assert found.scores[sentence, rank].item() == pytest.approx(score, abs=1e-4)
            assert found.log_probs[sentence, rank].item() == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("ngram", [0, 2])
def test_a_beam_of_one_is_greedy(alpha, ngram):
    model = TableModel(8, sharpness=1.0)
    constraints = limits(max_length=12, min_length=1, no_repeat_ngram=ngram)
    found = search(model, constraints, beam_size=1, length_penalty=alpha)
    state, memory = model.start(SENTENCES)
    expected = greedy(model, state, memory, sentences=SENTENCES, constraints=constraints)
    assert len(set(expected.lengths.flatten().tolist())) > 1
    torch.testing.assert_close(found.tokens, expected.tokens)
    torch.testing.assert_close(found.lengths, expected.lengths)
    torch.testing.assert_close(found.log_probs, expected.log_probs)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_neither_batch_mates_nor_their_order_matter(size):
    model = TableModel(8, sharpness=1.0)
    constraints = limits(max_length=8)
    together = search(model, constraints, beam_size=size, n_best=2, length_penalty=0.8)
    order = torch.tensor([3, 1, 4, 0, 2])
    state, memory = model.start(SENTENCES)
    options = BeamOptions(beam_size=size, n_best=2, length_penalty=0.8)
    shuffled = beam_search(
        model,
        state,
        memory.select(order),
        sentences=SENTENCES,
        constraints=constraints,
        options=options,
    )
    for place, sentence in enumerate(order.tolist()):
        alone = beam_search(
            model,
            state.select(torch.tensor([0])),
            memory.select(torch.tensor([sentence])),
            sentences=1,
            constraints=constraints,
            options=options,
        )
        for rank in range(2):
            expected = decoded(together, sentence, rank)
            assert decoded(shuffled, place, rank) == expected
            assert decoded(alone, 0, rank) == expected


def test_a_wider_beam_is_never_worse_here_and_ended_sentences_stop_costing():
    model = TableModel(8, sharpness=1.5)
    narrow = search(model, limits(max_length=10), beam_size=1)
    model.rows_seen.clear()
    wide = search(model, limits(max_length=10), beam_size=4)
    assert wide.log_probs.sum() >= narrow.log_probs.sum()
    assert model.rows_seen[-1] < max(model.rows_seen)


def test_options_out_of_range():
    with pytest.raises(InputError, match="n_best=3 is above beam_size=2"):
        BeamOptions(beam_size=2, n_best=3)
    with pytest.raises(InputError, match="length_penalty"):
        BeamOptions(length_penalty=-1.0)


def test_a_coverage_penalty_needs_attention():
    class Blind(TableModel):
        def step(self, inputs, state, memory):
            scores, state = super().step(inputs, state, memory)
            return scores._replace(weights=None), state

    with pytest.raises(InputError, match=r"coverage_penalty=0\.5 needs a decoder with attention"):
        search(Blind(5), limits(max_length=3), beam_size=2, coverage_penalty=0.5)
