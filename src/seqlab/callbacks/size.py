"""What the network costs, in a line below Lightning's summary of its layers."""

from __future__ import annotations

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelSummary
from lightning.pytorch.utilities import rank_zero_only

from seqlab.networks.sizing import figures


class SizeSummary(ModelSummary):
    """Prints parameters, bytes of state, and multiply–accumulates a token.

    State and arithmetic are the encoder's, at the longest training sequence; those of a
    transformer grow with the length. `trainer.enable_model_summary=false` leaves it out.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the layers to Lightning's own summary: the training data are not there yet."""

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        length = int(trainer.train_dataloader.examples.lengths.max())  # type: ignore[union-attr]
        network = pl_module.network
        print(f"network      {figures(network, length)}")  # type: ignore[arg-type]  # noqa: T201
