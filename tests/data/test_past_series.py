import pytest
import torch

from seqlab.data.past_series import PastSeries
from seqlab.data.random_walk import RandomWalk
from seqlab.errors import InputError

DATA = RandomWalk(num_series=3, length=60, window=8, horizon=3, val_steps=5, test_steps=10)


def past(*lengths):
    return PastSeries(dataset=DATA, store=DATA.store.head(torch.tensor(lengths)))


def cuts(windows):
    series, cut = windows.locate(torch.arange(len(windows)))
    return list(zip(series.tolist(), cut.tolist(), strict=True))


def test_each_part_ends_before_the_next_begins():
    data = past(30, 25, 40)
    train = [(s, c) for s, end in enumerate((25, 20, 35)) for c in range(8, end - 3 + 1)]
    val = [(s, c) for s, end in enumerate((30, 25, 40)) for c in range(end - 5, end - 3 + 1)]
    assert cuts(data.split("train")) == train
    assert cuts(data.split("val")) == val


def test_nothing_behind_the_ends_is_in_it():
    data = past(30, 25, 40)
    for name in data.splits:
        windows = data.split(name)
        batch = windows.batch(torch.arange(len(windows)))
        for row, (series, cut) in enumerate(cuts(windows)):
            begin = DATA.store.starts[series]
            values = DATA.store.values[begin : begin + data.store.lengths[series]]
            assert torch.equal(batch.inputs[row], values[cut - 8 : cut])
            assert torch.equal(batch.targets[row], values[cut : cut + 3])
            assert len(batch.targets[row]) == 3


def test_up_to_the_test_it_is_what_the_dataset_trains_on():
    data = past(50, 50, 50)
    for name in data.splits:
        ours, theirs = data.split(name), DATA.split(name)
        assert cuts(ours) == cuts(theirs)
        indices = torch.arange(len(ours))
        mine, other = ours.batch(indices), theirs.batch(indices)
        assert torch.equal(mine.inputs, other.inputs)
        assert mine.context is not None
        assert other.context is not None
        assert torch.equal(mine.context.naive_error, other.context.naive_error)
    assert data.spec is DATA.spec


def test_what_is_too_short_is_named():
    with pytest.raises(InputError, match=r"series '1' has 15 values .* but 16 are needed"):
        past(30, 15, 40).split("train")


def test_there_is_no_test():
    with pytest.raises(InputError, match="no split 'test' of past series"):
        past(30, 25, 40).split("test")
