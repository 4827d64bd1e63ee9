import pytest
import torch

from seqlab.nn.additive_score import additive_scores, exponentials


def plain(query, keys, vector):
    return torch.tanh(query[:, :, None] + keys[:, None]) @ vector


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 14.0])
def test_softmax_equals_that_of_the_plain_tanh(scale):
    torch.manual_seed(0)
    query, keys = scale * torch.randn(3, 4, 5), scale * torch.randn(3, 6, 5)
    vector = torch.randn(5)
    scores = additive_scores(query, keys, exponentials(keys), vector)
    expected = plain(query, keys, vector)
    torch.testing.assert_close(scores.softmax(-1), expected.softmax(-1), atol=2e-6, rtol=1e-5)


def test_extreme_projections_stay_finite():
    query, keys = torch.tensor([[[200.0, -200.0]]]), torch.tensor([[[200.0, -150.0], [-9.0, 9.0]]])
    query.requires_grad_()
    keys.requires_grad_()
    scores = additive_scores(query, keys, exponentials(keys), torch.ones(2))
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
    assert torch.autograd.gradcheck(
        lambda q, k, v: additive_scores(q, k, exponentials(k), v), (query, keys, vector)
    )
    gradients = [
        torch.autograd.grad(
            score(query, keys, vector).softmax(-1)[..., 0].sum(), (query, keys, vector)
        )
        for score in (lambda q, k, v: additive_scores(q, k, exponentials(k), v), plain)
    ]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)
