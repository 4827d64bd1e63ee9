"""Fills TensorBoard's HPARAMS tab."""

from __future__ import annotations

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import OmegaConf
from torch.utils.tensorboard.summary import hparams

from seqlab.config import flatten

# Where things are and how a run is shown is not what distinguishes experiments.
LEFT_OUT = ("callbacks.", "logger.", "trainer.default_root_dir", "trainer.enable_")


class HparamsCallback(Callback):
    """Writes the flat configuration when training starts, and its end when the tests are done.

    Only the session's summaries are written: with an experiment summary the tab would take its
    columns from the first run alone.

    Args:
        folder: the run's folder, whose `config.yaml` is read.
    """

    def __init__(self, folder: str) -> None:
        self.file = Path(folder) / "config.yaml"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        config = OmegaConf.to_container(OmegaConf.load(self.file))
        flat = {k: v for k, v in flatten(config).items() if not k.startswith(LEFT_OUT)}
        _, start, _ = hparams(flat, {})
        self._write(trainer, start)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _, _, end = hparams({}, {})
        self._write(trainer, end)

    @staticmethod
    def _write(trainer: Trainer, summary: object) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.experiment._get_file_writer().add_summary(summary)  # type: ignore[union-attr]
