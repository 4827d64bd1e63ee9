"""What we use of PyTorch's TensorBoard writer that is not its to show.

Tried with torch 2.13.0 and tensorboard 2.21.
"""

from __future__ import annotations

from typing import Any


def summary_writer(logger: Any) -> Any:
    """What a logger writes TensorBoard's summaries with, as they are; None where it writes none.

    The public `add_image` would decode a PNG and encode it again, and `add_hparams` would begin a
    run of its own beside this one.
    """
    find = getattr(getattr(logger, "experiment", None), "_get_file_writer", None)
    return None if find is None else find()
