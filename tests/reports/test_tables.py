"""Tables read from run folders alone; intervals against SciPy's own and closed forms."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from rich.console import Console
from scipy import stats

from seqlab.reports import words
from seqlab.reports.collect import headlines, metric_names, sweep_runs, varying
from seqlab.reports.results import report, result_rows, write_csv, write_parquet
from seqlab.reports.seeds import fold_seeds, mean_interval


def write(folder: Path, number: int, changed: dict[str, str], **results: Any) -> None:
    folder.mkdir(parents=True)
    job = {"identity": f"{number:016x}", "number": number, "changed": changed}
    (folder / "job.json").write_text(json.dumps(job))
    if results:
        (folder / "results.json").write_text(json.dumps(results))


def finished(folder: Path, number: int, changed: dict[str, str], **metrics: float) -> None:
    named = {name.replace("_", "/", 1): value for name, value in metrics.items()}
    reference = {"metric": "accuracy"}
    write(
        folder,
        number,
        changed,
        status="finished",
        seconds=1.5,
        parameters=1234,
        metrics=named,
        reference=reference,
    )


@pytest.fixture
def sweep(tmp_path):
    """Two models by two seeds; one run failed, one left nothing, one half a file."""
    finished(tmp_path / "a", 0, {"model": "rnn", "seed": "1"}, test_accuracy=0.5, val_loss=1)
    finished(tmp_path / "deep" / "b", 1, {"model": "rnn", "seed": "2"}, test_accuracy=0.7)
    finished(tmp_path / "c", 2, {"model": "gru", "seed": "1"}, test_accuracy=math.nan)
    write(tmp_path / "d", 3, {"model": "gru", "seed": "2"}, status="failed", reason='a, "b"\n[c]')
    write(tmp_path / "e", 4, {"model": "gru", "seed": "3", "lr": "0.1"})
    write(tmp_path / "f", 5, {"model": "gru", "seed": "4"})
    (tmp_path / "f" / "results.json").write_text('{"status": "fini')
    (tmp_path / "a" / "checkpoints").mkdir()
    (tmp_path / "no_run").mkdir()
    return tmp_path


def test_collect(sweep):
    runs = sweep_runs(sweep)
    assert [run.number for run in runs] == [0, 1, 2, 3, 4, 5]
    assert [run.status for run in runs] == ["finished"] * 3 + ["failed", "unfinished", "damaged"]
    assert varying(runs) == ["model", "seed", "lr"]
    assert varying(runs[:2]) == ["seed"]
    assert metric_names(runs) == ["test/accuracy", "val/loss"]
    assert headlines(runs) == ["test/accuracy"]
    assert sweep_runs(sweep / "no_run") == []


def test_csv_and_parquet_agree(sweep):
    rows = result_rows(sweep_runs(sweep), sweep)
    write_csv(sweep / "r.csv", rows)
    write_parquet(sweep / "r.parquet", rows)
    with (sweep / "r.csv").open(newline="") as file:
        texts = list(csv.DictReader(file))
    columns = parquet.read_table(sweep / "r.parquet").to_pydict()
    assert list(columns) == list(texts[0])
    for name, values in columns.items():
        assert [row[name] for row in texts] == ["" if v is None else str(v) for v in values], name
    assert columns["seed"] == [1, 2, 1, 2, 3, 4]
    assert columns["lr"] == [None] * 4 + [0.1, None]
    assert columns["run"][1] == "deep/b"
    assert texts[3]["reason"] == 'a, "b"\n[c]'
    assert columns["parameters"][0] == 1234


def test_report_shows_every_run(sweep):
    console = Console(record=True, width=200)
    report(sweep, console)
    text = console.export_text()
    for word in ("rnn", "gru", "0.5000", "nan", "failed", "[c]", "unfinished", "1,234", "0.6000"):
        assert word in text, word
    assert {path.name for path in sweep.glob("*.*")} == {
        "results.csv",
        "results.parquet",
        "summary.csv",
        "configurations.png",
    }


def test_report_without_pyarrow(sweep, monkeypatch):
    monkeypatch.setattr("seqlab.reports.results.find_spec", lambda name: None)
    console = Console(record=True, width=200)
    report(sweep, console)
    assert "pip install 'seqlab[parquet]'" in console.export_text()
    assert not (sweep / "results.parquet").exists()
    assert (sweep / "results.csv").is_file()


def test_fold_seeds(sweep):
    folded = {
        (entry.changed["model"], entry.metric): entry for entry in fold_seeds(sweep_runs(sweep))
    }
    assert set(folded) == {("rnn", "test/accuracy"), ("rnn", "val/loss"), ("gru", "test/accuracy")}
    both = folded["rnn", "test/accuracy"]
    assert both.n == 2
    assert both.mean == pytest.approx(0.6)
    assert both.std == pytest.approx(0.1 * math.sqrt(2))
    # With one degree of freedom t is Cauchy's: its 97.5 % quantile is tan(0.475π).
    high = mean_interval([0.5, 0.7])[3]
    assert high == pytest.approx(0.6 + 0.1 * math.tan(0.475 * math.pi))
    # No accuracy is above 1.
    assert (both.low, both.high) == (0.0, 1.0)
    alone = folded["rnn", "val/loss"]
    assert (alone.n, alone.mean, alone.std, alone.low) == (1, 1.0, None, None)
    assert math.isnan(folded["gru", "test/accuracy"].mean)


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [1e9, 1e9 + 1], list(range(30))])
def test_interval_is_students(values):
    mean, std, low, high = mean_interval(values)
    assert mean == pytest.approx(sum(values) / len(values))
    assert std == pytest.approx(float(stats.tstd(values)))
    wanted = stats.t.interval(0.95, len(values) - 1, mean, stats.sem(values))
    assert (low, high) == pytest.approx(wanted)


def test_intervals_of_shares_stay_within_0_and_1():
    values = [0.99, 0.95, 0.9]
    _, _, low, high = mean_interval(values)
    assert high is not None
    assert high > 1
    for metric in ("test/accuracy", "val/f1_a/b", "span_strict_f1", "test_long/exact_match"):
        assert mean_interval(values, metric)[2:] == (low, 1.0), metric
    assert mean_interval([0.01, 0.05, 0.1], "calibration_error")[2] == 0.0
    # No share: an error may be any number, and a percentage is none either.
    assert mean_interval(values, "test/mae")[2:] == (low, high)
    assert mean_interval([99.0, 95.0, 90.0], "accuracy") == mean_interval([99.0, 95.0, 90.0])


def test_equal_values_have_no_spread():
    assert mean_interval([0.3] * 5) == pytest.approx((0.3, 0, 0.3, 0.3))


def test_a_thousand_runs(tmp_path):
    for number in range(1000):
        changed = {"model": f"m{number // 10}", "seed": str(number % 10)}
        finished(tmp_path / str(number), number, changed, test_accuracy=number / 1000)
    report(tmp_path, Console(quiet=True))
    with (tmp_path / "results.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == [str(n % 10) for n in range(1000)]
    with (tmp_path / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    assert {row["n"] for row in rows} == {"10"}


def test_plots_are_drawn_again_only_where_results_changed(sweep):
    report(sweep, Console(quiet=True))
    plot = sweep / "configurations.png"
    before = plot.stat().st_mtime_ns
    report(sweep, Console(quiet=True))
    assert plot.stat().st_mtime_ns == before
    finished(sweep / "g", 6, {"model": "lstm", "seed": "1"}, test_accuracy=0.9)
    report(sweep, Console(quiet=True))
    assert plot.stat().st_mtime_ns > before


KEYS = ("optimizer.lr", "model.encoder.hidden_size", "model.dropout", "model.encoder.forget_bias")


def test_on_a_narrow_screen_every_number_is_whole(tmp_path):
    for number in range(2):
        changed = {key: f"{0.000175425 + number}" for key in KEYS}
        finished(tmp_path / str(number), number, changed, test_accuracy=0.1234 + number)
    wide, narrow = Console(record=True, width=200), Console(record=True, width=72)
    report(tmp_path, wide)
    report(tmp_path, narrow)
    assert "hidden_size" in wide.export_text(clear=False)
    assert "1,234" in wide.export_text()
    text = narrow.export_text()
    assert "…" not in text
    table = text.partition("sweep folder")[0]
    assert max(map(len, table.splitlines())) <= 72
    for word in ("lr", "hidden_", "forget_", "0.1234", "1.1234", "finished"):
        assert word in table
    # They are in results.csv.
    assert "1,234" not in table


def test_what_cannot_be_drawn_is_told(sweep, monkeypatch):
    def fail(*_):
        raise ValueError("no such font")

    monkeypatch.setattr("seqlab.reports.pictures.pictures", fail)
    console = Console(record=True, width=200)
    report(sweep, console)
    told = console.export_text()
    assert "the plots cannot be drawn: ValueError: no such font" in told
    assert "results.csv" in told
    assert not list(sweep.glob("*.png"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "–"), (0.0, "0.0000"), (1.78266, "1.7827"), (12345678.9, "12345678.9000")),
        *((1.5e-7, "1.5e-07"), (-2.48e29, "-2.48e+29"), (math.inf, "inf"), (math.nan, "nan")),
    ],
)
def test_a_number_leaves_room_for_the_names(value, text):
    assert words.number(value) == text
