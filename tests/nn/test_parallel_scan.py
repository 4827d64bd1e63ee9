"""Parallel scans against the loop that they replace."""

from itertools import pairwise

import pytest
import torch
from torch.autograd import gradcheck

from seqlab.errors import InputError
from seqlab.nn.kernels import parallel_scan
from seqlab.nn.kernels.minimal import log_positive, min_lstm_logarithms
from seqlab.nn.kernels.parallel_scan import gated_log_scan, linear_scan, log_scan
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell, positive

PARALLEL = {"min_gru": MinGRUCell, "min_lstm": MinLSTMCell, "lru": LRUCell}

# Around one block, around two, and with one to three levels of blocks.
TIMES = (1, 2, 15, 16, 17, 31, 32, 33, 100, 255, 256, 257, 300)


def loop(decay, values, state=None):
    hidden = torch.zeros_like(values[:, 0]) if state is None else state
    states = []
    for position in range(values.shape[1]):
        hidden = decay[:, position] * hidden + values[:, position]
        states.append(hidden)
    return torch.stack(states, 1)


def close(ours, expected, tolerance=1e-12):
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("time", TIMES)
def test_equals_the_loop(time, started):
    torch.manual_seed(time)
    decay = torch.rand(2, time, 3, dtype=torch.float64)
    values = torch.randn(2, time, 3, dtype=torch.float64)
    state = torch.randn(2, 3, dtype=torch.float64) if started else None
    close(linear_scan(decay, values, state), loop(decay, values, state))
    close(log_scan(decay.log(), values, state), loop(decay, values.exp(), state))
    turning = torch.polar(decay, values)
    own = None if state is None else state + 1j
    close(linear_scan(turning, values + 0j, own), loop(turning, values + 0j, own))
    same = torch.polar(torch.tensor([0.9, 0.99, 0.5]), torch.randn(3)).to(torch.complex128)
    same = same.expand(1, time, 3)
    close(linear_scan(same, values + 0j, own), loop(same, values + 0j, own))


@pytest.mark.parametrize("time", [1, 2, 17, 33])
def test_gradients_equal_finite_differences(time):
    torch.manual_seed(time)
    decay, values = torch.rand(2, 2, time, 2, dtype=torch.float64).requires_grad_()
    state = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    logs = decay.log().detach().requires_grad_()
    assert gradcheck(linear_scan, (decay, values, state), fast_mode=time > 17)
    assert gradcheck(log_scan, (logs, values, state), fast_mode=time > 17)
    eigenvalues = torch.polar(torch.rand(2), torch.randn(2)).to(torch.complex128).requires_grad_()
    turning = (values + 1j).detach().requires_grad_()
    assert gradcheck(
        lambda a, b: linear_scan(a.expand(1, time, 2), b), (eigenvalues, turning), fast_mode=True
    )


@pytest.mark.parametrize("cached", [1, 50, 1 << 20])
def test_the_scan_that_computes_gates_twice_equals_the_one_that_keeps_them(cached, monkeypatch):
    monkeypatch.setattr(parallel_scan, "CACHED", cached)
    torch.manual_seed(0)
    projected = torch.randn(5, 40, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 40, 4, dtype=torch.float64)
    kept = log_scan(*min_lstm_logarithms(projected))
    (expected,) = torch.autograd.grad((kept * weight).sum(), projected)
    twice = gated_log_scan(projected, min_lstm_logarithms)
    (gradient,) = torch.autograd.grad((twice * weight).sum(), projected)
    close(twice, kept)
    close(gradient, expected)
    few = projected.detach()[:2, :20].requires_grad_()
    assert gradcheck(lambda x: gated_log_scan(x, min_lstm_logarithms), few, fast_mode=True)


@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
def test_float32_keeps_its_digits_over_16384_positions(spread):
    torch.manual_seed(0)
    gates, values = spread * torch.randn(2, 16384, 4), torch.randn(2, 16384, 4)
    log_decay = torch.nn.functional.logsigmoid(gates + 3)
    log_values = torch.nn.functional.logsigmoid(-gates - 3) + values
    expected = loop(log_decay.double().exp(), log_values.double().exp())
    relative = (log_scan(log_decay, log_values).double() / expected - 1).abs().max()
    assert relative < 1e-5
    # The formula of the paper, for comparison: prefix sums, then one logcumsumexp.
    prefix = log_decay.cumsum(1)
    heinsen = (prefix + torch.logcumsumexp(log_values - prefix, 1)).exp()
    assert (heinsen.double() / expected - 1).abs().max() > 5 * relative


def test_a_gate_shut_for_good_neither_overflows_nor_leaks():
    log_decay = torch.full((1, 100, 1), -1e4, requires_grad=True)
    log_values = torch.full((1, 100, 1), -50.0, requires_grad=True)
    states = log_scan(log_decay, log_values)
    close(states, torch.full_like(states, -50.0).exp())
    states.sum().backward()
    assert log_decay.grad.isfinite().all()
    close(log_values.grad, states.detach())


@pytest.mark.parametrize("name", PARALLEL)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_the_parallel_form_is_the_sequential_one_on_long_sequences(name, dtype, tolerance):
    torch.manual_seed(0)
    layer = RecurrentLayer(3, 4, cell=PARALLEL[name]).to(dtype)
    inputs = 3 * torch.randn(2, 2000, 3, dtype=dtype)
    outputs, _ = layer(inputs, torch.tensor([2000, 7]))
    state, worst = None, 0.0
    for position in range(2000):
        output, state = layer.step(inputs[:, position], state)
        worst = max(worst, (output - outputs[:, position]).abs().max().item())
    assert worst < tolerance


def test_depth_is_logarithmic(monkeypatch):
    calls = []
    add = torch.addcmul

    def counted(*args, **kwargs):
        calls.append(1)
        return add(*args, **kwargs)

    monkeypatch.setattr(
        parallel_scan, "_LINEAR", parallel_scan._Algebra(counted, parallel_scan._LINEAR.compose)
    )
    depths = []
    for time in (16, 256, 4096, 65536):
        calls.clear()
        linear_scan(torch.rand(1, time, 1), torch.rand(1, time, 1))
        depths.append(len(calls))
    steps = [late - early for early, late in pairwise(depths)]
    assert steps == [parallel_scan.BLOCK] * 3


def test_the_positive_function_and_its_logarithm():
    values = torch.tensor([-100.0, -3.0, -1e-3, 0.0, 1e-3, 2.0, 100.0], dtype=torch.float64)
    expected = torch.where(values >= 0, values + 0.5, torch.sigmoid(values))
    close(positive(values), expected)
    close(log_positive(values), expected.log())
    values.requires_grad_()
    (slope,) = torch.autograd.grad(log_positive(values).sum(), values)
    close(slope, torch.where(values >= 0, 1 / (values + 0.5), torch.sigmoid(-values)))


def test_minimal_gates_are_the_papers():
    torch.manual_seed(0)
    x, h = torch.randn(2, 3, dtype=torch.float64), torch.rand(2, 4, dtype=torch.float64)
    gru, lstm = MinGRUCell(3, 4).double(), MinLSTMCell(3, 4).double()
    z, v = gru.input(x).chunk(2, -1)
    z = torch.sigmoid(z)
    close(gru.step(gru.project(x), (h,))[0], (1 - z) * h + z * positive(v))
    f, i, v = lstm.input(x).chunk(3, -1)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    close(lstm.step(lstm.project(x), (h,))[0], f / (f + i) * h + i / (f + i) * positive(v))


def test_eigenvalues_of_the_lru_start_in_the_ring_and_stay_inside_the_circle():
    torch.manual_seed(0)
    layer = LRUCell(3, 4, state_size=500, min_radius=0.5, max_radius=0.8)
    radii = layer.eigenvalues.abs()
    assert radii.min() >= 0.5
    assert radii.max() <= 0.8
    # Uniform on the ring: half of its area lies within the root of the mean squared radius.
    middle = ((0.5**2 + 0.8**2) / 2) ** 0.5
    assert (radii < middle).double().mean().item() == pytest.approx(0.5, abs=0.08)
    torch.testing.assert_close(layer.log_scale.exp() ** 2, 1 - radii**2)
    with torch.no_grad():
        layer.log_rate.fill_(-5.0)
    assert layer.eigenvalues.abs().max() < 1
    for wrong in ({"min_radius": 0.9, "max_radius": 0.5}, {"max_radius": 1.0}):
        with pytest.raises(InputError, match="min_radius"):
            LRUCell(3, 4, **wrong)
    with pytest.raises(InputError, match="state_size"):
        LRUCell(3, 4, state_size=0)
