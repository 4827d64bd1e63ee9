"""The shapes that `seqlab.nn` is annotated with are checked while the tests run."""

import jaxtyping
import pytest
import torch

from seqlab.nn.masking import valid_mask, zero_padding
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer


def test_a_dimension_too_few():
    with pytest.raises(jaxtyping.TypeCheckError, match="zero_padding"):
        zero_padding(torch.zeros(2, 3), torch.tensor([1, 2]))


def test_sizes_that_contradict_each_other():
    with pytest.raises(jaxtyping.TypeCheckError, match="zero_padding"):
        zero_padding(torch.zeros(2, 3, 4), torch.tensor([1, 2, 3]))


def test_a_wrong_dtype():
    with pytest.raises(jaxtyping.TypeCheckError, match="valid_mask"):
        valid_mask(torch.tensor([1.0, 2.0]), 3)


def test_methods_are_checked_too():
    layer = RecurrentLayer(3, 4, cell=GRUCell)
    with pytest.raises(jaxtyping.TypeCheckError, match="forward"):
        layer(torch.zeros(2, 5, 3), torch.tensor([5, 5]), need_state=None)


def test_a_test_can_do_without(unchecked):
    assert valid_mask(torch.tensor([1.0, 2.0]), 3).tolist() == [
        [True, False, False],
        [True, True, False],
    ]
