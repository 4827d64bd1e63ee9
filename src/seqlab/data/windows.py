"""Windows of series: ranges of rows of the one store, gathered when a batch asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqlab.data.batch import Batch, SeriesContext, loss_weights
from seqlab.data.examples import fingerprint
from seqlab.data.series import SeriesStore
from seqlab.errors import InputError


@dataclass(kw_only=True)
class Windows:
    """A split's windows: each a history and the horizon behind it.

    A window is told by its series and its cut, the number of the series' values before the
    forecast. No list of windows is kept: window number n belongs to the series whose range of
    numbers holds n.

    Attributes:
        store: the series.
        window: longest history; a window near the series' start has a shorter one.
        horizon: steps to forecast.
        first_cuts: (series,) the first window's cut.
        counts: (series,) how many windows each series has.
        stride: steps from one cut to the next.
        period: steps of a season; 1 for none.
        naive_error, naive_square, deviation: (series, channel), see `SeriesContext`.
    """

    store: SeriesStore
    window: int
    horizon: int
    first_cuts: Tensor
    counts: Tensor
    stride: int = 1
    period: int = 1
    naive_error: Tensor
    naive_square: Tensor
    deviation: Tensor
    ends: Tensor = field(init=False)
    first: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.ends = self.counts.cumsum(0)
        self.first = _first_values(self.store)
        self._seasons = seasonal_values(self.store, self.period) if self.period > 1 else None
        last_cuts = self.first_cuts + (self.counts - 1) * self.stride
        self._in_past = bool((last_cuts + self.horizon <= self.store.lengths).all())
        if self.store.known_starts is not None:
            reach = self.store.known_starts.diff()
            short = (self.counts > 0) & (last_cuts + self.horizon > reach)
            if short.any():
                number = int(short.nonzero()[0])
                raise InputError(
                    f"series {self.store.names[number]!r} has known covariates up to "
                    f"{self.store.time(number, int(reach[number]) - 1)} only, but a forecast of "
                    f"{self.horizon} steps needs them up to "
                    f"{self.store.time(number, int(last_cuts[number]) + self.horizon - 1)}; give "
                    "them for the future too, or make them past covariates"
                )

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def lengths(self) -> Tensor:
        """(windows,) the length of each history."""
        if bool((self.first_cuts >= self.window).all()):
            return torch.tensor(self.window).expand(len(self))
        _, cuts = self.locate(torch.arange(len(self)))
        return cuts.clamp(max=self.window)

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two splits share only if they ask for the same values.

        How much history a window shows is the reader's choice, and left out.
        """
        cuts = (self.first_cuts, self.counts, torch.tensor([self.horizon, self.stride]))
        return fingerprint((self.store.values, self.store.starts, *cuts))

    def loss_weights(self, indices: Tensor) -> Tensor:
        """(indices,) how much each window counts in a mean loss; see `batch.loss_weights`."""
        return loss_weights(self.targets(indices))

    def targets(self, indices: Tensor) -> Tensor:
        """(indices, horizon, channel) what is to be forecast, NaN where missing."""
        return self._targets(*self.locate(indices))

    def locate(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The series and the cut of each window, (windows,) both."""
        # A device's share of a batch lies apart in memory.
        series = torch.searchsorted(self.ends, indices.contiguous(), right=True)
        number = indices - (self.ends - self.counts)[series]
        return series, self.first_cuts[series] + number * self.stride

    def batch(self, indices: Tensor, share: float = 1.0) -> Batch:
        """Gathers the windows at `indices`, cut at the longest history among them.

        Values are in float64: a network finds their frame and then reads them in its precision.
        """
        store = self.store
        series, cuts = self.locate(indices)
        lengths = cuts.clamp(max=self.window)
        steps = torch.arange(int(lengths.max()))
        ahead = torch.arange(self.horizon)
        begin = store.starts[series] + cuts
        rows = (begin - lengths)[:, None] + steps
        features = [_rows(store.values, rows)]
        if store.past is not None:
            features.append(_rows(store.past, rows))
        future = None
        if store.known is not None and store.known_starts is not None:
            known_begin = store.known_starts[series] + cuts
            features.append(_rows(store.known, (known_begin - lengths)[:, None] + steps))
            future = _rows(store.known, known_begin[:, None] + ahead)
        inputs = features[0] if len(features) == 1 else torch.cat(features, dim=-1)
        if int(lengths.min()) < len(steps):
            # Behind a short history stands what comes after it, which nobody may see.
            inputs = inputs.masked_fill((steps >= lengths[:, None])[..., None], 0.0)
        return Batch(
            inputs=inputs,
            lengths=lengths,
            targets=self._targets(series, cuts),
            share=share,
            indices=indices,
            context=SeriesContext(
                series=series,
                age=cuts,
                first=self.first[series],
                naive_error=self.naive_error[series],
                naive_square=self.naive_square[series],
                deviation=self.deviation[series],
                season=self._season(series, cuts),
                future=future,
                static=None if store.static is None else store.static[series].double(),
            ),
        )

    def _season(self, series: Tensor, cuts: Tensor) -> Tensor | None:
        """(windows, horizon, channel) the seasonal naive forecast of each window."""
        if self._seasons is None:
            return None
        before = cuts[:, None] - self.period + torch.arange(self.horizon) % self.period
        found = _rows(self._seasons, (self.store.starts[series][:, None] + before).clamp(min=0))
        return found.masked_fill((before < 0)[..., None], torch.nan)

    def _targets(self, series: Tensor, cuts: Tensor) -> Tensor:
        """(windows, horizon, channel) what stands behind each cut, NaN beyond the series' end."""
        store, ahead = self.store, torch.arange(self.horizon)
        targets = _rows(store.values, (store.starts[series] + cuts)[:, None] + ahead)
        if self._in_past:
            return targets
        beyond = cuts[:, None] + ahead >= store.lengths[series][:, None]
        return targets.masked_fill(beyond[..., None], torch.nan)


def cut_windows(
    store: SeriesStore,
    *,
    window: int,
    horizon: int,
    first_cuts: Tensor,
    last_cuts: Tensor,
    stride: int = 1,
    period: int = 1,
    scale_until: Tensor | None = None,
) -> Windows:
    """Cuts every series at `first_cuts`, and on in steps of `stride` up to `last_cuts`.

    Args:
        store: the series.
        window: longest history.
        horizon: steps to forecast.
        first_cuts: (series,) values before the first forecast of each series.
        last_cuts: (series,) values before the last one; below the first for no window.
        stride: steps from one cut to the next.
        period: steps of a season, for the scales of MASE and RMSSE.
        scale_until: (series,) how many values of each series the metrics' scales are taken from;
            `first_cuts` if None, so that no scale sees what is to be forecast.
    """
    until = first_cuts if scale_until is None else scale_until
    error, square, deviation = _scales(store, until, period)
    counts = ((last_cuts - first_cuts) // stride + 1).clamp(min=0)
    return Windows(
        store=store,
        window=window,
        horizon=horizon,
        first_cuts=first_cuts,
        counts=counts,
        stride=stride,
        period=period,
        naive_error=error,
        naive_square=square,
        deviation=deviation,
    )


def future_windows(store: SeriesStore, *, window: int, horizon: int, period: int = 1) -> Windows:
    """One window a series, whose horizon lies behind the series' end; its targets are NaN.

    Raises:
        InputError: known covariates do not reach to the horizon's end.
    """
    lengths = store.lengths
    return cut_windows(
        store, window=window, horizon=horizon, first_cuts=lengths, last_cuts=lengths, period=period
    )


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    flat = rows.flatten().clamp(max=len(table) - 1)
    return table.index_select(0, flat).view(*rows.shape, -1).double()


def _first_values(store: SeriesStore) -> Tensor:
    """Each series' first observed value, (series, channel)."""
    first = store.values[store.starts[:-1]].double()
    for number, channel in first.isnan().nonzero().tolist():
        column = store.values[store.starts[number] : store.starts[number + 1], channel]
        first[number, channel] = column[~column.isnan()][0]
    return first


def seasonal_values(store: SeriesStore, period: int) -> Tensor:
    """The store's values, a missing one filled with the last that was seen at its season's step.

    Computed once for each period of a store; the store's own tensor where nothing is missing.
    """
    if period not in store.seasonal_values:
        store.seasonal_values[period] = _fill_by_season(store, period)
    return store.seasonal_values[period]


def _fill_by_season(store: SeriesStore, period: int) -> Tensor:
    if not store.values.isnan().any():
        return store.values
    found = store.values.clone()
    for begin, end in zip(store.starts[:-1].tolist(), store.starts[1:].tolist(), strict=True):
        for phase in range(begin, min(begin + period, end)):
            values = store.values[phase:end:period]
            number = torch.arange(len(values))[:, None].expand_as(values)
            last = torch.where(values.isnan(), -1, number).cummax(dim=0).values
            carried = values.gather(0, last.clamp(min=0))
            found[phase:end:period] = torch.where(last < 0, torch.nan, carried)
    return found


def _scales(store: SeriesStore, until: Tensor, period: int) -> tuple[Tensor, Tensor, Tensor]:
    """In-sample seasonal naive errors and standard deviations before `until`, by series.

    With no more than one season of values the errors are those of the last-value forecast.
    """
    error = torch.zeros(len(store), store.values.shape[1], dtype=torch.float64)
    square, deviation = torch.zeros_like(error), torch.zeros_like(error)
    for number, (begin, count) in enumerate(
        zip(store.starts[:-1].tolist(), until.tolist(), strict=True)
    ):
        past = store.values[begin : begin + count].double()
        lag = period if count > period else 1
        change = past[lag:] - past[:-lag]
        error[number] = change.abs().nanmean(dim=0).nan_to_num()
        square[number] = change.square().nanmean(dim=0).nan_to_num()
        centred = past - past.nanmean(dim=0)
        deviation[number] = centred.square().nanmean(dim=0).sqrt().nan_to_num()
    return error, square, deviation
