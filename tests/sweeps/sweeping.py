"""Sweeps of jobs that train nothing, in this process and in one that can be killed."""

from __future__ import annotations

import atexit
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import seqlab.config
import seqlab.runs.folder
from seqlab.runs.folder import RunFolder
from seqlab.saving import write_atomically

CONF = str(Path(__file__).parents[2] / "conf")


# Where the processes that can be killed find their configuration.
CONF_OF_SCRIPT = "SEQLAB_TEST_CONF"
# In a sweep's folder: what counting jobs do from half-way on, as {seed: word}, see `misbehave`.
BAD = "bad.json"
# Set where submitit's pickled results shall get lost.
LOSE = "SEQLAB_TEST_LOSE"


def write_conf(folder: Path) -> Path:
    """The parts of our configuration that sweeps need, and three models; composed in no time."""
    for group in ("hydra", "logger", "trainer"):
        shutil.copytree(Path(CONF) / group, folder / group)
    (folder / "model").mkdir()
    for number, name in enumerate(("rnn", "gru", "lstm")):
        (folder / "model" / f"{name}.yaml").write_text(f"size: {number}\n")
    top = OmegaConf.load(Path(CONF) / "train.yaml")
    ours = [entry for entry in top.defaults if str(entry).count("override")]
    top.defaults = [{"model": "rnn"}, {"trainer": "default"}, {"logger": "csv"}, "_self_", *ours]
    OmegaConf.save(top, folder / "train.yaml")
    return folder


def sweep(task: Callable[[DictConfig], Any], *words: str, conf: Path, folder: Path) -> Any:
    """`train.py -m words` with another task and configuration."""
    GlobalHydra.instance().clear()
    overrides = [*words, f"hydra.sweep.dir={folder}", "hydra.mode=MULTIRUN"]
    with initialize_config_dir(str(conf), version_base="1.3"):
        found = GlobalHydra.instance().hydra
        assert found is not None
        return found.multirun("train", task, overrides, with_log_configuration=False)


def count_slowly(config: DictConfig) -> None:
    """Counts to ten, saves after each number, and goes on from what it saved.

    Its result depends on every number and on the seed. Beside the folder it keeps a list of all
    that was begun, where, and from which number.
    """
    seqlab.runs.folder.environment = dict  # asks torch, which takes long to import
    with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
        wishes = folder.path.parent / BAD
        bad = json.loads(wishes.read_text()).get(str(config.seed)) if wishes.exists() else None
        log = folder.path.parent / "log.txt"
        saved = folder.path / "checkpoints" / "last.ckpt"
        saved.parent.mkdir(exist_ok=True)
        state = {"number": 0, "sum": config.seed}
        if config.ckpt_path == "last":
            state = json.loads(saved.read_text())
        shown = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "CUDA_VISIBLE_DEVICES")
        entry = {"job": folder.path.name, "from": state["number"], "pid": os.getpid()}
        _append(log, entry | {name: os.environ.get(name) for name in shown})
        sys.stdout.write("counting\n")
        while state["number"] < 10:
            state = {
                "number": state["number"] + 1,
                "sum": (state["sum"] * 31 + state["number"]) % 1009,
            }
            time.sleep(0.003)
            write_atomically(saved, json.dumps(state))
            if state["number"] >= 5 and bad is not None:
                misbehave(bad)
        folder.end("finished", metrics={"test/loss": state["sum"]})
    if os.environ.get(LOSE):
        atexit.register(_lose, Path(os.environ["SUBMITIT_FOLDER"]))


def _lose(folder: Path) -> None:
    for path in folder.glob("*_result.pkl"):
        path.unlink()


def misbehave(how: str) -> None:
    if how == "raise":
        raise RuntimeError("something broke")
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 32, before[1]))
        try:
            bytearray(1 << 33)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    if how == "snooze":
        time.sleep(4)
    if how == "doze":
        time.sleep(1.5)
    if how == "wait":
        # Ray interrupts between two steps of Python's, not in the middle of a sleep.
        for _ in range(600):
            time.sleep(0.1)


def _append(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    conf = os.environ[CONF_OF_SCRIPT]
    main = hydra.main(version_base="1.3", config_path=conf, config_name="train")
    seqlab.config.run(main(count_slowly))
