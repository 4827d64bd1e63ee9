"""The whole default run against a bare PyTorch loop: same network, batches, optimiser, clipping.

Within one run an epoch of the bare loop and one of ours take turns, validation included. Claim: at
most 1.10 times the time at batch 64, with logging, metrics, checkpoints, pictures, progress bar.
The bare loop's Adam is the one that PyTorch gives by default, on a CPU a loop over the weights;
ours is the fused one, so a second bare loop with that is timed beside.

    python benchmarks/overhead.py [epochs] [override ...]
"""

from __future__ import annotations

import copy
import platform
import statistics
import sys
import tempfile
import time
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf, open_dict
from torch.nn import functional as F

from seqlab.build import build_data, build_network, build_task, build_trainer
from seqlab.config_folders import CONF
from seqlab.runs.folder import RunFolder
from seqlab.runs.setup import prepare


class BareLoop:
    """What a careful person writes without a framework."""

    def __init__(self, network: torch.nn.Module, data: Any, rate: float, **options: Any) -> None:
        self.network = copy.deepcopy(network)
        self.data = data
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=rate, **options)

    def epoch(self, number: int) -> None:
        train, val = self.data._loader("train", shuffle=True), self.data._loader("val")
        train.batch_sampler.set_epoch(number)
        self.network.train()
        for batch in train:
            loss = F.cross_entropy(self.network(batch.inputs, batch.lengths)[0], batch.targets)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
        self.network.eval()
        correct, total = 0, 0.0
        with torch.inference_mode():
            for batch in val:
                logits, _ = self.network(batch.inputs, batch.lengths)
                total += F.cross_entropy(logits, batch.targets).item() * len(batch)
                correct += (logits.argmax(-1) == batch.targets).sum().item()


class Turns(Callback):
    """Lets the bare loops run an epoch before each of ours, and times all."""

    def __init__(self, bare: dict[str, BareLoop]) -> None:
        self.bare = bare
        self.times: dict[str, list[float]] = {name: [] for name in (*bare, "ours")}
        self.start = 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._stop()
        for name, loop in self.bare.items():
            start = time.perf_counter()
            loop.epoch(trainer.current_epoch)
            self.times[name].append(time.perf_counter() - start)
        self.start = time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.start:
            self.times["ours"].append(time.perf_counter() - self.start)


def main() -> None:
    torch.set_num_threads(1)
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = [f"trainer.max_epochs={epochs}", "callbacks.early_stopping.patience=1000"]
        config = compose("train", overrides + sys.argv[2:], return_hydra_config=True)
    with tempfile.TemporaryDirectory() as folder:
        with open_dict(config):
            config.hydra.runtime.output_dir = folder
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        with RunFolder(folder, config) as run:
            run.begin()
            prepare(config.seed)
            data = build_data(config)
            network = build_network(config, data.spec)
            task = build_task(config, network, data.spec)
            trainer = build_trainer(config)
            rate = config.optimizer.lr
            bare = {
                "bare loop": BareLoop(network, data, rate),
                "with fused Adam": BareLoop(network, data, rate, fused=True),
            }
            turns = Turns(bare)
            trainer.callbacks.insert(0, turns)
            trainer.fit(task, data)
    # The first epoch of each warms up.
    medians = {name: statistics.median(times[1:]) for name, times in turns.times.items()}
    print(f"torch {torch.__version__}, one thread, {platform.machine()}, {epochs - 1} epochs each")
    for name, median in medians.items():
        print(f"{name:16}{median:8.3f} s an epoch; ours: {medians['ours'] / median:.3f} of it")
    print("claim: at most 1.10 of the bare loop")


if __name__ == "__main__":
    main()
