"""What a meter has accumulated, as plain values that a checkpoint can hold."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchmetrics import Metric

from seqlab.private.torchmetrics import set_update_count


def meter_state(meter: Metric) -> dict[str, Any]:
    """The accumulated state of a metric and of the metrics in it, by name."""
    return {
        name: {"updates": part.update_count, "values": dict(part.metric_state)}
        for name, part in _parts(meter).items()
    }


def restore_meter(meter: Metric, state: dict[str, Any]) -> None:
    """Puts a metric into the state that `meter_state` found."""
    for name, part in _parts(meter).items():
        for key, value in state[name]["values"].items():
            setattr(part, key, value)
        set_update_count(part, state[name]["updates"])


def _parts(meter: nn.Module) -> dict[str, Metric]:
    return {name: part for name, part in meter.named_modules() if isinstance(part, Metric)}
