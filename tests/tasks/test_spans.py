"""Span scores against seqeval, on legal and illegal tags alike."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from seqlab.data.tag_scheme import PREFIXES, TagScheme
from seqlab.tasks.spans import SpanFinder, SpanScore, confusion

PEERS = {"bio": IOB2, "bioes": IOBES, "iob1": IOB1}
MODES = [(scheme, reading) for scheme in PREFIXES for reading in ("lenient", "strict")]


def tag_names(scheme, types=("PER", "LOC", "ORG")):
    return ("O", *(f"{prefix}-{kind}" for kind in types for prefix in PREFIXES[scheme]))


def random_batch(seed, names, sentences=20, longest=9):
    """Uniformly random tags, most of them illegal; predictions agree with half of them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, sentences)
    targets = rng.integers(0, len(names), (sentences, longest))
    agrees = rng.random((sentences, 1)) < 0.5
    agrees = agrees | (rng.random((sentences, longest)) < 0.5)
    predicted = np.where(agrees, targets, rng.integers(0, len(names), (sentences, longest)))
    counted = np.arange(longest) < lengths[:, None]
    return tuple(torch.from_numpy(array) for array in (predicted, targets, counted))


def as_names(tags, counted, names):
    return [
        [names[tag] for tag in row[keep].tolist()] for row, keep in zip(tags, counted, strict=True)
    ]


def peer_entities(sentences, scheme, reading):
    """seqeval's entities as (sentence, start, end, type)."""
    if reading == "strict":
        found = Entities(sentences, PEERS[scheme]).entities
        return {(e.sent_id, e.start, e.end, e.tag) for part in found for e in part}
    return {
        (number, start, end + 1, kind)
        for number, tags in enumerate(sentences)
        for kind, start, end in get_entities(tags)
    }


@pytest.mark.parametrize(("scheme", "reading"), MODES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_finds_the_spans_that_seqeval_finds(scheme, reading, seed):
    names = tag_names(scheme)
    tags, _, counted = random_batch(seed, names)
    spans = SpanFinder(TagScheme(names, scheme), reading)(tags, counted)
    width = tags.shape[1] + 1
    kinds = TagScheme(names, scheme).type_names
    found = {
        (start // width, start % width, end - start // width * width, kinds[kind])
        for start, end, kind in zip(*(part.tolist() for part in spans), strict=True)
    }
    assert found == peer_entities(as_names(tags, counted, names), scheme, reading)
    assert len(found) == len(spans.starts)


@pytest.mark.parametrize(("scheme", "reading"), MODES)
def test_scores_equal_seqeval_over_several_batches(scheme, reading):
    names = tag_names(scheme)
    score = SpanScore(TagScheme(names, scheme), reading)
    truths, guesses = [], []
    for seed in range(5):
        predicted, targets, counted = random_batch(seed, names, longest=6 + seed)
        score.update(predicted, targets, counted)
        truths += as_names(targets, counted, names)
        guesses += as_names(predicted, counted, names)
    mode = {"mode": "strict", "scheme": PEERS[scheme]} if reading == "strict" else {}
    result = {name: value.item() for name, value in score.compute().items()}
    assert result["precision"] == pytest.approx(precision_score(truths, guesses, **mode))
    assert result["recall"] == pytest.approx(recall_score(truths, guesses, **mode))
    assert result["f1"] == pytest.approx(f1_score(truths, guesses, **mode))
    assert 0 < result["f1"] < 1
    each = f1_score(truths, guesses, average=None, **mode)
    for kind, expected in zip(sorted(score.type_names), each, strict=True):
        assert result[f"f1_{kind}"] == pytest.approx(expected)


def test_nothing_there_and_nothing_predicted_scores_zero():
    names = tag_names("bio")
    score = SpanScore(TagScheme(names, "bio"))
    nothing = torch.zeros(2, 3, dtype=torch.long)
    score.update(nothing, nothing, torch.ones(2, 3, dtype=torch.bool))
    assert all(value == 0 for value in score.compute().values())


def test_confusion_tells_each_kind_of_error():
    names = ("O", "B-A", "I-A", "B-B", "I-B")
    scheme = TagScheme(names, "bio")
    finder = SpanFinder(scheme)

    def spans(text):
        tags = torch.tensor([[names.index(name) for name in text.split()]])
        return finder(tags, torch.ones_like(tags, dtype=torch.bool)), tags.numel() + 1

    true, positions = spans("B-A I-A O B-B O B-A I-A O B-A O O   B-B I-B")
    guess, _ = spans("      B-A I-A O B-A O B-A O   O O   O B-B B-A I-A")
    table = confusion(true, guess, positions, 2)
    #              A  B  boundary missed
    assert table.tolist() == [
        [1, 0, 1, 1],  # A: found, shortened, missed
        [2, 0, 0, 0],  # B: twice taken for A
        [0, 1, 0, 0],  # a spurious B
    ]


def test_confusion_counts_every_span_once():
    names = tag_names("bioes")
    scheme = TagScheme(names, "bioes")
    finder = SpanFinder(scheme)
    predicted, targets, counted = random_batch(3, names)
    true, guess = finder(targets, counted), finder(predicted, counted)
    table = confusion(true, guess, len(targets) * (targets.shape[1] + 1), 3)
    assert table[:-1].sum(1).tolist() == torch.bincount(true.types, minlength=3).tolist()
    overlaps = 0
    for start, end in zip(guess.starts.tolist(), guess.ends.tolist(), strict=True):
        overlaps += bool(((true.starts < end) & (true.ends > start)).any())
    assert table[-1].sum() == len(guess.starts) - overlaps


@pytest.mark.parametrize(("scheme", "reading"), MODES)
def test_parts_of_f1_by_sequence(scheme, reading):
    """Each sequence's parts are those of a score that sees it alone; together they give F1."""
    names = tag_names(scheme)
    predicted, targets, counted = random_batch(3, names)
    score = SpanScore(TagScheme(names, scheme), reading)
    tops, ones = score.by_sequence(predicted, targets, counted)
    assert 0 < tops.sum() < ones.sum()
    for row in range(len(targets)):
        score.reset()
        score.update(predicted[[row]], targets[[row]], counted[[row]])
        wanted = (tops[row] / ones[row].clamp(min=1)).item()
        assert score.compute()["f1"].item() == pytest.approx(wanted)
    score.reset()
    score.update(predicted, targets, counted)
    assert score.compute()["f1"].item() == pytest.approx((tops.sum() / ones.sum()).item())
