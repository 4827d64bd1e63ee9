"""How a network's weights are rounded, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins import HalfPrecision
from torch import nn


class HalfWeights(HalfPrecision):
    """`bf16-true` and `16-true`: rounds parameters, but neither batches nor buffers.

    Lightning's own plugin rounds the targets too, so that a forecaster is measured against a
    rounded truth: 1001 is 1000 in bfloat16. Networks cast what they read; buffers hold constants
    such as quantile levels and the margins of calibrated intervals.
    """

    def convert_module(self, module: nn.Module) -> nn.Module:
        kept = [
            (owner, name, buffer)
            for owner in module.modules()
            for name, buffer in owner.named_buffers(recurse=False)
        ]
        module.to(torch.bfloat16 if self.precision == "bf16-true" else torch.float16)
        for owner, name, buffer in kept:
            setattr(owner, name, buffer)
        return module

    def convert_input(self, data: Any) -> Any:
        return data
