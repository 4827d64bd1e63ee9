"""Series as they were at an earlier time, to train on as one would have then."""

from __future__ import annotations

from dataclasses import dataclass

from seqlab.data.series import SeriesStore
from seqlab.data.series_checks import check_observed
from seqlab.data.series_dataset import SeriesDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Split
from seqlab.data.windows import Windows
from seqlab.errors import InputError


@dataclass(kw_only=True)
class PastSeries:
    """A dataset whose series end earlier: no value behind their ends is in it.

    The last `val_steps` values are to validate on, all earlier ones to train on; nothing is left to
    test on. What the spec tells stays that of the dataset, whose statistics are of its first part.

    Attributes:
        dataset: says how windows are cut.
        store: its series up to some earlier time (`SeriesStore.head`).
    """

    dataset: SeriesDataset
    store: SeriesStore

    @property
    def spec(self) -> Spec:
        return self.dataset.spec

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "val")

    def split(self, name: Split) -> Windows:
        """Cuts the windows of one split.

        Raises:
            InputError: the split does not exist or holds no value, or a series is too short for
                both.
        """
        data, lengths = self.dataset, self.store.lengths
        need = data.shortest + data.horizon + data.val_steps
        short = (lengths < need).nonzero()
        if len(short):
            number = int(short[0])
            raise InputError(
                f"series {self.store.names[number]!r} has {int(lengths[number])} values before "
                f"the first origin, but {need} are needed to train on: {data.shortest} of history, "
                f"{data.horizon} of horizon and {data.val_steps} to validate; lower backtest.steps"
            )
        train_end = lengths - data.val_steps
        bounds = {
            "train": (lengths.new_full(lengths.shape, data.shortest), train_end),
            "val": (train_end, lengths),
        }
        if name not in bounds:
            raise InputError(f"there is no split {name!r} of past series; use train or val")
        begin, end = bounds[name]
        windows = data.cut(self.store, begin, end, train_end)
        check_observed(windows, name)
        return windows
