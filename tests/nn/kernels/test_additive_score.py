import pytest
import torch

from seqlab.nn.attention.additive_score import additive_scores, key_factors
from seqlab.nn.kernel_table import kernels_off
from seqlab.nn.kernels.additive_score import exponentials


def by_kernel(query, keys, vector):
    factors = key_factors(keys)
    assert factors is not None
    return additive_scores(query, keys, vector, factors)


def by_definition(query, keys, vector):
    with kernels_off():
        assert key_factors(keys) is None
        return additive_scores(query, keys, vector, None)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 14.0])
def test_scores_equal_those_of_the_tanh(scale):
    torch.manual_seed(0)
    query, keys = scale * torch.randn(3, 4, 5), scale * torch.randn(3, 6, 5)
    vector = torch.randn(5)
    scores, expected = by_kernel(query, keys, vector), by_definition(query, keys, vector)
    torch.testing.assert_close(scores, expected, atol=5e-6, rtol=1e-5)
    torch.testing.assert_close(scores.softmax(-1), expected.softmax(-1), atol=2e-6, rtol=1e-5)


def test_extreme_projections_stay_finite():
    query, keys = torch.tensor([[[200.0, -200.0]]]), torch.tensor([[[200.0, -150.0], [-9.0, 9.0]]])
    query.requires_grad_()
    keys.requires_grad_()
    scores = additive_scores(query, keys, torch.ones(2), exponentials(keys))
    scores.sum().backward()
    assert scores.isfinite().all()
    assert query.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_gradients():
    torch.manual_seed(0)
    query, keys, vector = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 4), (2, 5, 4), (4,))
    )
    assert torch.autograd.gradcheck(by_kernel, (query, keys, vector))
    outside = torch.randn(2, 3, 5, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((score(query, keys, vector) * outside).sum(), (query, keys, vector))
        for score in (by_kernel, by_definition)
    ]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)


def test_the_definition_has_gradients_of_gradients():
    tensors = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((1, 2, 3), (1, 2, 3), (3,))
    ]
    assert torch.autograd.gradgradcheck(by_definition, tensors)
