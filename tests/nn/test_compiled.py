"""A compiled encoder computes what the plain one does, at every length."""

import pytest
import torch

from tests.nn.cores import OTHERS, RECURRENT, make


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("name", [*RECURRENT, *OTHERS])
@pytest.mark.usefixtures("unchecked")
def test_compiled_equals_plain(name):
    plain, compiled = (make(name, dtype=torch.float32) for _ in range(2))
    compiled.compile(dynamic=True)
    for time in (9, 12):
        inputs = torch.randn(3, time, 3, requires_grad=True)
        lengths = torch.tensor([time, 2, 5])
        states = [encoder(inputs, lengths, need_state=False)[0][0] for encoder in (plain, compiled)]
        gradients = [torch.autograd.grad(x.sum(), inputs)[0] for x in states]
        torch.testing.assert_close(*states, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)
