"""What `torch.compile` leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """Runs as it is in a compiled network: for loops over time.

    The compiler would write such a loop out, and anew for every length.
    """
    return torch.compiler.disable(function)  # type: ignore[return-value]
