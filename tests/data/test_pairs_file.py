"""Pairs from files: what is read, how it is split, and what is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlab.data.pairs import Pair, draw_splits, read_pairs
from seqlab.data.pairs_file import PairsFile
from seqlab.data.vocabulary import END, SPECIAL, UNKNOWN
from seqlab.errors import InputError
from seqlab.networks.seq2seq import _copied_as

TRAIN = "a b\tB A\nc\tC\na c b\tB C A\n"


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


def dataset(tmp_path, train=TRAIN, val=TRAIN, test=TRAIN, **options):
    paths = {"path": train, "val_path": val, "test_path": test}
    return PairsFile(
        **{name: written(tmp_path, name, text) for name, text in paths.items()}, **options
    )


def texts(names, tokens, lengths):
    rows = zip(tokens.tolist(), lengths.tolist(), strict=True)
    return [" ".join(names[token] for token in row[:length]) for row, length in rows]


@pytest.mark.filterwarnings("ignore:.*are in training too")
def test_reads_words(tmp_path):
    data = dataset(tmp_path)
    spec, train = data.spec, data.split("train")
    assert texts(spec.input_names, train.inputs, train.lengths) == ["a b", "c", "a c b"]
    assert texts(spec.label_names, train.targets, train.target_lengths) == [
        "B A </s>",
        "C </s>",
        "B C A </s>",
    ]
    assert spec.input_size == len(SPECIAL) + 3
    assert spec.longest_target == 3
    # Behind the end there is nothing.
    assert train.targets[1].tolist() == [spec.label_names.index("C"), END, 0, 0]


@pytest.mark.filterwarnings("ignore:.*are in training too")
def test_reads_characters_and_two_files(tmp_path):
    split = [line.split("\t") for line in TRAIN.splitlines()]
    sources = written(tmp_path, "sources", "\n".join(half[0] for half in split))
    targets = written(tmp_path, "targets", "\r\n".join(half[1] for half in split) + "\r\n\n")
    paths = {
        f"{name}{side}": path
        for name in ("", "val_", "test_")
        for side, path in (("path", sources), ("target_path", targets))
    }
    data = PairsFile(**paths, tokens="characters")
    train = data.split("train")
    assert texts(data.target_names, train.targets, train.target_lengths - 1) == [
        "B   A",
        "C",
        "B   C   A",
    ]
    assert data.pairs == dataset(tmp_path, tokens="characters").pairs


def test_unknown_tokens_are_mapped_counted_and_told(tmp_path):
    data = dataset(tmp_path, val="a z\tA A\n", test="x y\tX\nb c\tC\n")
    with pytest.warns(UserWarning, match="not in the vocabulary") as told:
        spec = data.spec
    assert (
        sorted(str(warning.message).partition(" are read")[0] for warning in told)
        == [
            "1 of 2 source tokens of val are not in the vocabulary of training and",
            "1 of 2 target tokens of test are not in the vocabulary of training and",
            "2 of 4 source tokens of test are not in the vocabulary of training and",
        ]
        or [str(warning.message) for warning in told] == []
    )
    assert "z" not in spec.input_names
    assert data.split("val").inputs[0, 1] == UNKNOWN
    assert data.split("test").targets[0, 0] == UNKNOWN


def test_unknown_tokens_are_refused_before_training(tmp_path):
    data = dataset(tmp_path, val="b\tA\n", test="b c\tC\na\tA X\n", unknown="error")
    with pytest.raises(InputError, match=r"test_path, line 2, target \(test\): token 2, 'X'"):
        _ = data.spec


@pytest.mark.filterwarnings("ignore:.*are in training too")
def test_rare_tokens_of_training_are_unknown(tmp_path):
    data = dataset(tmp_path, train="a a\tB\nc a\tB\n", val="a\tB\n", test="a\tB\n", min_count=2)
    with pytest.warns(UserWarning, match="1 of 4 source tokens of train are not"):
        train = data.split("train")
    assert train.inputs[1, 0] == UNKNOWN
    with pytest.raises(InputError, match=r"data\.min_count=2 makes rare tokens unknown"):
        dataset(tmp_path, min_count=2, unknown="error")


def test_sources_shared_with_training_are_told(tmp_path):
    with pytest.warns(UserWarning, match="1 of 2 sources of test are in training too"):
        _ = dataset(tmp_path, val="b\tB\n", test="a b\tA\nb\tB\n").spec


@given(
    sources=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40),
    seed=st.integers(0, 5),
)
def test_splits_share_no_source_and_lose_no_pair(sources, seed):
    pairs = [Pair((source,), (str(n),), n) for n, source in enumerate(sources)]
    splits = draw_splits(pairs, {"val": 0.25, "test": 0.25}, seed)
    assert sorted(pair.line for split in splits.values() for pair in split) == list(
        range(len(sources))
    )
    held = [{pair.source for pair in split} for split in splits.values()]
    assert sum(map(len, held)) == len(set(sources))
    share = round(0.25 * len(set(sources)))
    assert [len(x) for x in held[1:]] == [share, share]
    assert splits == draw_splits(pairs, {"val": 0.25, "test": 0.25}, seed)


def test_the_seed_draws(tmp_path):
    path = written(tmp_path, "pairs", "".join(f"s{n}\tt{n % 7}\n" for n in range(50)))
    first, second = (PairsFile(path=path, seed=seed).pairs for seed in (0, 1))
    assert [len(first[name]) for name in ("train", "val", "test")] == [40, 5, 5]
    assert first["test"] != second["test"]


def test_trivial_is_the_most_frequent_target_of_training(tmp_path):
    lines = "a\tA\nb\tA\nc\tC\n"
    spec = dataset(tmp_path, train=lines, val="a b\tA\n", test="a c\tA\nb c\tC\n").spec
    assert spec.trivial == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "a b\tA\n\tB\n"}, "path, line 2: the source is empty"),
        ({"train": "a b\tA\nb\t \n"}, "path, line 2: the target is empty"),
        ({"train": "a b\tA\na b A\n"}, "path, line 2: 'a b A' has 0 tabulators"),
        ({"train": "a\tb\tc\n"}, "path, line 1: .* has 2 tabulators"),
        ({"train": "\n"}, "path holds no pair"),
        ({"max_length": 2}, "path, line 3: the source has 3 words, above data.max_length=2"),
        ({"tokens": "syllables"}, "data.tokens='syllables' must be words or characters"),
        ({"max_length": 0}, "data.max_length=0 must be at least 1"),
        ({"val_share": 1.5}, "data.val_share=1.5 must be"),
    ],
)
def test_what_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        _ = dataset(tmp_path, **options).pairs


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*missing"):
        _ = PairsFile(path=str(tmp_path / "missing")).pairs
    (tmp_path / "latin").write_bytes(b"caf\xe9\tcoffee\n")
    with pytest.raises(
        InputError, match=r"latin, line 1, is no text in UTF-8; .*data\.encoding=latin-1"
    ):
        _ = PairsFile(path=str(tmp_path / "latin")).pairs
    with pytest.raises(InputError, match=r"data\.test_target_path has no sources"):
        PairsFile(path="x", test_target_path="y")
    sources = written(tmp_path, "sources", "a\nb\n")
    targets = written(tmp_path, "targets", "A\n")
    with pytest.raises(InputError, match=r"has 2 lines, but .*targets has 1"):
        _ = PairsFile(path=sources, target_path=targets).pairs
    with pytest.raises(InputError, match=r"too few different sources for .*: val gets none"):
        _ = PairsFile(path=written(tmp_path, "few", "a\tA\nb\tB\n")).pairs


def test_another_encoding_and_a_byte_order_mark(tmp_path):
    (tmp_path / "latin").write_bytes("café au lait\tcoffee\nthé\ttea\n".encode("latin-1"))
    read = read_pairs(
        str(tmp_path / "latin"), None, tokens="words", max_length=None, encoding="latin-1"
    )
    assert read[0].source == ("café", "au", "lait")
    (tmp_path / "marked").write_bytes("\ufeffa\tb\n".encode())
    assert read_pairs(str(tmp_path / "marked"), None, tokens="words", max_length=None)[
        0
    ].source == ("a",)
    with pytest.raises(InputError, match=r"data\.encoding='klingon' is no encoding"):
        _ = PairsFile(path=str(tmp_path / "latin"), encoding="klingon").pairs


def test_only_blanks_separate_words_and_only_line_feeds_lines(tmp_path):
    path = written(tmp_path, "pairs", "10\u00a0000 euros\u2028a\tb\x85c\u3000\n")
    (pair,) = read_pairs(path, None, tokens="words", max_length=None)
    assert pair.source == ("10\u00a0000", "euros\u2028a")
    assert pair.target == ("b\x85c\u3000",)


@pytest.mark.filterwarnings("ignore:.*are in training too")
@pytest.mark.parametrize(
    ("tokens", "text"),
    [("characters", "a·b"), ("words", "<unk> </s> <s> · <<unk>>"), ("words", "a b")],
)
def test_text_that_looks_like_a_special_token_is_text(tmp_path, tokens, text):
    line = f"{text}\t{text}\n"
    data = dataset(tmp_path, train=line, val=line, test=line, tokens=tokens, unknown="error")
    spec = data.spec
    ids = data.split("train").targets[0].tolist()
    # No token of the data gets the id of a special one, so that the output can hold each.
    assert ids[-1] == END
    assert min(ids[:-1]) > UNKNOWN
    between = "" if tokens == "characters" else " "
    assert between.join(spec.label_names[token] for token in ids[:-1]) == text
    assert len(set(spec.label_names)) == len(spec.label_names) == spec.output_size


@pytest.mark.filterwarnings("ignore:.*are in training too")
def test_copying_takes_no_text_for_a_special_token(tmp_path):
    data = dataset(tmp_path, train="</s> a\ta\n", val="a\ta\n", test="a\ta\n")
    source = data.source_names.index("</s>")
    assert _copied_as(data.spec)[source] == UNKNOWN
