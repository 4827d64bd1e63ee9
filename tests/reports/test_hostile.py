"""Folders of other people: no name in them is obeyed, and no odd file takes a comparison down."""

from __future__ import annotations

import csv
import json
import os
import re

import numpy as np
import pytest
from rich.console import Console

from seqlab.cli import main
from seqlab.errors import InputError
from seqlab.reports.collect import runs_below, sweep_runs
from seqlab.reports.compare import compare_folders
from seqlab.reports.curves import read_curve
from seqlab.reports.outcomes import paired_on_examples
from seqlab.reports.results import report
from tests.hostile import HOSTILE, assert_harmless
from tests.reports.runs import write_run
from tests.test_escaping import GFM, html_text

TABLE = ("table", "thead", "tbody", "tr", "th", "td")


@pytest.fixture
def sweep(tmp_path):
    """Two configurations by two seeds whose key, values, metrics, data and reasons are hostile."""
    number = 0
    for value in ("1", HOSTILE):
        for seed in (1, 2):
            folder = write_run(
                tmp_path / str(number),
                {"x" + HOSTILE: value, "y": str(seed)},
                seed=seed,
                metrics={
                    "test/accuracy": 0.5 + 0.1 * number,
                    "test/f1_" + HOSTILE: 0.25,
                    "val/accuracy": 0.5,
                },
                data=HOSTILE,
                model=HOSTILE,
                job=number,
                curve=(0.1, 0.2),
            )
            if number == 3:
                results = json.loads((folder / "results.json").read_text())
                results |= {"status": "failed", "reason": HOSTILE}
                (folder / "results.json").write_text(json.dumps(results))
            number += 1
    return tmp_path


def test_every_document(sweep, capsys):
    out = sweep / "report"
    main(["compare", str(sweep), "--output", str(out)])
    assert_harmless(capsys.readouterr().out)
    page = (out / "compare.html").read_text()
    assert_harmless(page)
    _, _, body = page.partition("</head>")
    html_text(body, *TABLE, "body", "h1", "h2", "h3", "p", "ul", "li", "br", "code", "img")
    assert "<script" not in page
    markdown = (out / "compare.md").read_text()
    assert_harmless(markdown, lines=True)
    shown = GFM.render(markdown)
    html_text(shown, *TABLE, "h1", "h2", "p", "strong", "ul", "li", "code", "img")
    latex = (out / "compare.tex").read_text()
    assert_harmless(latex, lines=True)
    assert not re.search(r"\\(input|frac)\b", latex)
    for name in ("compare.csv", "contests.csv"):
        with (out / name).open(newline="") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert_harmless(cell)
            assert not cell.startswith(("=", "+", "@", "\t"))


@pytest.mark.parametrize("kind", ["markdown", "csv", "latex", "html"])
def test_every_format_on_the_screen(sweep, capsys, kind):
    main(["compare", str(sweep), "--format", kind])
    assert_harmless(capsys.readouterr().out)


def test_the_screen(sweep, capsys):
    main(["compare", str(sweep), "--against", "all"])
    assert_harmless(capsys.readouterr().out)
    with pytest.raises(SystemExit):
        main(["compare", str(sweep), "--by", HOSTILE])
    refused = capsys.readouterr().err
    assert_harmless(refused)
    assert len(refused.splitlines()) == 1


def test_a_sweeps_tables(sweep):
    console = Console(record=True, width=300, file=(sweep / "screen").open("w"))
    report(sweep, console)
    console.file.close()
    text = console.export_text()
    assert "cannot be drawn" not in text
    assert_harmless(text)
    assert_harmless((sweep / "results.csv").read_text())
    assert_harmless((sweep / "summary.csv").read_text())


ODD = {
    "job.json": [
        *("[]", "3", "null", "{}", '{"identity": 3}', '{"identity": "a", "number": "b"}'),
        *('{"identity": "a", "changed": [1]}', '{"identity": "a", "number": 1e999}'),
        *('{"identity": "a", "changed": {"x": [1]}}', "[" * 100_000),
        '{"identity": "a", "changed": {"x": "\\ud800"}}',
    ],
    "results.json": [
        *("[]", "3", "", "{", '{"status": 3}', '{"status": "finished", "metrics": [1]}'),
        *('{"metrics": {"test/accuracy": "0.5"}}', '{"metrics": {"a": [1]}}', "null"),
        *('{"metrics": {"test/accuracy": true}}', '{"metrics": {"a": 1' + "0" * 400 + "}}"),
        *('{"reference": []}', '{"reference": {"metric": []}}', '{"reference": {"trivial": "x"}}'),
        *('{"choices": ["gru"]}', '{"choices": {"model": {}}}', '{"test_sets": {"test": 1}}'),
        *('{"parameters": "many"}', '{"parameters": 1e999}', '{"seconds": "s"}', '{"seed": [1]}'),
        *('{"status": "\\ud800"}', '{"\\ud800": 1}', "[" * 100_000, '{"reason": {}}', "\xff"),
    ],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, text) for name, texts in ODD.items() for text in texts]
)
def test_an_odd_record_is_named_left_out_and_counted(tmp_path, capsys, name, content):
    for number in range(3):
        metrics = {"test/accuracy": 0.5 + 0.1 * number}
        folder = tmp_path / "ab c" / str(number)
        write_run(folder, {"x": str(number)}, metrics=metrics, job=number)
    odd = tmp_path / "ab c" / "1" / name
    odd.write_bytes(content.encode("latin-1"))
    main(["compare", str(tmp_path)])
    text = capsys.readouterr().out
    assert "3 runs: 2 finished; not counted: 1 damaged." in text
    assert f"{odd} is damaged: left out" in text
    console = Console(record=True, width=300, file=(tmp_path / "screen").open("w"))
    report(tmp_path, console)
    console.file.close()
    text = console.export_text()
    assert "Results of 3 runs" in text
    assert f"{odd} is damaged: left out" in text


def test_a_directory_for_a_file(tmp_path, capsys):
    write_run(tmp_path / "a", {}, metrics={"test/accuracy": 0.5})
    write_run(tmp_path / "b", {}, seed=2, metrics={"test/accuracy": 0.5})
    (tmp_path / "b" / "results.json").unlink()
    (tmp_path / "b" / "results.json").mkdir()
    main(["compare", str(tmp_path)])
    assert "results.json is damaged: left out" in capsys.readouterr().out


def tables():
    kinds = [("index", np.int32), ("accuracy", np.uint8), ("accuracy/of", np.uint8)]
    good = np.ones(4, kinds)
    good["index"] = np.arange(4)
    yield "no structure", np.ones(4)
    yield "two axes", good.reshape(2, 2)
    yield "no axis", good[0]
    yield "no index", np.ones(4, kinds[1:])
    yield "no denominator", np.ones(4, kinds[:2])
    yield "text", np.ones(4, [kinds[0], ("accuracy", "U3"), kinds[2]])
    yield "vectors", np.ones(4, [kinds[0], ("accuracy", np.uint8, (2,)), kinds[2]])
    yield "complex", np.ones(4, [kinds[0], ("accuracy", np.complex64), kinds[2]])
    yield "fractions of an index", np.ones(4, [("index", float), *kinds[1:]])


def save(path, table):
    np.save(path, table, allow_pickle=False)
    return path.read_bytes()


class Bomb:
    """Leaves a file behind if anything unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", [*(name for name, _ in tables()), "garbage", "half", "huge"])
def test_odd_outcomes_are_named_and_not_counted(tmp_path, name):
    for number in range(2):
        write_run(tmp_path / str(number), {"x": str(number)}, right=[1, number, 0, 1])
    path = tmp_path / "0" / "test_outcomes.npy"
    whole = path.read_bytes()
    if name in dict(tables()):
        save(path, dict(tables())[name])
    elif name == "huge":
        # A head that claims more than any memory holds
        path.write_bytes(whole.replace(b"(4,), }", b"(9999999999999,), }"[:7] + b"").ljust(128))
    else:
        path.write_bytes(b"no array" if name == "garbage" else whole[:-3])
    (comparison,) = compare_folders([tmp_path]).comparisons
    (contest,) = comparison.contests
    assert contest.examples is None
    assert contest.why_not == f"{path} is damaged"


def test_reading_executes_nothing(tmp_path):
    mark = tmp_path / "executed"
    for number in range(2):
        folder = write_run(
            tmp_path / "runs" / str(number), {"x": f"'{number}'"}, right=[1, 0], job=number
        )
        np.save(folder / "test_outcomes.npy", np.array([Bomb(mark)], object), allow_pickle=True)
        yaml = f"!!python/object/apply:os.mkdir ['{mark}']"
        (folder / "config.yaml").write_text(f"x: {yaml}\n")
        (folder / ".hydra" / "overrides.yaml").write_text(f"- {yaml}\n")
    found = compare_folders([tmp_path / "runs"])
    assert "damaged" in paired_on_examples("test/accuracy", found.runs[:1], found.runs[1:])
    assert not mark.exists()


@pytest.mark.parametrize(
    "yaml",
    [
        "[" * 100_000,
        "a: " + "{a: " * 5000,
        "&a [*a]",
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(12)),
        "\x00",
    ],
    ids=["deep list", "deep mapping", "itself", "laughs", "no text"],
)
def test_yaml_of_a_run_is_bounded(tmp_path, yaml):
    folder = write_run(tmp_path / "a", {"x": "1"}, metrics={"test/accuracy": 0.5})
    (folder / "config.yaml").write_text(yaml)
    (folder / ".hydra" / "overrides.yaml").write_text(yaml)
    (run,) = runs_below([tmp_path])
    assert run.config == {}
    assert run.changed == {}


def test_links_to_themselves_and_above(tmp_path):
    write_run(tmp_path / "runs" / "a", {}, metrics={"test/accuracy": 0.5}, job=1)
    (tmp_path / "runs" / "deep").mkdir()
    (tmp_path / "runs" / "itself").symlink_to("itself")
    (tmp_path / "runs" / "deep" / "above").symlink_to(tmp_path)
    (tmp_path / "runs" / "deep" / "again").symlink_to(tmp_path / "runs")
    assert len(runs_below([tmp_path])) == 1
    assert len(sweep_runs(tmp_path)) == 1


def test_curves_of_odd_files(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        f'step,metric,value\n1,"test/f1_x,val/loss,y",1\n2,val/loss,0.5\n3,val/loss\n'
        f'4,val/loss,0.1,9\nx,val/loss,1\n5,"val/f1_{"a,b"}",0.3\n'
    )
    assert read_curve(tmp_path, "val/loss") == {2: 0.5}
    assert read_curve(tmp_path, "val/f1_a,b") == {5: 0.3}
    (tmp_path / "metrics.csv").write_bytes(b"1,val/loss,0.5\n\xff\n")
    assert read_curve(tmp_path, "val/loss") == {}


def test_a_folder_that_is_a_link_to_itself_is_told(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="there is no folder"):
        compare_folders([tmp_path / "loop"])
