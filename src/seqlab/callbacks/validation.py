"""What the checkpoint that is kept as the best got in validation."""

from __future__ import annotations

import math
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


class BestValidation(Callback):
    """Keeps the validation scores of the best checkpoint, which is the one that is tested.

    Those of the last epoch, which Lightning keeps, belong to weights that nobody uses.

    Attributes:
        scores: the scores by name; empty where nothing was validated or no best one is kept.
    """

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scores = dict(state_dict["scores"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoint = trainer.checkpoint_callback
        if trainer.sanity_checking or not isinstance(checkpoint, ModelCheckpoint):
            return
        now = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        monitor = checkpoint.monitor
        if monitor not in now:
            return
        sign = 1.0 if checkpoint.mode == "min" else -1.0
        if not self.scores or sign * now[monitor] < _worst_if_nan(sign * self.scores[monitor]):
            self.scores = now


def _worst_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value
