"""Fills TensorBoard's HPARAMS tab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import OmegaConf
from torch.utils.tensorboard.summary import hparams

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
    """Writes the flat configuration when training starts, and its end when the tests are done.

    Only the session's summaries are written: with an experiment summary the tab would take its
    columns from the first run alone.

    Args:
        folder: the run's folder, whose `config.yaml` is read.
        names: further columns, such as the names of data and model.
    """

    def __init__(self, folder: str, *, names: Mapping[str, str]) -> None:
        self.file = Path(folder) / "config.yaml"
        self.names = dict(names)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        config = OmegaConf.to_container(OmegaConf.load(self.file))
        flat = {
            # TensorBoard's writer turns truth values into 0 and 1.
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in flatten(config).items()
            if not key.startswith(LEFT_OUT) and not key.endswith("._partial_")
        }
        _, start, _ = hparams(self.names | flat, {})
        self._write(trainer, start)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _, _, end = hparams({}, {})
        self._write(trainer, end)

    @staticmethod
    def _write(trainer: Trainer, summary: object) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.experiment._get_file_writer().add_summary(summary)  # type: ignore[union-attr]
