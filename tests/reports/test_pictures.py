"""Pictures of ordinary and of odd runs: each can be drawn, and shows something."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from seqlab.reports import key_plots, plots
from seqlab.reports.collect import runs_below
from seqlab.reports.compare import compare_folders, images
from seqlab.reports.key_plots import heights_of
from seqlab.reports.pictures import pictures
from seqlab.reports.results import draw
from seqlab.reports.study_file import Study, write_study
from tests.reports.runs import write_run

MODELS = ("rnn", "gru", "lstm")


def drawn(folder, **options):
    """The pictures' sizes by name; each must have ink."""
    made = images(compare_folders([folder], **options))
    sizes = {}
    for name, content in made.items():
        picture = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
        assert (picture < 128).sum() > 200, name
        sizes[name] = picture.shape
    return sizes


def write(root, values, *, keys=("model",), metric="test/accuracy", seeds=2):
    """A run for each label and seed; `values(label number, seed)` scores it."""
    labels = [(m,) for m in MODELS] if len(keys) == 1 else [(m, r) for m in MODELS for r in "12"]
    for number, label in enumerate(labels):
        for seed in range(seeds):
            write_run(
                root / f"{number}_{seed}",
                dict(zip(keys, label, strict=True)),
                seed=seed,
                metrics={metric: values(number, seed)},
                headline=metric.partition("/")[2],
                curve=[0.1, 0.2, 0.1 * number],
            )
    return root


def test_one_key(tmp_path):
    found = drawn(write(tmp_path, lambda n, s: 0.5 + 0.1 * n + 0.01 * s**n))
    assert set(found) == {"configurations", "curves", "contests"}


@pytest.mark.parametrize("metric", ["test/accuracy", "test/rmse"])
def test_two_keys(tmp_path, metric):
    root = write(
        tmp_path, lambda n, s: 0.5 + 0.1 * n + 0.01 * s, keys=("model", "x"), metric=metric
    )
    curves = {"curves"} if metric == "test/accuracy" else set()  # the others have none
    assert set(drawn(root)) == {"configurations", "contests", "importance", "parallel"} | curves


@pytest.mark.parametrize("value", [0.0, 1e9])
def test_all_alike(tmp_path, value):
    drawn(write(tmp_path, lambda n, s: value, keys=("model", "x")))


def test_not_numbers_are_left_out(tmp_path):
    root = write(tmp_path, lambda n, s: math.nan if n == 1 else 0.1 * n + s, keys=("model", "x"))
    drawn(root)
    drawn(write(tmp_path / "all", lambda n, s: math.nan))


def test_one_run(tmp_path):
    write_run(tmp_path / "a", {}, metrics={"test/accuracy": 0.5})
    assert set(drawn(tmp_path)) == {"configurations"}


def test_a_sweep_without_a_better_end_is_not_drawn(tmp_path):
    """Its headline is a coverage, of which neither more nor less is better."""
    for seed in (1, 2):
        scores = {"test/coverage_80": 0.8}
        write_run(tmp_path / str(seed), {}, seed=seed, metrics=scores, headline="coverage_80")
    assert draw(tmp_path, runs_below([tmp_path]), again=True) == []


def test_lengths_make_lines(tmp_path):
    for number, (length, model) in enumerate((x, m) for x in (10, 100, 1000) for m in MODELS):
        changed = {"data.max_length": str(length), "model": model}
        score = {"test/accuracy": 1 / (number + 1)}
        write_run(tmp_path / str(number), changed, metrics=score, right=[1, 0])
    height, width = drawn(tmp_path)["configurations"]
    assert width > height


def test_many_configurations_are_cut_to_the_best(tmp_path):
    for number in range(30):
        write_run(tmp_path / str(number), {"x": str(number)}, metrics={"test/accuracy": number})
    assert drawn(tmp_path)["configurations"][0] < 1000


def test_heights_of_an_axis():
    spots, marks = heights_of(["b", "a", "b"])
    assert spots.tolist() == [0, 1, 0]
    assert marks == [("b", 0), ("a", 1)]
    spots, marks = heights_of(["10", "9", "9"])
    assert [name for name, _ in marks] == ["9", "10"]
    spots, marks = heights_of([str(10.0**-n) for n in range(7)])
    assert spots == pytest.approx(np.arange(7)[::-1] / 6)  # a logarithmic axis
    assert [name for name, _ in marks][::4] == ["1e-06", "1"]


def test_numbers_stand_where_they_are_on_their_scale():
    spots, marks = heights_of(["0.001", "0.01", "1"])
    assert spots == pytest.approx([0, 1 / 3, 1])
    assert [name for name, _ in marks] == ["0.001", "0.01", "1"]
    assert heights_of(["1", "2", "4"])[0] == pytest.approx([0, 0.5, 1])
    assert heights_of(["10", "20", "30"])[0] == pytest.approx([0, 0.5, 1])
    assert heights_of(["10", "20", "30"], logarithmic=True)[0] == pytest.approx(
        [0, math.log(2) / math.log(3), 1]
    )
    assert heights_of(["0.001", "0.01", "1"], logarithmic=False)[0] == pytest.approx(
        [0, 9 / 999, 1]
    )
    # Marks that would be printed over one another are left out.
    assert [name for name, _ in heights_of(["1", "1.01", "2"], logarithmic=False)[1]] == ["1", "2"]
    assert heights_of(["0", "5", "-5"])[0] == pytest.approx([0.5, 1, 0])
    assert heights_of(["7", "7"])[0].tolist() == [0.5, 0.5]


def shown(monkeypatch, folder, name):
    """The figure of a picture, as it was before it became a file."""
    figures = []
    for module in (plots, key_plots):
        original = module.png
        monkeypatch.setattr(module, "png", lambda f, o=original: figures.append(f) or o(f))
    made = list(pictures(compare_folders([folder]).comparisons[0]))
    return figures[made.index(name)]


@pytest.mark.parametrize("name", ["configurations", "contests"])
def test_intervals_are_in_view_whole(tmp_path, monkeypatch, name):
    """Those of two seeds are ten times as wide as what they are of, and of no share."""
    write(tmp_path, lambda n, s: 0.5 + 0.1 * n + 0.05 * s * (n + 1), metric="test/loss")
    axis = shown(monkeypatch, tmp_path, name).axes[0]
    left, right = axis.get_xlim()
    ends = [x for line in axis.lines if len(line.get_xdata()) == 2 for x in line.get_xdata()]
    wide = [x for x in ends if not 0 <= x <= 1]
    assert wide
    assert left < min(wide)
    assert right > max(wide)


def test_importances_of_a_search_are_optunas(tmp_path, monkeypatch):
    write_study(tmp_path, Study(["val/accuracy"], ["x"], {"x": 0.9, "y": 0.1}))
    for number in range(4):
        changed = {"x": str(10.0**-number), "y": str(number % 2)}
        write_run(tmp_path / str(number), changed, metrics={"val/accuracy": number / 4}, job=number)
    axis = shown(monkeypatch, tmp_path, "importance").axes[0]
    assert [bar.get_width() for bar in axis.patches] == [0.9, 0.1]
    assert axis.get_xlabel() == "importance for val/accuracy by Optuna"
