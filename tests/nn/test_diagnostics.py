"""What goes on inside a core, against autograd, finite differences and written-out sums."""

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.diagnostics import gate_saturation, gradient_by_lag, norm_by_step, spectral_radius
from seqlab.nn.masking import last_valid, valid_mask
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
from seqlab.nn.recurrent.rnn import RNNCell
from tests.nn.cores import RECURRENT, make

LENGTHS = torch.tensor([6, 3])


def at_the_end(states):
    return last_valid(states, LENGTHS).square().sum()


@pytest.mark.parametrize("name", [name for name in RECURRENT if name != "layer norm"])
def test_the_gradient_by_lag_is_what_moving_the_state_does_to_the_loss(name):
    encoder = make(name, hidden_size=4)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    found = gradient_by_lag(encoder, inputs, LENGTHS, at_the_end)
    parts, layers = len(encoder.state_sizes), 2
    assert [tuple(part.shape) for part in found] == [(layers, 6)] * parts
    row, lag, step = 0, 3, 1e-6
    _, state = encoder(inputs[:, : 6 - lag], torch.full((2,), 6 - lag))
    # The upper layer: what the lower one does to it at t itself is in no state after t.
    for part in range(parts):
        slopes = []
        for feature in range(encoder.state_sizes[part]):
            values = []
            for sign in (1, -1):
                moved = [x.clone() for x in state]
                moved[part][1, row, feature] += sign * step
                # The lag is at least one, so that the output at t itself is not in the loss.
                states, _ = encoder(inputs[:, 6 - lag :], torch.full((2,), lag), tuple(moved))
                values.append(states[row, -1].square().sum())
            slopes.append((values[0] - values[1]) / (2 * step))
        # The second sequence has three positions, and so no state with this lag.
        expected = torch.stack(slopes).norm()
        torch.testing.assert_close(found[part][1, lag], expected, atol=1e-7, rtol=1e-5)


def test_at_lag_zero_it_is_the_slope_of_the_loss_itself():
    encoder = make("lstm, reference", num_layers=1)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    found = gradient_by_lag(encoder, inputs, LENGTHS, at_the_end)
    states, _ = encoder(inputs, LENGTHS)
    expected = (2 * last_valid(states, LENGTHS)).norm(dim=-1).mean()
    torch.testing.assert_close(found[0][0, 0], expected)


def test_lags_are_averaged_over_the_sequences_that_have_them():
    encoder = make("gru, reference", num_layers=1)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    both = gradient_by_lag(encoder, inputs, LENGTHS, at_the_end)[0][0]
    alone = [
        gradient_by_lag(
            encoder, inputs[i : i + 1, :n], LENGTHS[i : i + 1], lambda x: x[:, -1].square().sum()
        )[0][0]
        for i, n in enumerate(LENGTHS)
    ]
    torch.testing.assert_close(both[:3], (alone[0][:3] + alone[1]) / 2)
    torch.testing.assert_close(both[3:], alone[0][3:])


def test_a_bidirectional_encoder_has_no_lags():
    encoder = make("gru, fast", bidirectional=True)
    with pytest.raises(InputError, match="bidirectional"):
        gradient_by_lag(encoder, torch.randn(2, 6, 3), LENGTHS, at_the_end)


def test_norm_by_step():
    states = torch.randn(2, 8, 5)
    norms = norm_by_step(states, LENGTHS)
    torch.testing.assert_close(norms[1], states[:, 1].norm(dim=-1).mean())
    torch.testing.assert_close(norms[4], states[0, 4].norm())
    assert norms[6:].isnan().all()


@pytest.mark.parametrize("kind", [LSTMCell, GRUCell, MinGRUCell, MinLSTMCell])
def test_gate_saturation_counts_what_steps_show(kind):
    torch.manual_seed(0)
    layer = RecurrentLayer(3, 16, cell=kind)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(3)
    inputs = torch.randn(2, 6, 3)
    found = gate_saturation(layer, inputs, LENGTHS, low=0.2, high=0.7)
    seen = {name: [] for name in found}
    state = None
    for position in range(6):
        cell = layer.cell
        before = cell.zero_state(inputs) if state is None else state
        gates = cell.gates(cell.project(inputs[:, position]), before)
        _, state = layer.step(inputs[:, position], state)
        alive = valid_mask(LENGTHS, 6)[:, position]
        for name, values in seen.items():
            values.append(gates[name][alive].flatten())
    assert found
    for name, (low, high) in found.items():
        values = torch.cat(seen[name])
        assert len(values) == 9 * 16
        assert low == pytest.approx((values < 0.2).double().mean().item())
        assert high == pytest.approx((values > 0.7).double().mean().item())
        assert 0 < low < 1 or 0 < high < 1


def layer_of(cell):
    return RecurrentLayer(3, 4, cell=cell)


def test_a_layer_without_gates_is_told():
    with pytest.raises(InputError, match="no gates"):
        gate_saturation(layer_of(RNNCell), torch.randn(2, 6, 3), LENGTHS)


def test_the_spectral_radius():
    rnn = layer_of(RNNCell)
    assert spectral_radius(rnn) == {"hidden": pytest.approx(1.0, abs=1e-5)}  # orthogonal
    with torch.no_grad():
        rnn.cell.weight_hh.copy_(torch.diag(torch.tensor([0.5, -2.0, 1.0, 0.0])))
    assert spectral_radius(rnn) == {"hidden": pytest.approx(2.0)}
    assert list(spectral_radius(layer_of(LSTMCell))) == ["input", "forget", "candidate", "output"]
    lru = layer_of(LRUCell)
    assert spectral_radius(lru)["state"] == pytest.approx(lru.cell.eigenvalues.abs().max().item())
    with pytest.raises(InputError, match="no recurrent matrix"):
        spectral_radius(layer_of(MinGRUCell))
