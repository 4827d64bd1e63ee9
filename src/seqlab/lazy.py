"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy(package: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose modules take long to import.

    It imports a name of `__all__` from where the package's `if TYPE_CHECKING` block has it from.
    So each name is written as in any other package, for people and type checkers alike.
    """

    @cache
    def places() -> dict[str, str]:
        source = Path(str(sys.modules[package].__file__)).read_text(encoding="utf-8")
        imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        return {alias.name: str(node.module) for node in imports for alias in node.names}

    def find(name: str) -> Any:
        module: Any = sys.modules[package]
        if name not in module.__all__:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places()[name]), name)
        setattr(module, name, value)
        return value

    return find
