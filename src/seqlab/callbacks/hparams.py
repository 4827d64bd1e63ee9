"""The settings of a run, for its loggers: TensorBoard's HPARAMS tab, a CSV logger's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

from seqlab.callbacks.loggers import send_end, send_settings
from seqlab.config import flatten

# Where things are and how a run is shown is not what distinguishes experiments; what the task's
# parts are given stands one level above, where it is set.
LEFT_OUT = (
    "callbacks.",
    "task.callbacks.",
    "recommended.",
    "logger.",
    "task.module.",
    "task.network.",
    "trainer.default_root_dir",
    "trainer.enable_",
)


class HparamsCallback(Callback):
    """Sends the flat configuration to the loggers when training starts; also that tests are done.

    Args:
        folder: the run's folder, whose `config.yaml` is read.
        names: further columns, such as the names of data and model.
    """

    def __init__(self, folder: str, *, names: Mapping[str, str]) -> None:
        self.file = Path(folder) / "config.yaml"
        self.names = dict(names)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            config = OmegaConf.to_container(OmegaConf.load(self.file))
            flat = {
                key: value
                for key, value in flatten(config).items()
                if not key.startswith(LEFT_OUT) and not key.endswith("._partial_")
            }
            send_settings(trainer, self.names | flat)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            send_end(trainer)
