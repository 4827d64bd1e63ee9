import torch

from seqlab.nn.attention.copying import CopyMixture


def test_mixture_by_written_out_sums():
    torch.manual_seed(0)
    batch, steps, time, vocabulary, size = 2, 3, 4, 6, 5
    mixture = CopyMixture(size)
    logits, features = torch.randn(batch, steps, vocabulary), torch.randn(batch, steps, size)
    weights = torch.randn(batch, steps, time).softmax(-1)
    source = torch.tensor([[3, 4, 3, 5], [1, 1, 1, 2]])
    mixed = mixture(logits, features, weights, source)
    for b in range(batch):
        for t in range(steps):
            generate = torch.sigmoid(mixture.gate(features[b, t])).item()
            for w in range(vocabulary):
                copied = sum(weights[b, t, i].item() for i in range(time) if source[b, i] == w)
                expected = generate * logits[b, t].softmax(-1)[w].item() + (1 - generate) * copied
                assert abs(mixed[b, t, w].exp().item() - expected) < 1e-6
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(batch, steps))


def test_a_saturated_gate_keeps_the_loss_finite():
    mixture = CopyMixture(1)
    torch.nn.init.constant_(mixture.gate.bias, -200.0)
    mixed = mixture(
        torch.zeros(1, 1, 4), torch.zeros(1, 1, 1), torch.ones(1, 1, 1), torch.tensor([[2]])
    )
    assert mixed.isfinite().all()
