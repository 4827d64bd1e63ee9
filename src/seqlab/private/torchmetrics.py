"""What we use of TorchMetrics that is not its to show. Tried with torchmetrics 1.9.0."""

from __future__ import annotations

from torchmetrics import Metric


def set_update_count(metric: Metric, updates: int) -> None:
    """Makes a metric whose states were put back know that it was updated.

    The public `load_state_dict` puts back states alone, and `compute` then warns of none.
    """
    metric._update_count = updates
    metric._computed = None
