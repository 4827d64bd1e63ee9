from itertools import product

import pytest
import torch

from seqlab.nn.bridge import Bridge


@pytest.mark.parametrize(
    ("sizes", "directions", "encoder_layers", "layers", "parts"),
    list(product([(4,), (4, 4)], [1, 2], [1, 3], [1, 2, 4], [1, 2])),
)
def test_any_encoder_fits_any_decoder(sizes, directions, encoder_layers, layers, parts):
    torch.manual_seed(0)
    bridge = Bridge(sizes, directions=directions, hidden_size=6, num_layers=layers, parts=parts)
    final = tuple(torch.randn(encoder_layers * directions, 3, size) for size in sizes)
    state = bridge(final)
    assert len(state) == parts
    assert all(part.shape == (layers, 3, 6) for part in state)
    # A decoder's uppermost layer hears the encoder's uppermost one, in every direction.
    for way in range(directions):
        changed = final[0].clone()
        changed[-1 - way] += 1
        assert not torch.equal(bridge((changed, *final[1:]))[0][-1], state[0][-1])


def test_a_state_that_fits_passes_as_it_is():
    bridge = Bridge((4, 4), directions=1, hidden_size=4, num_layers=2, parts=2)
    final = (torch.randn(2, 3, 4), torch.randn(2, 3, 4))
    for part, expected in zip(bridge(final), final, strict=True):
        torch.testing.assert_close(part, expected)
    assert not list(bridge.parameters())


def test_fewer_layers_take_the_upper_ones():
    bridge = Bridge((4,), directions=1, hidden_size=4, num_layers=1, parts=1)
    final = torch.randn(3, 2, 4)
    torch.testing.assert_close(bridge((final,))[0], final[-1:])
