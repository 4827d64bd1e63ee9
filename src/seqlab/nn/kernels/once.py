"""Gradients by hand, which have no gradient themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

from seqlab.errors import InputError

Backward = TypeVar("Backward", bound=Callable[..., Any])


def differentiable_once(backward: Backward) -> Backward:
    """A backward pass written by hand: refuses to be part of a graph of gradients.

    PyTorch's `once_differentiable` complains only where the second derivative runs into it;
    `torch.autograd.grad` can pass it by and leave a term out without a word.

    Raises:
        InputError: the gradients are computed with `create_graph=True`.
    """

    @wraps(backward)
    def checked(ctx: Any, *gradients: Any) -> Any:
        if torch.is_grad_enabled():
            raise InputError(
                "gradients of gradients (create_graph=True) cannot go through a fast kernel; give "
                "recurrent layers kernel='reference', or compute all of it inside "
                "seqlab.nn.kernel_table.kernels_off()"
            )
        return backward(ctx, *gradients)

    return checked  # type: ignore[return-value]
