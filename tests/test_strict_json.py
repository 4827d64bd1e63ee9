"""Numbers that are not finite in what runs write as JSON, which has none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from seqlab.errors import InputError
from seqlab.reports.records import read_results
from seqlab.runs import Run
from seqlab.saving import write_json

METRICS = {"val/mae": math.nan, "val/mse": math.inf, "test/bias": -math.inf, "test/mae": 0.5}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    content = {"status": "finished", "metrics": METRICS, "reference": {"trivial": math.inf}}
    write_json(tmp_path / "results.json", content)
    return tmp_path


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_what_is_written_is_strict_json(run):
    read = json.loads((run / "results.json").read_text(), parse_constant=refuse)
    assert list(read["metrics"].values()) == ["NaN", "Infinity", "-Infinity", 0.5]


def test_readers_see_numbers(run):
    results = read_results(run)
    for metrics in (results["metrics"], Run.load(run).metrics):
        assert math.isnan(metrics["val/mae"])
        assert {**metrics, "val/mae": 0} == {**METRICS, "val/mae": 0}
    assert results["reference"]["trivial"] == math.inf


def test_records_of_older_versions_are_read(run):
    (run / "results.json").write_text('{"status": "finished", "metrics": {"val/mae": NaN}}')
    assert math.isnan(Run.load(run).metrics["val/mae"])
    assert math.isnan(read_results(run)["metrics"]["val/mae"])


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"status": "x", "metrics": [1]}'])
def test_an_odd_record_is_told(run, content):
    (run / "results.json").write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        Run.load(run)
