import copy
from functools import partial

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
from seqlab.nn.pooling import (
    FirstLastPooling,
    LastPooling,
    MaxPooling,
    MeanPooling,
    pool_by_attention,
)
from tests.nn.oracles import CELLS, make_encoder

POOLINGS = {
    "last": LastPooling,
    "first_last": FirstLastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": lambda: pool_by_attention(AdditiveAttention(6, 6)).double(),
    "linear": lambda: pool_by_attention(ScaledDotAttention(6, 6)).double(),
    "multihead": lambda: pool_by_attention(MultiheadAttention(6, 6, num_heads=2)).double(),
}
every_pooling = pytest.mark.parametrize("name", POOLINGS)
lengths_of_batch = st.lists(st.integers(1, 7), min_size=1, max_size=4)


def written_out(name, states):
    """The same of one unpadded sequence, (time, size)."""
    return {
        "last": lambda: states[-1],
        "first_last": lambda: torch.cat([states[-1, :3], states[0, 3:]]),
        "mean": lambda: states.mean(0),
        "max": lambda: states.max(0).values,
    }[name]()


@pytest.mark.parametrize("name", ["last", "first_last", "mean", "max"])
@settings(max_examples=30, deadline=None)
@given(lengths=lengths_of_batch, extra=st.integers(0, 3), seed=st.integers(0, 2**31))
def test_equals_the_rule_on_each_sequence_alone(name, lengths, extra, seed):
    torch.manual_seed(seed)
    states = torch.randn(len(lengths), max(lengths) + extra, 6).double()
    for row, length in enumerate(lengths):
        states[row, length:] = float("nan")
    pooled, weights = POOLINGS[name]()(states, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        torch.testing.assert_close(pooled[row], written_out(name, states[row, :length]))
    assert (weights is None) == (name != "mean")


@pytest.mark.parametrize("name", ["mean", "attention", "linear"])
def test_weights_are_what_the_states_were_summed_with(name):
    torch.manual_seed(0)
    states, lengths = torch.randn(3, 5, 6).double(), torch.tensor([5, 1, 3])
    pooled, weights = POOLINGS[name]()(states, lengths)
    torch.testing.assert_close(weights.sum(1), torch.ones(3).double())
    torch.testing.assert_close((weights[..., None] * states).sum(1), pooled)
    assert (weights[torch.arange(5) >= lengths[:, None]] == 0).all()


@pytest.mark.parametrize("name", ["attention", "linear", "multihead"])
def test_attention_pooling_equals_each_sequence_alone(name):
    torch.manual_seed(0)
    pooling = POOLINGS[name]()
    states, lengths = torch.randn(3, 5, 6).double(), [5, 1, 3]
    pooled, _ = pooling(states, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, _ = pooling(states[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(alone[0], pooled[row])


@every_pooling
def test_gradients_reach_valid_positions_only(name):
    torch.manual_seed(0)
    pooling = POOLINGS[name]()
    lengths = torch.tensor([4, 1])
    states = torch.randn(2, 5, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda states: pooling(states, lengths)[0], states)
    pooling(states, lengths)[0].sum().backward()
    assert not states.grad[torch.arange(5) >= lengths[:, None]].any()
    assert states.grad[0].any()
    assert states.grad[1].any()


@pytest.mark.parametrize("cell", CELLS)
class TestBothDirectionsHaveReadAll:
    def pooled(self, cell, pooling, change=None):
        torch.manual_seed(1)
        encoder = make_encoder(cell, bidirectional=True, hidden_size=16)
        inputs, lengths = torch.randn(2, 6, 3).double(), torch.tensor([6, 4])
        if change is not None:
            inputs[torch.arange(2), lengths - 1 if change == "last" else 0] += 1
        pooled, _ = pooling(encoder(inputs, lengths)[0], lengths)
        return pooled[:, :16], pooled[:, 16:]

    @pytest.mark.parametrize("change", ["first", "last"])
    def test_first_last_sees_both_ends_with_both_halves(self, cell, change):
        before, after = (self.pooled(cell, FirstLastPooling(), c) for c in (None, change))
        for half, changed in zip(before, after, strict=True):
            assert (half != changed).any(1).all()

    def test_last_would_show_the_backward_half_one_token(self, cell):
        """Why two directions are not pooled with `last` by default."""
        before, after = (self.pooled(cell, LastPooling(), c) for c in (None, "first"))
        assert torch.equal(before[1], after[1])
        assert (before[0] != after[0]).any(1).all()


def test_bf16_weights_of_the_mean_are_those_of_the_states():
    states, lengths = torch.randn(2, 4, 6).bfloat16(), torch.tensor([4, 3])
    pooled, weights = MeanPooling()(states, lengths)
    assert pooled.dtype == weights.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        (AdditiveAttention, 256 * 256 + 256 + 256),
        (partial(AdditiveAttention, attention_size=128), 33_024),
        (GeneralAttention, 256),
        (DotAttention, 256),
        (ScaledDotAttention, 256),
        (partial(MultiheadAttention, num_heads=4), 4 * 256 + 2 * (256 * 256 + 256)),
    ],
)
def test_no_parameter_is_a_constant_of_the_query(attention, expected):
    """33,024: what a projection of 256 to 128 features and a vector have."""
    pooling = pool_by_attention(attention(256, 256))
    assert sum(weight.numel() for weight in pooling.parameters()) == expected


@pytest.mark.parametrize(
    "kind",
    [
        AdditiveAttention,
        GeneralAttention,
        DotAttention,
        ScaledDotAttention,
        partial(MultiheadAttention, num_heads=2),
    ],
)
def test_it_is_the_attention_with_a_constant_query(kind):
    """The same function: what the query contributes can be put into the weights that are left."""
    torch.manual_seed(0)
    attention, query = kind(6, 6).double(), torch.randn(6).double()
    pooling = pool_by_attention(copy.deepcopy(attention)).double()
    with torch.no_grad():
        if isinstance(attention, AdditiveAttention):
            pooling.score[0].bias += attention.project_query(query)
        elif isinstance(attention, GeneralAttention):
            pooling.score.weight.copy_(attention.project_query(query)[None])
        elif isinstance(attention, MultiheadAttention):
            # A head's score is (W_q q + b_q) · W_k h / √3, and what is constant over h drops out.
            heads = attention.project_query(query).view(2, 3, 1)
            keys = attention.project_key.weight.view(2, 3, 6)
            pooling.score.weight.copy_((heads * keys).sum(1) * 3**-0.5)
        else:
            pooling.score.weight.copy_(query[None])
    states, lengths = torch.randn(3, 5, 6).double(), torch.tensor([5, 1, 3])
    pooled, weights = pooling(states, lengths)
    mask = torch.arange(5) < lengths[:, None]
    expected, shown = attention(query.expand(3, 1, -1), states, mask[:, None])
    torch.testing.assert_close(pooled, expected[:, 0])
    torch.testing.assert_close(weights, shown[:, 0])


def test_another_attention_keeps_its_query():
    class Other(DotAttention):
        pass

    pooling = pool_by_attention(Other(64, 64))
    assert pooling.learned_query.shape == (64,)
    assert 0.5 < float(pooling.learned_query.detach().norm()) < 1.5
    pooled, _ = pooling(torch.randn(2, 3, 64), torch.tensor([3, 1]))
    assert pooled.shape == (2, 64)
