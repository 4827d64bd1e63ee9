import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.errors import InputError
from seqlab.nn.masking import (
    check_lengths,
    reversal_index,
    reverse_valid,
    valid_mask,
    zero_padding,
)

batches = st.lists(st.integers(1, 7), min_size=1, max_size=4)


def states_of(lengths, time, time_first=False):
    """Random states, in memory batch first or time first."""
    if time_first:
        return torch.randn(time, len(lengths), 3).double().transpose(0, 1)
    return torch.randn(len(lengths), time, 3).double()


@settings(max_examples=40, deadline=None)
@given(lengths=batches, extra=st.integers(0, 3), time_first=st.booleans())
def test_the_valid_part_is_reversed_and_the_padding_stays(lengths, extra, time_first):
    time = max(lengths) + extra
    states = states_of(lengths, time, time_first)
    index = reversal_index(torch.tensor(lengths), time)
    mirrored = reverse_valid(states, index)
    for row, length in enumerate(lengths):
        assert torch.equal(mirrored[row, :length], states[row, :length].flip(0))
        assert torch.equal(mirrored[row, length:], states[row, length:])
    assert torch.equal(reverse_valid(mirrored, index), states)


@pytest.mark.parametrize("time_first", [False, True])
def test_gradients_of_reversal(time_first):
    states = states_of([4, 1, 3], 5, time_first).requires_grad_()
    index = reversal_index(torch.tensor([4, 1, 3]), 5)
    assert torch.autograd.gradcheck(lambda states: reverse_valid(states, index), states)
    assert torch.autograd.gradgradcheck(lambda states: reverse_valid(states, index) ** 2, states)


def test_recurrent_states_are_reversed_without_a_copy_first():
    """What lies in memory time first stays so: each copy is a pass over all states."""
    index = reversal_index(torch.tensor([4, 1]), 5)
    for time_first in (False, True):
        mirrored = reverse_valid(states_of([4, 1], 5, time_first), index)
        assert mirrored.transpose(0, 1).is_contiguous()


def test_masks():
    assert valid_mask(torch.tensor([2, 1]), 3).tolist() == [
        [True, True, False],
        [True, False, False],
    ]


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 1e30])
def test_zero_padding_stops_whatever_stands_there(junk):
    inputs = torch.full((2, 3, 2), 5.0)
    inputs[0, 2:] = junk
    inputs[1, 1:] = junk
    inputs.requires_grad_()
    zeroed = zero_padding(inputs, torch.tensor([2, 1]))
    assert zeroed.sum().item() == 5.0 * 6
    (zeroed * 3).sum().backward()
    assert inputs.grad[..., 0].tolist() == [[3, 3, 0], [3, 0, 0]]


@pytest.mark.parametrize("lengths", [[0, 3], [4, 1], [-1, 2]])
def test_lengths_that_cannot_be(lengths):
    with pytest.raises(InputError, match="from 1 to the 3 positions"):
        check_lengths(torch.tensor(lengths), 3)
