"""Where a definition finds its fast kernels, and the switch that turns them off.

A definition is a cell's class, `(class, "step")` for one step of it, or a function. Its kernels
live in `seqlab.nn.kernels`, which this module alone imports. Without that folder, or switched off,
every definition runs as it is written: slower, with the same results.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch


class Kernel(NamedTuple):
    """One fast implementation of a definition.

    Attributes:
        run: gives what the definition gives, to rounding.
        applies: the guard: whether it can run on what is given. It takes the arguments of `run`.
    """

    run: Callable[..., Any]
    applies: Callable[..., bool] = lambda *_: True


_switched_off = False


@contextmanager
def kernels_off(off: bool = True) -> Iterator[None]:
    """No kernel runs inside this block, or again every kernel does. Gradients of gradients need it.

    Args:
        off: false switches them on.
    """
    global _switched_off  # noqa: PLW0603 — the one switch
    before, _switched_off = _switched_off, off
    try:
        yield
    finally:
        _switched_off = before


def kernel_of(definition: Hashable, *given: Any) -> Callable[..., Any] | None:
    """The first kernel of a definition that applies to what is given; None for none.

    A compiler gets the definition, which it can look into. A subclass of a cell is another
    definition, and has no kernel of its parent.
    """
    if _switched_off or torch.compiler.is_compiling():
        return None
    for kernel in _table().get(definition, ()):
        if kernel.applies(*given):
            return kernel.run
    return None


@cache
def _table() -> Mapping[Hashable, tuple[Kernel, ...]]:
    # Read at the first call: kernels import the definitions that they are equal to.
    found = importlib.util.find_spec("seqlab.nn.kernels")
    if found is None or found.origin is None:  # the latter for a folder without files
        return {}
    from seqlab.nn.kernels import KERNELS

    return KERNELS
