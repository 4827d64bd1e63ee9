"""The decoder: its step is the definition, and the whole pass equals it."""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from seqlab.errors import InputError
from seqlab.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.kernel_table import kernels_off
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

CONF = Path(__file__).parents[3] / "conf" / "cell"
CELLS = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted(CONF.glob("*.yaml"))}
CELLS |= {"relu_rnn": partial(RNNCell, nonlinearity="relu")}
CELLS |= {"gru_before": partial(GRUCell, reset="before")}
ATTENTIONS = [
    AdditiveAttention,
    GeneralAttention,
    DotAttention,
    ScaledDotAttention,
    MultiheadAttention,
]
SIZE, INPUT, TIME, STEPS, READOUT = 8, 5, 7, 4, 6
LENGTHS = torch.tensor([7, 4, 2])
MASK = torch.arange(TIME) < LENGTHS[:, None]
ATTENDING = list(product(["after", "before"], [False, True], [False, True]))
NO_ATTENTION = ("none", False, False)
# Position, feeding, coverage; with every cell, and every attention.
OPTIONS = [*ATTENDING, NO_ATTENTION]
CASES = [
    *product(CELLS, [AdditiveAttention], OPTIONS, [1]),
    *product(CELLS, [AdditiveAttention], [("after", True, True), NO_ATTENTION], [2]),
    *product(["lstm"], ATTENTIONS[1:], ATTENDING, [1]),
    *product(["lstm"], ATTENTIONS[1:], [("before", True, True)], [2]),
]


def build(cell, attention, options, layers, **more):
    position, feeding, coverage = options
    torch.manual_seed(0)
    decoder = AttentionDecoder(
        INPUT,
        SIZE,
        cell=CELLS[cell],
        hidden_size=SIZE,
        num_layers=layers,
        attention=attention,
        attention_position=position,
        input_feeding=feeding,
        coverage=coverage,
        **{"readout_size": READOUT, **more},
    ).double()
    if coverage:
        torch.nn.init.normal_(decoder.coverage)
    return decoder, *random_case(decoder)


def random_case(decoder):
    """Keys, the initial state and inputs."""

    def random(*shape):
        return torch.randn(*shape, dtype=torch.float64)

    initial = tuple(
        tuple(random(3, size) for size in decoder.state_sizes) for _ in range(decoder.num_layers)
    )
    return random(3, TIME, SIZE), initial, random(3, STEPS, INPUT)


def by_steps(decoder, inputs, initial, memory):
    state, steps = decoder.init_state(initial, memory), []
    for features in inputs.unbind(1):
        output, state = decoder.step(features, state, memory)
        steps.append(output)
    return [None if x[0] is None else torch.stack(x, 1) for x in zip(*steps, strict=True)]


def outputs_and_gradients(run, decoder, keys, initial, inputs):
    outputs = run(decoder, inputs, initial, decoder.prepare_memory(keys, MASK))
    total = sum(x.square().sum() for x in outputs if x is not None)
    return outputs, torch.autograd.grad(total, list(decoder.parameters()), allow_unused=True)


@pytest.mark.parametrize(("cell", "attention", "options", "layers"), CASES)
def test_whole_pass_equals_the_definition_step_by_step(cell, attention, options, layers):
    decoder, *case = build(cell, attention, options, layers)
    assert (decoder.attention is None) == (options == NO_ATTENTION)
    whole, gradients = outputs_and_gradients(AttentionDecoder.__call__, decoder, *case)
    with kernels_off():
        steps, expected = outputs_and_gradients(by_steps, decoder, *case)
    assert len(whole) == len(steps) == 4
    for one, other in zip((*whole, *gradients), (*steps, *expected), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("options", OPTIONS)
def test_without_kernels_it_computes_the_same(options):
    decoder, keys, initial, inputs = build("lstm", AdditiveAttention, options, 1)
    expected = decoder(inputs, initial, decoder.prepare_memory(keys, MASK))
    reference, *_ = build("lstm", AdditiveAttention, options, 1, kernel="reference")
    reference.load_state_dict(decoder.state_dict())
    with kernels_off():
        without = decoder(inputs, initial, decoder.prepare_memory(keys, MASK))
    by_reference = reference(inputs, initial, reference.prepare_memory(keys, MASK))
    for one, two, three in zip(expected, without, by_reference, strict=True):
        torch.testing.assert_close(one, two, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(one, three, atol=1e-10, rtol=1e-10)


LSTM_CASES = [*product(["lstm"], ATTENTIONS, ATTENDING, [1]), ("lstm", None, NO_ATTENTION, 1)]


@pytest.mark.parametrize(("cell", "attention", "options", "layers"), LSTM_CASES)
def test_neither_padding_nor_batch_mates_matter(cell, attention, options, layers):
    decoder, keys, initial, inputs = build(cell, attention, options, layers)
    whole = decoder(inputs, initial, decoder.prepare_memory(keys, MASK))
    for row, length in enumerate(LENGTHS.tolist()):
        alone = decoder(
            inputs[row : row + 1],
            tuple(tuple(part[row : row + 1] for part in layer) for layer in initial),
            decoder.prepare_memory(keys[row : row + 1, :length], MASK[row : row + 1, :length]),
        )
        torch.testing.assert_close(alone.outputs[0], whole.outputs[row], atol=1e-10, rtol=1e-10)
    filled = keys.masked_fill(~MASK[..., None], float("nan"))
    again = decoder(inputs, initial, decoder.prepare_memory(filled, MASK))
    torch.testing.assert_close(again.outputs, whole.outputs)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("attention", [AdditiveAttention, MultiheadAttention])
def test_output_sequences_of_a_source_share_its_memory(attention, options):
    decoder, keys, initial, inputs = build("gru", attention, options, 2)
    memory = decoder.prepare_memory(keys, MASK)
    rows = torch.arange(3).repeat_interleave(2)
    first = decoder.init_state(initial, memory).select(rows)
    _, state = decoder.step(inputs[:, :2].flatten(0, 1), first, memory)
    together, _ = decoder.step(inputs[:, 2:].flatten(0, 1), state, memory)
    for copy in (0, 1):
        state = decoder.init_state(initial, memory)
        _, state = decoder.step(inputs[:, copy], state, memory)
        alone, _ = decoder.step(inputs[:, 2 + copy], state, memory)
        torch.testing.assert_close(alone.outputs, together.outputs[copy::2], atol=1e-10, rtol=1e-10)


def test_step_by_the_equations():
    """A GRU with additive attention before it, input feeding and coverage, written out."""
    decoder, keys, initial, inputs = build("gru", AdditiveAttention, ("before", True, True), 1)
    attention, cell = decoder.attention, decoder.layers[0].cell
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    hidden, fed = initial[0][0], torch.zeros(3, READOUT, dtype=torch.float64)
    covered = torch.zeros(3, TIME, dtype=torch.float64)
    whole = decoder(inputs, initial, decoder.prepare_memory(keys, MASK))
    for step in range(STEPS):
        inner = (
            attention.project_query(hidden)[:, None]
            + attention.project_key(keys)
            + covered[..., None] * decoder.coverage
        )
        scores = attention.score(torch.tanh(inner)).squeeze(-1)
        alpha = scores.masked_fill(~MASK, float("-inf")).softmax(-1)
        context = (alpha[..., None] * keys).sum(1)
        read = torch.cat([inputs[:, step], context, fed], -1)
        hidden = torch.gru_cell(read, hidden, *weights)
        fed = torch.tanh(decoder.readout(torch.cat([hidden, context], -1)))
        torch.testing.assert_close(whole.weights[:, step], alpha, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(whole.contexts[:, step], context, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(whole.states[:, step], hidden, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(whole.outputs[:, step], fed, atol=1e-10, rtol=1e-10)
        covered = covered + alpha
    assert covered.max() > 1  # the coverage mattered


@pytest.mark.parametrize("layers", [1, 2])
def test_without_attention_it_is_a_stack_of_pytorch_layers(layers):
    decoder, keys, initial, inputs = build("lstm", None, NO_ATTENTION, layers, readout_size=0)
    theirs = torch.nn.LSTM(INPUT, SIZE, layers, batch_first=True).double()
    state = {}
    for number, layer in enumerate(decoder.layers):
        for name, weight in layer.cell.named_parameters():
            state[f"{name}_l{number}"] = weight
    theirs.load_state_dict(state)
    expected, _ = theirs(inputs, tuple(torch.stack(part) for part in zip(*initial, strict=True)))
    found = decoder(inputs, initial, decoder.prepare_memory(keys, MASK)).outputs
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_dropout_zeroes_features_between_layers_only():
    decoder, keys, initial, inputs = build("gru", GeneralAttention, ("after", True, False), 2)
    memory = decoder.prepare_memory(keys, MASK)
    before = decoder(inputs, initial, memory).outputs
    decoder.dropout.p = 0.5
    assert not torch.allclose(decoder(inputs, initial, memory).outputs, before)
    torch.testing.assert_close(decoder.eval()(inputs, initial, memory).outputs, before)


@pytest.mark.parametrize(
    ("options", "features"),
    [
        ({}, 4),
        ({"readout_size": 0}, 4 + SIZE),
        ({"readout_size": 3}, 3),
        ({"attention": None}, 4),
        ({"attention": None, "readout_size": 3}, 3),
        ({"attention_position": "none", "readout_size": 0}, 4),
        ({"hidden_size": None}, SIZE),
        ({"readout_size": 0, "input_feeding": True}, 4 + SIZE),
    ],
)
def test_output_size(options, features):
    settings = {"hidden_size": 4, "attention": GeneralAttention, **options}
    decoder = AttentionDecoder(INPUT, SIZE, cell=LSTMCell, **settings).double()
    keys, initial, inputs = random_case(decoder)
    outputs = decoder(inputs, initial, decoder.prepare_memory(keys, MASK)).outputs
    assert outputs.shape == (3, STEPS, features)
    assert decoder.output_size == features


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"coverage": True}, "coverage.*need an attention"),
        ({"input_feeding": True}, "input_feeding.*need an attention"),
        ({"attention_position": "before"}, "attention_position=before need an attention"),
        (
            {"attention_position": "none", "attention": GeneralAttention, "coverage": True},
            "attention_position=after or before",
        ),
        ({"attention_position": "behind"}, "after, before or none"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
        ({"readout_size": -1}, "readout_size=-1"),
    ],
)
def test_what_cannot_work_is_told(options, named):
    with pytest.raises(InputError, match=named):
        AttentionDecoder(INPUT, SIZE, cell=LSTMCell, **options)


def test_dot_attention_with_unequal_widths_says_which_option_projects():
    with pytest.raises(InputError, match="general, additive or multihead"):
        AttentionDecoder(INPUT, 2 * SIZE, cell=LSTMCell, hidden_size=SIZE, attention=DotAttention)


def test_an_empty_source_is_refused():
    decoder = AttentionDecoder(INPUT, SIZE, cell=LSTMCell, attention=GeneralAttention)
    with pytest.raises(InputError, match="length of at least 1"):
        decoder.prepare_memory(torch.randn(2, 3, SIZE), torch.tensor([[True] * 3, [False] * 3]))
