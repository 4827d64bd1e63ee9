"""The public face of the package: what its `__init__` files promise is there, and light."""

import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import seqlab

SOURCE = Path(seqlab.__file__).parent
PACKAGES = ["seqlab", *(m.name for m in pkgutil.walk_packages([str(SOURCE)], "seqlab.") if m.ispkg)]
WITH_NAMES = [name for name in PACKAGES if hasattr(import_module(name), "__all__")]
TARGETS = sorted(
    {
        match
        for path in (SOURCE / "conf").rglob("*.yaml")
        for match in re.findall(r"_target_: (seqlab\.\S+)", path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("package", WITH_NAMES)
def test_every_public_name_is_there(package):
    module = import_module(package)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in vars(module)  # found once, then at hand
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_packages_have_public_names():
    parts = ("data", "nn", "networks", "tasks", "callbacks", "runs", "sweeps", "reports")
    assert {"seqlab", *(f"seqlab.{part}" for part in parts)} <= set(WITH_NAMES)


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_configuration_names_is_public(target):
    module, _, name = target.rpartition(".")
    public = import_module(".".join(module.split(".")[:2]))
    assert name in public.__all__
    assert getattr(public, name) is getattr(import_module(module), name)


def test_importing_seqlab_is_cheap():
    packages = ", ".join(name for name in WITH_NAMES if name.count(".") < 2)
    program = f"import sys, {packages}; print(*sorted({{'torch', 'lightning', 'hydra', 'numpy'}} "
    program += "& set(sys.modules)), seqlab.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [seqlab.__version__]
