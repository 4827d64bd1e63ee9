"""Batches of like length, in a seeded order, shared among devices, resumable in mid-epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from seqlab.data.batch import Batch
from seqlab.data.examples import StoredSplit

# Batches whose sequences are sorted together: more makes lengths within a batch more alike, fewer
# makes batches more random.
BATCHES_A_POOL = 50


class LengthBucketSampler:
    """Cuts a split into batches of sequences of like length.

    Each epoch shuffles the sequences, sorts them by length within pools of `BATCHES_A_POOL`
    batches, cuts the pools into batches and shuffles the batches. The order is a function of the
    seed and the epoch alone. Each sequence occurs exactly once an epoch, over all devices.

    Args:
        lengths: (examples,) the length of each sequence.
        batch_size: sequences in a batch, over all devices.
        shuffle: a new order each epoch; false keeps the first epoch's.
        bucket: false leaves the lengths in a batch mixed.
        seed: seeds the order.
        weigh: how much each of the sequences with these numbers counts in a mean loss; all the
            same if None.
        rank: which device this is.
        world_size: how many devices share each batch.
    """

    def __init__(
        self,
        lengths: Tensor,
        *,
        batch_size: int,
        shuffle: bool,
        bucket: bool = True,
        seed: int = 0,
        weigh: Callable[[Tensor], Tensor] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.bucket = bucket
        self.seed = seed
        self.weigh = weigh
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    @property
    def sampler(self) -> LengthBucketSampler:
        """Itself: Lightning announces the epoch to `loader.batch_sampler.sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.batch_size)
        # A rest too small to give each device a sequence joins the batch before it.
        return max(1, whole + (rest >= self.world_size if rest else 0))

    def batches(self) -> list[Tensor]:
        """The epoch's batches, each the indices of its sequences on all devices."""
        epoch = self.epoch if self.shuffle else 0
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        count = len(self.lengths)
        order = torch.randperm(count, generator=generator)
        if self.bucket:
            pools = order.split(self.batch_size * BATCHES_A_POOL)
            order = torch.cat([self._sorted(pool) for pool in pools])
        starts = [number * self.batch_size for number in range(len(self))]
        batches = [order[a:b] for a, b in zip(starts, [*starts[1:], count], strict=True)]
        # Sorted batches would show the shortest first, and to a limited evaluation only those.
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[number] for number in shuffled]

    def _sorted(self, indices: Tensor) -> Tensor:
        return indices[self.lengths[indices].argsort(stable=True)]

    def __iter__(self) -> Iterator[tuple[Tensor, float]]:
        """This device's part of each batch, and its share of the loss (see `Batch.share`)."""
        for whole in self.batches():
            mine = whole[self.rank :: self.world_size]
            share = 1.0
            if self.world_size > 1:
                share = self.weight(mine) * self.world_size / max(1.0, self.weight(whole))
            yield mine, share

    def weight(self, indices: Tensor) -> float:
        """How much these sequences count together in a mean loss."""
        return float(len(indices) if self.weigh is None else self.weigh(indices).sum())


class BatchLoader:
    """Iterates over a split, one tensor gather a batch.

    Args:
        examples: the split.
        sampler: the order.
        accumulation: how many batches' gradients are accumulated, and how many batches of the
            epoch are trained on; asked at the start of each epoch. None where nothing is trained.

    Attributes:
        done: batches that the current epoch has given out.
    """

    def __init__(
        self,
        examples: StoredSplit,
        sampler: LengthBucketSampler,
        accumulation: Callable[[], tuple[int, float]] | None = None,
    ) -> None:
        self.examples = examples
        self.batch_sampler = sampler
        self.accumulation = accumulation
        self.done = 0
        self._first = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def start_at(self, number: int) -> None:
        """Leaves out the first batches of the next epoch, which were given out before."""
        self._first = number

    def __iter__(self) -> Iterator[Batch]:
        first, self._first = self._first, 0
        group_shares = self._group_shares()
        for number, (indices, share) in enumerate(self.batch_sampler):
            if number >= first:
                self.done = number + 1
                batch = self.examples.batch(indices, share)
                batch.group_share = group_shares[number] if group_shares else 1.0
                yield batch

    def _group_shares(self) -> list[float]:
        """The epoch's `Batch.group_share` by batch; empty without accumulation."""
        size, used = (1, 0.0) if self.accumulation is None else self.accumulation()
        if size == 1:
            return []
        sampler = self.batch_sampler
        weights = torch.tensor([sampler.weight(batch) for batch in sampler.batches()])
        # The trainer divides each batch's loss by `size`, also in a last group that is smaller.
        used = int(min(used, len(weights)))
        shares = [group * size / group.sum().clamp(min=1.0) for group in weights[:used].split(size)]
        return torch.cat([*shares, weights.new_ones(len(weights) - used)]).tolist()
