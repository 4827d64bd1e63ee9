"""The CRF against brute force over all paths, and against its own laws."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.errors import InputError
from seqlab.nn.crf import CRF, UNKNOWN, Moves
from seqlab.nn.forward_backward import Chain, log_partition, log_partition_in_log_space


def random_crf(num_tags, generator, scale=1.0, moves=None):
    crf = CRF(num_tags, moves=moves)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return crf


def random_moves(num_tags, generator):
    """Moves that always leave a path: every tag may stay, start and end."""
    transitions = torch.rand(num_tags, num_tags, generator=generator) < 0.6
    everything = torch.ones(num_tags, dtype=torch.bool)
    return Moves(transitions | torch.eye(num_tags, dtype=torch.bool), everything, everything)


def all_paths(crf, emissions):
    """Every path over one sequence's emissions (time, tags), and its score, best first."""
    chain = crf.chain(emissions[None])
    time, tags = emissions.shape
    paths = torch.tensor(list(itertools.product(range(tags), repeat=time)))
    scores = chain.start[paths[:, 0]] + chain.end[paths[:, -1]]
    scores = scores + chain.emissions[0, torch.arange(time), paths].sum(1)
    scores = scores + chain.transitions[paths[:, :-1], paths[:, 1:]].sum(1)
    order = scores.argsort(descending=True)
    return paths[order], scores[order].double()


cases = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31)


@cases
@given(seed=seeds, constrained=st.booleans(), scale=st.sampled_from([1.0, 5.0]))
def test_equals_brute_force(seed, constrained, scale):
    generator = torch.Generator().manual_seed(seed)
    num_tags = int(torch.randint(1, 5, (), generator=generator))
    moves = random_moves(num_tags, generator) if constrained else None
    crf = random_crf(num_tags, generator, moves=moves)
    lengths = torch.tensor([1, 5, 3, 2])
    emissions = scale * torch.randn(4, 5, num_tags, generator=generator)
    # Whatever stands where padded must not be seen.
    for row, length in enumerate(lengths):
        emissions[row, length:] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30])[row]
    log_z = log_partition(crf.chain(emissions), lengths)
    best, score = crf.decode(emissions, lengths)
    marginals = crf.marginals(emissions, lengths)
    count = 7
    paths, scores = crf.n_best(emissions, lengths, count)
    gold = best.clone()
    likelihood = crf.log_likelihood(emissions, gold, lengths)
    for row, length in enumerate(lengths.tolist()):
        every, expected = all_paths(crf, emissions[row, :length])
        torch.testing.assert_close(log_z[row].double(), expected.logsumexp(0), rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(score[row].double(), expected[0], rtol=1e-5, atol=1e-4)
        assert best[row, :length].equal(every[0])
        assert not best[row, length:].any()
        torch.testing.assert_close(
            likelihood[row].double(), expected[0] - expected.logsumexp(0), rtol=1e-5, atol=1e-4
        )
        weights = expected.softmax(0)
        shares = (weights[:, None, None] * torch.nn.functional.one_hot(every, num_tags)).sum(0)
        torch.testing.assert_close(marginals[row, :length].double(), shares, rtol=1e-4, atol=1e-5)
        assert not marginals[row, length:].any()
        legal = expected.isfinite()
        possible = min(count, int(legal.sum()))
        assert torch.isneginf(scores[row, possible:]).all()
        torch.testing.assert_close(
            scores[row, :possible].double(), expected[:possible], rtol=1e-5, atol=1e-4
        )
        assert paths[row, :possible, :length].equal(every[:possible])
        assert not paths[row, :, length:].any()


@cases
@given(seed=seeds)
def test_given_tags_are_kept_and_the_rest_is_optimal(seed):
    generator = torch.Generator().manual_seed(seed)
    crf = random_crf(3, generator)
    emissions = torch.randn(2, 4, 3, generator=generator)
    lengths = torch.tensor([4, 3])
    tags = torch.randint(3, (2, 4), generator=generator)
    known = torch.rand(2, 4, generator=generator) < 0.5
    tags = tags.where(known, UNKNOWN)
    best, score = crf.decode(emissions, lengths, tags)
    paths, scores = crf.n_best(emissions, lengths, 4, tags)
    marginals = crf.marginals(emissions, lengths, tags)
    likelihood = crf.log_likelihood(emissions, tags, lengths)
    for row, length in enumerate(lengths.tolist()):
        every, expected = all_paths(crf, emissions[row, :length])
        wanted = tags[row, :length]
        agrees = ((every == wanted) | (wanted == UNKNOWN)).all(1)
        every, kept = every[agrees], expected[agrees]
        assert best[row, :length].equal(every[0])
        torch.testing.assert_close(score[row].double(), kept[0], rtol=1e-5, atol=1e-5)
        possible = min(4, len(kept))
        assert paths[row, :possible, :length].equal(every[:possible])
        assert torch.isneginf(scores[row, possible:]).all()
        share = kept.logsumexp(0) - expected.logsumexp(0)
        torch.testing.assert_close(likelihood[row].double(), share, rtol=1e-4, atol=1e-5)
        weights = kept.softmax(0)[:, None, None] * torch.nn.functional.one_hot(every, 3)
        torch.testing.assert_close(
            marginals[row, :length].double(), weights.sum(0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("constrained", [False, True])
def test_gradients(constrained):
    generator = torch.Generator().manual_seed(1)
    moves = random_moves(3, generator) if constrained else None
    crf = random_crf(3, generator, moves=moves).double()
    emissions = torch.randn(3, 4, 3, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 3])
    tags = torch.zeros(3, 4, dtype=torch.long)

    def loss(emissions, *parameters):
        state = dict(zip(dict(crf.named_parameters()), parameters, strict=True))
        bound = _Bound(crf)
        return torch.func.functional_call(
            bound, {f"crf.{k}": v for k, v in state.items()}, (emissions, tags, lengths)
        )

    inputs = (emissions.requires_grad_(), *crf.parameters())
    assert torch.autograd.gradcheck(loss, inputs)


class _Bound(torch.nn.Module):
    def __init__(self, crf):
        super().__init__()
        self.crf = crf

    def forward(self, *arguments):
        return self.crf.log_likelihood(*arguments)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize("constrained", [False, True])
def test_scores_of_any_spread(spread, constrained):
    """float32, float64 and log space take over from one another without a seam."""
    generator = torch.Generator().manual_seed(2)
    moves = random_moves(5, generator) if constrained else None
    crf = random_crf(5, generator, moves=moves)
    emissions = spread * torch.randn(6, 12, 5, generator=generator)
    lengths = torch.randint(1, 13, (6,), generator=generator)
    chain = Chain(*(part.detach().requires_grad_() for part in crf.chain(emissions)))
    wide = Chain(*(part.detach().double().requires_grad_() for part in chain))
    log_z, expected = log_partition(chain, lengths), log_partition_in_log_space(wide, lengths)
    torch.testing.assert_close(log_z.double(), expected, rtol=1e-5, atol=1e-4)
    for got, want in zip(
        torch.autograd.grad(log_z.sum(), chain),
        torch.autograd.grad(expected.sum(), wide),
        strict=True,
    ):
        torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stable_at_length_2000(dtype):
    generator = torch.Generator().manual_seed(3)
    crf = random_crf(9, generator)
    emissions = (5 * torch.randn(2, 2000, 9, generator=generator)).to(dtype).requires_grad_()
    lengths = torch.tensor([2000, 1999])
    tags = torch.randint(9, (2, 2000), generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        likelihood = crf.log_likelihood(emissions, tags, lengths)
    assert likelihood.dtype == torch.float32
    wide = crf.double()
    expected = wide.log_likelihood(emissions.detach().double(), tags, lengths)
    torch.testing.assert_close(likelihood.double(), expected, rtol=1e-5, atol=0.0)
    (gradient,) = torch.autograd.grad(likelihood.sum(), emissions)
    marginals = wide.marginals(emissions.detach().double(), lengths)
    assert ((marginals.sum(-1) - 1).abs() < 1e-9)[0].all()
    one_hot = torch.nn.functional.one_hot(tags, 9).double()
    one_hot[1, 1999] = 0
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(gradient.double(), one_hot - marginals, rtol=0, atol=tolerance)


def test_batch_mates_and_padding_change_nothing():
    generator = torch.Generator().manual_seed(4)
    crf = random_crf(4, generator)
    emissions = torch.randn(3, 9, 4, generator=generator)
    tags = torch.randint(4, (3, 9), generator=generator)
    lengths = torch.tensor([9, 2, 5])
    together = crf.log_likelihood(emissions, tags, lengths)
    for row, length in enumerate(lengths.tolist()):
        part = slice(row, row + 1), slice(0, length)
        alone = crf.log_likelihood(emissions[part], tags[part], lengths[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-6, atol=1e-5)


def test_marginals_in_inference_mode_even_where_scores_spread():
    crf = CRF(3)
    with torch.inference_mode():
        for scale in (1.0, 1e5):
            emissions = scale * torch.randn(2, 4, 3)
            marginals = crf.marginals(emissions, torch.tensor([4, 2]))
            torch.testing.assert_close(marginals[0].sum(-1), torch.ones(4))


def test_training_pushes_up_the_likelihood_of_given_tags():
    crf = CRF(3)
    tags = torch.tensor([[0, 1, 2, 0, 1, 2]])
    lengths = torch.tensor([6])
    optimiser = torch.optim.Adam(crf.parameters(), 0.1)
    for _ in range(100):
        optimiser.zero_grad()
        loss = -crf.log_likelihood(torch.zeros(1, 6, 3), tags, lengths).sum()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    assert crf.decode(torch.zeros(1, 6, 3), lengths)[0].equal(tags)


def only_move_up():
    everything = torch.ones(3, dtype=torch.bool)
    return Moves(torch.ones(3, 3, dtype=torch.bool).triu(), everything, everything)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda crf, e, n: crf.decode(e, torch.tensor([4, 0])), "sequence 1 is empty"),
        (
            lambda crf, e, n: crf.decode(e, n, torch.tensor([[-100] * 4, [-100, 2, 1, -100]])),
            "sequence 1 has no legal path: at position 2",
        ),
        (
            lambda crf, e, n: crf.marginals(e, n, torch.tensor([[2, 1, 1, 1], [-100] * 4])),
            "sequence 0 has no legal path: at position 1",
        ),
        (
            lambda crf, e, n: crf.n_best(e, n, 2, torch.tensor([[-100] * 4, [0, 1, 2, 0]])),
            "sequence 1 has no legal path: at position 3",
        ),
        (
            lambda crf, e, n: crf.log_likelihood(e, torch.tensor([[0, 1, 2, 2], [1, 0, 1, 1]]), n),
            "sequence 1 has no legal path: at position 1",
        ),
        (
            lambda crf, e, n: crf.log_likelihood(e, torch.tensor([[0, 1, 2, 3], [1, 1, 1, 1]]), n),
            "sequence 0, position 3: tag 3 must be from 0 to 2",
        ),
        (lambda crf, e, n: crf.log_likelihood(e, torch.zeros(2, 3).long(), n), "one tag"),
        (lambda crf, e, n: CRF(4, moves=only_move_up()), "legal moves"),
    ],
)
def test_bad_input_is_named(call, message):
    crf = CRF(3, moves=only_move_up())
    with pytest.raises(InputError, match=message):
        call(crf, torch.randn(2, 4, 3), torch.tensor([4, 4]))


def test_ends_that_nothing_reaches():
    moves = Moves(
        torch.eye(2, dtype=torch.bool), torch.tensor([True, False]), torch.tensor([False, True])
    )
    with pytest.raises(InputError, match="position 2 every allowed tag may not come last"):
        CRF(2, moves=moves).decode(torch.zeros(1, 3, 2), torch.tensor([3]))


def test_a_diverged_network_is_not_blamed_on_the_constraints():
    crf = CRF(3, moves=only_move_up())
    emissions = torch.full((1, 3, 3), torch.nan)
    likelihood = crf.log_likelihood(emissions, torch.tensor([[0, 1, 2]]), torch.tensor([3]))
    assert likelihood.isnan().all()
