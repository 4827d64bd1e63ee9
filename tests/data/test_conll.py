"""Tagged sentences from files: what is read, and what is refused with its place."""

from __future__ import annotations

import pytest
import torch

from seqlab.data.columns import ColumnsFile
from seqlab.data.conll import Conll
from seqlab.errors import InputError
from seqlab.networks.tagger import legal_moves

pytestmark = pytest.mark.filterwarnings("ignore:.*are in training too")

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
    with pytest.raises(InputError, match=r"train, line 2, sentence 1, position 2: .* follow O"):
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


def test_a_file_that_is_no_text_is_named_by_line(tmp_path):
    path = tmp_path / "latin1"
    path.write_bytes("es O\n\nEspaña B-LOC\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin1, line 3, is no text in UTF-8; .*data\.encoding="):
        ColumnsFile().read(str(path))
    assert ColumnsFile(encoding="latin-1").read(str(path))[1].tokens == ("España",)


def read(tmp_path, text, **options):
    (tmp_path / "file").write_bytes(text.encode())
    return [
        list(zip(one.tokens, one.tags, strict=True))
        for one in ColumnsFile(**options).read(str(tmp_path / "file"))
    ]


CONLLU = """# sent_id = 1
# text = don't go
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tleft\tleft\tVERB\tVBN\t_\t_\t_\t_\t_
"""


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        # Blanks belong to a column between tabs; other spaces belong to a token anywhere.
        ("20 mg\tB-DOSE\nof\tO\n", {}, [[("20 mg", "B-DOSE"), ("of", "O")]]),
        ("10\u00a0000 B-NUM\neuros O\n", {}, [[("10\u00a0000", "B-NUM"), ("euros", "O")]]),
        ("a\u2028b O\nc\x85d O\n\u3000 O\n", {}, [
            [("a\u2028b", "O"), ("c\x85d", "O"), ("\u3000", "O")]
        ]),
        ("a\x0bb O\r\nc O\r\n\r\nd O", {}, [[("a\x0bb", "O"), ("c", "O")], [("d", "O")]]),
        ("a O \n \t\nb  O\n", {}, [[("a", "O")], [("b", "O")]]),
        # A byte order mark is no part of the first token.
        ("\ufeff-DOCSTART- -X- O\n\nEU NNP B-ORG\n", {}, [[("EU", "B-ORG")]]),
        ("\ufeffEU B-ORG\n", {}, [[("EU", "B-ORG")]]),
        # Comments
        ("# id = 1\n# text = EU\nEU\tB-ORG\nis\tO\n", {}, [[("EU", "B-ORG"), ("is", "O")]]),
        ("# one\nEU\tB-ORG\n\n# two\n#\tO\n", {}, [[("EU", "B-ORG")], [("#", "O")]]),
        ("a x O\n# # O\n", {}, [[("a", "O"), ("#", "O")]]),
        ("a x O\n\n# # O\n", {"comments": False}, [[("a", "O")], [("#", "O")]]),
        ("a x O\n\n# # O\nb x O\n", {"comments": True}, [[("a", "O")], [("b", "O")]]),
        # Columns by number
        ("1 EU B-ORG x\n", {"token_column": 2, "tag_column": 3}, [[("EU", "B-ORG")]]),
        ("1 EU B-ORG x\n", {"token_column": -3, "tag_column": -2}, [[("EU", "B-ORG")]]),
        # CoNLL-U: words as the syntax has them, columns by name or number
        (CONLLU, {"form": "conllu"}, [[("do", "AUX"), ("n't", "PART"), ("go", "VERB")]]),
        (
            CONLLU,
            {"form": "conllu", "token_column": "lemma", "tag_column": "xpos"},
            [[("do", "VBP"), ("not", "RB"), ("go", "VB")]],
        ),
        (CONLLU, {"form": "conllu", "tag_column": 8}, [
            [("do", "aux"), ("n't", "advmod"), ("go", "root")]
        ]),
    ],
)  # fmt: skip
def test_columns(tmp_path, text, options, expected):
    assert read(tmp_path, text, **options) == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a x O\nb x O\nc O\n", {}, "line 3, .*'c O' has 2 columns, but line 1 has 3"),
        ("a O\nb x O\n", {}, "line 2, .* has 3 columns, but line 1 has 2"),
        ("a x O\n\n# # O\n", {}, r"line 3, .*may be a comment or the token #; set data\.comments"),
        ("a O\n# more\tof this\tO\n", {}, r"line 2, .*has 3 columns.*data\.comments=true"),
        ("a\tO\nb\t\n", {}, "line 2, .*the tag is empty"),
        (CONLLU.split("\n", 3)[3], {}, r"looks like CoNLL-U.*data\.format=conllu"),
        ("a O\n", {"form": "conllu"}, r"line 1, .*no line of CoNLL-U.*data\.format=columns"),
        ("a O\n", {"tag_column": 3}, r"line 1, .*no column 3 for data\.tag_column"),
        ("a O\n", {"tag_column": 0}, r"data\.tag_column=0: columns are counted from 1"),
        ("a O\n", {"tag_column": "upos"}, r"data\.tag_column=upos: .*set data\.format=conllu"),
        ("a O\n", {"form": "conllu", "tag_column": "pos"}, r"data\.tag_column=pos must be one of"),
        ("a O\n", {"form": "iob"}, r"data\.format='iob' must be"),
    ],
)
def test_columns_that_are_refused(tmp_path, text, options, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, **options)


def test_a_crf_on_tags_that_break_the_scheme_is_refused_with_file_and_line(tmp_path):
    spec = data(tmp_path, "a O\n\nc O\nb I-PER\n", "a O\n", strict=False).spec
    with pytest.raises(InputError, match=r"train, line 4, sentence 2, position 2: .*I-PER may not"):
        legal_moves(spec, "auto", True)
    assert legal_moves(spec, "none", True) is None
    assert legal_moves(spec, "auto", False) is None


@pytest.mark.filterwarnings("default:.*are in training too")
def test_sentences_shared_with_training_are_told(tmp_path):
    with pytest.warns(UserWarning, match="1 of 2 sentences of test are in training too"):
        _ = data(tmp_path, "a O\nb O\n", "a O\nb O\n\na O\n").spec


def test_text_that_looks_like_a_special_token_is_text(tmp_path):
    read_data = data(tmp_path, "· O\n<unknown> O\n", "· O\n", min_count=1)
    spec = read_data.spec
    ids = read_data.split("train").inputs
    assert torch.equal(ids.sort().values, torch.tensor([[2, 3]], dtype=torch.int32))
    assert [spec.input_names[token] for token in ids[0]] == ["·", "<unknown>"]
    assert spec.input_names[:2] == ("<·>", "<<unknown>>")
