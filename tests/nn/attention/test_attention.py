import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from seqlab.errors import InputError
from seqlab.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)

KINDS = {
    "additive": AdditiveAttention,
    "general": GeneralAttention,
    "dot": DotAttention,
    "scaled_dot": ScaledDotAttention,
    "multihead": MultiheadAttention,
}
PROJECTING = ("additive", "general", "multihead")
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, query_size=8, key_size=8, dtype=torch.float64):
    torch.manual_seed(0)
    return KINDS[kind](query_size, key_size).to(dtype)


def random_case(seed, *, batch=3, queries=2, time=5, query_size=8, key_size=8, shared=False):
    """Query, keys and a mask that allows at least one position in each row."""
    generator = torch.Generator().manual_seed(seed)
    query, keys = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((batch, queries, query_size), (batch, time, key_size))
    )
    rows = 1 if shared else queries
    mask = torch.rand(batch, rows, time, generator=generator) < 0.5
    mask.scatter_(2, torch.randint(0, time, (batch, rows, 1), generator=generator), value=True)
    return query, keys, mask


cases = st.builds(
    random_case,
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    queries=st.integers(1, 3),
    time=st.integers(1, 6),
    shared=st.booleans(),
)


@every_kind
@settings(max_examples=25, deadline=None)
@given(case=cases)
def test_weights_sum_to_1_and_are_exactly_0_where_masked(kind, case):
    query, keys, mask = case
    context, weights = make(kind)(query, keys, mask)
    allowed = mask.expand_as(weights)
    assert context.shape == query.shape
    assert weights.shape == (len(query), query.shape[1], keys.shape[1])
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert (weights[~allowed] == 0).all()
    assert (weights[allowed] > 0).all()


@every_kind
@settings(max_examples=25, deadline=None)
@given(case=cases)
def test_masked_keys_have_no_say(kind, case):
    """Neither in what comes out nor in any gradient, however large they are."""
    query, keys, mask = case
    attention = make(kind)
    seen = mask.any(1)

    def outcome(keys):
        attention.zero_grad()
        keys = keys.clone().requires_grad_()
        context, weights = attention(query, keys, mask)
        (context.square().sum() + weights.square().sum()).backward()
        gradients = [p.grad for p in attention.parameters() if p.grad is not None]
        return [context, weights, keys.grad, *(g.clone() for g in gradients)]

    expected = outcome(keys)
    got = outcome(torch.where(seen[..., None], keys, 1e30))
    for ours, wanted in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-10, rtol=1e-10)
    assert not got[2][~seen].any()


@every_kind
@settings(max_examples=15, deadline=None)
@given(case=cases)
def test_each_query_and_each_sequence_is_on_its_own(kind, case):
    query, keys, mask = case
    attention = make(kind)
    context, weights = attention(query, keys, mask)
    mask = mask.expand_as(weights)
    for row in range(len(query)):
        for number in range(query.shape[1]):
            places = mask[row, number].nonzero().squeeze(1)
            alone, alone_weights = attention(
                query[row : row + 1, number : number + 1],
                keys[row : row + 1, places],
                torch.ones(1, 1, len(places), dtype=torch.bool),
            )
            torch.testing.assert_close(alone[0, 0], context[row, number])
            torch.testing.assert_close(alone_weights[0, 0], weights[row, number, places])


@settings(max_examples=25, deadline=None)
@given(case=cases, wide=st.booleans())
def test_scaled_dot_equals_pytorchs(case, wide):
    query, keys, mask = case
    dtype, tolerance = (torch.float64, 1e-12) if wide else (torch.float32, 1e-6)
    query, keys = query.to(dtype), keys.to(dtype)
    context, _ = make("scaled_dot", dtype=dtype)(query, keys, mask)
    expected = F.scaled_dot_product_attention(query, keys, keys, attn_mask=mask)
    torch.testing.assert_close(context, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("heads", [1, 2, 4, 8])
@settings(max_examples=10, deadline=None)
@given(case=cases, wide=st.booleans())
def test_multihead_equals_pytorchs_layer(heads, case, wide):
    query, keys, mask = case
    dtype, tolerance = (torch.float64, 1e-12) if wide else (torch.float32, 1e-6)
    query, keys = query.to(dtype), keys.to(dtype)
    torch.manual_seed(0)
    ours = MultiheadAttention(8, 8, num_heads=heads).to(dtype)
    oracle = nn.MultiheadAttention(8, heads, batch_first=True).to(dtype)
    parts = (ours.project_query, ours.project_key, ours.project_value)
    with torch.no_grad():
        oracle.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        oracle.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        oracle.out_proj.weight.copy_(ours.project_context.weight)
        oracle.out_proj.bias.copy_(ours.project_context.bias)
    hidden = ~mask.expand(-1, query.shape[1], -1).repeat_interleave(heads, 0)
    expected, expected_weights = oracle(query, keys, keys, attn_mask=hidden)
    context, weights = ours(query, keys, mask)
    torch.testing.assert_close(context, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(weights, expected_weights, atol=tolerance, rtol=tolerance)


def test_multihead_of_unequal_widths_equals_scaled_dot_of_its_projections():
    query, keys, mask = random_case(1, query_size=6)
    attention = make("multihead", 6, 8)

    def heads(projected):
        return projected.unflatten(-1, (4, 2)).transpose(1, 2)

    context = F.scaled_dot_product_attention(
        heads(attention.project_query(query)),
        heads(attention.project_key(keys)),
        heads(attention.project_value(keys)),
        attn_mask=mask[:, None],
    )
    expected = attention.project_context(context.transpose(1, 2).flatten(-2))
    torch.testing.assert_close(attention(query, keys, mask)[0], expected)


def additive_score(attention, q, k):
    w, u = attention.project_query.weight.tolist(), attention.project_key.weight.tolist()
    b, v = attention.project_key.bias.tolist(), attention.score.weight[0].tolist()
    return sum(
        v[n] * math.tanh(dot_score(None, w[n], q) + dot_score(None, u[n], k) + b[n])
        for n in range(len(v))
    )


def general_score(attention, q, k):
    w = attention.project_query.weight.tolist()  # (key feature, query feature)
    return sum(k[i] * w[i][j] * q[j] for i in range(len(k)) for j in range(len(q)))


def dot_score(attention, q, k):
    return sum(a * b for a, b in zip(q, k, strict=True))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("kind", "score", "query_size"),
    [
        ("additive", additive_score, 6),
        ("additive", additive_score, 8),
        ("general", general_score, 6),
        ("general", general_score, 8),
        ("dot", dot_score, 8),
    ],
)
def test_equals_sums_written_out(kind, score, query_size, shared):
    query, keys, mask = random_case(2, query_size=query_size, shared=shared)
    attention = make(kind, query_size, 8)
    context, weights = attention(query, keys, mask)
    allowed = mask.expand_as(weights).tolist()
    for row, queries in enumerate(query.tolist()):
        for number, q in enumerate(queries):
            powers = [
                math.exp(score(attention, q, k)) if allowed[row][number][place] else 0.0
                for place, k in enumerate(keys[row].tolist())
            ]
            expected = [power / sum(powers) for power in powers]
            torch.testing.assert_close(
                weights[row, number], torch.tensor(expected).double(), atol=1e-6, rtol=1e-6
            )
            summed = [
                sum(w * k[feature] for w, k in zip(expected, keys[row].tolist(), strict=True))
                for feature in range(8)
            ]
            torch.testing.assert_close(
                context[row, number], torch.tensor(summed).double(), atol=1e-6, rtol=1e-6
            )


@every_kind
def test_gradients(kind):
    query, keys, mask = random_case(3, batch=2, time=4, query_size=4, key_size=4)
    attention = make(kind, 4, 4)
    names = [name for name, _ in attention.named_parameters()]

    def outcome(query, keys, *parameters):
        named = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(attention, named, (query, keys, mask))

    tensors = (query.requires_grad_(), keys.requires_grad_(), *attention.parameters())
    assert torch.autograd.gradcheck(outcome, tensors)


@every_kind
def test_preparing_the_keys_once_changes_nothing(kind):
    query, keys, mask = random_case(4)
    attention = make(kind)
    prepared = attention.prepare(keys)
    context, weights = attention(query, keys, mask)
    for number in range(query.shape[1]):
        step = slice(number, number + 1)
        got, got_weights = attention.attend(query[:, step], prepared, mask[:, step])
        torch.testing.assert_close(got, context[:, step])
        torch.testing.assert_close(got_weights, weights[:, step])


@pytest.mark.parametrize("mixed", [False, True])
@every_kind
def test_bf16(kind, mixed):
    query, keys, mask = random_case(5)
    exact, exact_weights = make(kind)(query, keys, mask)
    if mixed:
        attention = make(kind, dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            context, weights = attention(query.float(), keys.float(), mask)
    else:
        attention = make(kind, dtype=torch.bfloat16)
        context, weights = attention(query.bfloat16(), keys.bfloat16(), mask)
    torch.testing.assert_close(context.double(), exact, atol=0.1, rtol=0.05)
    torch.testing.assert_close(weights.double(), exact_weights, atol=0.05, rtol=0.05)
    assert (weights[~mask.expand_as(weights)] == 0).all()


class TestErrors:
    @every_kind
    def test_a_row_without_positions(self, kind):
        query, keys, mask = random_case(6)
        mask[1, 1] = False
        with pytest.raises(InputError, match="no position"):
            make(kind)(query, keys, mask)

    @pytest.mark.parametrize("kind", ["dot", "scaled_dot"])
    def test_unequal_widths(self, kind):
        with pytest.raises(InputError, match=f"attention {kind} .* 6 and 8 features"):
            make(kind, 6, 8)

    @pytest.mark.parametrize("kind", PROJECTING)
    def test_those_that_project_take_unequal_widths(self, kind):
        query, keys, mask = random_case(7, query_size=6)
        context, _ = make(kind, 6, 8)(query, keys, mask)
        assert context.shape == (3, 2, 8)

    def test_heads_that_do_not_divide(self):
        with pytest.raises(InputError, match=r"num_heads=3 must divide the width 8.*1, 2, 4, 8"):
            MultiheadAttention(8, 8, num_heads=3)

    @pytest.mark.parametrize(
        ("kind", "option"),
        [(MultiheadAttention, "num_heads"), (AdditiveAttention, "attention_size")],
    )
    def test_sizes_below_1(self, kind, option):
        with pytest.raises(InputError, match=f"{option}=0"):
            kind(8, 8, **{option: 0})
