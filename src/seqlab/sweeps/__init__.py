"""Many runs of one command: which there are, which are left to do, and doing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.sweeps.launching import Workers

__all__ = ["Workers"]
__getattr__ = lazy(__name__)
