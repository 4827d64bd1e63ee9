"""The progress bar: loss and headline metric, drawn seldom enough to cost nothing."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from seqlab.errors import check_at_least


class SparseProgressBar(RichProgressBar):
    """Lightning's rich progress bar, which else gathers its metrics at every step.

    Args:
        every: training steps from one update to the next.
    """

    def __init__(self, every: int = 20) -> None:
        check_at_least("every", every)
        super().__init__(refresh_rate=2)  # drawings a second
        self.every = every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        if done % self.every == 0 or done >= trainer.num_training_batches:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
