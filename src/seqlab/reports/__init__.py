"""Many runs: tables, statistics, plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.reports.compare import compare_folders, show, text, write
    from seqlab.reports.comparison import Comparison

__all__ = ["Comparison", "compare_folders", "show", "text", "write"]
__getattr__ = lazy(__name__)
