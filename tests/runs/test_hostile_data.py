"""Runs on data whose tokens, tags and names are hostile: everything they write shows text."""

from __future__ import annotations

import csv

import pytest

from seqlab.cli import main
from tests.conftest import SHORT
from tests.hostile import HOSTILE, assert_harmless

# What a file of columns can hold: no line end, and no tab.
NAME = HOSTILE.replace("\n", "").replace("\r", "")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*are in training too"),
    pytest.mark.filterwarnings("ignore:.*are not in the vocabulary of training"),
]


def texts(folder):
    """All that a run writes for people to read."""
    for pattern in ("*.csv", "*.md", "*.txt", "*.log", "figures/*.md"):
        for path in folder.glob(pattern):
            yield path.name, path.read_text(encoding="utf-8")


def check(folder, capsys):
    shown = capsys.readouterr()
    assert_harmless(shown.out)
    assert_harmless(shown.err)
    for name, text in texts(folder):
        if name.endswith(".csv"):
            with (folder / name).open(newline="", encoding="utf-8") as file:
                for cell in (cell for row in csv.reader(file) for cell in row):
                    assert not cell.startswith(("=", "+", "@", "\t")), name
        else:
            assert_harmless(text)
    main(["compare", str(folder)])
    assert_harmless(capsys.readouterr().out)


def test_a_tagger(train, tmp_path, capsys):
    path = tmp_path / "tags"
    path.write_text(f"{NAME}\tO\nb\tB-{NAME}\nc\tI-{NAME}\n\nd\tO\n" * 3, encoding="utf-8")
    paths = [f"data.{split}={path}" for split in ("train", "val", "test")]
    train("data=conll", *paths, "task.crf=true", "data.min_count=1", *SHORT)
    check(tmp_path / "run", capsys)
    assert "\\<script\\>" in (tmp_path / "run" / "figures" / "test_tagged_sentences.md").read_text()


def test_a_translator(train, tmp_path, capsys):
    path = tmp_path / "pairs"
    lines = [f"{n} {NAME}\t{NAME} {n}\n" for n in range(12)]
    path.write_text("".join(lines), encoding="utf-8")
    paths = [f"data.path={path}", "data.val_share=0.2", "data.test_share=0.2"]
    train("data=pairs_file", *paths, *SHORT)
    check(tmp_path / "run", capsys)


def test_a_forecaster(train, tmp_path, capsys):
    path = tmp_path / "series.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "y"])
        writer.writerows([NAME, (n * 7) % 10 + 0.5] for n in range(60))
    settings = ["time_column=null", "series_column=name", "targets=[y]", "past=[]", "known=[]"]
    settings += ["static=[]", "val_steps=8", "test_steps=8", "window=6", "min_window=null"]
    overrides = [f"data.{setting}" for setting in settings]
    train("data=series_file", f"data.path={path}", *overrides, "task.horizon=1", *SHORT)
    check(tmp_path / "run", capsys)
