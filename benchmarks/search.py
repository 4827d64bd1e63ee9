"""Searches: what a trial costs beside its job, against a job of a grid.

    python benchmarks/search.py

Jobs that train nothing, in one process, in turn: twelve less two of them, over ten, is what one
costs. Both compose configurations and keep folders; a search asks its study and tells it as well.
Beside the wall clock stand the seconds of computing, which are those of an otherwise idle machine,
nearly.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import seqlab.config  # registers our resolvers
import seqlab.reports.results

CONF = str(Path(__file__).parents[1] / "conf")
CLAIM, REPEATS, JOBS = 0.5, 3, 10
RANGE = "optimizer.lr=interval(0.1,0.9)"
SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.metric=val/loss", RANGE)
RANDOM = (*SEARCH, "hydra/sweeper/sampler=random")


def job(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    results = {"status": "finished", "metrics": {"val/loss": config.optimizer.lr}}
    (folder / "results.json").write_text(json.dumps(results))


def sweep(folder, words):
    """Wall-clock and computing seconds."""
    GlobalHydra.instance().clear()
    wall, computing = time.perf_counter(), time.process_time()
    silence = io.StringIO()
    with (
        initialize_config_dir(CONF, version_base="1.3"),
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
    ):
        overrides = [*words, f"hydra.sweep.dir={folder}", "hydra.mode=MULTIRUN"]
        GlobalHydra.instance().hydra.multirun("train", job, overrides, with_log_configuration=False)
    return time.perf_counter() - wall, time.process_time() - computing


def command(name, count, folder):
    if name == "grid":
        return (f"optimizer.lr=range(1,{count + 1},1)",)
    words = [f"hydra.sweeper.n_trials={count}"]
    if "SQLite" in name:
        words += [f"hydra.sweeper.storage=sqlite:///{folder}.db", "hydra.sweeper.study=s"]
    if "TPE" in name:
        words += [*SEARCH, "hydra.sweeper.sampler.n_startup_trials=2"]
    else:
        words += RANDOM
    return words


def main():
    seqlab.reports.results.draw = lambda *args, **options: []  # plots are no job's cost
    names = ("grid", "random, journal", "TPE, journal", "random, SQLite")
    costs = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as root:
        for repeat in range(-1, REPEATS):  # the first imports everything
            for place, name in enumerate(names):
                ends = []
                for count in (2, 2 + JOBS):
                    folder = Path(root) / f"{repeat}-{place}-{count}"
                    ends.append(sweep(folder, command(name, count, folder)))
                if repeat >= 0:
                    (few, few_computing), (many, many_computing) = ends
                    cost = (many - few) / JOBS, (many_computing - few_computing) / JOBS
                    costs[name].append(cost)
    print(
        f"{'a job of':20}{'wall clock':>12}{'computing':>12}{'more than a grid':>20}{'claim':>10}"
    )
    base = None
    for name, found in costs.items():
        wall, computing = (statistics.median(values) for values in zip(*found, strict=True))
        base = base or computing
        more = "" if name == "grid" else f"{(computing - base) * 1e3:.0f} ms"
        claim = "" if name == "grid" else f"< {CLAIM * 1e3:.0f} ms"
        print(f"{name:20}{wall * 1e3:9.0f} ms{computing * 1e3:9.0f} ms{more:>20}{claim:>10}")


if __name__ == "__main__":
    main()
