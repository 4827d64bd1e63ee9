import pytest
import torch
from torch import nn

from seqlab.nn.recurrence import FusedRNN
from seqlab.nn.rnn_pass import rnn_pass

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


def random_case(dtype=torch.float64, time=5):
    torch.manual_seed(0)
    shapes = {
        "inputs": (time, 3, 2),
        "hidden": (3, 4),
        "input": (4, 2),
        "weight": (4, 4),
        "bias": (4,),
    }
    return [torch.randn(*shape, dtype=dtype) / 2 for shape in shapes.values()]


def run_pass(case, nonlinearity="tanh"):
    inputs, hidden, input_weight, weight, bias = case
    return rnn_pass(
        inputs,
        hidden,
        input_weight=input_weight,
        weight=weight,
        bias=bias,
        nonlinearity=nonlinearity,
    )


def written_out(case, nonlinearity):
    inputs, hidden, input_weight, weight, bias = case
    states = []
    for given in inputs:
        products = given @ input_weight.T + hidden @ weight.T + bias
        hidden = NONLINEARITIES[nonlinearity](products)
        states.append(hidden)
    return torch.stack(states)


@pytest.mark.parametrize("time", [1, 2, 7])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
class TestEqualsTheStepsWrittenOut:
    def test_states_and_gradients(self, nonlinearity, time):
        case = [tensor.requires_grad_() for tensor in random_case(time=time)]
        outcomes = []
        for run in (run_pass, written_out):
            states = run(case, nonlinearity)
            weights = torch.linspace(-1, 1, states.numel()).view_as(states).double()
            outcomes.append([states, *torch.autograd.grad((weights * states).sum(), case)])
        for ours, expected in zip(*outcomes, strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)

    def test_gradients_of_strided_inputs(self, nonlinearity, time):
        inputs, *rest = random_case(time=time)
        strided = inputs.transpose(0, 1).contiguous().transpose(0, 1)
        tensors = [tensor.requires_grad_() for tensor in (strided, *rest)]
        assert torch.autograd.gradcheck(lambda *given: run_pass(given, nonlinearity), tensors)


@pytest.mark.parametrize("number", range(5))
def test_what_is_frozen_gets_no_gradient(number):
    case = [tensor.requires_grad_(n != number) for n, tensor in enumerate(random_case())]
    run_pass(case).sum().backward()
    assert [tensor.grad is None for tensor in case] == [n == number for n in range(5)]


def test_nothing_is_recorded_without_gradients():
    case = [tensor.requires_grad_() for tensor in random_case()]
    with torch.no_grad():
        assert not run_pass(case).requires_grad


def test_float32_is_as_near_to_the_truth_as_pytorchs():
    """tanh by way of a sigmoid costs no precision that the matrix products leave."""
    torch.manual_seed(0)
    layer = FusedRNN(16, 128)
    inputs, lengths = torch.randn(8, 100, 16), torch.full((8,), 100)
    with torch.no_grad():
        ours, theirs = layer(inputs, lengths)[0], layer.rnn(inputs)[0]
        truth = layer.double().rnn(inputs.double())[0]
    assert (ours - truth).abs().max() < 1e-6
    assert (ours - truth).abs().max() < 3 * (theirs - truth).abs().max()


@pytest.mark.parametrize("mixed", [False, True])
def test_bf16(mixed):
    """In bf16 throughout, or in the weights' precision under autocast."""
    torch.manual_seed(0)
    layer = FusedRNN(3, 4)
    inputs, lengths = torch.randn(2, 6, 3), torch.tensor([6, 4])
    expected, _ = nn.RNN.forward(layer.rnn, inputs)
    if mixed:
        with torch.autocast("cpu", torch.bfloat16):
            states, _ = layer(inputs, lengths)
        assert states.dtype == torch.float32
    else:
        states, _ = layer.bfloat16()(inputs.bfloat16(), lengths)
        assert states.dtype == torch.bfloat16
    torch.testing.assert_close(states.float(), expected, atol=0.05, rtol=0.05)
    states.sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_compiled_graphs_take_pytorchs_layer(monkeypatch):
    """A compiler cannot look into the hand-written pass."""
    layer = FusedRNN(3, 4)
    inputs, lengths = torch.randn(2, 6, 3), torch.tensor([6, 4])
    by_hand, _ = layer(inputs, lengths)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr("seqlab.nn.recurrence.rnn_pass", None)
    states, _ = layer(inputs, lengths)
    torch.testing.assert_close(states, by_hand, atol=1e-6, rtol=1e-6)
