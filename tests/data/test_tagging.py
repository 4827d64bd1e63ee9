"""The tags of the generated datasets against the rules written out in plain Python."""

from __future__ import annotations

import itertools
from dataclasses import fields

import numpy as np
import pytest
import torch

from seqlab.data import entity_words
from seqlab.data.batch import IGNORED
from seqlab.data.bracket_depth import CLOSERS, OPENERS, BracketDepth
from seqlab.data.entities import FIRST_WORD, UNKNOWN, Entities
from seqlab.data.hmm_tags import HmmTags
from seqlab.data.recall import Recall
from seqlab.data.running_parity import RunningParity
from seqlab.data.tag_scheme import TagScheme
from seqlab.errors import InputError
from seqlab.nn.crf import CRF
from seqlab.nn.crf import UNKNOWN as CRF_UNKNOWN

SIZES = {"train_size": 1500, "val_size": 200, "test_size": 200}
ALL = [
    RunningParity(**SIZES, long_lengths=(70, 90)),
    BracketDepth(**SIZES, long_lengths=(32, 40)),
    BracketDepth(**SIZES, target="partner", long_lengths=(32, 40)),
    Recall(**SIZES, long_lengths=(27, 60)),
    HmmTags(**SIZES, long_lengths=(31, 40)),
    Entities(**SIZES),
    Entities(**SIZES, scheme="bioes"),
]
each = pytest.mark.parametrize("data", ALL, ids=lambda data: type(data).__name__)


def texts(data, splits=None):
    """Each sequence as the names of its tokens, with the names of its tags, None where ignored."""
    spec = data.spec
    for split in splits or data.splits:
        part = data.split(split)
        for row, length, tags in zip(
            part.inputs.tolist(), part.lengths.tolist(), part.targets.tolist(), strict=True
        ):
            names = [spec.input_names[token] for token in row[:length]]
            assert "·" not in names
            assert not any(row[length:])
            yield (
                names,
                [None if tag == IGNORED else spec.label_names[tag] for tag in tags[:length]],
            )


@each
def test_batches_hold_one_target_a_token_and_ignore_padding(data):
    examples = data.split("train")
    assert examples.targets.element_size() == 1
    batch = examples.batch(torch.arange(50))
    assert batch.targets.shape == batch.inputs.shape
    padded = torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    assert padded.any()
    assert (batch.targets[padded] == IGNORED).all()
    assert ((batch.targets >= 0) | (batch.targets == IGNORED)).all()
    assert (batch.targets < data.spec.output_size).all()
    assert (batch.targets != IGNORED).any(1).all()


@each
def test_splits_are_disjoint_and_repeat_themselves(data):
    parts = [
        {tuple(names) for names, _ in texts(data, [split])} for split in ("train", "val", "test")
    ]
    for one, other in itertools.combinations(parts, 2):
        assert not one & other
    again = type(data)(**vars_of(data)).split("train")
    assert again.inputs.equal(data.split("train").inputs)
    assert again.targets.equal(data.split("train").targets)


def vars_of(data):
    return {field.name: getattr(data, field.name) for field in fields(data)}


@each
def test_trivial_is_the_most_frequent_tag(data):
    spec = data.spec
    if spec.metric == "span_f1":
        assert spec.trivial == 0.0
        return
    tags = [tag for _, row in texts(data, ["test"]) for tag in row if tag is not None]
    most = max(tags.count(name) for name in spec.label_names)
    assert spec.trivial == pytest.approx(most / len(tags))


def test_running_parity():
    for names, tags in texts(ALL[0]):
        ones = 0
        for name, tag in zip(names, tags, strict=True):
            ones += name == "1"
            assert tag == ["even", "odd"][ones % 2]


@pytest.mark.parametrize("kinds", [1, 4])
@pytest.mark.parametrize("target", ["depth", "partner"])
def test_bracket_depth(kinds, target):
    data = BracketDepth(**SIZES, kinds=kinds, target=target, max_length=24, max_depth=4)
    seen = set()
    for names, tags in texts(data):
        stack = []
        for name, tag in zip(names, tags, strict=True):
            if name in OPENERS:
                stack.append(name)
                expected = str(len(stack)) if target == "depth" else None
            else:
                opener = stack.pop()
                expected = str(len(stack) + 1) if target == "depth" else opener
                assert name == (CLOSERS[OPENERS.index(opener)] if target == "depth" else "/")
            assert tag == expected
            seen.add(tag)
        assert not stack
    assert seen == {*data.tag_names, None} - ({None} if target == "depth" else set())


def test_recall():
    data = ALL[3]
    for names, tags in texts(data):
        pairs = len(names) // 3
        keys, values = names[: 2 * pairs : 2], names[1 : 2 * pairs : 2]
        assert len(set(keys)) == pairs
        assert sorted(names[2 * pairs :]) == sorted(keys)
        table = dict(zip(keys, values, strict=True))
        assert tags == [None] * (2 * pairs) + [table[key] for key in names[2 * pairs :]]


def test_recall_asks_in_another_order():
    firsts = [names.index(names[len(names) // 3 * 2]) // 2 for names, _ in texts(ALL[3], ["train"])]
    assert len(set(firsts)) == 8


def test_hmm_follows_its_model():
    data = HmmTags(train_size=20_000, val_size=10, test_size=10, min_length=20, max_length=20)
    start, move, emit = data.model
    part = data.split("train")
    states, symbols = part.targets.numpy().astype(int), part.inputs.numpy().astype(int) - 1
    counts = np.zeros_like(move)
    np.add.at(counts, (states[:, :-1], states[:, 1:]), 1)
    assert counts.sum(1) @ np.abs(counts / counts.sum(1, keepdims=True) - move) == pytest.approx(
        0, abs=0.01 * counts.sum()
    )
    written = np.zeros_like(emit)
    np.add.at(written, (states, symbols), 1)
    np.testing.assert_allclose(written / written.sum(1, keepdims=True), emit, atol=0.01)
    np.testing.assert_allclose(
        np.bincount(states[:, 0], minlength=6) / len(states), start, atol=0.02
    )


def test_hmm_optimum_is_that_of_a_crf_that_knows_the_model():
    """An independent oracle: log-probabilities as a CRF's scores give the same posterior."""
    data = HmmTags(train_size=10, val_size=10, test_size=500)
    start, move, emit = (torch.from_numpy(part).log().float() for part in data.model)
    crf = CRF(6)
    with torch.no_grad():
        crf.start.copy_(start)
        crf.transitions.copy_(move)
    batch = data.split("test").batch(torch.arange(500))
    emissions = emit.T[(batch.inputs - 1).clamp(min=0)]
    marginals = crf.marginals(emissions, batch.lengths)
    expected = data.posterior(np.maximum(batch.inputs.numpy(), 1) - 1, batch.lengths.numpy())
    valid = batch.targets != IGNORED
    np.testing.assert_allclose(marginals[valid], expected[valid.numpy()], atol=1e-4)
    accuracy = (marginals.argmax(-1) == batch.targets)[valid].double().mean()
    assert data.spec.optimum == pytest.approx(float(accuracy), abs=1e-3)
    # No decoder does better: not the best path, nor what a symbol alone says.
    path, _ = crf.decode(emissions, batch.lengths)
    assert (path == batch.targets)[valid].double().mean() < data.spec.optimum
    alone = (emissions.argmax(-1) == batch.targets)[valid].double().mean()
    assert data.spec.trivial < alone < data.spec.optimum


@pytest.mark.parametrize("data", ALL[5:], ids=lambda data: data.scheme)
def test_entities_are_legal_and_told_by_their_context(data):
    scheme = TagScheme(data.tag_names, data.scheme)
    meanings = {}
    seen = set()
    for names, tags in texts(data):
        assert scheme.illegal_move(tags) is None
        known = {*entity_words.WORDS, "<unknown>"}
        # With all names unknown, what is left must still decide every tag.
        context = tuple(name if name in known else "<unknown>" for name in names)
        assert meanings.setdefault(context, tags) == tags
        seen.update(tags)
    assert seen == set(data.tag_names)


def test_entities_in_the_tests_are_new_names():
    data = ALL[5]
    first_name = FIRST_WORD + len(entity_words.WORDS)
    train, test = data.split("train").inputs, data.split("test").inputs
    assert (train >= first_name).any()
    assert (train == UNKNOWN).any()
    assert not (test >= first_name).any()
    assert (test == UNKNOWN).any()


def test_a_name_alone_tells_nothing():
    """Every name is seen in every role."""
    data = Entities(train_size=5000, val_size=10, test_size=10, num_names=20)
    roles = {}
    for names, tags in texts(data, ["train"]):
        for name, tag in zip(names, tags, strict=True):
            roles.setdefault(name, set()).add(tag)
    names = [name for name in roles if name in entity_words.NAMES]
    assert len(names) == 20
    assert all({"O", "B-PER", "B-LOC", "B-ORG"} <= roles[name] for name in names)


def test_both_schemes_spell_the_same_spans():
    bio, bioes = (TagScheme(data.tag_names, data.scheme) for data in ALL[5:])
    for (words, one), (others, other) in zip(texts(ALL[5]), texts(ALL[6]), strict=True):
        assert words == others
        for place, (tag, spelled) in enumerate(zip(one, other, strict=True)):
            ends = place + 1 == len(one) or not one[place + 1].startswith("I")
            prefix = {"B": "BS", "I": "IE", "O": "OO"}[tag[0]][ends]
            assert spelled == prefix + tag[1:]
    assert bio.type_names == bioes.type_names


def test_ignored_is_one_number_everywhere():
    assert IGNORED == CRF_UNKNOWN == torch.nn.CrossEntropyLoss().ignore_index


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BracketDepth(min_length=3), "even"),
        (lambda: BracketDepth(kinds=5), "from 1 to 4"),
        (lambda: BracketDepth(target="height"), "depth or partner"),
        (lambda: Recall(max_length=25), "multiples of 3"),
        (lambda: Recall(max_length=99), "data.num_keys=32"),
        (lambda: HmmTags(num_tags=1), "at least 2"),
        (lambda: HmmTags(emission_concentration=0), "above 0"),
        (lambda: Entities(num_names=10_000), "at most"),
        (lambda: Entities(unknown=1.5), "probability"),
        (lambda: Entities(scheme="iob1"), "bio or bioes"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
