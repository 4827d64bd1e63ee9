"""Points of a file against overrides written out, and what cannot be read."""

from __future__ import annotations

import itertools
import json
from functools import partial

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from seqlab.errors import InputError
from seqlab.runs.folder import RunFolder
from seqlab.sweeps.points import points
from seqlab.sweeps.points_file import read_points
from tests.sweeps import sweeping

POINTS = [
    {"model": "rnn", "optimizer.lr": 0.01, "sizes": [1, 2], "name": "a b, c'd", "off": None},
    {"model": "gru", "optimizer.lr": 1e-05, "sizes": [], "name": "x=1", "off": True},
]


def value(word: str):
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_values_arrive_as_they_stand(tmp_path, suffix):
    path = tmp_path / f"points.{suffix}"
    path.write_text(json.dumps(POINTS))  # JSON is YAML
    found = read_points(path)
    for words, point in zip(found, POINTS, strict=True):
        assert [word.partition("=")[0] for word in words] == list(point)
        assert [value(word) for word in words] == list(point.values())


def test_csv_is_read_as_the_command_line(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text('model, optimizer.lr, +sizes\nrnn, 0.01, "[1, 2]"\n\ngru,1e-5,null\n')
    assert read_points(path) == [
        ["model=rnn", "optimizer.lr=0.01", "+sizes=[1, 2]"],
        ["model=gru", "optimizer.lr=1e-5", "+sizes=null"],
    ]


def test_a_byte_order_mark_and_crlf_of_a_spreadsheet(tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbfmodel,seed\r\ngru,1\r\nlstm,2\r\n")
    assert read_points(path) == [["model=gru", "seed=1"], ["model=lstm", "seed=2"]]
    for suffix, text in (("yaml", "- {model: gru}"), ("json", '[{"model": "gru"}]')):
        path = tmp_path / f"points.{suffix}"
        path.write_bytes(f"\ufeff{text}".encode())
        assert read_points(path) == [["model=gru"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("points.yaml", "- {model: gru, seed: 1, model: lstm}"),
        ("points.json", '[{"model": "gru", "seed": 1, "model": "lstm"}]'),
        ("points.csv", "model,seed,model\ngru,1,lstm"),
    ],
)
def test_a_key_that_stands_twice_in_a_point(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=rf"sweep\.points=.*{name}.*'model'"):
        read_points(path)


def test_aliases_of_yaml_are_followed(tmp_path):
    path = tmp_path / "points.yaml"
    path.write_text("- &gru {model: gru, seed: 1}\n- {<<: *gru, seed: 2}\n")
    assert read_points(path) == [["model=gru", "seed=1"], ["model=gru", "seed=2"]]


def grid(*words, given=(), tied=()):
    parse = OverridesParser.create().parse_overrides
    return points(parse(list(words)), tied, [parse(list(point)) for point in given])


def test_points_meet_the_product():
    given = [["model=rnn", "lr=1"], ["model=gru", "lr=2"]]
    found = grid("seed=1,2", "a=3,4", "b=5,6", given=given, tied=[["a", "b"]])
    pairs = itertools.product(given, (1, 2), ((3, 5), (4, 6)))
    assert [set(point) for point in found] == [
        {*point, f"seed={seed}", f"a={a}", f"b={b}"} for point, seed, (a, b) in pairs
    ]
    assert grid(given=given) == given


WRONG = {
    "missing.yaml": (None, "there is no file"),
    "points.txt": ("model", "must be one of .yaml"),
    "mapping.yaml": ("model: gru", "must hold a list of points"),
    "empty.yaml": ("", "must hold a list of points"),
    "empty.csv": ("\n", "must hold a list of points"),
    "words.yaml": ("- model=gru", "point 1 is 'model=gru'; a list of points"),
    "broken.yaml": ("- {model: gru", "is no YAML at line"),
    "broken.json": ("[{", "is no JSON"),
    "ragged.yaml": ("- {a: 1}\n- {a: 1, b: 2}", "point 2 and point 1 do not both set b"),
    "ragged.csv": ("a,b\n1,2\n3", "point 2 has 1 values for 2 keys"),
    "commas.csv": ("a,b\n1,[2,3]", "point 1 has 3 values for 2 keys; put quotation marks"),
    "nested.yaml": ("- model: {size: 3}", "write model.size as one key"),
    "key.yaml": ("- {a b: 3}", "'a b' is no key"),
    "twice.csv": ("a,b,a\n1,2,3", "has two columns 'a'"),
    "latin.csv": (
        "model,name\ngru,a\nlstm,caf\xe9".encode("latin-1"),
        "line 3, is no text in UTF-8",
    ),
    "deep.json": ("[" * 100_000, "nested too deeply"),
    "deep.yaml": ("[" * 100_000, "nested too deeply"),
    "itself.yaml": ("- &a [*a]", "*a stands for what it is part of"),
    "laughs.yaml": (
        "- &a0 {x: 1}\n"
        + "".join(f"- &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(10)),
        "stand for too many values",
    ),
    "tag.yaml": ("- !!python/object/apply:os.getcwd []", "is no YAML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read(tmp_path, name):
    content, message = WRONG[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_points(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_combined():
    with pytest.raises(InputError, match=r"seed stands in the file .* and on the command line"):
        grid("seed=1,2", given=[["seed=3"]])
    with pytest.raises(InputError, match="point 2 sweeps, lr=1,2"):
        grid("seed=1,2", given=[["lr=3"], ["lr=1,2"]])


@pytest.fixture
def sweep(tmp_path):
    return partial(sweeping.sweep, conf=sweeping.write_conf(tmp_path / "conf"))


def test_a_sweep_of_points(sweep, tmp_path):
    ran = []

    def task(config):
        ran.append(
            (HydraConfig.get().runtime.choices["model"], config.trainer.max_epochs, config.seed)
        )
        with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
            folder.end("finished", metrics={"test/loss": 1.0})

    file = tmp_path / "points.csv"
    file.write_text("model,trainer.max_epochs\nrnn,3\ngru,5\n")
    for _ in range(2):  # the second time all are finished
        sweep(task, f"sweep.points={file}", "seed=1,2", folder=tmp_path / "out")
        assert ran == [("rnn", 3, 1), ("rnn", 3, 2), ("gru", 5, 1), ("gru", 5, 2)]
    file.write_text("model,modle\nrnn,3\n")
    with pytest.raises(HydraException, match="modle"):
        sweep(task, f"sweep.points={file}", folder=tmp_path / "out")
    assert len(ran) == 4
