"""Series split in time into windows to train on, to validate on and to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from seqlab.data.series import SeriesStore
from seqlab.data.series_checks import check_observed, persistence_score, tell_unscaled
from seqlab.data.spec import SeriesSpec, Spec
from seqlab.data.synthetic import Split
from seqlab.data.windows import Windows, cut_windows, future_windows
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class SeriesDataset(ABC):
    """Windows of series, split in time.

    The last `test_steps` values of each series are forecast for the test, the `val_steps` before
    them for validation, all earlier ones for training. No window's horizon crosses from one part
    into the next; a history may reach back into the part before, as the past is known.

    Args:
        window: longest history.
        min_window: shortest history, where a series has no more; `window` if None.
        horizon: steps to forecast.
        val_steps: values of each series to validate on; at least the horizon.
        test_steps: values of each series to test on; at least the horizon.
        stride: steps from one window's cut to the next, in all three parts.
        constant: "keep" lets a series be constant in training, and leaves it out of scaled
            metrics, which are absent where no series is left; "error" refuses it.

    Raises:
        InputError: a size below 1, a part shorter than the horizon, a series that is too short
            for the three parts, or one that is constant, or a part without a value to forecast.
    """

    window: int = 48
    min_window: int | None = None
    horizon: int = 12
    val_steps: int = 24
    test_steps: int = 24
    stride: int = 1
    constant: Literal["error", "keep"] = "error"

    def __post_init__(self) -> None:
        check_at_least("task.horizon", self.horizon)
        for name in ("window", "stride"):
            check_at_least(f"data.{name}", getattr(self, name))
        for name in ("val_steps", "test_steps"):
            if getattr(self, name) < self.horizon:
                raise InputError(
                    f"data.{name}={getattr(self, name)} is shorter than the horizon of "
                    f"{self.horizon} (task.horizon); raise the one or lower the other"
                )
        if self.min_window is not None and not 1 <= self.min_window <= self.window:
            raise InputError(
                f"data.min_window={self.min_window} must be from 1 to data.window={self.window}, "
                "or null for the same"
            )
        if self.constant not in ("error", "keep"):
            raise InputError(f"data.constant={self.constant!r} must be error or keep")

    @property
    @abstractmethod
    def metric(self) -> Literal["mse", "mae", "mase"]:
        """The headline metric."""

    @property
    @abstractmethod
    def season(self) -> int:
        """Steps of a season; 1 for none."""

    @property
    @abstractmethod
    def best_score(self) -> float | None:
        """The best possible headline metric; None where nobody knows."""

    @abstractmethod
    def make_store(self) -> SeriesStore:
        """Makes or reads the series."""

    @cached_property
    def store(self) -> SeriesStore:
        """The series, checked."""
        store = self.make_store()
        self._check_lengths(store)
        if self.constant == "error":
            self._check_constant(store)
        return store

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "val", "test")

    def split(self, name: Split) -> Windows:
        """Cuts the windows of one split.

        Raises:
            InputError: the split does not exist, or holds no value to forecast.
        """
        store = self.store
        train_end = store.lengths - self.val_steps - self.test_steps
        val_end = store.lengths - self.test_steps
        shortest = torch.full_like(train_end, self.shortest)
        bounds = {
            "train": (shortest, train_end),
            "val": (train_end, val_end),
            "test": (val_end, store.lengths),
        }
        if name not in bounds:
            raise InputError(f"there is no split {name!r} of series; use train, val or test")
        begin, end = bounds[name]
        windows = self.cut(store, begin, end, train_end if name == "train" else begin)
        check_observed(windows, name)
        return windows

    def cut(self, store: SeriesStore, begin: Tensor, end: Tensor, scale_until: Tensor) -> Windows:
        """Cuts every window whose horizon lies between two points of its series.

        Args:
            store: the series.
            begin: (series,) the first value that is forecast.
            end: (series,) the value behind the last that is forecast.
            scale_until: (series,) the value behind the last that the metrics' scale may see.
        """
        return cut_windows(
            store,
            window=self.window,
            horizon=self.horizon,
            first_cuts=begin,
            last_cuts=end - self.horizon,
            stride=self.stride,
            period=self.season,
            scale_until=scale_until,
        )

    @property
    def shortest(self) -> int:
        """The shortest history of any window."""
        return self.window if self.min_window is None else self.min_window

    def future(self) -> Windows:
        """Cuts one window a series, to forecast what comes after its end."""
        return future_windows(
            self.store, window=self.window, horizon=self.horizon, period=self.season
        )

    @cached_property
    def spec(self) -> Spec:
        store = self.store
        location, scale = self._covariate_statistics(store)
        low = divmod(int(store.values.nan_to_num(torch.inf).argmin()), store.values.shape[1])
        wrong = (store.values < 0) | (store.values != store.values.round())
        wrong = (wrong & store.values.isfinite()).nonzero()
        sizes = [0 if part is None else part.shape[1] for part in (store.past, store.known)]
        finite = store.values[~store.values.isnan()]
        splits: dict[Split, Windows] = {name: self.split(name) for name in self.splits}
        if self.constant == "keep":
            tell_unscaled({name: splits[name] for name in ("val", "test")})
        return Spec(
            task="forecasting",
            kind="values",
            input_size=store.values.shape[1] + sum(sizes),
            output_size=store.values.shape[1],
            metric=self.metric,
            trivial=persistence_score(splits["test"], self.metric),
            optimum=self.best_score,
            series=SeriesSpec(
                horizon=self.horizon,
                period=self.season,
                past_size=sizes[0],
                known_size=sizes[1],
                static_size=0 if store.static is None else store.static.shape[1],
                num_series=len(store),
                missing=len(finite) < store.values.numel(),
                covariate_location=tuple(location.tolist()),
                covariate_scale=tuple(scale.tolist()),
                smallest=store.observation(*low),
                not_a_count=store.observation(*wrong[0].tolist()) if len(wrong) else None,
                names=store.names,
            ),
        )

    def _check_lengths(self, store: SeriesStore) -> None:
        need = self.shortest + self.horizon + self.val_steps + self.test_steps
        short = (store.lengths < need).nonzero()
        if len(short):
            number = int(short[0])
            length = int(store.lengths[number])
            raise InputError(
                f"series {store.names[number]!r} ends at {store.time(number, length - 1)} after "
                f"{length} values, but {need} are needed: {self.shortest} of history, "
                f"{self.horizon} of horizon, {self.val_steps} to validate and {self.test_steps} "
                f"to test; lower data.min_window, task.horizon, data.val_steps or "
                "data.test_steps, or leave the series out"
            )

    def _check_constant(self, store: SeriesStore) -> None:
        ends = (store.starts[1:] - self.val_steps - self.test_steps).tolist()
        for number, (begin, end) in enumerate(zip(store.starts[:-1].tolist(), ends, strict=True)):
            part = store.values[begin:end]
            low = part.nan_to_num(torch.inf).amin(dim=0)
            high = part.nan_to_num(-torch.inf).amax(dim=0)
            if bool((high <= low).any()):
                what = "has no value" if bool((high < low).any()) else "is constant"
                raise InputError(
                    f"series {store.names[number]!r} {what} from {store.time(number, 0)} to "
                    f"{store.time(number, end - begin - 1)}, all that there is to train on, and "
                    "has no scale; leave it out, or set data.constant=keep"
                )

    def _covariate_statistics(self, store: SeriesStore) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of all covariates over the training part."""
        training = (store.lengths - self.val_steps - self.test_steps).tolist()
        parts = []
        for table, starts in ((store.past, store.starts), (store.known, store.known_starts)):
            if table is not None and starts is not None:
                ends = [a + n for a, n in zip(starts[:-1].tolist(), training, strict=True)]
                parts.append(
                    torch.cat(
                        [table[a:b].double() for a, b in zip(starts.tolist(), ends, strict=False)]
                    )
                )
        if store.static is not None:
            parts.append(store.static.double())
        if not parts:
            return torch.zeros(0), torch.ones(0)
        location = torch.cat([part.mean(dim=0) for part in parts])
        scale = torch.cat([part.std(dim=0, correction=0) for part in parts])
        return location, torch.where(scale > 0, scale, 1.0)
