from itertools import product

import pytest
import torch

from seqlab.nn.decoding.bridge import Bridge


@pytest.mark.parametrize(
    ("sizes", "directions", "encoder_layers", "layers", "state_sizes"),
    list(product([(4,), (4, 4), (4, 7)], [1, 2], [1, 3], [1, 2, 4], [(6,), (6, 6), (6, 3, 5)])),
)
def test_any_encoder_fits_any_decoder(sizes, directions, encoder_layers, layers, state_sizes):
    torch.manual_seed(0)
    bridge = Bridge(sizes, state_sizes, directions=directions, num_layers=layers)
    final = tuple(torch.randn(encoder_layers * directions, 3, size) for size in sizes)
    state = bridge(final)
    assert len(state) == layers
    for layer in state:
        assert [part.shape for part in layer] == [(3, size) for size in state_sizes]
    # A decoder's uppermost layer hears the encoder's uppermost one, in every direction.
    for way in range(directions):
        changed = final[0].clone()
        changed[-1 - way] += 1
        assert not torch.equal(bridge((changed, *final[1:]))[-1][0], state[-1][0])


def test_a_state_that_fits_passes_as_it_is():
    bridge = Bridge((4, 5), (4, 5), num_layers=2)
    final = (torch.randn(2, 3, 4), torch.randn(2, 3, 5))
    for number, layer in enumerate(bridge(final)):
        for part, expected in zip(layer, final, strict=True):
            torch.testing.assert_close(part, expected[number])
    assert not list(bridge.parameters())


def test_a_part_that_does_not_fit_is_mapped_alone():
    bridge = Bridge((4, 4), (4, 5))
    final = (torch.randn(1, 3, 4), torch.randn(1, 3, 4))
    ((hidden, cell),) = bridge(final)
    torch.testing.assert_close(hidden, final[0][0])
    linear = bridge.maps[1][0][0]
    torch.testing.assert_close(cell, torch.tanh(final[1][0] @ linear.weight.T + linear.bias))


def test_fewer_layers_take_the_upper_ones():
    final = torch.randn(3, 2, 4)
    torch.testing.assert_close(Bridge((4,), (4,))((final,))[0][0], final[-1])


def test_always_map_maps_what_would_fit():
    bridge = Bridge((4,), (4,), always_map=True)
    linear, pooled = bridge.maps[0][0][0], torch.randn(1, 2, 4)
    ((state,),) = bridge((pooled,))
    torch.testing.assert_close(state, torch.tanh(pooled[0] @ linear.weight.T + linear.bias))
