"""Each kernel of a cell gives what repeated steps give; its guard says when it applies."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.errors import InputError
from seqlab.nn.kernel_table import Kernel, kernel_of, kernels_off
from seqlab.nn.kernels import KERNELS, cpu_rnn, fused, fused_step
from seqlab.nn.masking import valid_mask
from seqlab.nn.recurrent.cell import Cell
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
from seqlab.nn.recurrent.rnn import RNNCell
from tests.nn.cores import CELLS

# Their kernels are differentiated by hand, once.
BY_HAND = (RNNCell, MinGRUCell, MinLSTMCell, LRUCell)

LAYER_KERNELS = {
    definition: kernels
    for definition, kernels in KERNELS.items()
    if isinstance(definition, type) and issubclass(definition, Cell)
}
# Every kernel that can run a cell of the configuration on this machine.
CASES = [
    (name, kernel)
    for name, cell in CELLS.items()
    for kernel in LAYER_KERNELS.get(cell.func, ())
    if kernel.applies(cell(2, 3), torch.zeros(1, 1, 2), torch.ones(1), None, True)
]
each_kernel = pytest.mark.parametrize(
    ("name", "kernel"), CASES, ids=[f"{name}-{kernel.run.__name__}" for name, kernel in CASES]
)


def outcome(run, weights, cell, inputs, lengths, state):  # noqa: PLR0917
    """Valid outputs, final state, and the gradients by inputs, state and all parameters."""
    tensors = [inputs, *(state or ()), *cell.parameters()]
    outputs, final = run(cell, inputs, lengths, state, True)
    outputs = outputs.masked_fill(~valid_mask(lengths, inputs.shape[1])[..., None], 0.0)
    value = (outputs * weights).sum() + sum(
        (part.sin() * (n + 1)).sum() for n, part in enumerate(final)
    )
    found = torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True)
    return [outputs, *final, *found]


def steps(cell, inputs, lengths, state, need_state):
    layer = RecurrentLayer(2, 3, cell=lambda *_: cell, kernel="reference")
    return layer(inputs, lengths, state, need_state=need_state)


@each_kernel
@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    extra=st.integers(0, 2),
    starts=st.booleans(),
    strided=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equals_the_steps_in_values_and_gradients(
    *, name, kernel, lengths, extra, starts, strided, seed
):
    torch.manual_seed(seed)
    cell = CELLS[name](2, 3).double()
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    batch, time = len(lengths), max(lengths) + extra
    lengths = torch.tensor(lengths)
    inputs = torch.randn(batch, time, 2, dtype=torch.float64)
    if strided:
        inputs = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    inputs.requires_grad_()
    state = None
    if starts:
        sizes = cell.state_sizes
        state = tuple(torch.randn(batch, s, dtype=torch.float64).requires_grad_() for s in sizes)
    weights = torch.randn(batch, time, 3, dtype=torch.float64)
    args = (weights, cell, inputs, lengths, state)
    for ours, expected in zip(outcome(kernel.run, *args), outcome(steps, *args), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)
    without, none = kernel.run(cell, inputs, lengths, state, False)
    assert none is None
    mask = valid_mask(lengths, time)
    torch.testing.assert_close(without[mask], outcome(steps, *args)[0][mask], atol=1e-10, rtol=0)


STEP_CASES = [
    (name, kernel)
    for name, cell in CELLS.items()
    for kernel in KERNELS.get((cell.func, "step"), ())
    if getattr(cell(2, 3), "reset", "after") == "after"
]


@pytest.mark.parametrize(("name", "kernel"), STEP_CASES)
@pytest.mark.parametrize("rows", [1, 5])
def test_one_step_equals_the_cells(name, kernel, rows):
    torch.manual_seed(0)
    cell = CELLS[name](2, 3).double()
    inputs = torch.randn(rows, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(rows, s, dtype=torch.float64) for s in cell.state_sizes)
    state = tuple(part.requires_grad_() for part in state)
    tensors = (inputs, *state, *cell.parameters())
    outcomes = []
    for after in (kernel.run(cell, inputs, state), cell.step(cell.project(inputs), state)):
        value = sum(part.sin().sum() for part in after)
        outcomes.append([*after, *torch.autograd.grad(value, tensors)])
    for ours, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)


def test_every_kernel_is_compared():
    compared = {kernel.run for _, kernel in CASES + STEP_CASES}
    of_cells = {
        kernel.run
        for definition, kernels in KERNELS.items()
        if definition in LAYER_KERNELS or isinstance(definition, tuple)
        for kernel in kernels
    }
    assert compared == of_cells


def test_the_guards_of_a_step():
    lstm, gru = LSTMCell(5, 4), GRUCell(5, 4, reset="before")
    inputs, state = torch.randn(2, 5), (torch.randn(2, 4), torch.randn(2, 4))
    wide = (torch.randn(5000, 5), tuple(torch.randn(5000, 4) for _ in range(2)))
    assert kernel_of((LSTMCell, "step"), lstm, inputs, state) is fused_step.run_lstm
    assert kernel_of((LSTMCell, "step"), lstm, *wide) is fused_step.run_lstm
    with torch.no_grad():
        assert kernel_of((LSTMCell, "step"), lstm, *wide) is fused_step.run_lstm_wide
        assert kernel_of((LSTMCell, "step"), lstm, inputs, state) is fused_step.run_lstm
    assert kernel_of((LSTMCell, "step"), lstm.double(), inputs, state) is None
    assert kernel_of((GRUCell, "step"), gru, inputs, state[:1]) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert kernel_of((RNNCell, "step"), RNNCell(5, 4), inputs, state[:1]) is None
    with kernels_off():
        assert kernel_of((RNNCell, "step"), RNNCell(5, 4), inputs, state[:1]) is None


class TakenError(Exception):
    """Tells that a kernel ran."""


@pytest.fixture
def telling(monkeypatch):
    """Every kernel of the cells says that it was taken."""

    def take(*_, **__):
        raise TakenError

    table = {
        cell: tuple(Kernel(take, kernel.applies) for kernel in kernels)
        for cell, kernels in LAYER_KERNELS.items()
    }
    monkeypatch.setattr("seqlab.nn.kernel_table._table", lambda: table)


def takes_a_kernel(layer):
    try:
        layer(torch.randn(2, 4, 5))
    except TakenError:
        return True
    return False


@pytest.mark.usefixtures("telling")
class TestGuards:
    @pytest.mark.parametrize("name", CELLS)
    def test_a_kernel_is_taken_where_there_is_one(self, name):
        has_one = CELLS[name].func in LAYER_KERNELS and "before" not in name
        assert takes_a_kernel(RecurrentLayer(5, 4, cell=CELLS[name])) == has_one

    @pytest.mark.parametrize("cell", LAYER_KERNELS)
    def test_none_is_taken_where_the_reference_is_asked_for(self, cell):
        assert not takes_a_kernel(RecurrentLayer(5, 4, cell=cell, kernel="reference"))
        with kernels_off():
            assert not takes_a_kernel(RecurrentLayer(5, 4, cell=cell))

    @pytest.mark.parametrize("cell", LAYER_KERNELS)
    def test_none_is_taken_with_zoneout(self, cell):
        layer = RecurrentLayer(5, 4, cell=cell, zoneout=0.1)
        assert not takes_a_kernel(layer)
        assert not takes_a_kernel(layer.eval())

    @pytest.mark.parametrize("cell", LAYER_KERNELS)
    def test_none_is_taken_while_variational_dropout_drops(self, cell):
        layer = RecurrentLayer(5, 4, cell=cell, variational_dropout=0.1)
        assert not takes_a_kernel(layer)
        assert takes_a_kernel(layer.eval())

    def test_another_equation_has_no_kernel_of_its_parent(self):
        class Clipped(LSTMCell):
            def step(self, projected, state, mask=None):
                hidden, cell = super().step(projected, state, mask)
                return hidden, cell.clamp(-1, 1)

        assert not takes_a_kernel(RecurrentLayer(5, 4, cell=Clipped))


def test_the_rnn_pass_is_for_cpus():
    cell, elsewhere = RNNCell(5, 4), torch.empty(2, 4, 5, device="meta")
    assert not cpu_rnn.applies(cell, elsewhere, torch.ones(2), None, True)
    assert kernel_of(RNNCell, cell, elsewhere, torch.ones(2), None, True) is fused.run_rnn
    assert kernel_of(RNNCell, cell, torch.zeros(2, 4, 5), torch.ones(2), None, True) is cpu_rnn.run


def test_a_gru_with_the_reset_before_the_product_is_not_pytorchs():
    given = (torch.zeros(2, 4, 5), torch.ones(2), None, True)
    assert kernel_of(GRUCell, GRUCell(5, 4, reset="before"), *given) is None
    assert kernel_of(GRUCell, GRUCell(5, 4), *given) is fused.run_gru


@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_gradients_are_those_of_the_steps_or_refused(name):

    def penalty(kernel):
        torch.manual_seed(0)
        layer = RecurrentLayer(2, 3, cell=CELLS[name], kernel=kernel).double()
        inputs = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(layer(inputs)[0].square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), inputs)[0]

    expected = penalty("reference")
    with kernels_off():
        torch.testing.assert_close(penalty("auto"), expected)
    if CELLS[name].func in BY_HAND:
        with pytest.raises(InputError, match="kernel='reference'"):
            penalty("auto")
    else:
        torch.testing.assert_close(penalty("auto"), expected)


def test_weights_move_into_one_stretch_of_memory_and_go_on_training():
    """What cuDNN asks for; the first call may be in inference mode."""
    torch.manual_seed(0)
    cell = LSTMCell(5, 4)
    before = {name: weight.detach().clone() for name, weight in cell.named_parameters()}
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    with torch.inference_mode():
        fused.compact(weights)
    first = weights[0].data_ptr()
    sizes = [weight.numel() for weight in weights]
    for number, weight in enumerate(weights):
        assert weight.data_ptr() == first + 4 * sum(sizes[:number])
        assert not weight.is_inference()
    for name, weight in cell.named_parameters():
        assert torch.equal(weight, before[name])
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    RecurrentLayer(5, 4, cell=lambda *_: cell)(torch.randn(2, 3, 5))[0].sum().backward()
    optimizer.step()
    assert all(not torch.equal(weight, before[name]) for name, weight in cell.named_parameters())
    fused.compact(weights)
    assert weights[0].data_ptr() == first
