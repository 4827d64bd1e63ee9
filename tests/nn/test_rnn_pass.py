import pytest
import torch
from torch import nn

from seqlab.nn.recurrence import FusedRNN
from seqlab.nn.rnn_pass import rnn_pass

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


def random_case(dtype=torch.float64, time=5):
    torch.manual_seed(0)
    return (
        torch.randn(time, 3, 4, dtype=dtype),
        torch.randn(3, 4, dtype=dtype),
        torch.randn(4, 4, dtype=dtype) / 2,
    )


def written_out(projected, hidden, weight, nonlinearity):
    states = []
    for given in projected:
        hidden = NONLINEARITIES[nonlinearity](given + hidden @ weight.T)
        states.append(hidden)
    return torch.stack(states)


@pytest.mark.parametrize("time", [1, 2, 7])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
class TestEqualsTheStepsWrittenOut:
    def test_states_and_gradients(self, nonlinearity, time):
        case = [tensor.requires_grad_() for tensor in random_case(time=time)]
        outcomes = []
        for run in (rnn_pass, written_out):
            states = run(*case, nonlinearity)
            weights = torch.linspace(-1, 1, states.numel()).view_as(states).double()
            outcomes.append([states, *torch.autograd.grad((weights * states).sum(), case)])
        for ours, expected in zip(*outcomes, strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)

    def test_gradients_of_strided_inputs(self, nonlinearity, time):
        projected, hidden, weight = random_case(time=time)
        strided = projected.transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
        tensors = (strided, hidden.requires_grad_(), weight.requires_grad_())
        assert torch.autograd.gradcheck(
            lambda *tensors: rnn_pass(*tensors, nonlinearity), tensors, nondet_tol=0.0
        )


def test_frozen_weights_get_no_gradient():
    projected, hidden, weight = random_case()
    states = rnn_pass(projected.requires_grad_(), hidden, weight)
    states.sum().backward()
    assert weight.grad is None
    assert projected.grad.any()


def test_nothing_is_recorded_without_gradients():
    projected, hidden, weight = random_case()
    with torch.no_grad():
        assert not rnn_pass(projected.requires_grad_(), hidden, weight).requires_grad


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
