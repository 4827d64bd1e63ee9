"""The laws that every core obeys."""

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.masking import reversal_index, reverse_valid, valid_mask
from tests.nn.cores import ENCODERS, OTHERS, RECURRENT, make

LENGTHS = torch.tensor([37, 1, 20, 33])
TIME = 37
BOTH = [(name, way) for name in ENCODERS for way in (False, True)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
# Normalising 8 features magnifies rounding, and so do states without a bound. That nothing else
# differs is seen in float64.
LOOSE = {torch.float32: 2e-5, torch.float64: 1e-12}
each = pytest.mark.parametrize("name", ENCODERS)
both = pytest.mark.parametrize(("name", "bidirectional"), BOTH)


def inputs(dtype=torch.float64):
    return torch.randn(4, TIME, 3, generator=torch.Generator().manual_seed(1), dtype=dtype)


def at_valid(states):
    return states[valid_mask(LENGTHS, states.shape[1])]


def magnifies(encoder):
    normalises = any("LayerNorm" in type(part).__name__ for part in encoder.modules())
    unbounded = any(getattr(part, "nonlinearity", "") == "relu" for part in encoder.modules())
    return normalises or unbounded


def close(ours, expected, dtype=torch.float64, encoder=None):
    tolerance = (LOOSE if encoder and magnifies(encoder) else TOLERANCE)[dtype]
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@both
def test_each_sequence_is_read_as_if_alone(name, bidirectional, dtype):
    encoder = make(name, bidirectional=bidirectional, dtype=dtype)
    given = inputs(dtype)
    states, final = encoder(given, LENGTHS)
    assert states.shape == (4, TIME, encoder.output_size)
    assert encoder.output_size == 8 * encoder.directions
    assert final[0].shape[-1] == encoder.summary_size
    for row, length in enumerate(LENGTHS.tolist()):
        alone, last = encoder(given[row : row + 1, :length], torch.tensor([length]))
        close(states[row, :length], alone[0], dtype, encoder)
        for part, own in zip(final, last, strict=True):
            if part.shape[2:] == own.shape[2:]:
                close(part[:, row], own[:, 0], dtype, encoder)
            else:  # a cache, as wide as the longest sequence of the batch
                close(part[:, row, :length], own[:, 0], dtype, encoder)


@both
def test_what_stands_behind_a_sequence_changes_nothing(name, bidirectional):
    encoder = make(name, bidirectional=bidirectional)
    given = inputs().requires_grad_()
    padded = ~valid_mask(LENGTHS, TIME)
    junk = torch.cat([given, torch.full((4, 5, 3), 7.0)], 1)
    junk = junk.masked_fill(torch.cat([padded, torch.ones(4, 5) > 0], 1)[..., None], float("nan"))
    states = at_valid(encoder(given, LENGTHS)[0])
    others = at_valid(encoder(junk, LENGTHS)[0])
    close(others, states)
    weights = list(encoder.parameters())
    ours = torch.autograd.grad(others.square().sum(), weights, allow_unused=True)
    expected = torch.autograd.grad(states.square().sum(), weights, allow_unused=True)
    for gradient, other in zip(ours, expected, strict=True):
        assert gradient is not None
        torch.testing.assert_close(gradient, other, atol=1e-10, rtol=1e-10)


@both
def test_causal_exactly_when_it_says_so(name, bidirectional):
    encoder = make(name, bidirectional=bidirectional)
    given = inputs()[:1].requires_grad_()
    states, _ = encoder(given, torch.tensor([TIME]))
    jacobian = torch.autograd.grad(states[0, 9].square().sum(), given)[0][0].abs().sum(-1)
    assert jacobian[9] > 0
    assert jacobian[8] > 0
    assert (jacobian[10:] != 0).any() == bidirectional
    assert encoder.causal == (not bidirectional)


@pytest.mark.parametrize("name", [name for name in ENCODERS if "transformer" not in name])
def test_the_backward_direction_is_a_forward_one_on_the_reversed_sequence(name):
    layers = {} if name in OTHERS else {"num_layers": 1}
    encoder = make(name, bidirectional=True, **layers)
    forward = make(name, **layers)
    weights = encoder.state_dict()
    own = {
        key: weights[key.replace("layers.0.0.", "layers.0.1.").replace("ways.0.", "ways.1.")]
        for key in forward.state_dict()
        if not key.startswith("norms")
    }
    forward.load_state_dict(own, strict=False)
    if hasattr(encoder, "norms"):
        encoder.norms[0] = forward.norms[0] = torch.nn.Identity()
    index = reversal_index(LENGTHS, TIME)
    states = encoder(inputs(), LENGTHS)[0][..., 8:]
    mirrored = reverse_valid(forward(reverse_valid(inputs(), index), LENGTHS)[0], index)
    close(at_valid(states), at_valid(mirrored))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each
def test_stepping_equals_the_whole_pass(name, dtype):
    encoder = make(name, dtype=dtype)
    given = inputs(dtype)
    states, final = encoder(given, torch.full((4,), TIME))
    state = None
    for position in range(TIME):
        output, state = encoder.step(given[:, position], state)
        close(output, states[:, position], dtype, encoder)
    assert len(state) == len(final)
    for part, whole in zip(state, final, strict=True):
        close(part, whole, dtype, encoder)


@each
def test_goes_on_from_a_state_in_pieces(name):
    encoder = make(name)
    given, lengths = inputs(), torch.full((4,), TIME)
    states, final = encoder(given, lengths)
    first, state = encoder(given[:, :15], torch.full((4,), 15))
    second, last = encoder(given[:, 15:], torch.full((4,), TIME - 15), state)
    close(torch.cat([first, second], 1), states)
    for part, whole in zip(last, final, strict=True):
        close(part, whole)


@each
def test_steps_go_on_behind_each_last_valid_position(name):
    encoder = make(name)
    given = inputs()
    _, state = encoder(given, LENGTHS)
    output, _ = encoder.step(given[:, 0], state)
    for row, length in enumerate(LENGTHS.tolist()):
        longer = torch.cat([given[row, :length], given[row, :1]])[None]
        close(output[row], encoder(longer, torch.tensor([length + 1]))[0][0, -1])


@pytest.mark.parametrize("name", RECURRENT)
def test_a_state_of_any_sign_can_be_learned(name):
    encoder = make(name, initial_state="learned")
    with torch.no_grad():
        for part in encoder.initial:
            part.copy_(torch.randn_like(part))
    given = inputs()
    states, final = encoder(given, LENGTHS)
    output, state = None, None
    for position in range(TIME):
        output, state = encoder.step(given[:, position], state)
        alive = position < LENGTHS
        close(output[alive], states[alive, position])
    states.square().sum().backward()
    assert all(part.grad.abs().sum() > 0 for part in encoder.initial)
    close(state[0][:, 0], final[0][:, 0])


@each
def test_needs_no_state_where_none_is_asked_for(name):
    encoder = make(name)
    states, none = encoder(inputs(), LENGTHS, need_state=False)
    assert none is None
    close(at_valid(states), at_valid(encoder(inputs(), LENGTHS)[0]))


@each
def test_learns_under_autocast(name):
    encoder = make(name, dtype=torch.float32).train()
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = encoder(inputs(torch.float32), LENGTHS)
    at_valid(states).float().square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters())
    exact = at_valid(encoder.eval()(inputs(torch.float32), LENGTHS)[0])
    assert (at_valid(states).float() - exact).abs().mean() < 0.1


@each
def test_a_bidirectional_encoder_cannot_stream(name):
    encoder = make(name, bidirectional=True)
    with pytest.raises(InputError, match="bidirectional=false"):
        encoder.step(inputs()[:, 0])


@each
def test_refuses_empty_sequences_and_lengths_beyond_the_inputs(name):
    encoder = make(name)
    for wrong in (0, TIME + 1):
        with pytest.raises(InputError, match="lengths must be from 1"):
            encoder(inputs(), torch.tensor([TIME, 1, wrong, 2]))


@each
def test_refuses_a_state_of_the_wrong_shape(name):
    encoder = make(name)
    _, state = encoder(inputs(), LENGTHS)
    fewer = tuple(part[:, :3] for part in state)
    for wrong in (fewer, state[:-1], (*state[:-1], state[-1][..., :-1]), (*state, state[0])):
        with pytest.raises(InputError, match="state must have the parts"):
            encoder(inputs(), LENGTHS, wrong)
        with pytest.raises(InputError, match="state must have the parts"):
            encoder.step(inputs()[:, 0], wrong)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("option", [{"hidden_size": 0}, {"num_layers": 0}, {"dropout": 1.0}])
def test_refuses_sizes_that_make_no_network(name, option):
    with pytest.raises(InputError, match=next(iter(option))):
        ENCODERS[name](3, **{"hidden_size": 8, **option})


@each
def test_without_lengths_all_positions_are_valid(name):
    encoder = make(name)
    states, final = encoder(inputs())
    expected, last = encoder(inputs(), torch.full((4,), TIME))
    assert torch.equal(states, expected)
    for part, other in zip(final, last, strict=True):
        assert torch.equal(part, other)
