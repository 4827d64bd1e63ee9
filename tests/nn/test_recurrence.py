import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.nn.masking import last_valid
from seqlab.nn.recurrent.layer import RecurrentLayer
from tests.nn.oracles import CELLS, KINDS, padded_inputs


def make(cell, dtype=torch.float64):
    """Our layer, and PyTorch's with the same random weights."""
    ours = RecurrentLayer(3, 4, cell=CELLS[cell]).to(dtype)
    oracle = KINDS[cell](3, 4, batch_first=True).to(dtype)
    weights = {name.removesuffix("_l0"): weight for name, weight in oracle.state_dict().items()}
    ours.cell.load_state_dict(weights)
    return ours, oracle


def random_state(layer, batch, dtype):
    return tuple(torch.randn(batch, size, dtype=dtype) for size in layer.cell.state_sizes)


def run_oracle(oracle, sequence, state):
    """Outputs and final state, each part (size,), of one unpadded sequence."""
    if state is not None:
        state = tuple(part[None, None] for part in state)
        state = state if len(state) == 2 else state[0]
    outputs, final = oracle(sequence[None], state)
    parts = final if isinstance(final, tuple) else (final,)
    return outputs[0], tuple(part[0, 0] for part in parts)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=["32", "64"]
)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    extra=st.integers(0, 3),
    starts=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equals_torch_on_each_sequence_alone(
    *, cell, dtype, tolerance, lengths, extra, starts, seed
):
    torch.manual_seed(seed)
    layer, oracle = make(cell, dtype)
    inputs = padded_inputs(lengths, extra=extra, dtype=dtype)
    state = random_state(layer, len(lengths), dtype) if starts else None
    outputs, final = layer(inputs, torch.tensor(lengths), state)
    without, none = layer(inputs, torch.tensor(lengths), state, need_state=False)
    assert none is None
    for row, length in enumerate(lengths):
        start = None if state is None else tuple(part[row] for part in state)
        expected, expected_final = run_oracle(oracle, inputs[row, :length], start)
        for got in (outputs, without):
            torch.testing.assert_close(got[row, :length], expected, atol=tolerance, rtol=tolerance)
        for part, expected_part in zip(final, expected_final, strict=True):
            torch.testing.assert_close(part[row], expected_part, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("starts", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_the_whole_pass(cell, starts):
    torch.manual_seed(0)
    layer, _ = make(cell)
    inputs = torch.randn(2, 5, 3).double()
    state = random_state(layer, 2, torch.float64) if starts else None
    outputs, final = layer(inputs, torch.tensor([5, 5]), state)
    for number in range(5):
        output, state = layer.step(inputs[:, number], state)
        torch.testing.assert_close(output, outputs[:, number])
    for part, expected in zip(state, final, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_outputs_and_final_state(cell):
    torch.manual_seed(0)
    layer, _ = make(cell)
    lengths = torch.tensor([4, 2])
    inputs = torch.randn(2, 4, 3).double().requires_grad_()
    state = tuple(part.requires_grad_() for part in random_state(layer, 2, torch.float64))
    valid = (torch.arange(4) < lengths[:, None])[..., None]

    def outcome(inputs, *tensors):
        parts, weights = tensors[: len(state)], tensors[len(state) :]
        names = [name for name, _ in layer.named_parameters()]
        outputs, final = torch.func.functional_call(
            layer, dict(zip(names, weights, strict=True)), (inputs, lengths, parts)
        )
        return outputs * valid, *final

    assert torch.autograd.gradcheck(outcome, (inputs, *state, *layer.parameters()))


def test_last_valid():
    states = torch.arange(24.0).view(2, 4, 3)
    expected = torch.stack([states[0, 2], states[1, 0]])
    assert torch.equal(last_valid(states, torch.tensor([3, 1])), expected)
