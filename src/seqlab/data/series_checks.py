"""What a split of series lacks, found before anything is trained on it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqlab.data.baselines import naive
from seqlab.data.synthetic import Split
from seqlab.data.windows import Windows
from seqlab.errors import InputError

# Windows looked at together, and series named in a message.
CHUNK = 4096
NAMED = 3


def check_observed(windows: Windows, name: Split) -> None:
    """Checks that each channel has a value to forecast in some window of a split.

    Raises:
        InputError: all are missing: there is nothing to train on or to measure.
    """
    store = windows.store
    if not store.values.isnan().any():
        return
    observed = torch.zeros(store.values.shape[1], dtype=torch.int64)
    for indices in torch.arange(len(windows)).split(CHUNK):
        observed += (~windows.targets(indices).isnan()).sum((0, 1))
    empty = (observed == 0).nonzero().flatten().tolist()
    if not empty:
        return
    first = int(windows.first_cuts[0])
    last = first + (int(windows.counts[0]) - 1) * windows.stride + windows.horizon - 1
    channel = "" if len(observed) == 1 else f" in target {empty[0] + 1} of {len(observed)}"
    raise InputError(
        f"the {name} split holds no value{channel}: all of series {_named(store.names)} is missing "
        f"from {store.time(0, first)} to {store.time(0, last)}; fill in values, leave out the "
        "end of the series, or move the split by data.val_steps and data.test_steps"
    )


def tell_unscaled(splits: Mapping[Split, Windows]) -> None:
    """Says where no series has a scale for MASE and other scaled metrics."""
    without = [
        name
        for name, windows in splits.items()
        if not ((windows.naive_error > 0) & (windows.deviation > 0)).any()
    ]
    if without:
        store = next(iter(splits.values())).store
        warnings.warn(
            f"mase, rmsse and the scaled_ metrics of {' and '.join(without)} cannot be computed "
            f"and are left out: the past is constant, or repeats itself, in series "
            f"{_named(store.names)}",
            stacklevel=2,
        )


def persistence_score(windows: Windows, metric: str) -> float | None:
    """The metric (mse, mae or mase) of the last-value forecast; None where there is none."""
    total, count = 0.0, 0
    for indices in torch.arange(len(windows)).split(CHUNK):
        error = _persistence_error(windows, indices, metric)
        counted = error[error.isfinite()]
        total, count = total + float(counted.sum()), count + len(counted)
    return total / count if count else None


def _persistence_error(windows: Windows, indices: Tensor, metric: str) -> Tensor:
    batch = windows.batch(indices)
    history = batch.inputs[..., : batch.targets.shape[-1]]
    error = batch.targets - naive(history, batch.lengths, windows.horizon)
    error = error.square() if metric == "mse" else error.abs()
    if metric == "mase" and batch.context is not None:
        error = error / batch.context.naive_error[:, None]
    return error


def _named(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
