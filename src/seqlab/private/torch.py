"""What we use of PyTorch's optimisers and schedules that is not theirs to show.

Tried with torch 2.13.0. What is private of it in `nn` stands in `nn/kernels`.
"""

from __future__ import annotations

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler


def set_last_rates(scheduler: LRScheduler, rates: list[float | Tensor]) -> None:
    """Sets what `get_last_lr` says, which loggers read, without taking a step."""
    scheduler._last_lr = rates
