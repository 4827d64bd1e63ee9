"""Precision below which nothing is measured."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_single(values: Tensor) -> Tensor:
    """The values in float32 if they are in a reduced precision; else as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
