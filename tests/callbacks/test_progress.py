"""A line an epoch where there is no terminal; on one of 80 columns a bar of one line."""

from __future__ import annotations

import io
import logging
import re

from rich.console import Console

from seqlab.callbacks.progress import EpochProgressBar
from tests.conftest import SHORT, SMALL

RUN = (
    "model=gru",
    "logger=none",
    *SMALL,
    *(word for word in SHORT if "progress_bar" not in word),
    "trainer.max_epochs=2",
)
NUMBER = r"[\d.e-]+"


class Narrow(EpochProgressBar):
    """A progress bar on a terminal of 80 columns."""

    screen = io.StringIO()

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)
        Narrow.screen = io.StringIO()
        self.console = Console(file=Narrow.screen, force_terminal=True, width=80)

    def begin(self, trainer, description, total):
        super().begin(trainer, description, total)
        self._shown.refresh()  # an epoch of a test is over before the screen is drawn again


def test_a_line_an_epoch(train, capsys, caplog):
    with caplog.at_level(logging.INFO, logger="seqlab"):
        train(*RUN)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    parts = ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr")
    shape = "  ".join(f"{part} {NUMBER}" for part in parts)
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"epoch {number}/2  {shape}  [\d.]+ s", line), line
    logged = [record.message for record in caplog.records if record.name == "seqlab"]
    assert logged == lines  # and with that in train.log


def test_no_lines_where_no_progress_is_wanted(train, capsys, caplog):
    with caplog.at_level(logging.INFO, logger="seqlab"):
        train(*RUN, "trainer.enable_progress_bar=false")
    assert not re.search("^epoch ", capsys.readouterr().out, re.MULTILINE)
    assert sum(record.name == "seqlab" for record in caplog.records) == 2


def test_the_bar_fits_on_a_line_and_counts_from_one(train):
    bar = "callbacks.progress_bar._target_=tests.callbacks.test_progress.Narrow"
    train(*RUN, bar, "callbacks.progress_bar.every=1")
    shown = Narrow.screen.getvalue()
    frames = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", shown)]
    assert max(map(len, frames)) <= 80
    assert "\x1b[2K\x1b[1A" not in shown  # no frame of several lines is taken away
    text = " ".join(frames)
    for part in ("epoch 1/2", "epoch 2/2", "validation", "test", "2/2"):
        assert part in text
    assert "epoch 0" not in text


def test_baselines_are_printed_once(train, capsys):
    train("data=sines", "model=gru", "logger=none", *SHORT)
    screen = capsys.readouterr().out
    assert screen.count("moving_average") == 1
