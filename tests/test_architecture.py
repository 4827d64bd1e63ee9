"""The one direction: data → networks (built of nn) → tasks → callbacks → runs → reports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqlab

SOURCE = Path(seqlab.__file__).parent
# What each package may import of ours beside itself. These are for everybody.
FOR_ALL = {
    "command",
    "config_folders",
    "errors",
    "escaping",
    "files",
    "interrupts",
    "lazy",
    "saving",
    "terminal",
}
MAY_IMPORT = {
    "__init__": {"runs"},
    "errors": set(),
    "lazy": set(),
    "config_folders": set(),
    "scripts": {"runs"},
    "escaping": set(),
    "files": set(),
    "saving": set(),
    "terminal": set(),
    "interrupts": set(),
    "command": set(),
    "private": set(),
    "renamed": set(),
    "data": set(),
    "nn": set(),
    "networks": {"data", "nn"},
    "tasks": {"data", "nn", "networks", "private"},
    "hints": {"private"},
    "overrides": set(),
    "config": {"hints", "overrides", "private", "renamed"},
    "value_types": set(),
    "instantiation": {"hints", "value_types"},
    "effects": {"value_types"},
    "keys": {"hints", "instantiation", "value_types"},
    "build": {
        "data",
        "nn",
        "networks",
        "tasks",
        "callbacks",
        "instantiation",
        "keys",
        "effects",
        "private",
        "renamed",
    },
    "trials": {"private"},
    "callbacks": {
        "config",
        "instantiation",
        "data",
        "nn",
        "networks",
        "tasks",
        "trials",
        "private",
    },
    "runs": {
        "renamed",
        "config",
        "hints",
        "keys",
        "overrides",
        "instantiation",
        "build",
        "data",
        "nn",
        "networks",
        "tasks",
        "callbacks",
    },
    "reports": {"config", "build", "data", "runs"},
    "sweeps": {
        "config",
        "hints",
        "effects",
        "data",
        "runs",
        "reports",
        "build",
        "trials",
        "private",
    },
    "cli": {"config", "build", "data", "networks", "nn", "tasks", "runs", "reports"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            # `from seqlab import data` names a package, `from seqlab.data import x` a thing in it.
            yield node.module
            if node.module in ("seqlab", "torch"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_imports_from_its_right(path):
    package = package_of(path)
    assert package in MAY_IMPORT, f"say what {package} may import"
    allowed = MAY_IMPORT[package] | {package} | FOR_ALL
    found = {name.split(".")[1] for name in imports(path) if name.startswith("seqlab.")}
    assert found <= allowed, f"{path} imports {sorted(found - allowed)}"


# A named tuple's methods begin with an underscore so that they cannot be names of its fields.
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}  # and `os._exit` is documented


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if package_of(path) not in ("private", "nn")],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_private_interfaces_of_libraries_stand_in_private_alone(path):
    """Anything that begins with an underscore, but what a class says of itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not str(node.module).startswith("seqlab"):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            assert not [n for n in names if n.startswith("_") and n != "__future__"], names
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            own |= isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
            dunder = node.attr.startswith("__")
            # A key of the configuration.
            key = node.attr in ("_target_", "_partial_")
            assert own or dunder or key or node.attr in PUBLIC, ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            name = getattr(node.args[1], "value", "")
            assert not str(name).startswith("_") or str(name).startswith("__"), ast.unparse(node)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if package_of(path) == "callbacks"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_callbacks_know_no_family(path):
    """They ask any task for what they draw; see `tasks.views`."""
    families = {"Classification", "Tagging", "SequenceToSequence", "Forecasting"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            assert not names & families
            assert not [name for name in names if name.endswith("Meter") and name != "Meter"]


def test_packages_are_found():
    """The test above has something to walk."""
    found = {package_of(path) for path in FILES}
    assert {"errors", "data", "nn", "networks", "tasks", "callbacks", "runs"} <= found
    assert "seqlab.nn.masking" in set(imports(SOURCE / "nn" / "tcn.py"))
    assert "lightning" in set(imports(SOURCE / "data" / "datamodule.py"))


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if package_of(path) in ("data", "nn")],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_data_and_nn_know_no_trainer(path):
    found = set(imports(path))
    if path.name != "datamodule.py":
        assert not {name for name in found if name.split(".")[0] in ("lightning", "hydra")}
    if package_of(path) == "data":
        assert not {name for name in found if name.startswith("torch.nn")}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if package_of(path) == "nn"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_layers_name_no_key_of_the_command_line(path):
    """A layer's message is about its arguments; who builds it adds where they stand."""
    sections = "task|model|data|trainer|loader|optimizer|scheduler|callbacks|hydra"
    key = re.compile(rf"\b({sections})[./][a-z_]+\b")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not key.search(node.value), node.value


@pytest.mark.parametrize("module", ["seqlab.config", "seqlab.errors"])
def test_the_command_line_imports_nothing_heavy(module):
    """`--help` and a mistyped override answer before torch is there."""
    program = f"""
import sys
import {module}
heavy = {{"torch", "lightning", "torchmetrics", "numpy", "matplotlib", "tensorboard"}}
print(*sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_train_py_imports_nothing_heavy_at_its_top():
    program = "import sys, train; print(*sorted({'torch', 'lightning'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=SOURCE.parents[1],
    )
    assert done.stdout.split() == []


KERNELS = SOURCE / "nn" / "kernels"
OUTSIDE = [path for path in FILES if KERNELS not in path.parents]
LIBRARY = [path for path in OUTSIDE if path.is_relative_to(SOURCE / "nn")]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_kernels_are_reached_through_their_table_alone(path):
    if path.name != "kernel_table.py":
        assert not [name for name in imports(path) if name.startswith("seqlab.nn.kernels")]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_outside_the_kernels_is_differentiated_by_hand(path):
    attributes = [
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if is_attribute(node)
    ]
    assert not [x for x in attributes if x.endswith("autograd.Function")]
    assert "torch.autograd.function" not in set(imports(path))
    private = [x for x in attributes if x.startswith(("torch.ops", "torch._"))]
    assert not private


def is_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute)


def test_kernels_are_found():
    """The tests above have something to walk."""
    assert len(OUTSIDE) < len(FILES)
    assert "torch.autograd.Function" in (KERNELS / "cpu_rnn.py").read_text()
