"""The accelerators of this machine, dealt out one a job."""

from __future__ import annotations

import os
import shutil

from omegaconf import DictConfig, OmegaConf


def accelerators(config: DictConfig) -> list[dict[str, str]]:
    """For each accelerator that a sweep's jobs may use, the variables that show a job it alone.

    None where the jobs are told to train on the CPU, or the machine has none.
    """
    if OmegaConf.select(config, "trainer.accelerator", default="cpu") == "cpu":
        return []
    return [{"CUDA_VISIBLE_DEVICES": name} for name in _visible()]


def _visible() -> list[str]:
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
