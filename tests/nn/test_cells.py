"""Written-out cells against PyTorch's own layers, their papers' sums and finite differences."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from seqlab.errors import InputError
from seqlab.nn.cell_variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell
from seqlab.nn.cells import GRUCell, LSTMCell, RNNCell
from seqlab.nn.lru import LRU
from seqlab.nn.lstm_pass import lstm_pass
from seqlab.nn.recurrence import FusedGRU, FusedLSTM, FusedRNN
from seqlab.nn.scan import CellRecurrence, written_out
from tests.nn.cores import CELLS

FUSED = {
    "tanh": lambda: FusedRNN(5, 8),
    "relu": lambda: FusedRNN(5, 8, nonlinearity="relu"),
    "gru": lambda: FusedGRU(5, 8),
    "lstm": lambda: FusedLSTM(5, 8),
}


def shaken(module, scale=0.3):
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(scale * torch.randn_like(weight))
    return module


def run(layer, inputs, state, weight):
    """Outputs, final state, and the gradients by inputs, state and all weights."""
    lengths = torch.tensor([inputs.shape[1]] * (len(inputs) - 1) + [3])
    inputs = inputs.clone().requires_grad_()
    state = tuple(part.clone().requires_grad_() for part in state)
    outputs, final = layer(inputs, lengths, state)
    outputs = outputs * (torch.arange(inputs.shape[1]) < lengths[:, None])[..., None]
    value = (outputs * weight).sum() + sum(part.square().sum() for part in final)
    value.backward()
    return outputs, final, (inputs.grad, *(part.grad for part in state))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("kind", FUSED)
def test_equals_the_layer_of_pytorch_with_its_gradients(kind, dtype, tolerance):
    torch.manual_seed(0)
    fused = shaken(FUSED[kind]()).to(dtype)
    ours = written_out(fused)
    inputs = torch.randn(4, 20, 5, dtype=dtype)
    state = tuple(torch.randn(4, 8, dtype=dtype) for _ in fused.state_sizes)
    weight = torch.randn(4, 20, 8, dtype=dtype)
    got, expected = run(ours, inputs, state, weight), run(fused, inputs, state, weight)
    for mine, theirs in zip((got[0], *got[1]), (expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=tolerance)
    # Gradients are sums of many terms, some hundred times as large as the states.
    for mine, theirs in zip(got[2], expected[2], strict=True):
        torch.testing.assert_close(mine, theirs, atol=10 * tolerance, rtol=10 * tolerance)
    grads = [weight.grad for weight in fused.rnn.all_weights[0]]
    mine = (ours.cell.input_weight.grad, ours.cell.recurrent_weight.grad, ours.cell.bias.grad)
    for name, got_grad, expected_grad in zip("WUb", mine, grads, strict=False):
        scale = expected_grad.abs().max()
        difference = (got_grad - expected_grad).abs().max() / scale
        assert difference <= 10 * tolerance, name


@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_finite_differences(name):
    torch.manual_seed(0)
    layer = shaken(CellRecurrence(2, 3, cell=CELLS[name])).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in layer.state_sizes
    )
    weights = dict(layer.named_parameters())

    def call(inputs, *others):
        parts, values = others[: len(state)], others[len(state) :]
        given = dict(zip(weights, values, strict=True))
        outputs, final = torch.func.functional_call(
            layer, given, (inputs, torch.tensor([4, 2]), parts)
        )
        return outputs[0], outputs[1, :2], *final

    assert gradcheck(call, (inputs, *state, *weights.values()))


@pytest.mark.parametrize("time", [1, 2, 7])
def test_the_fast_pass_of_an_lstm_has_the_gradients_of_its_steps(time):
    torch.manual_seed(0)
    given = [(time, 2, 12), (2, 3), (2, 3), (12, 3)]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in given]
    assert gradcheck(lstm_pass, tensors)
    assert gradcheck(lambda *x: lstm_pass(*x)[0], tensors)
    assert gradcheck(lambda *x: lstm_pass(*x)[1], tensors)


def test_the_fast_pass_equals_the_steps():
    torch.manual_seed(0)
    layer = shaken(CellRecurrence(5, 8, cell=LSTMCell)).double()
    inputs = torch.randn(3, 11, 5, dtype=torch.float64)
    state = layer.zero_state(inputs)
    fast = layer.history(inputs, state)
    slow = layer._run(layer.cell.project(inputs.transpose(0, 1)), state, None)
    for ours, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-14, rtol=1e-14)


def test_the_reset_before_the_product_is_chos():
    torch.manual_seed(0)
    cell = shaken(GRUCell(5, 8, reset="before")).double()
    x, h = torch.randn(5, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    (got,) = cell.step(cell.project(x), (h,))
    w, u, b = (x.split(8) for x in (cell.input_weight, cell.recurrent_weight, cell.bias))
    reset = torch.sigmoid(w[0] @ x + b[0] + u[0] @ h)
    update = torch.sigmoid(w[1] @ x + b[1] + u[1] @ h)
    candidate = torch.tanh(w[2] @ x + b[2] + u[2] @ (reset * h))
    torch.testing.assert_close(got, (1 - update) * candidate + update * h)


@pytest.mark.parametrize("coupled", [False, True])
def test_peepholes_see_the_old_cell_and_the_output_gate_the_new_one(coupled):
    torch.manual_seed(0)
    cell = shaken(PeepholeLSTMCell(5, 4, coupled=coupled)).double()
    x = torch.randn(5, dtype=torch.float64)
    h, c = torch.randn(2, 4, dtype=torch.float64)
    blocks = zip(
        cell.input_weight.split(4), cell.recurrent_weight.split(4), cell.bias.split(4), strict=True
    )
    pre = dict(zip(cell.blocks, (w @ x + u @ h + b for w, u, b in blocks), strict=True))
    i = torch.sigmoid(pre["input"] + cell.peepholes[0] * c)
    f = 1 - i if coupled else torch.sigmoid(pre["forget"] + cell.peepholes[1] * c)
    new = f * c + i * torch.tanh(pre["candidate"])
    o = torch.sigmoid(pre["output"] + cell.peepholes[-1] * new)
    got = cell.step(cell.project(x), (h, c))
    torch.testing.assert_close(got, (o * torch.tanh(new), new))


def test_without_peepholes_it_is_an_lstm():
    torch.manual_seed(0)
    plain, peeping = LSTMCell(5, 4), PeepholeLSTMCell(5, 4)
    peeping.load_state_dict({**plain.state_dict(), "peepholes": torch.zeros(3, 4)})
    x, state = torch.randn(2, 5), (torch.randn(2, 4), torch.randn(2, 4))
    ours, expected = (cell.step(cell.project(x), state) for cell in (peeping, plain))
    torch.testing.assert_close(ours, expected)


def test_gates_are_normalised():
    torch.manual_seed(0)
    x, h, c = torch.randn(2, 5), torch.randn(2, 4), torch.randn(2, 4)

    def normal(values):
        mean = values.mean(-1, keepdim=True)
        return (values - mean) / (values.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()

    lstm = LayerNormLSTMCell(5, 4)
    bias = torch.zeros(16)
    bias[4:8] = 1
    pre = normal(x @ lstm.input_weight.T) + bias + normal(h @ lstm.recurrent_weight.T)
    i, f, g, o = pre.chunk(4, -1)
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    expected = (torch.sigmoid(o) * torch.tanh(normal(new)), new)
    torch.testing.assert_close(lstm.step(lstm.project(x), (h, c)), expected)

    gru = LayerNormGRUCell(5, 4)
    given, recurrent = x @ gru.input_weight.T, h @ gru.recurrent_weight.T
    r, z = torch.sigmoid(normal(given[:, :8]) + normal(recurrent[:, :8])).chunk(2, -1)
    n = torch.tanh(normal(given[:, 8:]) + r * normal(recurrent[:, 8:]))
    torch.testing.assert_close(gru.step(gru.project(x), (h,)), ((1 - z) * n + z * h,))


@pytest.mark.parametrize("name", CELLS)
def test_a_forget_gate_starts_open_and_no_other_does(name):
    cell = CELLS[name](5, 8)
    gates = cell.activate(
        cell.project(torch.zeros(5)), tuple(torch.zeros(size) for size in cell.state_sizes)
    )
    one = torch.sigmoid(torch.tensor(1.0))
    for gate in cell.gates:
        opened = {"forget": one, "input": 1 - one if name == "coupled_lstm" else 0.5}
        start = opened.get(gate, 0.5)
        torch.testing.assert_close(gates[gate], torch.as_tensor(start).expand(8))


def test_the_bias_that_lengthens_memory_is_the_update_gates():
    torch.manual_seed(0)
    cell, fused = GRUCell(5, 8, update_bias=3.0), FusedGRU(5, 8, update_bias=3.0)
    expected = torch.tensor([0.0] * 8 + [3.0] * 8 + [0.0] * 8)
    assert torch.equal(cell.bias, expected)
    assert torch.equal(fused.rnn.bias_ih_l0 + fused.rnn.bias_hh_l0, expected)
    old, new = torch.ones(1, 8), torch.zeros(1, 5)
    for layer in (written_out(fused), CellRecurrence(5, 8, cell=lambda *_: cell)):
        assert layer.step(new, (old,))[0].mean() > 0.8


def test_zoneout_keeps_that_share_of_each_part_and_its_expectation_when_evaluating():
    torch.manual_seed(0)
    layer = CellRecurrence(5, 300, cell=LSTMCell, zoneout=[0.2, 0.7])
    x, state = torch.randn(1, 5), (torch.randn(1, 300), torch.randn(1, 300))
    new = layer.cell.step(layer.cell.project(x), state)
    _, zoned = layer.step(x, state)
    for old, after, got, share in zip(state, new, zoned, (0.2, 0.7), strict=True):
        kept = got == old
        assert kept.double().mean().item() == pytest.approx(share, abs=0.1)
        torch.testing.assert_close(got[~kept], after[~kept])
    _, mean = layer.eval().step(x, state)
    for old, after, got, share in zip(state, new, mean, (0.2, 0.7), strict=True):
        torch.testing.assert_close(got, share * old + (1 - share) * after)


def test_variational_dropout_drops_the_same_features_at_all_steps():
    torch.manual_seed(0)
    layer = CellRecurrence(4, 4, cell=RNNCell, variational_dropout=0.5)
    with torch.no_grad():
        layer.cell.input_weight.copy_(torch.eye(4))
        layer.cell.recurrent_weight.zero_()
    outputs, _ = layer(torch.ones(200, 9, 4), torch.full((200,), 9))
    assert torch.equal(outputs, outputs[:, :1].expand_as(outputs))
    zeros = (outputs[:, 0] == 0).double().mean().item()
    assert zeros == pytest.approx(0.5, abs=0.06)
    torch.testing.assert_close(outputs[outputs != 0].mean(), torch.tanh(torch.tensor(2.0)))
    with torch.no_grad():
        layer.cell.input_weight.zero_()
        layer.cell.recurrent_weight.copy_(torch.eye(4))
    start = torch.full((200, 4), 0.1)
    outputs, _ = layer(torch.ones(200, 9, 4), torch.full((200,), 9), (start,))
    alive = outputs[:, 0] != 0
    assert alive.double().mean().item() == pytest.approx(0.5, abs=0.06)
    assert torch.equal(outputs[:, 8] != 0, alive)
    layer.eval()
    outputs, _ = layer(torch.ones(2, 9, 4), torch.full((2,), 9), (start[:2],))
    assert (outputs != 0).all()


def test_what_no_cell_can_do_is_refused():
    with pytest.raises(InputError, match="zoneout"):
        CellRecurrence(5, 4, cell=LSTMCell, zoneout=[0.1])
    with pytest.raises(InputError, match="zoneout"):
        CellRecurrence(5, 4, cell=LSTMCell, zoneout=1.0)
    with pytest.raises(InputError, match="variational_dropout"):
        CellRecurrence(5, 4, cell=LSTMCell, variational_dropout=-0.1)
    with pytest.raises(InputError, match="no cell"):
        written_out(LRU(5, 4))


def test_a_cell_of_ones_own_runs_in_the_scan():
    from seqlab.nn.cells import Cell

    class Sum(Cell):
        def project(self, inputs):
            return inputs @ self.input_weight.T

        def activate(self, projected, state, mask=None):
            return {"hidden": state[0] + projected}

        def step(self, projected, state, mask=None):
            return (self.activate(projected, state, mask)["hidden"],)

    layer = CellRecurrence(3, 3, cell=lambda *sizes: Sum(*sizes, blocks=("hidden",)))
    layer.cell.input_weight = nn.Parameter(torch.eye(3))
    inputs = torch.randn(2, 6, 3)
    outputs, final = layer(inputs, torch.tensor([6, 2]))
    torch.testing.assert_close(outputs, inputs.cumsum(1))
    torch.testing.assert_close(final[0][1], inputs[1, :2].sum(0))
