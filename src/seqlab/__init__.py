"""SeqLab: experiments with recurrent and attention sequence models.

The packages stand in one direction, and none imports from its right:
`data` and `nn`, `networks`, `tasks`, `callbacks`, `runs`, `sweeps` and `reports`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.errors import InputError
    from seqlab.runs import Run, train

__version__ = "0.1.0"
__all__ = ["InputError", "Run", "__version__", "train"]
__getattr__ = lazy(__name__)
