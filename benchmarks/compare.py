"""`seqlab compare` over 1,000 runs: tables on the screen, and every document with its plots.

The runs are written into a temporary folder as a sweep leaves them: 5 models × 4 learning rates × 5
sizes × 10 seeds, each with 600 rows of curves and the outcomes of 2,000 test examples. Claim: under
5 seconds, the interpreter's start included.

    python benchmarks/compare.py [runs]
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPEATS = 3
EXAMPLES = 2000
STEPS = 200


def write_runs(root: Path, count: int) -> None:
    """A sweep of so many runs whose accuracies depend on model, rate, size and seed."""
    rng = np.random.default_rng(0)
    models = {"rnn": 0.0, "gru": 1.2, "lstm": 1.1, "min_gru": 0.8, "transformer": 0.4}
    rates = {"0.0003": -0.4, "0.001": 0.3, "0.003": 0.4, "0.01": -0.2}
    sizes = {"16": -0.3, "32": 0.0, "64": 0.2, "128": 0.3, "256": 0.3}
    hardness = rng.normal(1.2, 1.5, EXAMPLES)
    grid = itertools.product(models, rates, sizes, range(1, 11))
    for number, (model, rate, size, seed) in enumerate(itertools.islice(grid, count)):
        changed = {
            "model": model,
            "optimizer.lr": rate,
            "model.encoder.hidden_size": size,
            "seed": str(seed),
        }
        skill = models[model] + rates[rate] + sizes[size] + rng.normal(0, 0.15)
        right = hardness + skill + rng.logistic(0, 1, EXAMPLES) > 0
        folder = root / f"{number:04}"
        (folder / ".hydra").mkdir(parents=True)
        words = [f"{key}={value}" for key, value in changed.items()]
        (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {w}\n" for w in words))
        job = {"identity": f"{number:016x}", "number": number, "changed": changed}
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "environment.json").write_text("{}")
        accuracy = float(right.mean())
        names = ("accuracy", "macro_f1", "auroc", "f1_yes", "f1_no", "calibration_error", "loss")
        metrics = {f"{s}/{name}": accuracy for s in ("test", "test_long", "val") for name in names}
        results = {
            "status": "finished",
            "seed": seed,
            "seconds": 30.0,
            "choices": {"data": "magic_token", "model": model, "task": "classification"},
            "metrics": metrics,
            "test_sets": {"test": "8bb39a0bdee433a6"},
            "reference": {"metric": "accuracy", "trivial": 0.5, "optimum": 1.0},
            "parameters": 12345,
        }
        (folder / "results.json").write_text(json.dumps(results, indent=2))
        table = np.empty(
            EXAMPLES, [("index", np.int32), ("accuracy", np.uint8), ("accuracy/of", np.uint8)]
        )
        table["index"], table["accuracy"], table["accuracy/of"] = range(EXAMPLES), right, 1
        np.save(folder / "test_outcomes.npy", table)
        curve = accuracy - 0.4 * np.exp(-np.arange(STEPS) / 30) + rng.normal(0, 0.01, STEPS)
        rows = [
            f"{25 * step},{name},{value:.6f}"
            for step, value in enumerate(curve.tolist())
            for name in ("train/loss", "val/loss", "val/accuracy")
        ]
        (folder / "metrics.csv").write_text("step,metric,value\n" + "\n".join(rows) + "\n")


def seconds(*words: str) -> float:
    """The median wall time of the command, each in a fresh process."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "seqlab.cli", "compare", *words],
            stdout=subprocess.DEVNULL,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(count: int = 1000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_runs(root / "runs", count)
        rows = {
            "tables on the screen": seconds(str(root / "runs")),
            "Markdown, CSV, LaTeX, HTML and plots": seconds(
                str(root / "runs"), "--output", str(root / "report")
            ),
        }
    print(f"seqlab compare over {count} runs, one thread        seconds   claim")
    for name, found in rows.items():
        print(f"{name:50} {found:8.2f}   < 5")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
