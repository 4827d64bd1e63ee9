"""What all four families share: the steps, logging, optimiser and schedule."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.errors import NonFiniteLossError
from seqlab.networks.checkpoint_keys import current_keys
from seqlab.private.lightning import CURRENT_HOOK
from seqlab.tasks.meter import Meter
from seqlab.tasks.resumed_settings import (
    apply_settings,
    continue_plateau,
    continue_schedule,
    group_settings,
)
from seqlab.tasks.views import Views

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer, int], LRScheduler | ReduceLROnPlateau]
STAGES = ("train", "val", "test", "test_long")


class Task(Views, LightningModule, ABC):
    """Trains and measures a network; a family adds its loss, its metrics and its views.

    Metrics are computed over the epoch from what was accumulated, never averaged over batches.

    Args:
        network: the network to train.
        spec: what the data looks like.
        optimizer: makes the optimiser from the parameters.
        scheduler: makes the learning-rate schedule from the optimiser and the number of steps.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        spec: Spec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.plateau: ReduceLROnPlateau | None = None
        self._told_not_finite = False
        self._plateau_state: dict[str, Any] | None = None
        # The optimizer's settings of each parameter group, and the rates with which a run that is
        # resumed was begun.
        self._settings: list[dict[str, Any]] = []
        # The step of the last validation.
        self.validated_at: int | None = None
        # False where a part of the epoch's training metrics is lost.
        self.reports_epoch = True
        self._former_rates: list[float] | None = None
        # No submodules: they hold no weights, and summary and checkpoint are about the network.
        self._meters = {stage: self.new_meter(stage) for stage in STAGES}
        for stage in STAGES:
            self._meters[stage].keeps_examples = stage.startswith("test")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == CURRENT_HOOK:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def new_meter(self, stage: str) -> Meter:
        """The metrics of one stage: train, val, test or test_long."""

    @abstractmethod
    def measure(self, batch: Batch, stage: str) -> tuple[Tensor, Any]:
        """The mean loss over the batch, and what the stage's metrics are computed from."""

    def meter(self, stage: str) -> Meter:
        """The accumulated metrics of a stage."""
        return self._meters[stage]

    @property
    def logs_step(self) -> bool:
        """Whether the training step under way is one whose loss is logged."""
        return (self.global_step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]

    @property
    def watches_batch(self) -> bool:
        """Whether scores that are dear to compute are taken of this training batch.

        They are of the first batch of each epoch and of those that are logged: the epoch's scores
        are then a sample's.
        """
        return self.logs_step or self.trainer.fit_loop.epoch_loop.batch_idx == 0

    def scheduled(self) -> dict[str, float]:
        """What the family changes from step to step by a schedule, by name."""
        return {}

    def _log_schedule(self, suffix: str = "") -> None:
        for name, value in self.scheduled().items():
            self.log(f"train/{name}{suffix}", value, batch_size=1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, outputs = self.measure(batch, "train")
        due = self.logs_step
        # Looking at a number on an accelerator waits for all its work: only when it is logged.
        if (due or loss.device.type == "cpu") and not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"the loss became {loss.item()} at step {self.global_step}; lower optimizer.lr or "
                "trainer.gradient_clip_val (the last good checkpoint, where an epoch was done, is "
                "checkpoints/last.ckpt in the run's folder)"
            )
        self.meter("train").update(loss.detach(), outputs, batch)
        if due:
            # Every step would cost more than the step's own bookkeeping.
            shared = loss.detach() * batch.share
            self.log("train/loss_step", shared, sync_dist=True, batch_size=len(batch))
            self._log_schedule("_step")
        scale = batch.share * batch.group_share
        return loss * scale if scale != 1.0 else loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._evaluate(batch, ("test", "test_long")[dataloader_idx])

    def configure_model(self) -> None:
        # Before a checkpoint is read: Lightning converts afterwards, which would round its weights.
        self.trainer.precision_plugin.convert_module(self)

    def on_train_start(self) -> None:
        if self._former_rates is None:
            return
        for optimizer in self.trainer.optimizers:
            apply_settings(optimizer, self._settings, self._former_rates)
        for entry in self.trainer.lr_scheduler_configs:
            continue_schedule(entry.scheduler, self._settings, self.global_step)  # type: ignore[arg-type]
        self._former_rates = None

    def on_train_epoch_end(self) -> None:
        if not self.reports_epoch:
            self.meter("train").reset()
            self.reports_epoch = True
        self._finish("train")
        self._log_schedule()

    def on_validation_epoch_end(self) -> None:
        scores = self._finish("val")
        if not scores or self.trainer.sanity_checking:
            return
        self.validated_at = self.trainer.global_step
        if self.plateau is not None and self.trainer.state.fn == "fit":
            self.plateau.step(scores["loss"])

    def on_test_epoch_end(self) -> None:
        for stage in ("test", "test_long"):
            self._finish(stage)

    def _evaluate(self, batch: Batch, stage: str) -> None:
        loss, outputs = self.measure(batch, stage)
        self.meter(stage).update(loss, outputs, batch)

    def _finish(self, stage: str) -> dict[str, Tensor]:
        """Computes, logs and resets a stage's metrics."""
        meter = self.meter(stage)
        if not meter.update_called:
            return {}
        scores = {} if self.trainer.sanity_checking else meter.compute()
        meter.reset()
        self._tell_if_not_finite(stage, scores)
        headline = self.spec.metric
        for name, score in scores.items():
            # Every device holds the same value already; sync_dist says so to Lightning.
            shown = name in ("loss", headline) and stage in ("train", "val")
            self.log(f"{stage}/{name}", score, prog_bar=shown, sync_dist=True, batch_size=1)
        return scores

    def _tell_if_not_finite(self, stage: str, scores: dict[str, Tensor]) -> None:
        """Says once in a run that a score is no finite number."""
        wrong = [name for name, score in scores.items() if not score.isfinite().all()]
        if wrong and not self._told_not_finite and self.trainer.is_global_zero:
            self._told_not_finite = True
            warnings.warn(
                f"not finite: {', '.join(f'{stage}/{name}' for name in wrong)}; the outputs of the "
                "network are not finite or too large: lower optimizer.lr, or see whether the data "
                "holds extreme values",
                stacklevel=2,
            )

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(p for p in self.parameters() if p.requires_grad)
        if self.device.type == "cpu":
            _fuse(optimizer)
        self._settings = group_settings(optimizer)
        scheduler = self.make_scheduler(optimizer, self.trainer.estimated_stepping_batches)  # type: ignore[arg-type]
        if isinstance(scheduler, ReduceLROnPlateau):
            # Lightning steps a plateau after the epoch's checkpoint is saved, which then lacks it.
            self.plateau = scheduler
            if self._plateau_state is not None:
                continue_plateau(scheduler, self._plateau_state)
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["configured_rates"] = [group["lr"] for group in self._settings]
        if self.plateau is not None:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = current_keys(checkpoint["state_dict"])
        self._former_rates = checkpoint.get("configured_rates")
        self._plateau_state = checkpoint.get("plateau")
        if self.plateau is not None and self._plateau_state is not None:
            continue_plateau(self.plateau, self._plateau_state)


def _fuse(optimizer: Optimizer) -> None:
    """One kernel over all weights where the optimiser has one.

    On a CPU it takes a quarter of the time of PyTorch's choice, a loop over the weights; on
    accelerators it would take gradient clipping under a scaled loss away.
    """
    for group in optimizer.param_groups:
        if "fused" in group and all(p.is_floating_point() for p in group["params"]):
            group["fused"] = True
