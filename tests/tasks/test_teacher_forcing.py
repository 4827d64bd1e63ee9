from itertools import pairwise

import pytest

from seqlab.errors import InputError
from seqlab.tasks.teacher_forcing import make_forcing

FALLING = ["linear", "exponential", "inverse_sigmoid"]


@pytest.mark.parametrize("name", FALLING)
@pytest.mark.parametrize("steps", [100, 10_000])
def test_the_probability_falls_from_start_to_end(name, steps):
    forcing = make_forcing(name, start=0.9, end=0.2, steps=steps)
    values = [forcing(step) for step in range(0, 3 * steps, steps // 20)]
    assert values[0] == pytest.approx(0.9, abs=0.05)
    assert values[20] == pytest.approx(0.2, abs=0.05)
    assert values[-1] == pytest.approx(0.2, abs=1e-3)
    assert all(later <= earlier for earlier, later in pairwise(values))
    assert forcing(10**9) == pytest.approx(0.2)


def test_each_shape():
    assert make_forcing("constant", start=0.7)(12345) == 0.7
    assert make_forcing("linear", steps=100)(25) == pytest.approx(0.75)
    assert make_forcing("exponential", steps=100)(50) == pytest.approx(0.1)
    assert make_forcing("inverse_sigmoid", steps=100)(50) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"name": "cosine"}, "inverse_sigmoid"),
        ({"name": "linear", "start": 1.5}, r"start=1\.5"),
        ({"name": "linear", "end": -0.1}, r"end=-0\.1"),
        ({"name": "linear", "steps": 0}, "steps=0"),
    ],
)
def test_bad_settings(settings, match):
    with pytest.raises(InputError, match=match):
        make_forcing(**settings)
