"""The seqlab command as a user types it: what it prints and writes, and how it refuses."""

from __future__ import annotations

import base64
import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqlab.cli import main
from tests.reports.runs import write_run

RATES = {"rnn": 0.6, "gru": 0.9, "lstm": 0.88}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three models by two sizes by three seeds, with curves and test examples."""
    root = tmp_path_factory.mktemp("sweep")
    rng = np.random.default_rng(0)
    hardness = rng.random(400)
    number = 0
    for model, rate in RATES.items():
        for size in ("16", "64"):
            for seed in (1, 2, 3):
                skill = rate + (0.03 if size == "64" else 0) + rng.normal(0, 0.01)
                write_run(
                    root / str(number),
                    {"model": model, "model.encoder.hidden_size": size},
                    seed=seed,
                    right=(hardness < skill).astype(int),
                    metrics={"val/loss": 1 - skill, "test/coverage_80": 0.8},
                    job=number,
                    curve=(skill - 0.3 / np.arange(1, 9)).tolist(),
                )
                number += 1
    write_run(root / "failed", {"model": "tcn"}, status="failed", job=number)
    return root


def refusal(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert len(shown.err.splitlines()) == 1
    return shown.err


def test_on_the_screen(sweep, capsys):
    main(["compare", str(sweep)])
    text = capsys.readouterr().out
    assert "19 runs: 18 finished; not counted: 1 failed." in text
    assert "test/accuracy on parity, larger is better, trivial 0.5000, optimum 1.0000" in text
    assert re.search(r"gru +64 +3 +0\.9", text)
    assert "gru hidden_size=64 is better than rnn hidden_size=16 by" in text
    assert "within noise of" in text
    best = "python train.py -m model=gru model.encoder.hidden_size=64 seed=1,2,3"
    assert best in text
    assert max(map(len, text.replace(best, "").splitlines())) <= 100


def test_written(sweep, tmp_path, capsys):
    main(["compare", str(sweep), "--output", str(tmp_path / "deep" / "report")])
    assert "compare.md, compare.csv, compare.tex, compare.html" in capsys.readouterr().out
    folder = tmp_path / "deep" / "report"
    pictures = {"configurations", "curves", "contests", "importance", "parallel"}
    assert {path.stem for path in folder.glob("*.png")} == pictures
    for path in folder.glob("*.png"):
        colours = Image.open(path).convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 30, path
    with (folder / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["n"] for row in rows] == ["3"] * 6
    assert float(rows[0]["low"]) < float(rows[0]["mean"]) < float(rows[0]["high"])
    with (folder / "contests.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert {row["examples_test"] for row in rows} == {"permutation of examples, exact"}
    page = (folder / "compare.html").read_text()
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(embedded) == len(pictures)
    assert all(Image.open(io.BytesIO(base64.b64decode(image))).width > 300 for image in embedded)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    markdown = (folder / "compare.md").read_text()
    assert all((folder / name).is_file() for name in re.findall(r"!\[\w+\]\((.+)\)", markdown))
    assert "| **gru** | **64** | **3** |" in markdown


def test_formats(sweep, tmp_path, capsys):
    main(["compare", str(sweep), "--format", "csv"])
    assert capsys.readouterr().out.startswith("model,model.encoder.hidden_size,metric,n,mean")
    main(["compare", str(sweep), "--format", "latex"])
    text = capsys.readouterr().out
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"model.encoder.hidden\_size" in text
    assert not re.search(r"(?<!\\)[_#]", text)
    main(["compare", str(sweep), "--format", "markdown,csv", "--output", str(tmp_path)])
    assert {path.name for path in tmp_path.glob("*.[mct]*")} == {
        "compare.md",
        "compare.csv",
        "contests.csv",
    }
    capsys.readouterr()
    main(["compare", str(sweep), "--format", "markdown", "--by", "model"])
    text = capsys.readouterr().out
    assert "averaged over model.encoder.hidden_size" in text
    assert "| **gru** | **6** |" in text
    main(["compare", str(sweep), "--metric", "val/loss", "--format", "csv"])
    text = capsys.readouterr().out
    assert text.splitlines()[1].startswith("gru,64,val/loss")


WRONG = {
    "compare nowhere": "there is no folder nowhere",
    "compare EMPTY": "there is no run in or below",
    "compare UNFINISHED": "is finished (1 runs",
    "compare SWEEP --metric test/bleu": "no finished run has it; they have test/accuracy, ",
    "compare SWEEP --metric test/coverage_80": "neither larger nor smaller values are better",
    "compare SWEEP --by colour": "no run has this key; they differ in or chose model, ",
    "compare SWEEP --against model=tcn": "fits no configuration; use best, all, or one of model=",
    "compare SWEEP --against model=gru": "fits 2 configurations (gru hidden_size=64, "
    "gru hidden_size=16); name one",
    "compare SWEEP --format word": "--format word is unknown; use markdown, csv, latex, html",
    "compare SWEEP --format csv,html": "needs --output DIR",
    "compare SWEEP --output FILE/report": "FILE/report cannot be written to",
    "compare": "arguments are required: FOLDER",
    "contrast": "invalid choice: 'contrast'",
    "compare SWEEP --bye model": "unrecognized arguments",
}


@pytest.mark.parametrize("words", WRONG)
def test_refusals(sweep, tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").mkdir()
    Path("FILE").touch()
    write_run(Path("UNFINISHED"), {}, status="interrupted")
    arguments = words.replace("SWEEP", str(sweep)).split()
    assert WRONG[words] in refusal(capsys, *arguments)


def test_without_a_command_it_helps(capsys):
    main([])
    shown = capsys.readouterr()
    assert shown.out.startswith("usage: seqlab")
    assert "compare" in shown.out
    assert shown.err == ""


def test_damaged_results_are_told(tmp_path, capsys):
    write_run(tmp_path / "a", {}, metrics={"test/accuracy": 0.5})
    write_run(tmp_path / "b", {}, seed=2, metrics={"test/accuracy": 0.5})
    (tmp_path / "b" / "results.json").write_text("{")
    main(["compare", str(tmp_path)])
    text = " ".join(capsys.readouterr().out.split())
    assert "2 runs: 1 finished; not counted: 1 damaged" in text
    assert "results.json is damaged: left out" in text
    assert "gru reaches 0.5000" in text


def test_starts_light_and_stops_at_a_closed_pipe(sweep):
    code = (
        "import sys\nfrom seqlab.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'hydra', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"main(['compare', {str(sweep)!r}])\n"
        "heavy = {'torch', 'lightning', 'matplotlib', 'hydra', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    command = f"{sys.executable} -m seqlab.cli compare {sweep} --format html | head -c 10"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "<!doctype "
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_csv_file_is_one_table_whatever_the_metrics(sweep, capsys):
    main(["compare", str(sweep), "--metric", "val/loss,test/accuracy", "--format", "csv"])
    text = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["metric"] for row in rows] == ["val/loss"] * 6 + ["test/accuracy"] * 6
    assert "\n\n" not in text
    assert all(float(row["mean"]) for row in rows)
