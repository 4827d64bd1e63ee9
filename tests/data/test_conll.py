"""Tagged sentences from files: what is read, and what is refused with its place."""

from __future__ import annotations

import pytest

from seqlab.data.conll import Conll
from seqlab.errors import InputError

GOOD = """-DOCSTART- -X- O O

EU NNP B-ORG
rejects VBZ O
call NN O


Peter NNP B-PER
Blackburn NNP I-PER
"""


def data(tmp_path, train=GOOD, test=GOOD, **options):
    (tmp_path / "train").write_text(train)
    (tmp_path / "test").write_text(test)
    paths = {name: str(tmp_path / name) for name in ("train", "test")}
    return Conll(**paths, val=paths["train"], **options)


def test_reads_tokens_and_tags(tmp_path):
    new = "EU B-ORG\nadores O\nPeter B-PER\n"
    read = data(tmp_path, test=new, min_count=1)
    spec = read.spec
    assert spec.label_names == ("O", "B-ORG", "B-PER", "I-PER")
    assert spec.metric == "span_f1"
    train, test = read.split("train"), read.split("test")
    assert train.lengths.tolist() == [3, 2]
    assert [spec.input_names[i] for i in train.inputs[1, :2]] == ["Peter", "Blackburn"]
    assert train.targets.tolist() == [[1, 0, 0], [2, 3, 0]]
    assert [spec.input_names[i] for i in test.inputs[0]] == ["EU", "<unknown>", "Peter"]
    assert train.per_token


def test_rare_tokens_are_unknown(tmp_path):
    read = data(tmp_path, "a O\na O\nb O\n", "a O\n")
    assert read.vocabulary == ("a",)
    assert read.split("train").inputs.tolist() == [[2, 2, 1]]


def test_tags_that_spell_no_spans(tmp_path):
    read = data(tmp_path, "the DET\ncat NOUN\ncats NOUN\n", "the DET\ncat NOUN\n", scheme=None)
    assert read.spec.metric == "token_accuracy"
    assert read.spec.trivial == 0.5
    assert read.spec.scheme is None


def test_lenient_reading_takes_what_strict_reading_refuses(tmp_path):
    broken = "a O\nb I-PER\n\na B-PER\n"
    lenient = data(tmp_path, broken, strict=False)
    names = lenient.spec.label_names
    tags = lenient.split("train").targets
    assert [names[tag] for tag in tags[0]] == ["O", "I-PER"]
    assert names[tags[1, 0]] == "B-PER"
    with pytest.raises(InputError, match=r"train, sentence 1, position 2: .* may not follow O"):
        data(tmp_path, broken).split("train")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a O\nb\n", {}, "line 2, sentence 1, position 2: 'b' stands alone"),
        ("\n\n", {}, "holds no sentence"),
        ("a O\n\nb X-PER\n", {}, "sentence 2, position 1: the tag 'X-PER' is outside the scheme"),
        ("a B-PER\nb E-PER\n", {}, "sentence 1, position 2: the tag 'E-PER' is outside"),
        ("a B-PER\n", {"scheme": "bioes"}, "position 1: .* the end may not follow B-PER"),
    ],
)
def test_what_is_refused_is_named_with_its_place(tmp_path, text, options, message):
    read = data(tmp_path, text, text, **options)
    with pytest.raises(InputError, match=message):
        read.split("train")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        Conll(train=str(tmp_path / "none"), val="", test="").split("train")
