import pytest
import torch
from torch import nn

from seqlab.nn.kernels.cpu_rnn import rnn_pass
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.rnn import RNNCell

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


def both_layers(input_size, hidden_size):
    """Ours and PyTorch's with the same weights."""
    torch.manual_seed(0)
    ours = RecurrentLayer(input_size, hidden_size, cell=RNNCell)
    theirs = nn.RNN(input_size, hidden_size, batch_first=True)
    theirs.load_state_dict({f"{name}_l0": w for name, w in ours.cell.state_dict().items()})
    return ours, theirs


def test_float32_is_as_near_to_the_truth_as_pytorchs():
    """tanh by way of a sigmoid costs no precision that the matrix products leave."""
    layer, theirs = both_layers(16, 128)
    inputs = torch.randn(8, 100, 16)
    with torch.no_grad():
        ours, other = layer(inputs)[0], theirs(inputs)[0]
        truth = theirs.double()(inputs.double())[0]
    assert (ours - truth).abs().max() < 1e-6
    assert (ours - truth).abs().max() < 3 * (other - truth).abs().max()


@pytest.mark.parametrize("mixed", [False, True])
def test_bf16(mixed):
    """In bf16 throughout, or in the weights' precision under autocast."""
    layer, theirs = both_layers(3, 4)
    inputs, lengths = torch.randn(2, 6, 3), torch.tensor([6, 4])
    expected, _ = theirs(inputs)
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
