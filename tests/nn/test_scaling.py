import pytest
import torch

from seqlab.nn.scaling import NORMALISERS, ReversibleAffine


def history():
    torch.manual_seed(0)
    values = torch.randn(6, 30, 2) * 4 + 7
    observed = torch.arange(30)[None, :, None] < torch.tensor([30, 30, 17, 9, 4, 2])[:, None, None]
    observed = observed.repeat(1, 1, 2)
    observed[0, 3:8, 1] = False
    observed[1, -1, 0] = False
    return values, observed


@pytest.mark.parametrize("name", NORMALISERS)
def test_only_what_was_observed_counts(name):
    values, observed = history()
    location, scale = NORMALISERS[name]()(values, observed)
    other = torch.where(observed, values, torch.full_like(values, 1e9))
    again = NORMALISERS[name]()(other, observed)
    assert torch.equal(location, again[0])
    assert torch.equal(scale, again[1])
    assert (scale > 0).all()


@pytest.mark.parametrize("name", sorted(set(NORMALISERS) - {"none"}))
def test_the_network_reads_the_same_of_a_stretched_series(name):
    values, observed = history()
    normaliser = NORMALISERS[name]()
    location, scale = normaliser(values, observed)
    shift = 100.0 if normaliser.shifts else 0.0
    moved_location, moved_scale = normaliser(5 * values + shift, observed)
    torch.testing.assert_close(moved_location, 5 * location + shift)
    torch.testing.assert_close(moved_scale, 5 * scale)


def test_statistics_by_hand():
    values = torch.tensor([2.0, 4.0, 9.0, 5.0])[None, :, None]
    seen = torch.ones_like(values, dtype=torch.bool)
    expected = {
        "none": (0, 1),
        "standard": (5, 6.5**0.5),
        "robust": (4.5, 6.0 - 3.5),
        "mean": (0, 5),
        "last": (5, (26 / 4) ** 0.5),
    }
    for name, (location, scale) in expected.items():
        found = NORMALISERS[name]()(values, seen)
        assert found[0].item() == pytest.approx(location), name
        assert found[1].item() == pytest.approx(scale), name


@pytest.mark.parametrize("name", NORMALISERS)
@pytest.mark.parametrize("value", [0.0, 1000.1])
def test_a_constant_past_is_not_blown_up(name, value):
    values = torch.full((1, 7, 1), value)
    location, scale = NORMALISERS[name]()(values, torch.ones_like(values, dtype=torch.bool))
    z = (values + 0.5 - location) / scale
    assert z.isfinite().all()
    if name in ("standard", "robust", "last"):
        assert scale.item() == 1


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_past_without_any_value_has_a_frame_too(name):
    values = torch.full((1, 4, 1), torch.nan)
    location, scale = NORMALISERS[name]()(values, torch.zeros_like(values, dtype=torch.bool))
    assert location.item() == 0
    assert scale.item() == 1


def test_the_reversible_affine_map_is_reversed():
    affine = ReversibleAffine(2)
    torch.nn.init.normal_(affine.log_gain)
    torch.nn.init.normal_(affine.shift)
    z = torch.randn(3, 5, 2)
    location, scale = affine.inverse()
    torch.testing.assert_close(location + scale * affine(z), z)
    assert (scale > 0).all()
