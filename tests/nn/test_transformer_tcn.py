"""Transformer and temporal convolutions against sums written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from seqlab.errors import InputError
from seqlab.nn.tcn import CausalConvolution, TCNEncoder
from seqlab.nn.transformer import TransformerEncoder, angles, rotate, sinusoids


def close(ours, expected):
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)


def norm(layer, values):
    return F.layer_norm(values, values.shape[-1:], layer.weight, layer.bias)


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_transformer_equals_its_sums(bidirectional, positions):
    torch.manual_seed(0)
    time, hidden, heads = 6, 8, 2
    width = hidden // heads
    encoder = TransformerEncoder(
        3,
        hidden_size=hidden,
        num_layers=2,
        num_heads=heads,
        bidirectional=bidirectional,
        positions=positions,
    ).double()
    inputs = torch.randn(1, time, 3, dtype=torch.float64)
    x = encoder.enter(inputs[0])
    if positions == "sinusoidal":
        for t in range(time):
            for k in range(hidden // 2):
                angle = t / 10000 ** (2 * k / hidden)
                x[t, 2 * k] += math.sin(angle)
                x[t, 2 * k + 1] += math.cos(angle)

    def turned(vector, t):
        if positions == "sinusoidal":
            return vector
        out = vector.clone()
        for k in range(width // 2):
            angle = t / 10000 ** (2 * k / width)
            a, b = vector[k], vector[k + width // 2]
            out[k] = a * math.cos(angle) - b * math.sin(angle)
            out[k + width // 2] = b * math.cos(angle) + a * math.sin(angle)
        return out

    for block in encoder.blocks:
        q, k, v = block.project(norm(block.attention_norm, x)).chunk(3, -1)
        contexts = torch.zeros(time, hidden, dtype=torch.float64)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for t in range(time):
                seen = range(time) if bidirectional else range(t + 1)
                scores = torch.stack(
                    [turned(q[t, part], t) @ turned(k[s, part], s) / width**0.5 for s in seen]
                )
                weights = scores.softmax(0)
                contexts[t, part] = sum(weights[i] * v[s, part] for i, s in enumerate(seen))
        x = x + block.attended(contexts)
        _, first, _, second = block.feedforward
        x = x + second(F.gelu(first(norm(block.feedforward[0], x))))
    expected = norm(encoder.norm, x)
    close(encoder(inputs, torch.tensor([time]))[0][0], expected)


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64)

    def score(at, other):
        places = (angles(torch.tensor([[t]]), 8)[:, None] for t in (at, other))
        query, key = (rotate(x, turns) for x, turns in zip((q, k), places, strict=True))
        return (query * key).sum()

    torch.testing.assert_close(score(3, 10), score(103, 110), atol=1e-5, rtol=1e-5)
    assert abs(score(3, 10) - score(3, 11)) > 1e-3


def test_sinusoids_of_an_odd_width_lack_the_last_cosine():
    steps = torch.arange(4)[None]
    assert sinusoids(steps, 7).shape == (1, 4, 7)


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="such as 12"):
        TransformerEncoder(3, hidden_size=10, num_heads=4)
    with pytest.raises(InputError, match="odd width 3"):
        TransformerEncoder(3, hidden_size=12, num_heads=4, positions="rotary")
    TransformerEncoder(3, hidden_size=12, num_heads=4)
    with pytest.raises(InputError, match="kernel_size"):
        TCNEncoder(3, hidden_size=4, kernel_size=1)
    with pytest.raises(InputError, match="feedforward_size"):
        TransformerEncoder(3, hidden_size=12, feedforward_size=0)


@pytest.mark.parametrize(("layers", "kernel"), [(1, 2), (2, 3), (3, 2)])
def test_a_tcn_sees_exactly_its_receptive_field(layers, kernel):
    torch.manual_seed(0)
    encoder = TCNEncoder(2, hidden_size=64, num_layers=layers, kernel_size=kernel).double()
    inputs = torch.randn(1, 60, 2, dtype=torch.float64, requires_grad=True)
    states, _ = encoder(inputs, torch.tensor([60]))
    (gradient,) = torch.autograd.grad(states[0, 50].sum(), inputs)
    seen = gradient[0].abs().sum(-1).nonzero().flatten()
    assert seen.max() == 50
    assert seen.min() == 50 - encoder.receptive_field + 1


def test_a_convolution_equals_its_sum():
    torch.manual_seed(0)
    convolution = CausalConvolution(2, 3, kernel_size=3, dilation=2).double()
    inputs = torch.randn(1, 10, 2, dtype=torch.float64)
    got = convolution(inputs)[0]
    assert got.shape == (6, 3)
    for unit in range(3):
        weight = convolution.weight[unit]
        weight = convolution.scale[unit] * weight / weight.square().sum().sqrt()
        for t in range(6):
            total = convolution.bias[unit].clone()
            for k in range(3):
                total = total + weight[:, k] @ inputs[0, t + 2 * k]
            close(got[t, unit], total)
