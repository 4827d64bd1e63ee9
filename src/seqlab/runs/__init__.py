"""A run's folder: write, load, evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.runs.folder import RunFolder
    from seqlab.runs.rolling import RollingOrigin
    from seqlab.runs.run import Run
    from seqlab.runs.training import train

__all__ = ["RollingOrigin", "Run", "RunFolder", "train"]
__getattr__ = lazy(__name__)
