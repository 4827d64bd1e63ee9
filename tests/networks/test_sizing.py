"""Budgets of parameters, and what networks cost."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from seqlab.errors import InputError
from seqlab.networks.sizing import count, figures, match_hidden_size
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell
from seqlab.nn.tcn import TCNEncoder
from seqlab.nn.transformer import TransformerEncoder


def gru(hidden_size):
    return nn.Sequential(
        RecurrentEncoder(3, cell=GRUCell, hidden_size=hidden_size), nn.Linear(hidden_size, 2)
    )


@pytest.mark.parametrize("budget", [44, 100, 1_000, 70_000, 71_234])
def test_no_other_hidden_size_comes_nearer(budget):
    size, parameters = match_hidden_size(gru, budget)
    assert parameters == count(gru(size))
    for other in (size - 1, size + 1):
        if other:
            assert abs(count(gru(other)) - budget) >= abs(parameters - budget)


def test_keeps_to_sizes_that_the_heads_divide():
    def build(hidden_size):
        return TransformerEncoder(
            3, hidden_size=hidden_size, num_heads=3, positions="rotary", num_layers=1
        )

    size, parameters = match_hidden_size(build, 30_000)
    assert size % 6 == 0
    nearest = min((count(build(h)) for h in range(6, 120, 6)), key=lambda n: abs(n - 30_000))
    assert parameters == nearest


@pytest.mark.parametrize("budget", [10, 10**13])
def test_a_budget_that_no_size_meets_is_refused(budget):
    with pytest.raises(InputError, match="match_parameters"):
        match_hidden_size(gru, budget)


@pytest.mark.parametrize("length", [1, 12])
@pytest.mark.parametrize(
    "encoder",
    [
        RecurrentEncoder(3, cell=GRUCell, hidden_size=8, num_layers=2, kernel="reference"),
        RecurrentEncoder(3, cell=MinGRUCell, hidden_size=8, num_layers=2, bidirectional=True),
        TransformerEncoder(3, hidden_size=8, num_heads=2),
    ],
    ids=["cell", "minimal", "transformer"],
)
def test_counts_the_arithmetic_that_pytorch_counts(encoder, length):
    counter = FlopCounterMode(display=False)
    with (
        counter,
        torch.no_grad(),
        nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH),
    ):
        encoder(torch.randn(1, length, 3), torch.tensor([length]), need_state=False)
    counted = counter.get_total_flops() / 2 / length
    assert figures(encoder, length).multiply_accumulates == pytest.approx(counted)


def test_the_state_in_bytes():
    lstm = RecurrentEncoder(3, cell=LSTMCell, hidden_size=8, num_layers=3)
    assert figures(lstm, 5).state_bytes == 2 * 3 * 8 * 4
    assert figures(lstm, 50).state_bytes == 2 * 3 * 8 * 4
    causal = TransformerEncoder(3, hidden_size=8, num_layers=2, bidirectional=False)
    grown = figures(causal, 50).state_bytes - figures(causal, 49).state_bytes
    assert grown == 2 * 2 * 8 * 4 + 1
    tcn = TCNEncoder(3, hidden_size=8, num_layers=2, kernel_size=2)
    assert figures(tcn, 5).state_bytes == 4 * (8 + (3 + 8) + 2 * (8 + 8))
    assert "parameters" in str(figures(tcn, 5))


def test_finds_the_encoder_and_leaves_the_mode_as_it_is():
    network = gru(4).train()
    found = figures(network, 3)
    assert found.parameters == count(network)
    assert network[0].training
    with pytest.raises(InputError, match="no encoder"):
        figures(nn.Linear(2, 2), 3)
    with pytest.raises(InputError, match="length"):
        figures(network, 0)
