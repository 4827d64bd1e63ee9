"""Sweeps: what two processes gain, what a job costs beside its training, and finding nothing to do.

    python benchmarks/sweeps.py [gain] [overhead] [resume]

Eight small jobs run one after the other with one thread, and by joblib in two processes of one
thread each, in turn; the claim needs two idle cores. A job's overhead is the time from its start
to its first training step, in a sweep in one process, without the first job, which imports
everything. The sweep of 1,000 finished jobs is planned as any, its results are made up, and the
whole command is timed the second time, when its plots are there. Beside the wall clock stand the
seconds of computing, which are those of an otherwise idle machine, nearly.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLAIMS = {"gain": 1.6, "overhead": 0.5, "resume": 5.0}
# Some seconds of training each.
SMALL = ("model=gru", "trainer.accelerator=cpu", "data.train_size=8192", "trainer.max_epochs=4")
QUIET = ("trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")
TWO = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
REPEATS, JOBS = 3, 1000


def main():
    wanted = sys.argv[1:] or list(CLAIMS)
    if wanted[0] == "inside":
        return first_steps(*wanted[1:])
    cores = os.cpu_count()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}; wall clock (computing)")
    print(f"{'':44}{'measured':>22}{'claim':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            {"gain": gain, "overhead": overhead, "resume": resume}[name](Path(folder) / name)
    return None


def row(what, measured, claim=""):
    print(f"{what:44}{measured:>22}{claim:>12}", flush=True)


def python(*words):
    """A command of one thread, which must not fail."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def sweep(folder, *words):
    """Wall-clock and computing seconds of a whole command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = python("train.py", "-m", *words, f"hydra.sweep.dir={folder}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computing = sum(getattr(after, key) - getattr(before, key) for key in ("ru_utime", "ru_stime"))
    return time.perf_counter() - start, computing, done


def gain(folder):
    times = {"one after the other": [], "joblib, two at a time": []}
    for repeat in range(REPEATS):
        for name, words in zip(times, ((), TWO), strict=True):
            here = folder / f"{len(words)}-{repeat}"  # a comma would be swept
            times[name].append(sweep(here, "seed=range(1,9)", *SMALL, *QUIET, *words)[:2])
    medians = {}
    for name, pairs in times.items():
        medians[name], computing = (
            statistics.median(column) for column in zip(*pairs, strict=True)
        )
        row(f"eight jobs, {name}", f"{medians[name]:.1f} s ({computing:.1f} s)")
    one, two = medians.values()
    row("  times as fast", f"{one / two:.2f}", f"≥ {CLAIMS['gain']}")


def overhead(folder):
    done = python(__file__, "inside", str(folder))
    measured = json.loads(done.stdout.splitlines()[-1])
    wall, computing = (statistics.median(column[1:]) for column in zip(*measured, strict=True))
    claim = f"< {CLAIMS['overhead']} s"
    row("a job's start to its first step", f"{wall:.2f} s ({computing:.2f} s)", claim)


def first_steps(folder):
    """Sweeps in this process, and prints the seconds to the first step of each job."""
    sys.argv = ["train.py", "-m", "seed=range(1,13)", *SMALL, "data.train_size=256"]
    sys.argv += ["trainer.max_epochs=1", *QUIET, f"hydra.sweep.dir={folder}"]
    import runpy

    from seqlab.sweeps import serial

    starts, steps = [], []
    run = serial.run

    def timed(*arguments, **options):
        from seqlab.tasks.base import Task

        if not steps:
            step = Task.training_step

            def stepping(*arguments):
                if len(steps) < len(starts):
                    steps.append((time.perf_counter(), time.process_time()))
                return step(*arguments)

            Task.training_step = stepping
        starts.append((time.perf_counter(), time.process_time()))
        return run(*arguments, **options)

    serial.run = timed
    runpy.run_path("train.py", run_name="__main__")
    pairs = zip(starts, steps, strict=True)
    print(json.dumps([[b - a for a, b in zip(*pair, strict=True)] for pair in pairs]))


def resume(folder):
    words = ("model=rnn,gru", f"seed=range(1,{JOBS // 2 + 1})")
    start = time.perf_counter()
    make_up(folder)
    row(f"planning {JOBS:,} new jobs", f"{time.perf_counter() - start:.1f} s")
    wall, computing, _ = sweep(folder, *words)
    row(f"{JOBS:,} finished jobs, plots drawn", f"{wall:.1f} s ({computing:.1f} s)")
    wall, computing, done = sweep(folder, *words)
    assert f"{JOBS} of {JOBS} jobs are finished already" in done.stderr, done.stderr
    row(f"{JOBS:,} finished jobs, nothing to do", f"{wall:.1f} s ({computing:.1f} s)", "< 5 s")


def make_up(folder):
    """A sweep of finished jobs that were never run."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import setup_globals
    from hydra.types import RunMode

    import seqlab.config  # noqa: F401  # registers our resolvers
    from seqlab.config_folders import CONF
    from seqlab.sweeps.jobs import changed_keys, plan

    folder.mkdir(parents=True)
    points = [[f"model={m}", f"seed={s}"] for m in ("rnn", "gru") for s in range(1, JOBS // 2 + 1)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        setup_globals()
        hydra = GlobalHydra.instance().hydra
        mode = RunMode.MULTIRUN
        config = hydra.compose_config("train", [f"hydra.sweep.dir={folder}"], mode)
        jobs = plan(config, hydra.config_loader, points)
    stages, names = ("train", "val", "test", "test_long"), ("loss", "accuracy", "macro_f1", "auroc")
    for job in jobs:
        note = {"identity": job.identity, "number": job.number}
        results = {
            "status": "finished",
            "seed": job.number,
            "seconds": random.uniform(1, 2),
            "metrics": {f"{stage}/{name}": random.random() for stage in stages for name in names},
            "reference": {"metric": "accuracy", "trivial": 0.5, "optimum": 1.0},
            "parameters": 26370,
        }
        job.folder.mkdir()
        note["changed"] = changed_keys(job.overrides)
        (job.folder / "job.json").write_text(json.dumps(note))
        (job.folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
