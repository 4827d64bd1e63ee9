"""Values of the configuration against the annotated types of what they become."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from beartype.door import is_bearable

from seqlab.instantiation import locate
from seqlab.value_types import annotated_types, fits, told
from tests.conftest import ROOT

TARGETS = sorted(
    {
        target
        for path in (ROOT / "conf").rglob("*.yaml")
        for target in re.findall(r"^\s*_target_:\s*(\S+)", path.read_text(), re.MULTILINE)
    }
    | {"lightning.Trainer"}
)


@pytest.mark.parametrize("path", TARGETS)
def test_every_argument_has_a_type_that_can_be_checked(path):
    target = locate(path, "test")
    hints = annotated_types(target)
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        assert hints.get(name, Any) is not Any, name
        is_bearable(object(), hints[name])  # raises for a type that it cannot check


# By annotation: values that fit, and values that do not.
CASES: dict[Any, tuple[list[Any], list[Any]]] = {
    int: ([3, -1], [3.0, True, "3", None, [3], {"a": 1}, {"_target_": "x"}]),
    float: ([3, 0.5], [True, "x", None, float("nan"), float("inf")]),
    bool: ([True, False], [0, 1, "no", "maybe", None]),
    str: (["x"], [3, None, True]),
    int | None: ([3, None], [True, 3.5, "null"]),
    int | float: ([3, 3.5], [True, float("-inf")]),
    int | bool: ([3, True], [3.5]),
    Literal["a", "b"]: (["a"], ["c", None, {"_target_": "x"}]),
    Sequence[int] | None: ([[1, 2], None], [[1.5], [True, 1], 3, [{"_target_": "x"}]]),
    Sequence[float]: ([[1, 2.5]], [[float("inf"), 1], ["x"]]),
    tuple[float, float]: ([[0.9, 0.99]], [[0.9], 0.9]),
    Mapping[str, Any]: ([{"a": 1}, {"a": True}], [3, "x"]),
    str | Path: (["x"], [3]),
    Callable[[int], int]: ([{"_target_": "x"}], ["x", 3, None, {}]),
    Any: ([3, "x", None, True, {"a": 1}], []),
}


@pytest.mark.parametrize("hint", CASES, ids=str)
def test_fits(hint):
    right, wrong = CASES[hint]
    for value in right:
        assert fits(value, hint), value
    for value in wrong:
        assert not fits(value, hint), value


def test_in_words():
    assert told(int | None) == "a whole number or null"
    assert told(Sequence[float]) == "a list of numbers"
    assert told(tuple[float | Path, float | Path]) == "a list of 2 numbers"
    assert told(Literal["a", "b"] | None) == "one of a, b or null"
    assert told(Callable[[int], int]) == "a section with _target_"


Size = int | None


@dataclass(kw_only=True)
class Base:
    """Its annotations are of its own module."""

    size: Size = 3


def test_inherited_fields_of_a_dataclass(monkeypatch):
    # A module of its own, in which the annotations of Base mean nothing.
    module = ModuleType("elsewhere")
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    vars(module).update(Base=Base, dataclass=dataclass)
    code = "from __future__ import annotations\n"
    code += "@dataclass(kw_only=True)\nclass Leaf(Base):\n    share: float = 0.5\n"
    exec(code, vars(module))
    assert annotated_types(module.Leaf) == {"size": int | None, "share": float}


def test_the_words_of_several_literals_are_one_list():
    assert told(Literal[64, 32] | Literal["64", "bf16"] | None) == "one of 64, 32, bf16 or null"
