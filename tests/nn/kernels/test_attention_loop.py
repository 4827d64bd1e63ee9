from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.kernel_table import kernel_of, kernels_off
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

INPUT, KEY = 3, 5
CELLS = [RNNCell, GRUCell, LSTMCell]
ATTENTIONS = [AdditiveAttention, GeneralAttention, DotAttention, ScaledDotAttention]
LOOPS = [("before", False), ("before", True), ("after", True)]
CASES = list(product(CELLS, ATTENTIONS, LOOPS))


def make(cell, attention, loop, *, readout_size=None, **options):
    torch.manual_seed(0)
    position, feeding = loop
    return AttentionDecoder(
        INPUT,
        KEY,
        cell=cell,
        hidden_size=KEY if attention in (DotAttention, ScaledDotAttention) else 4,
        attention=attention,
        attention_position=position,
        input_feeding=feeding,
        readout_size=readout_size,
        **options,
    ).double()


def random_inputs(decoder, *, batch=3, time=6, steps=4, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    lengths = torch.randint(1, time + 1, (batch,), generator=generator)
    initial = tuple(
        tuple(random(batch, size) for size in decoder.state_sizes)
        for _ in range(decoder.num_layers)
    )
    mask = torch.arange(time) < lengths[:, None]
    return random(batch, steps, INPUT), initial, random(batch, time, KEY), mask


def run(decoder, inputs, initial, keys, mask):
    return decoder(inputs, initial, decoder.prepare_memory(keys, mask))


def gradients(decoder, case, weights):
    """Outputs of a pass, and gradients of a random weighted sum of all of them."""
    outputs = run(decoder, *case)
    total = sum((x * w).sum() for x, w in zip(outputs, weights, strict=True))
    wanted = [case[0], *case[1][0], case[2], *decoder.parameters()]
    return outputs, torch.autograd.grad(total, wanted, allow_unused=True)


@pytest.mark.parametrize(("cell", "attention", "loop"), CASES)
@settings(max_examples=5, deadline=None)
@given(
    sizes=st.fixed_dictionaries(
        {
            "batch": st.integers(1, 4),
            "time": st.integers(1, 7),
            "steps": st.integers(1, 5),
            "seed": st.integers(0, 1000),
        }
    ),
    readout_size=st.sampled_from([None, 2]),
)
def test_kernel_equals_the_definition(cell, attention, loop, sizes, readout_size):
    if not loop[1] and readout_size == 2:
        readout_size = 0
    decoder = make(cell, attention, loop, readout_size=readout_size)
    case = random_inputs(decoder, **sizes)
    assert applies(decoder, case)
    with kernels_off():
        expected = run(decoder, *case)
        weights = [torch.randn_like(x) for x in expected]
        expected, expected_gradients = gradients(decoder, case, weights)
    found, found_gradients = gradients(decoder, case, weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def applies(decoder, case):
    inputs, initial, keys, mask = case
    memory = decoder.prepare_memory(keys, mask)
    return kernel_of(AttentionDecoder, decoder, inputs, initial, memory) is not None


@pytest.mark.parametrize("attention", [AdditiveAttention, GeneralAttention])
def test_gradients_by_finite_differences(attention):
    decoder = make(LSTMCell, attention, ("before", True))
    inputs, (initial,), keys, mask = random_inputs(decoder, batch=2, time=3, steps=2)

    def outputs(inputs, keys, *initial):
        return tuple(run(decoder, inputs, (initial,), keys, mask))

    assert torch.autograd.gradcheck(outputs, (inputs, keys, *initial), fast_mode=True)


def test_only_what_is_asked_for_needs_a_gradient():
    decoder = make(LSTMCell, GeneralAttention, ("after", True))
    case = random_inputs(decoder)
    run(decoder, *case).outputs[:, 0].sum().backward()  # other outputs have no gradient
    assert case[0].grad[:, 0].count_nonzero() > 0
    assert case[0].grad[:, 1:].count_nonzero() == 0


def test_padded_positions_have_no_weight_and_no_gradient():
    decoder = make(GRUCell, GeneralAttention, ("before", False))
    inputs, initial, keys, _ = random_inputs(decoder, batch=2)
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    outputs = run(decoder, inputs, initial, keys, mask)
    assert (outputs.weights.transpose(0, 1)[:, ~mask] == 0).all()
    torch.testing.assert_close(outputs.weights.sum(-1), torch.ones(2, 4, dtype=torch.float64))
    outputs.states.sum().backward()
    assert (keys.grad[~mask] == 0).all()


class Derived(GRUCell):
    """May compute anything else."""


@pytest.mark.parametrize(
    "decoder",
    [
        make(GRUCell, AdditiveAttention, LOOPS[0], coverage=True),
        make(GRUCell, AdditiveAttention, LOOPS[0], num_layers=2),
        make(Derived, AdditiveAttention, LOOPS[0]),
        make(GRUCell, AdditiveAttention, LOOPS[1], readout_size=0),
        make(partial(GRUCell, reset="before"), AdditiveAttention, LOOPS[0]),
        make(GRUCell, partial(MultiheadAttention, num_heads=1), LOOPS[0]),
    ],
    ids=["coverage", "layers", "derived cell", "no readout", "reset before", "multihead"],
)
def test_guard_lets_nothing_else_pass(decoder):
    case = random_inputs(decoder)
    assert not applies(decoder, case)
    run(decoder, *case)


def test_reference_takes_no_kernel_and_has_gradients_of_gradients():
    decoder = make(LSTMCell, GeneralAttention, LOOPS[0], kernel="reference")
    inputs, initial, keys, mask = random_inputs(decoder, batch=1, time=2, steps=2)

    def outputs(inputs):
        return run(decoder, inputs, initial, keys, mask).outputs

    assert torch.autograd.gradgradcheck(outputs, (inputs,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_inside_in_full_precision(dtype):
    decoder = make(LSTMCell, AdditiveAttention, LOOPS[1]).float()
    inputs, (initial,), keys, mask = random_inputs(decoder)
    case = inputs.float(), (tuple(part.float() for part in initial),), keys.float(), mask
    expected = run(decoder, *case)
    with torch.autocast("cpu", dtype=dtype):
        found = run(decoder, *case)
    torch.testing.assert_close(found.outputs.float(), expected.outputs, atol=0.05, rtol=0.05)
