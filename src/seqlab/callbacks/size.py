"""What the network is made of and what it costs, before training starts."""

from __future__ import annotations

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelSummary
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Column, Table
from torch import nn

from seqlab.networks.sizing import figures
from seqlab.terminal import say


class SizeSummary(ModelSummary):
    """Prints the parts of the network with their parameters, and what reading a token costs.

    Bytes of state and multiply–accumulates are the encoder's, at the longest training sequence;
    those of a transformer grow with the length. `trainer.enable_model_summary=false` leaves it out.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits: the training data are not there yet."""

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network: nn.Module = pl_module.network  # type: ignore[assignment]
        table = Table("part", "kind", Column("parameters", justify="right"))
        for name, part in network.named_modules():
            size = sum(parameter.numel() for parameter in part.parameters())
            if name and name.count(".") < 2 and size:
                kind = f"{'  ' * name.count('.')}{type(part).__name__}"
                table.add_row(name, kind, f"{size:,}")
        console = Console()
        console.print(table)
        length = int(trainer.train_dataloader.examples.lengths.max())  # type: ignore[union-attr]
        say(console, f"network      {figures(network, length)}", whole=True)
