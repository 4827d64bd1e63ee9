from itertools import product

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)
from seqlab.nn.decoder import Decoder

ATTENTIONS = [
    None,
    AdditiveAttention,
    GeneralAttention,
    DotAttention,
    ScaledDotAttention,
    MultiheadAttention,
]
SIZE, INPUT, TIME, STEPS = 8, 5, 7, 4
LENGTHS = torch.tensor([7, 4, 2])
MASK = torch.arange(TIME) < LENGTHS[:, None]
CASES = [
    (*case, layers)
    for case in product(
        ["rnn", "gru", "lstm"], ATTENTIONS, ["after", "before"], [False, True], [False, True]
    )
    for layers in (1, 2)
    # Every attention with one cell, every cell with two of them.
    if (case[0] == "lstm" or case[1] in (AdditiveAttention, MultiheadAttention))
    and (case[1] is not None or case[2:] == ("after", False, False))
    and (layers == 1 or case[1] in (None, GeneralAttention))
]


def build(*case):
    cell, attention, position, feeding, coverage, layers = case
    torch.manual_seed(0)
    decoder = Decoder(
        INPUT,
        SIZE,
        cell=cell,
        hidden_size=SIZE,
        num_layers=layers,
        attention=attention,
        attention_position=position,
        input_feeding=feeding,
        coverage=coverage,
        readout_size=6,
    )
    if coverage:
        torch.nn.init.normal_(decoder.coverage)
    state = tuple(torch.randn(layers, 3, SIZE) for _ in range(decoder.gates.parts))
    return decoder, torch.randn(3, TIME, SIZE), state, torch.randn(3, STEPS, INPUT)


def by_steps(decoder, inputs, recurrent, memory):
    state, steps = decoder.start(recurrent, memory), []
    for features in inputs.unbind(1):
        decoded, state = decoder.step(features, state, memory)
        steps.append(decoded)
    return [None if x[0] is None else torch.stack(x, 1) for x in zip(*steps, strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_whole_pass_equals_one_step_at_a_time(case):
    decoder, keys, state, inputs = build(*case)
    memory = decoder.remember(keys, MASK)
    whole, steps = decoder(inputs, state, memory), by_steps(decoder, inputs, state, memory)
    assert len(whole) == len(steps) == 4
    for one, other in zip(whole, steps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    gradients = [
        torch.autograd.grad(
            readouts.square().sum(),
            list(decoder.parameters()),
            retain_graph=True,
            allow_unused=True,
        )
        for readouts in (whole[0], steps[0])
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] == "lstm" and c[-1] == 1])
def test_neither_padding_nor_batch_mates_matter(case):
    decoder, keys, state, inputs = build(*case)
    whole = decoder(inputs, state, decoder.remember(keys, MASK))
    for row, length in enumerate(LENGTHS.tolist()):
        alone = decoder(
            inputs[row : row + 1],
            tuple(part[:, row : row + 1] for part in state),
            decoder.remember(keys[row : row + 1, :length], MASK[row : row + 1, :length]),
        )
        torch.testing.assert_close(alone.readouts[0], whole.readouts[row], atol=1e-6, rtol=1e-5)
    filled = keys.masked_fill(~MASK[..., None], float("nan"))
    again = decoder(inputs, state, decoder.remember(filled, MASK))
    torch.testing.assert_close(again.readouts, whole.readouts)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] == "gru"])
def test_beams_of_a_sentence_share_its_memory(case):
    decoder, keys, state, inputs = build(*case)
    memory = decoder.remember(keys, MASK)
    rows = torch.arange(3).repeat_interleave(2)
    first = decoder.start(state, memory).select(rows)
    beams, next_beams = decoder.step(inputs[:, :2].flatten(0, 1), first, memory)
    beams, _ = decoder.step(inputs[:, 2:].flatten(0, 1), next_beams, memory)
    for beam in (0, 1):
        _, state_alone = decoder.step(inputs[:, beam], decoder.start(state, memory), memory)
        alone, _ = decoder.step(inputs[:, 2 + beam], state_alone, memory)
        torch.testing.assert_close(alone.readouts, beams.readouts[beam::2], atol=1e-6, rtol=1e-5)


def test_coverage_by_written_out_sums():
    """tanh(W s + U k_i + w Σ α_{t',i}), step by step."""
    decoder, keys, state, inputs = build("gru", AdditiveAttention, "after", False, True, 1)
    attention = decoder.attention
    hidden, covered = state[0][0], torch.zeros(3, TIME)
    whole = decoder(inputs, state, decoder.remember(keys, MASK))
    layer = decoder.layers[0]
    for step in range(STEPS):
        weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
        hidden = torch.gru_cell(inputs[:, step], hidden, *weights)
        inner = (
            attention.project_query(hidden)[:, None]
            + attention.project_key(keys)
            + covered[..., None] * decoder.coverage
        )
        scores = attention.score(torch.tanh(inner)).squeeze(-1)
        alpha = scores.masked_fill(~MASK, float("-inf")).softmax(-1)
        torch.testing.assert_close(whole.weights[:, step], alpha, atol=1e-6, rtol=1e-5)
        covered = covered + alpha
    assert covered.max() > 1  # the coverage mattered


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"coverage": True}, "model/attention"),
        ({"input_feeding": True}, "model/attention"),
        ({"attention_position": "before"}, "model/attention"),
        ({"cell": "lstn"}, "rnn, gru, lstm"),
        ({"attention_position": "behind"}, "after or before"),
        ({"num_layers": 0}, "num_layers"),
    ],
)
def test_what_cannot_work_is_told(options, named):
    with pytest.raises(InputError, match=named):
        Decoder(INPUT, SIZE, **options)


def test_dot_attention_with_unequal_widths_says_which_option_projects():
    with pytest.raises(InputError, match="general, additive or multihead"):
        Decoder(INPUT, 2 * SIZE, hidden_size=SIZE, attention=DotAttention)


def test_an_empty_source_is_refused():
    decoder = Decoder(INPUT, SIZE, attention=GeneralAttention)
    with pytest.raises(InputError, match="length of at least 1"):
        decoder.remember(torch.randn(2, 3, SIZE), torch.tensor([[True] * 3, [False] * 3]))
