"""What the screen tells of a sweep: counts, the best so far, the time left."""

from __future__ import annotations

import io
import json
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from seqlab.sweeps import progress
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.progress import Display


@pytest.fixture
def jobs(tmp_path):
    """Four jobs with their accuracies, of which the last is finished before."""
    made = []
    for number, value in enumerate((0.5, 0.75, 0.25, 0.7)):
        folder = tmp_path / str(number)
        folder.mkdir()
        results = {"metrics": {"test/accuracy": value}, "reference": {"metric": "accuracy"}}
        (folder / "results.json").write_text(json.dumps(results))
        status = "finished" if number == 3 else None
        made.append(Job(number, [], str(number), folder, status, f"seed={number}", None))
    return made


@pytest.fixture
def clock(monkeypatch):
    """Ten seconds pass from each look at the clock to the next."""
    ticks = count(0, 10)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))


def screen(**settings) -> Console:
    return Console(file=io.StringIO(), width=120, **settings)


def told(display: Display) -> str:
    assert isinstance(display.console.file, io.StringIO)
    return display.console.file.getvalue()


def test_lines_where_the_screen_is_a_file(jobs):
    display = Display(screen())
    with display.shown(jobs):
        assert "1 of 4 jobs are finished already" in told(display)
        for job, reason in zip(jobs[:3], (None, None, "out of luck"), strict=True):
            display.started(job)
            display.ended(job, reason)
    lines = told(display).splitlines()
    assert lines[1:3] == ["[2/4] seed=0", "finished: seed=0  test/accuracy 0.5, 0 s"]
    assert lines[3].startswith("  2 of 4 done · about 0 s left · best test/accuracy 0.7 (seed=3)")
    assert "best test/accuracy 0.75 (seed=1)" in lines[6]
    assert lines[-1] == "failed: seed=2: out of luck"
    assert "\x1b" not in told(display)


def test_time_left(jobs, clock):
    display = Display(screen())
    with display.shown(jobs):  # looked at the clock at 0
        assert display.seconds_left() is None
        display.started(jobs[0])
        display.started(jobs[1])
        display.ended(jobs[0], None)
        rate = display._seconds / 1
        assert rate >= 10
        # Two are left at that rate, less what has gone by since.
        assert display.seconds_left() == pytest.approx(max(2 * rate - 10, 0), abs=10)
        display.ended(jobs[1], None)
        display.started(jobs[2])
        display.ended(jobs[2], None)
        assert display.seconds_left() is None


def test_lines_that_change_on_a_terminal(jobs):
    display = Display(screen(force_terminal=True))
    with display.shown(jobs):
        display.started(jobs[0])
        display.started(jobs[1])
        display.ended(jobs[0], None)
        display.ended(jobs[1], "broke")
        display.console.print(display._lines())
    text = told(display)
    assert "3 of 4 done · 1 failed" in text
    assert "best test/accuracy 0.7 (seed=3)" in text
    assert "failed: seed=1: broke" in text
    assert "finished: seed=0" not in text  # it is counted, and in the table at the end
    # Jobs that write to the same terminal would be drawn over.
    shared = Display(screen(force_terminal=True), shares=True)
    with shared.shown(jobs):
        shared.started(jobs[0])
    assert "[2/4] seed=0" in told(shared)


def test_several_launches_are_one_sweep(jobs):
    display = Display(screen(), total=10)
    for job in jobs[:3]:
        with display.shown([job]):
            display.started(job)
            display.ended(job, None)
    assert display.counts().startswith("3 of 10 done")


def test_smaller_losses_are_better(jobs):
    for job, value in zip(jobs, (3.0, float("nan"), 2.0, 4.0), strict=True):
        results = {"metrics": {"test/loss": value}}
        (Path(job.folder) / "results.json").write_text(json.dumps(results))
    display = Display(screen())
    with display.shown(jobs):
        for job in jobs[:3]:
            display.started(job)
            display.ended(job, None)
    assert str(display.best["test/loss"]) == "test/loss 2 (seed=2)"
