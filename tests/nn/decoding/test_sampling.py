from collections import Counter

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.decoding.constraints import Constraints
from seqlab.nn.decoding.sampling import SamplingOptions, greedy, sample, truncated
from tests.nn.decoding.tables import Histories, Names, TableModel, sequences

END, BEGIN, TOKENS = 0, 1, (2, 3)


def limits(**more):
    return Constraints(end=END, begin=BEGIN, forbidden=(BEGIN,), **more)


def test_greedy_takes_the_likeliest_token_each_time():
    model = TableModel(6)
    state, memory = model.start(4)
    found = greedy(model, state, memory, sentences=4, constraints=limits(max_length=6))
    for sentence in range(4):
        history = [BEGIN]
        while True:
            log_probs, _ = model.row(sentence, history)
            log_probs[BEGIN] = -torch.inf
            token = END if len(history) > 6 else int(log_probs.argmax())
            if token == END:
                break
            history.append(token)
        length = len(history) - 1
        assert found.lengths[sentence, 0] == length
        assert found.tokens[sentence, 0, :length].tolist() == history[1:]
        assert (found.tokens[sentence, 0, length:] == 0).all()
        total, _ = model.score(sentence, history[1:], BEGIN, END)
        assert found.log_probs[sentence, 0].item() == pytest.approx(total, abs=1e-5)


def test_ended_sentences_leave_the_batch():
    model = TableModel(6, sharpness=1.0)
    state, memory = model.start(20)
    found = greedy(model, state, memory, sentences=20, constraints=limits(max_length=15))
    steps = (found.lengths[:, 0] + 1).sum().item()
    assert sum(model.rows_seen) == steps


def test_draws_follow_the_probabilities():
    model, count = TableModel(4, sharpness=1.0), 4000
    state = Histories(torch.zeros(count, 0, dtype=torch.long))
    memory = Names(torch.zeros(count, dtype=torch.long))
    # Without the begin token the space is complete: its probability is given to nobody.
    constraints = Constraints(end=END, begin=BEGIN, max_length=2)
    found = sample(
        model,
        state,
        memory,
        sentences=count,
        constraints=constraints,
        options=SamplingOptions(),
        generator=torch.Generator().manual_seed(0),
    )
    seen = Counter(
        tuple(tokens[:length].tolist())
        for tokens, length in zip(found.tokens[:, 0], found.lengths[:, 0], strict=True)
    )
    for sequence in sequences((1, 2, 3), range(3)):
        total, _ = model.score(0, sequence, BEGIN, END)
        if len(sequence) == 2:  # the end is then certain
            total -= model.row(0, [BEGIN, *sequence])[0][END].item()
        expected = torch.tensor(total).exp().item()
        assert seen[sequence] / count == pytest.approx(expected, abs=0.03)


def test_a_sentence_draws_the_same_beside_others():
    model = TableModel(6, sharpness=1.0)
    state, _ = model.start(6)

    def draw(names):
        return sample(
            model,
            state,
            Names(names),
            sentences=6,
            constraints=limits(max_length=8),
            options=SamplingOptions(),
            generator=torch.Generator().manual_seed(3),
        )

    one, other = draw(torch.arange(6)), draw(torch.tensor([0, 9, 2, 8, 4, 7]))
    for place in (0, 2, 4):
        length = one.lengths[place, 0]
        assert other.lengths[place, 0] == length
        assert torch.equal(one.tokens[place, 0, :length], other.tokens[place, 0, :length])


def test_a_cold_or_narrow_draw_is_greedy():
    model = TableModel(6)
    state, memory = model.start(5)
    expected = greedy(model, state, memory, sentences=5, constraints=limits(max_length=6))
    for options in (
        SamplingOptions(temperature=1e-3),
        SamplingOptions(top_k=1),
        SamplingOptions(top_p=1e-6),
    ):
        state, memory = model.start(5)
        found = sample(
            model, state, memory, sentences=5, constraints=limits(max_length=6), options=options
        )
        torch.testing.assert_close(found.tokens, expected.tokens)


def test_truncation_keeps_the_smallest_sufficient_set():
    probabilities = torch.tensor([[0.1, 0.5, 0.15, 0.25]])
    kept = truncated(probabilities.log(), SamplingOptions(top_p=0.7)) > -torch.inf
    assert kept.tolist() == [[False, True, False, True]]
    kept = truncated(probabilities.log(), SamplingOptions(top_p=0.76)) > -torch.inf
    assert kept.tolist() == [[False, True, True, True]]
    kept = truncated(probabilities.log(), SamplingOptions(top_k=3)) > -torch.inf
    assert kept.tolist() == [[False, True, True, True]]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"temperature": 0.0}, "temperature"), ({"top_k": -1}, "top_k"), ({"top_p": 0.0}, "top_p")],
)
def test_options_out_of_range(options, named):
    with pytest.raises(InputError, match=named):
        SamplingOptions(**options)


def test_bounds_that_leave_nothing():
    with pytest.raises(InputError, match="min_length=4 is above max_length=3"):
        limits(min_length=4, max_length=3)
    with pytest.raises(InputError, match="max_length"):
        limits(max_length=0)
