from functools import partial
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from seqlab.errors import InputError
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell
from tests.nn.oracles import CELLS, TOLERANCE, make_encoder, padded_inputs, run_alone, torch_layer

NAMES = tuple(CELLS)
batches = st.lists(st.integers(1, 7), min_size=1, max_size=4)
options = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(NAMES),
        "bidirectional": st.booleans(),
        "num_layers": st.integers(1, 3),
        "layer_norm": st.booleans(),
        "initial_state": st.sampled_from(["zero", "learned"]),
    }
)
seeds = st.integers(0, 2**31)
few = settings(max_examples=40, deadline=None)


def close(ours, expected, tolerance=1e-12):
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=tolerance)


def row_of(state, row):
    return None if state is None else tuple(part[:, row] for part in state)


def passed_state(encoder, batch, dtype=torch.float64):
    rows = len(encoder.layers) * encoder.directions
    return tuple(torch.randn(rows, batch, size, dtype=dtype) for size in encoder.state_sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("initial", ["zero", "learned", "passed"])
@pytest.mark.parametrize(
    ("cell", "bidirectional", "num_layers"), list(product(NAMES, [False, True], [1, 2, 3]))
)
def test_equals_torch_on_each_sequence_alone(cell, bidirectional, num_layers, initial, dtype):
    torch.manual_seed(0)
    encoder = make_encoder(
        cell,
        dtype,
        bidirectional=bidirectional,
        num_layers=num_layers,
        initial_state="learned" if initial == "learned" else "zero",
    )
    layer = torch_layer(cell, encoder)
    lengths = [9, 1, 6, 2, 9]
    inputs = padded_inputs(lengths, extra=2, dtype=dtype)
    state = passed_state(encoder, len(lengths), dtype) if initial == "passed" else None
    states, final = encoder(inputs, torch.tensor(lengths), state)
    assert len(final) == (2 if cell == "lstm" else 1)
    for row, length in enumerate(lengths):
        start = tuple(encoder.initial) if initial == "learned" else row_of(state, row)
        expected, expected_final = run_alone(layer, inputs[row, :length], start)
        close(states[row, :length], expected, TOLERANCE[dtype])
        for part, expected_part in zip(final, expected_final, strict=True):
            close(part[:, row], expected_part, TOLERANCE[dtype])
    without, none = encoder(inputs, torch.tensor(lengths), state, need_state=False)
    assert none is None
    for row, length in enumerate(lengths):
        close(without[row, :length], states[row, :length], TOLERANCE[dtype])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_long_sequences_of_many_features_in_float32(cell):
    torch.manual_seed(0)
    encoder = make_encoder(cell, torch.float32, hidden_size=64, bidirectional=True)
    layer = torch_layer(cell, encoder)
    lengths = [100, 5, 64, 1]
    inputs = padded_inputs(lengths, dtype=torch.float32)
    with torch.no_grad():
        states, final = encoder(inputs, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            expected, expected_final = run_alone(layer, inputs[row, :length])
            close(states[row, :length], expected, 1e-6)
            for part, expected_part in zip(final, expected_final, strict=True):
                close(part[:, row], expected_part, 1e-6)


@pytest.mark.parametrize("cell", NAMES)
def test_gradients_equal_torchs_on_each_sequence_alone(cell):
    torch.manual_seed(0)
    encoder = make_encoder(cell, num_layers=2, bidirectional=True)
    layer = torch_layer(cell, encoder)
    lengths = [5, 1, 3]
    inputs = padded_inputs(lengths)
    states, final = encoder(inputs, torch.tensor(lengths))
    weights = torch.randn_like(states)
    loss = sum((part**2).sum() for part in final)
    expected_loss = 0
    for row, length in enumerate(lengths):
        loss = loss + (weights[row, :length] * states[row, :length]).sum()
        alone, last = run_alone(layer, inputs[row, :length])
        expected_loss += (weights[row, :length] * alone).sum() + sum((p**2).sum() for p in last)
    loss.backward()
    expected_loss.backward()
    for number, directions in enumerate(encoder.layers):
        for ending, recurrence in zip(("", "_reverse"), directions, strict=True):
            for name, weight in recurrence.cell.named_parameters():
                expected = getattr(layer, f"{name}_l{number}{ending}")
                close(weight.grad, expected.grad, 1e-10)


@few
@given(options, batches, st.integers(0, 4), seeds)
def test_padding_changes_nothing(chosen, lengths, extra, seed):
    torch.manual_seed(seed)
    encoder = make_encoder(**chosen)
    inputs = padded_inputs(lengths)
    junk = torch.cat([inputs, torch.randn(len(lengths), extra, 3).double()], dim=1)
    for row, length in enumerate(lengths):
        junk[row, length:] = torch.randn(junk.shape[1] - length, 3) * 100
    states, final = encoder(inputs, torch.tensor(lengths))
    others, others_final = encoder(junk, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        close(others[row, :length], states[row, :length])
    for part, other in zip(final, others_final, strict=True):
        close(other, part)


@few
@given(options, batches, seeds)
def test_batch_mates_change_nothing(chosen, lengths, seed):
    torch.manual_seed(seed)
    encoder = make_encoder(**chosen)
    inputs = padded_inputs(lengths, extra=1)
    state = passed_state(encoder, len(lengths))
    states, final = encoder(inputs, torch.tensor(lengths), state)
    for row, length in enumerate(lengths):
        mine = tuple(part[:, row : row + 1] for part in state)
        alone, alone_final = encoder(inputs[row : row + 1, :length], torch.tensor([length]), mine)
        close(alone[0], states[row, :length])
        for part, whole in zip(alone_final, final, strict=True):
            close(part[:, 0], whole[:, row])


def swap_directions(encoder):
    """A copy that reads backward where the encoder reads forward, and the other way round."""
    size = encoder.hidden_size
    order = torch.cat([torch.arange(size, 2 * size), torch.arange(size)])
    for number, directions in enumerate(encoder.layers):
        weights = [{k: v.clone() for k, v in way.state_dict().items()} for way in directions]
        for way, other in zip(directions, reversed(weights), strict=True):
            if number:
                other["cell.weight_ih"] = other["cell.weight_ih"][:, order]
            way.load_state_dict(other)
    for norm in encoder.norms:
        if isinstance(norm, nn.LayerNorm):
            norm.load_state_dict({k: v[order] for k, v in norm.state_dict().items()})
    return order


@few
@given(options, batches, seeds)
def test_reading_time_reversed_sequences_swaps_the_directions(chosen, lengths, seed):
    torch.manual_seed(seed)
    encoder = make_encoder(**{**chosen, "bidirectional": True, "initial_state": "zero"})
    inputs = padded_inputs(lengths)
    states, final = encoder(inputs, torch.tensor(lengths))
    mirrored = inputs.clone()
    for row, length in enumerate(lengths):
        mirrored[row, :length] = inputs[row, :length].flip(0)
    order = swap_directions(encoder)
    others, others_final = encoder(mirrored, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        close(others[row, :length].flip(0)[:, order], states[row, :length])
    for part, other in zip(final, others_final, strict=True):
        layered = other.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
        close(layered, part)


@few
@given(options, st.integers(2, 7), st.data(), seeds)
def test_a_position_is_seen_from_its_own_side_only(chosen, length, data, seed):
    torch.manual_seed(seed)
    encoder = make_encoder(**{**chosen, "num_layers": 1, "layer_norm": False})
    place = data.draw(st.integers(0, length - 1))
    inputs = torch.randn(1, length, 3).double()
    changed = inputs.clone()
    changed[0, place] += 1
    states, others = (encoder(x, torch.tensor([length]))[0][0] for x in (inputs, changed))
    differs = states != others
    forward = differs[:, :4].any(-1)
    assert not forward[:place].any()
    if chosen["cell"] != "relu_rnn":  # whose units may all be off
        assert forward[place:].all()
    if encoder.directions == 2:
        backward = differs[:, 4:].any(-1)
        assert not backward[place + 1 :].any()
        if chosen["cell"] != "relu_rnn":
            assert backward[: place + 1].all()


@pytest.mark.parametrize("need_state", [True, False])
@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize(("cell", "bidirectional"), list(product(NAMES, [False, True])))
def test_nothing_leaks_from_padding(cell, bidirectional, junk, need_state):
    """Whatever stands there: valid states and every gradient stay as they are."""
    torch.manual_seed(0)
    encoder = make_encoder(
        cell, num_layers=2, bidirectional=bidirectional, layer_norm=True, initial_state="learned"
    )
    lengths = torch.tensor([4, 1, 6])
    valid = torch.arange(8) < lengths[:, None]
    clean = torch.randn(3, 8, 3).double() * valid[..., None]
    weights = torch.randn(3, 8, encoder.output_size).double()

    def outcome(inputs):
        encoder.zero_grad()
        inputs = inputs.clone().requires_grad_()
        states, final = encoder(inputs, lengths, need_state=need_state)
        loss = (weights * states)[valid].sum() + sum((p**2).sum() for p in final or ())
        loss.backward()
        gradients = [p.grad.clone() for p in encoder.parameters()]
        assert all(g.isfinite().all() for g in gradients)
        return [states[valid], *(final or ()), inputs.grad, *gradients]

    expected = outcome(clean)
    assert expected[0].abs().max() > 0.1
    got = outcome(clean.masked_fill(~valid[..., None], junk))
    for ours, wanted in zip(got, expected, strict=True):
        assert torch.equal(ours, wanted)
    gradient = got[1 + (0 if not need_state else 2 if cell == "lstm" else 1)]
    assert not gradient[~valid].any()
    assert gradient[valid].abs().sum(-1).all()


@few
@given(options, st.integers(1, 6), seeds)
def test_steps_equal_the_whole_pass(chosen, length, seed):
    torch.manual_seed(seed)
    encoder = make_encoder(**{**chosen, "bidirectional": False})
    inputs = torch.randn(2, length, 3).double()
    states, final = encoder(inputs, torch.full((2,), length))
    state = None
    for number in range(length):
        output, state = encoder.step(inputs[:, number], state)
        close(output, states[:, number])
    for part, expected in zip(state, final, strict=True):
        close(part, expected)


class TestInitialisation:
    @pytest.mark.parametrize(("cell", "bidirectional"), list(product(NAMES, [False, True])))
    def test_biases_are_zero_but_for_the_forget_gates(self, cell, bidirectional):
        encoder = RecurrentEncoder(
            3, cell=CELLS[cell], hidden_size=4, num_layers=3, bidirectional=bidirectional
        )
        recurrences = list(encoder.recurrences())
        assert len(recurrences) == (6 if bidirectional else 3)
        for recurrence in recurrences:
            bias = recurrence.cell.bias_ih + recurrence.cell.bias_hh
            expected = torch.zeros_like(bias)
            if cell == "lstm":
                expected[4:8] = 1  # input, forget, cell, output
            assert torch.equal(bias, expected)
            assert not recurrence.cell.bias_hh.any()

    def test_the_forget_bias_reaches_the_forget_gate(self):
        """Opened or shut by its bias alone, an LSTM keeps or loses its cell state."""
        for bias, kept in ((30.0, 1.0), (-30.0, 0.0)):
            layer = RecurrentLayer(2, 3, cell=partial(LSTMCell, forget_bias=bias)).double()
            cell = torch.randn(1, 3).double()
            zeros = torch.zeros(1, 3).double()
            _, (_, after) = layer.step(torch.zeros(1, 2).double(), (zeros, cell))
            close(after, kept * cell, 1e-9)

    @pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
    def test_recurrent_matrices_are_orthogonal_gate_by_gate(self, cell, gates):
        encoder = RecurrentEncoder(
            3, cell=CELLS[cell], hidden_size=16, num_layers=2, bidirectional=True
        )
        for recurrence in encoder.recurrences():
            parts = recurrence.cell.weight_hh.detach().split(16)
            assert len(parts) == gates
            for part in parts:
                close(part @ part.T, torch.eye(16), 1e-5)
            assert all(not torch.equal(a, b) for a, b in pairwise(parts))
            for part in recurrence.cell.weight_ih.detach().split(16):
                bound = (6 / (part.shape[1] + 16)) ** 0.5  # Glorot & Bengio 2010, eq. 16
                assert 0.7 * bound < part.abs().max() <= bound

    def test_learned_states_start_at_zero_and_are_trained(self):
        encoder = RecurrentEncoder(
            3, cell=LSTMCell, hidden_size=4, num_layers=2, initial_state="learned"
        )
        zero = RecurrentEncoder(3, cell=LSTMCell, hidden_size=4, num_layers=2)
        zero.load_state_dict(encoder.state_dict(), strict=False)
        assert [tuple(part.shape) for part in encoder.initial] == [(2, 4), (2, 4)]
        assert not len(zero.initial)
        inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
        states = encoder(inputs, lengths)[0]
        close(states, zero(inputs, lengths)[0], 1e-6)
        states.sum().backward()
        assert all(part.grad.abs().sum() > 0 for part in encoder.initial)


@pytest.mark.parametrize(("cell", "bidirectional"), list(product(NAMES, [False, True])))
def test_layer_norm_normalises_the_outputs_of_each_layer(cell, bidirectional):
    torch.manual_seed(0)
    encoder = make_encoder(cell, num_layers=2, bidirectional=bidirectional, layer_norm=True)
    parts = [make_encoder(cell, bidirectional=bidirectional) for _ in range(2)]
    parts[1] = RecurrentEncoder(
        encoder.output_size, cell=CELLS[cell], hidden_size=4, bidirectional=bidirectional
    ).double()
    states = inputs = torch.randn(1, 6, 3).double()
    for number, part in enumerate(parts):
        part.layers[0].load_state_dict(encoder.layers[number].state_dict())
        norm = encoder.norms[number]
        states, _ = torch_layer(cell, part)(states)
        states = F.layer_norm(states, states.shape[-1:], norm.weight, norm.bias)
    close(encoder(inputs, torch.tensor([6]))[0], states)


class TestDropout:
    def test_nothing_is_dropped_from_one_layer(self):
        torch.manual_seed(0)
        encoder = make_encoder("gru", dropout=0.9, bidirectional=True)
        inputs, lengths = padded_inputs([5, 3]), torch.tensor([5, 3])
        assert torch.equal(encoder(inputs, lengths)[0], encoder.eval()(inputs, lengths)[0])

    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_it_stands_between_layers_only(self, bidirectional):
        torch.manual_seed(0)
        encoder = make_encoder(
            "lstm", num_layers=3, hidden_size=32, dropout=0.4, bidirectional=bidirectional
        )
        read, written = {}, {}
        for number, directions in enumerate(encoder.layers):

            def hook(module, arguments, result, number=number):
                read[number], written[number] = arguments[0], result[0]

            directions[0].register_forward_hook(hook)
        inputs, lengths = padded_inputs([20, 20]), torch.tensor([20, 20])
        states = encoder(inputs, lengths)[0]
        assert torch.equal(read[0], inputs)
        assert torch.equal(states[..., :32], written[2])
        for number in (1, 2):
            given, got = written[number - 1], read[number][..., :32]
            kept = got != 0
            assert 0.5 < kept.double().mean() < 0.7
            close(got[kept], given[kept] / 0.6)
        assert not torch.equal(states, encoder(inputs, lengths)[0])
        encoder.eval()
        assert torch.equal(encoder(inputs, lengths)[0], encoder(inputs, lengths)[0])


def test_bf16_keeps_the_final_cell_state_frozen():
    torch.manual_seed(0)
    encoder = make_encoder("lstm", torch.bfloat16, bidirectional=True)
    inputs = padded_inputs([9, 2], dtype=torch.bfloat16)
    _, (_, cell) = encoder(inputs, torch.tensor([9, 2]))
    _, (_, alone) = encoder(inputs[1:, :2], torch.tensor([2]))
    assert cell.dtype == torch.bfloat16
    close(cell[:, 1].float(), alone[:, 0].float(), 2e-2)


@pytest.mark.parametrize(
    ("cell", "expected"), [("rnn", 1), ("gru", 3), ("lstm", 4)], ids=["rnn", "gru", "lstm"]
)
def test_multiply_accumulates(cell, expected):
    encoder = make_encoder(cell, num_layers=2, bidirectional=True)
    a_token = 2 * (4 * (3 + 4)) + 2 * (4 * (8 + 4))
    assert encoder.multiply_accumulates(10) == expected * a_token


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"hidden_size": 0}, "hidden_size=0"),
            ({"num_layers": 0}, "num_layers=0"),
            ({"dropout": 1.0}, "dropout=1.0"),
            ({"dropout": -0.1}, "dropout=-0.1"),
        ],
    )
    def test_settings(self, options, said):
        with pytest.raises(InputError, match=said):
            make_encoder("gru", **options)

    @pytest.mark.parametrize("lengths", [[0, 3], [4, 3], [-1, 2]])
    def test_lengths(self, lengths):
        with pytest.raises(InputError, match="lengths must be from 1 to the 3 positions"):
            make_encoder("gru")(torch.zeros(2, 3, 3).double(), torch.tensor(lengths))

    def test_state_of_another_shape(self):
        encoder = make_encoder("lstm", bidirectional=True)
        state = (torch.zeros(1, 2, 4).double(), torch.zeros(1, 2, 4).double())
        with pytest.raises(InputError, match=r"\(2, 2, 4\)"):
            encoder(torch.zeros(2, 3, 3).double(), torch.tensor([3, 3]), state)

    def test_two_directions_cannot_stream(self):
        encoder = make_encoder("lstm", bidirectional=True)
        assert not encoder.causal
        with pytest.raises(InputError, match="cannot stream"):
            encoder.step(torch.zeros(2, 3).double())


@pytest.mark.parametrize("kind", [RNNCell, GRUCell, LSTMCell])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_sizes(kind, bidirectional):
    encoder = RecurrentEncoder(3, cell=kind, hidden_size=5, bidirectional=bidirectional)
    states, final = encoder(torch.zeros(2, 4, 3), torch.tensor([4, 1]))
    ways = 2 if bidirectional else 1
    assert states.shape == (2, 4, encoder.output_size) == (2, 4, 5 * ways)
    assert all(part.shape == (ways, 2, 5) for part in final)
    assert encoder.summary_size == 5
