import numpy as np
import pytest
import torch

from seqlab.data.loader import BatchLoader, LengthBucketSampler
from seqlab.data.series import Series, SeriesStore
from seqlab.data.windows import cut_windows, future_windows
from seqlab.errors import InputError


def store(known=0):
    """Two series that count up from 100 and from 200, with covariates that tell the place."""
    return SeriesStore.from_series(
        [
            Series(
                values=np.arange(start, start + length, dtype=float),
                name=str(start),
                past=-np.arange(start, start + length, dtype=float),
                known=np.arange(length + known, dtype=float) if known is not None else None,
            )
            for start, length in ((100, 9), (200, 6))
        ]
    )


def windows(**changes):
    settings = {
        "window": 4,
        "horizon": 2,
        "first_cuts": torch.tensor([2, 3]),
        "last_cuts": torch.tensor([7, 4]),
    }
    return cut_windows(store(), **{**settings, **changes})


def test_every_window_is_the_values_around_its_cut():
    split = windows()
    assert len(split) == 6 + 2
    batch = split.batch(torch.arange(len(split)))
    seen = []
    for row in range(len(split)):
        length = int(batch.lengths[row])
        history = batch.inputs[row, :length]
        targets = batch.targets[row, :, 0]
        assert (history[1:, 0] - history[:-1, 0] == 1).all()
        assert targets.tolist() == [history[-1, 0] + 1, history[-1, 0] + 2]
        assert (history[:, 1] == -history[:, 0]).all()
        start = 100 if history[0, 0] < 200 else 200
        assert (history[:, 2] == history[:, 0] - start).all()
        assert batch.context.future[row, :, 0].tolist() == (targets - start).tolist()
        assert int(batch.context.age[row]) == targets[0] - start
        seen.append((start, int(batch.context.age[row])))
        # Nothing of the future stands behind a short history.
        assert (batch.inputs[row, length:] == 0).all()
    assert seen == [(100, cut) for cut in range(2, 8)] + [(200, 3), (200, 4)]
    assert batch.lengths.tolist() == [2, 3, 4, 4, 4, 4, 3, 4]
    assert split.lengths.tolist() == batch.lengths.tolist()


def test_stride():
    split = windows(stride=2)
    _, cuts = split.locate(torch.arange(len(split)))
    assert cuts.tolist() == [2, 4, 6, 3]


def test_a_batch_is_cut_at_its_longest_history():
    assert windows().batch(torch.tensor([0, 1])).inputs.shape[1] == 3


def test_a_series_without_windows_is_passed_over():
    split = windows(last_cuts=torch.tensor([1, 4]))
    series, cuts = split.locate(torch.arange(len(split)))
    assert series.tolist() == [1, 1]
    assert cuts.tolist() == [3, 4]


def test_the_loader_hands_out_every_window_once():
    split = windows()
    sampler = LengthBucketSampler(split.lengths, batch_size=3, shuffle=True)
    found = [
        (int(series), int(age))
        for batch in BatchLoader(split, sampler)
        for series, age in zip(batch.context.series, batch.context.age, strict=True)
    ]
    assert len(found) == len(set(found)) == len(split)


def test_scales_come_from_before_the_first_forecast():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 1000.0])
    other = SeriesStore.from_series([Series(values=values)])
    cut = torch.tensor([5])
    split = cut_windows(other, window=5, horizon=1, first_cuts=cut, last_cuts=cut)
    past = values[:5]
    assert split.naive_error.item() == pytest.approx(np.abs(np.diff(past)).mean())
    assert split.naive_square.item() == pytest.approx((np.diff(past) ** 2).mean())
    assert split.deviation.item() == pytest.approx(past.std())
    season = cut_windows(other, window=5, horizon=1, first_cuts=cut, last_cuts=cut, period=2)
    assert season.naive_error.item() == pytest.approx(np.abs(past[2:] - past[:-2]).mean())


def test_beyond_the_end_the_targets_are_missing_and_covariates_needed():
    split = future_windows(store(known=2), window=4, horizon=2)
    batch = split.batch(torch.arange(2))
    assert batch.inputs[:, -1, 0].tolist() == [108, 205]
    assert batch.targets.isnan().all()
    assert batch.context.future[:, :, 0].tolist() == [[9, 10], [6, 7]]
    with pytest.raises(InputError, match=r"'100'.*up to 9 only.*up to 10"):
        future_windows(store(known=1), window=4, horizon=2)


def test_windows_keep_no_copy_of_the_series():
    split = windows()
    split.store.values[0, 0] = -5.0
    assert split.batch(torch.tensor([0])).inputs[0, 0, 0] == -5.0


def test_a_split_holds_little_beside_its_series():
    long = SeriesStore.from_array(np.random.default_rng(0).random((50, 2000, 1), np.float32))
    ends = torch.full((50,), 1990)
    split = cut_windows(long, window=48, horizon=10, first_cuts=ends - 1900, last_cuts=ends)
    tensors = [value for value in vars(split).values() if isinstance(value, torch.Tensor)]
    held = sum(tensor.nbytes for tensor in tensors) + split.lengths.untyped_storage().nbytes()
    assert len(split) == 50 * 1901
    assert held < 0.05 * long.values.nbytes
