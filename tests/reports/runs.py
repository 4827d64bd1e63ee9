"""Run folders as runs leave them, without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_run(
    folder: Path,
    changed: Mapping[str, str],
    *,
    seed: int = 1,
    metrics: Mapping[str, float] | None = None,
    right: Sequence[int] | None = None,
    test_set: str = "set",
    data: str = "parity",
    model: str = "gru",
    headline: str = "accuracy",
    status: str = "finished",
    job: int | None = None,
    curve: Sequence[float] = (),
) -> Path:
    """A run with a command line, scores and the outcomes of its test examples.

    Args:
        folder: where it goes.
        changed: its command line, without the seed.
        seed: its seed.
        metrics: its scores; the accuracy is the mean of `right` where they are given.
        right: (examples,) 1 where the example's class was found.
        test_set: the fingerprint of the test set.
        data: the chosen data.
        model: the chosen model, unless the command line says so.
        headline: the data's metric.
        status: how it ended.
        job: its number in a sweep; None for a run of its own.
        curve: `val/accuracy` at steps 10, 20, …
    """
    (folder / ".hydra").mkdir(parents=True)
    words = [f"{key}={value}" for key, value in changed.items()] + [f"seed={seed}"]
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    (folder / "environment.json").write_text("{}")
    flat = {"optimizer": {"lr": 0.001}, "trainer": {"max_epochs": 10}, "seed": seed}
    (folder / "config.yaml").write_text(json.dumps(flat))
    if job is not None:
        note = {"identity": f"{job:016x}", "number": job, "changed": {**changed, "seed": str(seed)}}
        (folder / "job.json").write_text(json.dumps(note))
    scores = dict(metrics or {})
    test_sets = {}
    if right is not None:
        scores["test/accuracy"] = float(np.mean(right))
        test_sets = {"test": test_set}
        kinds = [("index", np.int32), ("accuracy", np.uint8), ("accuracy/of", np.uint8)]
        table = np.ones(len(right), kinds)
        table["index"], table["accuracy"] = np.arange(len(right)), right
        np.save(folder / "test_outcomes.npy", table)
    results = {
        "status": status,
        "seed": seed,
        "choices": {"data": changed.get("data", data), "model": changed.get("model", model)},
        "metrics": scores,
        "test_sets": test_sets,
        "reference": {"metric": headline, "trivial": 0.5, "optimum": 1.0},
    }
    (folder / "results.json").write_text(json.dumps(results))
    if curve:
        rows = [f"{10 * (n + 1)},val/accuracy,{value}" for n, value in enumerate(curve)]
        (folder / "metrics.csv").write_text("\n".join(["step,metric,value", *rows, ""]))
    return folder
