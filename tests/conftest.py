"""What several tests need: whole runs, in this process."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

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


def load_main() -> Callable[[Any], None]:
    """The body of train.py, without Hydra's command line around it."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main.__wrapped__


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`train(*overrides, folder=None)` runs train.py's job and returns its results.json."""
    return trainer_in(tmp_path / "run")


def trainer_in(default: Path) -> Callable[..., dict[str, Any]]:
    """What the fixture `train` is, with another folder where none is given."""
    main = load_main()

    def run(*overrides: str, folder: Path | None = None) -> dict[str, Any]:
        folder = folder or default
        folder.mkdir(parents=True, exist_ok=True)
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("train", overrides=list(overrides), return_hydra_config=True)
        with open_dict(config):
            config.hydra.runtime.output_dir = str(folder)
            config.hydra.mode = "MULTIRUN"  # errors go up instead of ending the process
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            job = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        main(job)
        return json.loads((folder / "results.json").read_text())

    return run
