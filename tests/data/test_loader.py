"""Batches of like length: each sequence once an epoch, shared among devices, resumable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.data.examples import Examples
from seqlab.data.loader import BatchLoader, LengthBucketSampler
from seqlab.data.magic_token import MagicToken


def samplers(lengths, world_size=1, **settings):
    settings = {"batch_size": 32, "shuffle": True, "seed": 3} | settings
    return [
        LengthBucketSampler(lengths, rank=rank, world_size=world_size, **settings)
        for rank in range(world_size)
    ]


def lengths_of(count, seed=0):
    return torch.randint(1, 100, (count,), generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(3, 700),
    st.integers(3, 64),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 5),
)
def test_each_sequence_once_an_epoch(world_size, count, batch_size, flags, epoch):
    shuffle, bucket = flags
    devices = samplers(
        lengths_of(count), world_size, batch_size=batch_size, shuffle=shuffle, bucket=bucket
    )
    seen = []
    for sampler in devices:
        sampler.set_epoch(epoch)
        parts = list(sampler)
        assert len(parts) == len(sampler) == len(devices[0])
        assert all(len(indices) > 0 for indices, _ in parts)
        seen += [index for indices, _ in parts for index in indices.tolist()]
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("count", [320, 321, 322, 323, 351])
def test_devices_split_each_batch_and_their_shares_add_up(world_size, count):
    lengths = lengths_of(count)
    (alone,) = samplers(lengths)
    parts = [list(sampler) for sampler in samplers(lengths, world_size)]
    for whole, *step in zip(
        alone.batches() if world_size == 1 else samplers(lengths, world_size)[0].batches(),
        *parts,
        strict=True,
    ):
        together = torch.cat([indices for indices, _ in step])
        assert sorted(together.tolist()) == sorted(whole.tolist())
        shares = [share for _, share in step]
        # Devices average their gradients: the shares average to 1.
        assert sum(shares) / world_size == pytest.approx(1)
        for indices, share in step:
            assert share == pytest.approx(len(indices) * world_size / len(whole))


def test_shares_make_the_mean_over_devices_the_mean_over_the_batch():
    values = torch.randn(101, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    devices = samplers(lengths_of(101), 3, batch_size=101)
    means = [values[indices].mean() * share for s in devices for indices, share in s]
    assert len(means) == 3
    assert torch.stack(means).mean() == pytest.approx(values.mean().item(), abs=1e-12)


def test_batches_hold_sequences_of_like_length():
    lengths = lengths_of(10_000)
    (bucketed,), (mixed,) = samplers(lengths), samplers(lengths, bucket=False)

    def fill(sampler):
        batches = [lengths[indices] for indices, _ in sampler]
        return sum(b.sum().item() for b in batches) / sum(b.max().item() * len(b) for b in batches)

    assert fill(bucketed) > 0.95
    assert fill(mixed) < 0.6


def test_order_is_of_seed_and_epoch():
    lengths = lengths_of(500)

    def order(seed, epoch, **settings):
        (sampler,) = samplers(lengths, seed=seed, **settings)
        sampler.set_epoch(epoch)
        return [indices.tolist() for indices, _ in sampler]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0, shuffle=False) == order(1, 7, shuffle=False)


def test_a_limited_evaluation_sees_more_than_the_shortest():
    lengths = lengths_of(2000)
    (sampler,) = samplers(lengths, shuffle=False)
    first = torch.cat([indices for indices, _ in list(sampler)[:5]])
    assert lengths[first].max() > 50


def test_a_rest_too_small_for_the_devices_joins_the_batch_before():
    for sampler in samplers(lengths_of(65), 2, batch_size=32, bucket=False):
        assert sorted(len(indices) for indices, _ in sampler) in ([16, 16], [16, 17])


def loader(**settings):
    data = MagicToken(train_size=500)
    examples = data.split("train")
    (sampler,) = samplers(examples.lengths, **settings)
    return BatchLoader(examples, sampler)


def test_a_batch_holds_its_sequences_cut_at_the_longest():
    batches = loader()
    examples = batches.examples
    for batch, (indices, share) in zip(batches, batches.batch_sampler, strict=True):
        width = int(examples.lengths[indices].max())
        assert batch.inputs.shape == (len(indices), width)
        assert batch.inputs.dtype == batch.targets.dtype == batch.lengths.dtype == torch.int64
        assert torch.equal(batch.inputs, examples.inputs[indices, :width].long())
        assert torch.equal(batch.targets, examples.targets[indices].long())
        assert torch.equal(batch.evidence, examples.evidence[indices, :width])
        assert batch.share == share == 1
        assert len(batch) == len(indices)


def test_values_keep_their_dtype():
    inputs = torch.randn(4, 6, 2)
    examples = Examples(inputs, torch.tensor([6, 5, 3, 2]), torch.tensor([0, 1, 0, 1]))
    batch = examples.batch(torch.tensor([2, 1]))
    assert torch.equal(batch.inputs, inputs[[2, 1], :5])
    assert batch.to("cpu").inputs.dtype == torch.float32
    assert batch.evidence is None


@pytest.mark.parametrize("stop", [1, 7, 15])
def test_it_goes_on_in_the_middle_of_an_epoch(stop):
    straight, first = loader(), loader()
    whole = [batch.inputs for batch in straight]
    iterator = iter(first)
    for _ in range(stop):
        next(iterator)
    second = loader()
    second.start_at(first.done)
    rest = [batch.inputs for batch in second]
    assert len(rest) == len(whole) - stop
    for ours, theirs in zip(rest, whole[stop:], strict=True):
        assert torch.equal(ours, theirs)
    # The epoch after that is a whole one.
    assert len(list(second)) == len(whole)
