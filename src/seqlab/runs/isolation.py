"""Keeps a run from changing what comes after it in the same process."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def isolated(script: str, arguments: Sequence[str]) -> Iterator[None]:
    """Puts back environment, arguments, warnings, log filters and torch's settings afterwards.

    Args:
        script: what Python runs where Lightning starts further processes of the run.
        arguments: a command line of this run alone, for the same.
    """
    environment, argv, format_warning = dict(os.environ), sys.argv, warnings.formatwarning
    sys.argv = [script, *arguments]
    program = sys.modules["__main__"]
    spec, program.__spec__ = program.__spec__, None  # a program run by `python -m` has one
    # Imported by the first run; what it finds set is what every run finds.
    torch: Any = sys.modules.get("torch")
    settings = None if torch is None else _settings(torch)
    filters = {handler: list(handler.filters) for handler in _lightning_handlers()}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.argv, warnings.formatwarning = argv, format_warning
        program.__spec__ = spec
        os.environ.clear()
        os.environ.update(environment)
        for handler in _lightning_handlers():
            handler.filters = filters.get(handler, [])
        torch = sys.modules.get("torch")
        if torch is not None:
            distributed = torch.distributed
            if distributed.is_available() and distributed.is_initialized():
                distributed.destroy_process_group()
            _restore(torch, settings)
        gc.collect()
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _lightning_handlers() -> list[logging.Handler]:
    names = ("lightning", "lightning.pytorch", "lightning.fabric")
    return [handler for name in names for handler in logging.getLogger(name).handlers]


def _settings(torch: Any) -> dict[str, Any]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "dtype": torch.get_default_dtype(),
    }


def _restore(torch: Any, settings: dict[str, Any] | None) -> None:
    if settings is None:  # torch came with the job: its settings at import
        settings = {
            "deterministic": False,
            "warn_only": False,
            "cudnn_deterministic": False,
            "cudnn_benchmark": False,
            "matmul_precision": "highest",
            "dtype": torch.float32,
        }
    torch.use_deterministic_algorithms(settings["deterministic"], warn_only=settings["warn_only"])
    torch.backends.cudnn.deterministic = settings["cudnn_deterministic"]
    torch.backends.cudnn.benchmark = settings["cudnn_benchmark"]
    torch.set_float32_matmul_precision(settings["matmul_precision"])
    torch.set_default_dtype(settings["dtype"])
