"""The tagging task: its loss and its metrics, against scikit-learn and against themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain

import pytest
import torch
from seqeval.metrics import f1_score as span_f1_score
from sklearn.metrics import accuracy_score, f1_score

from seqlab.data.batch import IGNORED, Batch
from seqlab.errors import InputError
from seqlab.networks.tagger import Tagger
from seqlab.tasks.tagging import Tagging
from tests.networks.test_tagger import NAMES, SPEC, reader


def make(crf=False, spec=SPEC, **options):
    torch.manual_seed(0)
    network = Tagger(spec, reader=reader(), crf=crf)
    optimizer = partial(torch.optim.Adam, lr=0.01)
    return Tagging(
        network=network, spec=spec, optimizer=optimizer, scheduler=lambda o, n: None, **options
    ).eval()


def random_batch(seed=0, rows=4, time=7, legal=True, ignored=False):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, time + 1, (rows,), generator=generator)
    lengths[0] = time
    inputs = torch.randint(1, 11, (rows, time), generator=generator)
    choice = torch.tensor([0, 1, 3]) if legal else torch.arange(5)
    targets = choice[torch.randint(len(choice), (rows, time), generator=generator)]
    if ignored:
        targets[:, ::2] = IGNORED
        targets[:, 1] = 0
        targets[lengths == 1, 0] = 0
    padded = torch.arange(time) >= lengths[:, None]
    inputs[padded] = 0
    targets[padded] = IGNORED
    return Batch(inputs, lengths, targets)


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
def test_padding_and_batch_mates_change_neither_loss_nor_tags(crf, ignored):
    task = make(crf)
    batch = random_batch(ignored=ignored)
    wide = Batch(
        torch.nn.functional.pad(batch.inputs, (0, 3)),
        batch.lengths,
        torch.nn.functional.pad(batch.targets, (0, 3), value=IGNORED),
    )
    loss, tags = task.measure(batch, "test")
    wide_loss, wide_tags = task.measure(wide, "test")
    torch.testing.assert_close(loss, wide_loss, rtol=0, atol=1e-6)
    scored = batch.targets != IGNORED
    assert tags[scored].equal(wide_tags[:, :7][scored])
    each = []
    for row, length in enumerate(batch.lengths.tolist()):
        part = slice(row, row + 1), slice(0, length)
        alone = Batch(batch.inputs[part], batch.lengths[row : row + 1], batch.targets[part])
        each.append(task.measure(alone, "test")[0])
    torch.testing.assert_close(loss, torch.stack(each).mean(), rtol=0, atol=1e-6)


def test_a_crf_without_transitions_is_a_softmax():
    """All transition scores start at 0: then the likelihoods agree."""
    spec = replace(SPEC, scheme=None)
    softmax, crf = make(spec=spec), make(True, spec=spec)
    for ignored in (False, True):
        batch = random_batch(ignored=ignored)
        one, other = (task.measure(batch, "test") for task in (softmax, crf))
        torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-6)
        scored = batch.targets != IGNORED
        assert one[1][scored].equal(other[1][scored])


def test_label_smoothing_and_class_weights():
    batch = random_batch()
    emissions = torch.randn(4, 7, 5)
    logp = emissions.log_softmax(-1)
    right = logp.gather(-1, batch.targets.clamp(min=0)[..., None]).squeeze(-1)
    scored = batch.targets != IGNORED
    smooth = make(label_smoothing=0.1).loss(emissions, batch)
    expected = -(0.9 * right + 0.1 * logp.mean(-1))
    each = expected.where(scored, 0).sum(1) / scored.sum(1)
    torch.testing.assert_close(smooth, each.mean())
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    weighted = make(class_weights=weights.tolist()).loss(emissions, batch)
    factor = weights[batch.targets.clamp(min=0)]
    each = (-right * factor).where(scored, 0).sum(1) / scored.sum(1)
    torch.testing.assert_close(weighted, each.mean())


@pytest.mark.parametrize("crf", [False, True])
def test_epoch_scores_against_peers(crf):
    task = make(crf)
    meter = task.new_meter("test")
    truths, guesses, losses = [], [], []
    for seed in range(4):
        batch = random_batch(seed, rows=5 + seed, time=6 + seed)
        loss, tags = task.measure(batch, "test")
        # Some right ones, so that no score is trivial.
        known = torch.rand(tags.shape) < 0.6
        tags = torch.where(known & (batch.targets >= 0), batch.targets, tags)
        meter.update(loss.detach(), tags, batch)
        losses += [loss.item()] * len(batch)
        for row, length in enumerate(batch.lengths.tolist()):
            truths.append([NAMES[tag] for tag in batch.targets[row, :length].tolist()])
            guesses.append([NAMES[tag] for tag in tags[row, :length].tolist()])
    scores = {name: value.item() for name, value in meter.compute().items()}
    flat_truths, flat_guesses = list(chain(*truths)), list(chain(*guesses))
    assert scores["loss"] == pytest.approx(sum(losses) / len(losses))
    assert scores["token_accuracy"] == pytest.approx(accuracy_score(flat_truths, flat_guesses))
    assert scores["macro_f1"] == pytest.approx(
        f1_score(flat_truths, flat_guesses, average="macro", zero_division=0)
    )
    right = [truth == guess for truth, guess in zip(truths, guesses, strict=True)]
    assert scores["sentence_accuracy"] == pytest.approx(sum(right) / len(right))
    assert scores["span_f1"] == pytest.approx(span_f1_score(truths, guesses))
    assert 0 < scores["span_f1"] < 1
    assert {"span_precision", "span_recall", "span_f1_X", "span_strict_f1"} <= set(scores)
    assert meter.confusion.sum() == len(flat_truths)
    assert meter.span_confusion.shape == (3, 4)
    meter.reset()
    assert meter.counts.sum() == 0
    assert meter.lenient.confusion.sum() == 0


def test_ignored_positions_are_not_scored():
    task = make()
    batch = random_batch(ignored=True)
    loss, tags = task.measure(batch, "test")
    meter = task.new_meter("test")
    meter.update(loss.detach(), tags.where(batch.targets == IGNORED, batch.targets), batch)
    scores = meter.compute()
    assert scores["token_accuracy"] == scores["sentence_accuracy"] == 1


@pytest.mark.parametrize("decoding", ["viterbi", "marginals"])
def test_decodings_and_confidences(decoding):
    task = make(True, decoding=decoding)
    crf = task.network.crf
    with torch.no_grad():
        crf.transitions.normal_()
    emissions, lengths = torch.randn(50, 8, 5), torch.randint(1, 9, (50,))
    tags, confidences = task.predict(emissions, lengths, confident=True)
    marginals = crf.marginals(emissions, lengths)
    expected = crf.decode(emissions, lengths)[0] if decoding == "viterbi" else marginals.argmax(-1)
    inside = torch.arange(8) < lengths[:, None]
    assert tags[inside].equal(expected[inside])
    assert confidences[inside].equal(marginals.gather(-1, expected[..., None])[..., 0][inside])
    other = marginals.argmax(-1) if decoding == "viterbi" else crf.decode(emissions, lengths)[0]
    assert not tags[inside].equal(other[inside])


def test_auto_decodes_for_the_headline_metric():
    assert make(True).decoding == "viterbi"
    assert make(True, spec=replace(SPEC, metric="token_accuracy")).decoding == "marginals"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": True, "label_smoothing": 0.1}, "softmax head"),
        ({"crf": True, "class_weights": [1.0] * 5}, "softmax head"),
        ({"class_weights": [1.0] * 4}, "5 positive numbers"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"decoding": "viterbi"}, "add task.crf=true"),
        ({"crf": True, "decoding": "beam"}, "auto, viterbi or marginals"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_whole_run(train, tmp_path, precision):
    small = ("data.train_size=300", "data.val_size=40", "data.test_size=40")
    quiet = ("trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")
    results = train(
        "data=entities",
        "model=bilstm_attn",
        "task.crf=true",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
        f"trainer.precision={precision}",
        *small,
        *quiet,
    )
    scores = results["metrics"]
    assert {"test/span_f1", "test/token_accuracy", "test/span_strict_f1", "val/macro_f1"} <= set(
        scores
    )
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    drawn = ("span_confusion", "transitions", "self_attention_1", "confusion")
    assert {f"test_{name}.png" for name in drawn} <= figures
    text = (tmp_path / "run" / "figures" / "test_tagged_sentences.md").read_text()
    assert text.count("| confidence |") == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "metric", "least"),
    [
        (("data=entities", "model=bilstm", "task.crf=true"), "test/span_f1", 0.98),
        (("data=running_parity", "model=lstm"), "test/token_accuracy", 0.99),
        (("data=recall", "model=lstm_attn"), "test/token_accuracy", 0.95),
    ],
)
def test_evidence(train, command, metric, least):
    results = train(*command, "trainer.accelerator=cpu", "trainer.enable_progress_bar=false")
    assert results["metrics"][metric] >= least


@pytest.mark.slow
def test_evidence_of_the_oracle(train):
    results = train(
        "data=hmm_tags",
        "model=bilstm",
        "task.crf=true",
        "trainer.accelerator=cpu",
        "trainer.enable_progress_bar=false",
    )
    optimum = results["reference"]["optimum"]
    assert optimum - 0.005 <= results["metrics"]["test/token_accuracy"] <= optimum
