"""Written-out cells against PyTorch's own layers, their papers' sums and finite differences."""

import inspect
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from seqlab.errors import InputError
from seqlab.nn.recurrent.cell import Cell, GatedCell
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell
from seqlab.nn.recurrent.variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell
from tests.nn.cores import CELLS


def shaken(module, scale=0.3):
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(scale * torch.randn_like(weight))
    return module


@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_finite_differences(name):
    torch.manual_seed(0)
    layer = shaken(RecurrentLayer(2, 3, cell=CELLS[name], kernel="reference"), 0.1).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(2, size, dtype=torch.float64, requires_grad=True)
        for size in layer.cell.state_sizes
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


def test_the_reset_before_the_product_is_chos():
    torch.manual_seed(0)
    cell = shaken(GRUCell(5, 8, reset="before")).double()
    x, h = torch.randn(5, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    (got,) = cell.step(cell.project(x), (h,))
    w, u, b = (x.split(8) for x in (cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh))
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
        cell.weight_ih.split(4), cell.weight_hh.split(4), cell.bias_ih.split(4), strict=True
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
    peeping.load_state_dict(
        {
            "weight_ih": plain.weight_ih,
            "weight_hh": plain.weight_hh,
            "bias_ih": plain.bias_ih + plain.bias_hh,
            "peepholes": torch.zeros(3, 4),
        }
    )
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
    pre = normal(x @ lstm.weight_ih.T) + bias + normal(h @ lstm.weight_hh.T)
    i, f, g, o = pre.chunk(4, -1)
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    expected = (torch.sigmoid(o) * torch.tanh(normal(new)), new)
    torch.testing.assert_close(lstm.step(lstm.project(x), (h, c)), expected)

    gru = LayerNormGRUCell(5, 4)
    given, recurrent = x @ gru.weight_ih.T, h @ gru.weight_hh.T
    r, z = torch.sigmoid(normal(given[:, :8]) + normal(recurrent[:, :8])).chunk(2, -1)
    n = torch.tanh(normal(given[:, 8:]) + r * normal(recurrent[:, 8:]))
    torch.testing.assert_close(gru.step(gru.project(x), (h,)), ((1 - z) * n + z * h,))


@pytest.mark.parametrize("name", CELLS)
def test_a_forget_gate_starts_open_and_no_other_does(name):
    cell = CELLS[name](5, 8)
    gates = cell.gates(
        cell.project(torch.zeros(5)), tuple(torch.zeros(size) for size in cell.state_sizes)
    )
    one = torch.sigmoid(torch.tensor(1.0))
    for gate in cell.gate_names:
        opened = {"forget": one, "input": 1 - one if "coupled" in name else 0.5}
        opened |= {"update": 1 - one} if name == "min_gru" else {}
        start = opened.get(gate, 0.5)
        torch.testing.assert_close(gates[gate], torch.as_tensor(start).expand(8))


def test_the_bias_that_lengthens_memory_is_the_update_gates():
    torch.manual_seed(0)
    cell = GRUCell(5, 8, update_bias=3.0)
    expected = torch.tensor([0.0] * 8 + [3.0] * 8 + [0.0] * 8)
    assert torch.equal(cell.bias_ih + cell.bias_hh, expected)
    old, new = torch.ones(1, 8), torch.zeros(1, 5)
    assert cell.step(cell.project(new), (old,))[0].mean() > 0.8


def test_zoneout_keeps_that_share_of_each_part_and_its_expectation_when_evaluating():
    torch.manual_seed(0)
    layer = RecurrentLayer(5, 300, cell=LSTMCell, zoneout=[0.2, 0.7])
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
    layer = RecurrentLayer(4, 4, cell=RNNCell, variational_dropout=0.5)
    with torch.no_grad():
        layer.cell.weight_ih.copy_(torch.eye(4))
        layer.cell.weight_hh.zero_()
    outputs, _ = layer(torch.ones(200, 9, 4), torch.full((200,), 9))
    assert torch.equal(outputs, outputs[:, :1].expand_as(outputs))
    zeros = (outputs[:, 0] == 0).double().mean().item()
    assert zeros == pytest.approx(0.5, abs=0.06)
    torch.testing.assert_close(outputs[outputs != 0].mean(), torch.tanh(torch.tensor(2.0)))
    with torch.no_grad():
        layer.cell.weight_ih.zero_()
        layer.cell.weight_hh.copy_(torch.eye(4))
    start = torch.full((200, 4), 0.1)
    outputs, _ = layer(torch.ones(200, 9, 4), torch.full((200,), 9), (start,))
    alive = outputs[:, 0] != 0
    assert alive.double().mean().item() == pytest.approx(0.5, abs=0.06)
    assert torch.equal(outputs[:, 8] != 0, alive)
    layer.eval()
    outputs, _ = layer(torch.ones(2, 9, 4), torch.full((2,), 9), (start[:2],))
    assert (outputs != 0).all()


@pytest.mark.usefixtures("unchecked")
def test_what_no_cell_can_do_is_refused():
    with pytest.raises(InputError, match="zoneout"):
        RecurrentLayer(5, 4, cell=LSTMCell, zoneout=[0.1])
    with pytest.raises(InputError, match="zoneout"):
        RecurrentLayer(5, 4, cell=LSTMCell, zoneout=1.0)
    with pytest.raises(InputError, match="variational_dropout"):
        RecurrentLayer(5, 4, cell=LSTMCell, variational_dropout=-0.1)
    with pytest.raises(InputError, match="kernel='fast' must be auto or reference"):
        RecurrentLayer(5, 4, cell=LSTMCell, kernel="fast")


class Sum(Cell):
    """Adds up its inputs, as a user would write it."""

    def project(self, inputs):
        return inputs

    def gates(self, projected, state, mask=None):
        return {"hidden": state[0] + projected}

    def step(self, projected, state, mask=None):
        return (self.gates(projected, state, mask)["hidden"],)


def test_a_cell_of_ones_own_runs_in_the_layer():
    layer = RecurrentLayer(3, 3, cell=Sum)
    inputs = torch.randn(2, 6, 3)
    outputs, final = layer(inputs, torch.tensor([6, 2]))
    torch.testing.assert_close(outputs, inputs.cumsum(1))
    torch.testing.assert_close(final[0][1], inputs[1, :2].sum(0))


def test_the_first_part_of_the_state_is_the_output():
    with pytest.raises(InputError, match="must begin with hidden_size=3"):
        Sum(3, 3, state_sizes=(4, 3))


INITIALISED = [
    name
    for name, cell in CELLS.items()
    if "initialisation" in inspect.signature(cell.func).parameters
]


@pytest.mark.parametrize("name", INITIALISED)
@pytest.mark.parametrize("initialisation", ["orthogonal", "uniform"])
def test_every_cell_starts_as_asked(name, initialisation):
    torch.manual_seed(0)
    cell = CELLS[name](16, 16, initialisation=initialisation)
    matrices = [w for _, w in cell.named_parameters() if w.shape[-1] == 16 and w.shape[0] >= 16]
    matrices = [block for w in matrices if w.dim() == 2 for block in w.detach().split(16)]
    assert matrices
    bound = 16**-0.5
    largest = max(block.abs().max() for block in matrices)
    assert (largest <= bound) == (initialisation == "uniform")
    if isinstance(cell, GatedCell):
        for block in cell.weight_hh.detach().split(16):
            distance = (block @ block.T - torch.eye(16)).abs().max()
            assert (distance < 1e-5) == (initialisation == "orthogonal")


def test_all_cells_but_the_lru_can_be_initialised_either_way():
    assert {name for name in CELLS if name not in INITIALISED} == {"lru"}


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        (RNNCell, nn.RNN),
        (GRUCell, nn.GRU),
        (partial(LSTMCell, forget_bias=0.0), nn.LSTM),
    ],
)
def test_uniform_is_how_pytorch_starts(kind, theirs):
    torch.manual_seed(0)
    ours = kind(5, 4, initialisation="uniform").state_dict()
    torch.manual_seed(0)
    expected = theirs(5, 4).state_dict()
    for name, weight in ours.items():
        assert torch.equal(weight, expected[f"{name}_l0"])
