"""Hands the splits of a dataset to the trainer."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, Protocol

from lightning import LightningDataModule

from seqlab.data.examples import StoredSplit
from seqlab.data.loader import BatchLoader, LengthBucketSampler
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Split
from seqlab.errors import InputError, check_at_least


class Dataset(Protocol):
    """What the datamodule needs of a dataset."""

    @property
    def spec(self) -> Spec: ...

    @property
    def splits(self) -> tuple[Split, ...]: ...

    def split(self, name: Split) -> StoredSplit: ...


class SequenceDataModule(LightningDataModule):
    """Makes each split when it is first needed, and its batches on the device that asks.

    Args:
        dataset: knows its spec and its splits.
        batch_size: sequences in a batch, over all devices together: two devices take half each
            and train as one does.
        bucket: puts sequences of like length into a batch.
        seed: seeds the order of the batches.

    Raises:
        InputError: a batch size below 1, or one or a split that gives some device no sequence.
    """

    def __init__(
        self, dataset: Dataset, *, batch_size: int = 64, bucket: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        check_at_least("loader.batch_size", batch_size)
        self.dataset = dataset
        self.batch_size = batch_size
        self.bucket = bucket
        self.seed = seed
        self.examples = cache(dataset.split)
        self._train_loader: BatchLoader | None = None
        self._first = 0

    @property
    def test_splits(self) -> tuple[Split, ...]:
        """The test sets in the order of the test dataloaders."""
        return tuple(name for name in self.dataset.splits if name.startswith("test"))

    @property
    def spec(self) -> Spec:
        return self.dataset.spec

    def train_dataloader(self) -> BatchLoader:
        # A model overfits on the same few batches again and again only if their order stays.
        fixed = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        self._check_devices()
        self._train_loader = self._loader("train", shuffle=not fixed)
        if self.trainer is not None:
            self._train_loader.accumulation = self._accumulation
        self._train_loader.start_at(self._first)
        return self._train_loader

    # The place within the epoch is kept here, as Lightning restores only a loader's that was made
    # after the checkpoint was read, and a schedule asks for the number of steps before that.
    @cached_property
    def fingerprint(self) -> str:
        """Tells the training data from others, also of a file that was changed."""
        return self.examples("train").fingerprint()

    def state_dict(self) -> dict[str, Any]:
        progress = self.trainer.fit_loop.epoch_loop.batch_progress if self.trainer else None
        if self._train_loader is None or progress is None or progress.is_last_batch:
            return {"done": 0, "fingerprint": self.fingerprint}
        return {"done": self._train_loader.done, "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._first = state_dict["done"]
        if self._train_loader is not None:
            self._train_loader.start_at(self._first)

    def val_dataloader(self) -> BatchLoader:
        return self._loader("val")

    def test_dataloader(self) -> list[BatchLoader]:
        return [self._loader(name) for name in self.test_splits]

    def _accumulation(self) -> tuple[int, float]:
        """How many batches' gradients are accumulated, and the batches of an epoch."""
        assert self.trainer is not None
        return self.trainer.accumulate_grad_batches, self.trainer.num_training_batches

    def _check_devices(self) -> None:
        """Raises InputError unless each device gets something of each batch, also of the tests."""
        devices = 1 if self.trainer is None else self.trainer.world_size
        if devices == 1:
            return
        if self.batch_size < devices:
            raise InputError(
                f"loader.batch_size={self.batch_size} is shared by {devices} devices and must "
                f"be at least {devices}"
            )
        for name in self.dataset.splits:
            if (count := len(self.examples(name))) < devices:
                raise InputError(
                    f"the {name} split has {count} of the {devices} examples that {devices} "
                    "devices need; make it larger or use fewer devices (trainer.devices)"
                )

    def batches(self, name: Split) -> int:
        """How many batches an epoch of a split has."""
        return len(self._loader(name))

    def _loader(self, name: Split, shuffle: bool = False) -> BatchLoader:
        rank = 0 if self.trainer is None else self.trainer.global_rank
        world_size = 1 if self.trainer is None else self.trainer.world_size
        examples = self.examples(name)
        sampler = LengthBucketSampler(
            examples.lengths,
            batch_size=self.batch_size,
            shuffle=shuffle,
            bucket=self.bucket,
            seed=self.seed,
            weigh=examples.loss_weights,
            rank=rank,
            world_size=world_size,
        )
        return BatchLoader(examples, sampler)
