"""Coverage against sums that are written out."""

from __future__ import annotations

import pytest
import torch

from seqlab.nn.attention import Prepared, coverage_loss, shift_by_coverage
from seqlab.nn.attention.additive_score import key_factors


def test_keys_are_shifted_by_the_weight_that_they_had():
    torch.manual_seed(0)
    keys, coverage, weight = torch.randn(2, 3, 4), torch.rand(2, 3), torch.randn(4)
    shifted = shift_by_coverage(Prepared(keys, keys, key_factors(keys)), coverage, weight)
    heads = keys.unflatten(-1, (2, 2)).transpose(1, 2)
    by_head = shift_by_coverage(Prepared(heads, heads), coverage, weight)
    for row in range(2):
        for place in range(3):
            expected = keys[row, place] + coverage[row, place] * weight
            torch.testing.assert_close(shifted.keys[row, place], expected)
            torch.testing.assert_close(by_head.keys[row, :, place].flatten(), expected)
    torch.testing.assert_close(shifted.factors, torch.exp(2 * shifted.keys))
    assert shifted.values is keys
    assert by_head.factors is None


def test_coverage_loss_by_written_out_sums():
    torch.manual_seed(0)
    weights = torch.rand(2, 3, 4).softmax(-1)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    total, count = 0.0, 0
    for row in range(2):
        for step in range(3):
            if mask[row, step]:
                count += 1
                for i in range(4):
                    seen = sum(float(weights[row, before, i]) for before in range(step))
                    total += min(float(weights[row, step, i]), seen)
    by_sequence = coverage_loss(weights, mask)
    assert by_sequence.shape == (2,)
    found = (by_sequence * mask.sum(1)).sum().item() / count
    assert found == pytest.approx(total / count, rel=1e-5)
