"""What several tests need: whole runs, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

import seqlab

ROOT = Path(__file__).parents[1]
# Short enough for many runs, long enough to pass through every stage.
SHORT = (
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
)
# The default data, small.
SMALL = ("data.train_size=256", "data.val_size=64", "data.test_size=64")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No shape and type checks of seqlab.nn, for tests of what it says itself to a wrong value."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`train(*overrides, folder=None)` runs the main job and returns its results.json."""
    return trainer_in(tmp_path / "run")


def trainer_in(default: Path) -> Callable[..., dict[str, Any]]:
    """What the fixture `train` is, with another folder where none is given."""

    def run(*overrides: str, folder: Path | None = None) -> dict[str, Any]:
        folder = folder or default
        seqlab.train([*overrides, f'hydra.run.dir="{folder}"'])
        return json.loads((folder / "results.json").read_text())

    return run
