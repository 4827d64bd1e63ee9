"""Reviews: labels by a reader of plain text, bags of words that tell nothing, unknown words."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from seqlab.data import review_words as words
from seqlab.data.sentiment import Sentiment
from seqlab.errors import InputError

GOOD = {*words.PRAISE, *words.KEPT_OUT_PRAISE}.union(*(topic.praise for topic in words.TOPICS))
BAD = {*words.BLAME, *words.KEPT_OUT_BLAME}.union(*(topic.blame for topic in words.TOPICS))
SUBJECTS = {word for topic in words.TOPICS for word in topic.subjects + topic.kept_out}
KEPT_OUT = {*words.KEPT_OUT_PRAISE, *words.KEPT_OUT_BLAME}.union(
    *(topic.kept_out for topic in words.TOPICS)
)


def verdict_of(review):
    """The sentence of a review that judges, without its full stop."""
    sentences = [part.strip() for part in review.split(" .") if part.strip()]
    (found,) = [part for part in sentences if (GOOD | BAD) & set(part.split())]
    return found


def opinion(clause):
    """+1 or −1 for a clause with one adjective."""
    (adjective,) = [word for word in clause.split() if word in GOOD | BAD]
    sign = 1 if adjective in GOOD else -1
    return -sign if any(f" {phrase} " in f" {clause} " for phrase in words.NEGATIONS) else sign


def judge(review):
    """What a person reads out of a review."""
    verdict = verdict_of(review)
    for concession in sorted(words.CONCESSIONS, key=len, reverse=True):
        if verdict.startswith(f"{concession} "):
            return opinion(verdict.partition(" , ")[2])
        if f" , {concession} " in verdict:
            return opinion(verdict.partition(f" , {concession} ")[0])
    if " but " in verdict:
        return opinion(verdict.partition(" but ")[2])
    first, second = (opinion(clause) for clause in verdict.split(" and "))
    assert first == second
    return first


def reviews(rows):
    """Reviews drawn as they are before unknown words are taken out: text, label and evidence."""
    data = Sentiment()
    drawn = data.draw(np.random.default_rng(11), np.full(rows, 40), "test")
    for numbers, label, marks in zip(drawn.inputs, drawn.targets, drawn.evidence, strict=True):
        text = [words.LEXICON[number] for number in numbers if number]
        yield text, label, [word for word, mark in zip(text, marks, strict=False) if mark]


def test_labels_are_what_a_person_reads():
    labels = []
    for text, label, _ in reviews(4000):
        assert judge(" ".join(text)) == (1 if label else -1), " ".join(text)
        labels.append(label)
    assert 0.4 < np.mean(labels) < 0.6


def test_evidence_is_the_deciding_adjectives_with_their_negations():
    negations = {word for phrase in words.NEGATIONS for word in phrase.split()}
    for text, label, evidence in reviews(2000):
        assert set(evidence) <= GOOD | BAD | negations
        adjectives = [word for word in evidence if word in GOOD | BAD]
        assert 1 <= len(adjectives) <= 2
        # What is marked says by itself what the label is: the last adjective and what negates it.
        last = evidence if len(adjectives) == 1 else evidence[evidence.index(adjectives[0]) + 1 :]
        assert opinion(" ".join(last)) == (1 if label else -1), text


def partner(review):
    """The same words in another order that means the opposite."""
    verdict = verdict_of(review)
    words_ = verdict.split()
    for concession in sorted(words.CONCESSIONS, key=len, reverse=True):
        if verdict.startswith(f"{concession} "):
            first, second = verdict[len(concession) + 1 :].split(" , ")
            return review.replace(verdict, f"{concession} {second} , {first}")
        if f" , {concession} " in verdict:
            first, second = verdict.split(f" , {concession} ")
            return review.replace(verdict, f"{second} , {concession} {first}")
    if " but the " in verdict:
        first, second = verdict.split(" but ")
        return review.replace(verdict, f"{second} but {first}")
    if " but " in verdict:  # not A but B
        places = [place for place, word in enumerate(words_) if word in GOOD | BAD]
        words_[places[0]], words_[places[1]] = words_[places[1]], words_[places[0]]
        return review.replace(verdict, " ".join(words_))
    # The clauses of "X and Y" change what stands between verb and adjective.
    (first, second) = (clause.split() for clause in verdict.split(" and "))
    swapped = first[:3] + second[3:-1] + first[-1:] + ["and"] + second[:3] + first[3:-1]
    return review.replace(verdict, " ".join(swapped + second[-1:]))


def test_every_review_has_a_partner_of_the_same_words_that_means_the_opposite():
    for text, _, _ in reviews(3000):
        review = " ".join(text)
        other = partner(review)
        assert Counter(other.split()) == Counter(text)
        assert judge(other) == -judge(review), (review, other)
        assert partner(other) == review


def test_each_bag_of_words_occurs_under_both_labels_alike():
    # Short reviews repeat often enough to be counted.
    data = Sentiment()
    drawn = data.draw(np.random.default_rng(3), np.full(250_000, 11), "train")
    short = drawn.inputs[:, :12][drawn.lengths <= 11]
    labels = drawn.targets[drawn.lengths <= 11]
    bags = defaultdict(lambda: [0, 0])
    for row, label in zip(np.sort(short, axis=1), labels, strict=True):
        bags[row.tobytes()][label] += 1
    counts = np.array([bag for bag in bags.values() if sum(bag) >= 8])
    assert len(counts) > 100
    # Under even odds Σ (n₁ − n₀)²/n is chi-square with one degree of freedom a bag.
    statistic = ((counts[:, 0] - counts[:, 1]) ** 2 / counts.sum(1)).sum()
    assert statistic == pytest.approx(len(counts), abs=5 * (2 * len(counts)) ** 0.5)
    assert (counts.min(1) > 0).mean() > 0.95


def test_logistic_regression_on_a_bag_of_words_guesses():
    data = Sentiment(train_size=6000, test_size=3000)
    size = data.spec.input_size

    def bags(examples):
        counts = np.zeros((len(examples), size))
        np.add.at(counts, (np.arange(len(examples))[:, None], examples.inputs.numpy()), 1)
        return counts[:, 1:]

    train, test = data.split("train"), data.split("test")
    regression = LogisticRegression(max_iter=300).fit(bags(train), train.targets)
    assert regression.score(bags(test), test.targets) < 0.55
    # The same regression does find a label that the bag tells: the counts are not at fault.
    the = data.vocabulary.index("while") + 1
    told = (bags(train)[:, the] > 0).astype(int)
    assert LogisticRegression(max_iter=300).fit(bags(train), told).score(bags(train), told) > 0.99


def test_vocabulary_is_of_the_training_split_by_frequency():
    data = Sentiment(train_size=3000, test_size=1000, long_lengths=(31, 60))
    names = data.spec.input_names
    assert names[:2] == ("·", "<unknown>")
    assert names[2:] == data.vocabulary
    counts = np.bincount(data.split("train").inputs.flatten(), minlength=len(names))
    assert counts[1] == 0
    assert (np.diff(counts[2:]) <= 0).all()
    assert counts[-1] > 0
    assert not KEPT_OUT & set(names)
    for split in ("val", "test", "test_long"):
        inputs = data.split(split).inputs
        assert 0.1 < (inputs == 1).any(1).double().mean() < 0.5
        assert inputs.max() < len(names)


def test_no_unknown_words_on_demand():
    data = Sentiment(train_size=3000, unseen=0)
    assert not (data.split("test").inputs == 1).any()


def test_optimum_is_1_where_training_holds_all_adjectives_and_less_where_it_does_not():
    assert Sentiment(unseen=1.0).spec.optimum == 1
    # So few training reviews lack adjectives; where both are unknown, a reader must guess.
    data = Sentiment(train_size=60, unseen=1.0, seed=2)
    test = data.split("test")
    known = {number for number, name in enumerate(data.spec.input_names) if name in GOOD | BAD}
    decided = np.mean([bool(known & set(row)) for row in test.inputs.tolist()])
    assert data.spec.optimum == pytest.approx(decided + (1 - decided) / 2)
    assert 0.5 < data.spec.optimum < 1


def test_a_vocabulary_too_small_is_told():
    with pytest.raises(InputError, match=r"data\.train_size=5 .*vocabulary too small"):
        _ = Sentiment(train_size=5).spec


def test_lengths_that_no_review_has_are_told():
    with pytest.raises(InputError, match="for train can be made"):
        Sentiment(min_length=1, max_length=4, train_size=50).split("train")


def test_a_share_is_a_probability():
    with pytest.raises(InputError, match=r"data\.unseen=1\.5"):
        Sentiment(unseen=1.5)
