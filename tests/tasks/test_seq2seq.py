from dataclasses import replace
from functools import partial
from itertools import chain

import pytest
import torch

from seqlab.data.batch import Batch
from seqlab.data.dates import Dates
from seqlab.data.reverse import Reverse
from seqlab.data.vocabulary import END
from seqlab.errors import InputError
from seqlab.networks.reader import Reader
from seqlab.networks.search import Search
from seqlab.networks.seq2seq import Seq2Seq
from seqlab.nn.attention import GeneralAttention
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.tasks.schedules import constant
from seqlab.tasks.seq2seq import SequenceToSequence
from seqlab.tasks.seq2seq_meter import Outcome, Seq2SeqMeter

DATA = Reverse(num_symbols=5, train_size=64, val_size=10, test_size=10, min_length=2, max_length=7)


def build(data=DATA, attention=GeneralAttention, **options):
    torch.manual_seed(0)
    network = Seq2Seq(
        data.spec,
        reader=partial(Reader, encoder=partial(RecurrentEncoder, cell=GRUCell, hidden_size=12)),
        decoder=partial(AttentionDecoder, cell=LSTMCell, hidden_size=12),
        attention=attention,
    )
    return SequenceToSequence(
        network=network,
        spec=data.spec,
        optimizer=partial(torch.optim.Adam, lr=0.01),
        scheduler=constant,
        **{"search": Search(), **options},
    )


def outputs(task, batch, sequences):
    """An outcome with these outputs, whatever the network would have written."""
    width = max(map(len, sequences))
    tokens = torch.tensor([[*s, *[0] * (width - len(s))] for s in sequences])
    lengths = torch.tensor(list(map(len, sequences)))
    return Outcome(torch.tensor(1.0), torch.tensor(2.0), None, tokens, lengths)


def targets(batch):
    pairs = zip(batch.targets.tolist(), batch.target_lengths.tolist(), strict=True)
    return [row[: length - 1] for row, length in pairs]


def test_loss_ignores_padding_and_batch_mates():
    task = build().eval()
    examples = DATA.split("train")
    whole, _ = task.measure(examples.batch(torch.arange(8)), "train")
    each = [task.measure(examples.batch(torch.tensor([row])), "train")[0] for row in range(8)]
    torch.testing.assert_close(whole, torch.stack(each).mean(), atol=1e-5, rtol=1e-5)


def test_label_smoothing_and_coverage_are_added_to_the_loss_alone():
    batch = DATA.split("train").batch(torch.arange(8))
    plain, one = build().eval().measure(batch, "train")
    for options in ({"label_smoothing": 0.2}, {"coverage_weight": 1.0}):
        changed, other = build(**options).eval().measure(batch, "train")
        assert abs(changed.item() - plain.item()) > 1e-3
        torch.testing.assert_close(one.log_loss, other.log_loss)


def test_scheduled_sampling_reads_what_it_wrote_as_often_as_it_is_told(monkeypatch):
    task = build(forcing="linear", forcing_start=1.0, forcing_end=0.25, forcing_steps=10)
    batch = DATA.split("train").batch(torch.arange(64))
    shares = []

    def spy(module, arguments):
        *_, mask = arguments
        if mask is not None:
            shares.append(mask.float().mean().item())

    task.network.register_forward_pre_hook(spy)
    steps = iter([0, 4, 10, 50])
    monkeypatch.setattr(type(task), "global_step", property(lambda self: next(steps)))
    for _ in range(4):
        loss, _ = task.measure(batch, "train")
        loss.backward()
    assert len(shares) == 3  # at step 0 the whole target is one pass
    assert shares == pytest.approx([0.7, 0.25, 0.25], abs=0.08)


def test_scores_of_right_wrong_and_empty_outputs():
    task = build()
    meter = Seq2SeqMeter(DATA.spec, by_length=True)
    batch = DATA.split("train").batch(torch.arange(4))
    true = targets(batch)
    changed = [4 + (true[1][0] - 3) % 5, *true[1][1:]]
    meter.update(torch.tensor(3.0), outputs(task, batch, [true[0], changed, [], true[3]]), batch)
    scores = meter.compute()
    total = batch.target_lengths.sum().item()
    missing = batch.target_lengths[2].item()
    assert scores["exact_match"].item() == 0.5
    assert scores["token_accuracy"].item() == pytest.approx((total - 1 - missing) / total)
    assert scores["edit_distance"].item() == pytest.approx((1 / len(true[1]) + 1) / 4)
    assert scores["perplexity"].item() == pytest.approx(torch.tensor(1 / total).exp().item())
    assert scores["free_loss"].item() == pytest.approx(2.0)
    lengths = batch.lengths.tolist()
    for length, (share, count) in meter.exact_by_length.items():
        rows = [row for row in range(4) if lengths[row] == length]
        assert count == len(rows)
        assert share == pytest.approx(sum(row in (0, 3) for row in rows) / count)
    assert any(name.startswith("exact_match_length_") for name in scores)


def test_scores_over_batches_are_those_of_the_whole():
    task = build()
    examples = DATA.split("train")
    whole, parts = Seq2SeqMeter(DATA.spec), Seq2SeqMeter(DATA.spec)
    written = [row[::-1] for row in targets(examples.batch(torch.arange(12)))]
    batch = examples.batch(torch.arange(12))
    whole.update(torch.tensor(1.0), outputs(task, batch, written), batch)
    for rows in torch.arange(12).split(5):
        batch = examples.batch(rows)
        chosen = [written[row] for row in rows.tolist()]
        parts.update(torch.tensor(1.0), outputs(task, batch, chosen), batch)
    one, other = whole.compute(), parts.compute()
    for name in ("exact_match", "edit_distance", "token_accuracy", "bleu", "chrf"):
        torch.testing.assert_close(one[name], other[name])
    assert 0 < one["bleu"] < 100


def test_characters_are_words_and_symbols_are_words_themselves():
    symbols = Seq2SeqMeter(DATA.spec)
    assert not Seq2SeqMeter(Reverse(num_symbols=12).spec).characters
    dates = Dates(train_size=5, val_size=5, test_size=5, max_length=24)
    assert Seq2SeqMeter(dates.spec).characters
    assert symbols.texts(torch.tensor([[4, 6, 0]]), torch.tensor([2])) == ["0 2"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"search": Search(max_length=3)}, "max_length=3"),
        ({"search": Search(coverage_penalty=1.0), "attention": None}, "model/attention"),
        ({"coverage_weight": 1.0, "attention": None}, "model/attention"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"forcing": "sometimes"}, "sometimes"),
    ],
)
def test_what_cannot_work_is_told(options, named):
    with pytest.raises(InputError, match=named):
        build(**options)


def test_an_empty_target_is_told():
    batch = DATA.split("train").batch(torch.arange(3))
    batch.target_lengths[1] = 0
    with pytest.raises(InputError, match="target sequence is empty"):
        build().measure(batch, "train")


@pytest.mark.parametrize("attention", [GeneralAttention, None])
def test_a_handful_is_learned_by_heart(attention):
    task = build(attention=attention)
    batch = DATA.split("train").batch(torch.arange(8))
    optimizer = torch.optim.Adam(task.parameters(), lr=0.02)
    for _ in range(150):
        loss, _ = task.measure(batch, "train")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.eval()
    with torch.inference_mode():
        _, outcome = task.measure(batch, "test")
    found = [
        row[:length]
        for row, length in zip(outcome.tokens.tolist(), outcome.lengths.tolist(), strict=True)
    ]
    assert found == targets(batch)
    assert END not in chain(*found)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_precisions(train, precision):
    train(
        "data=reverse",
        "model=bilstm",
        "model/attention=additive",
        f"trainer.precision={precision}",
        "data.train_size=64",
        "data.val_size=16",
        "data.test_size=16",
        "trainer.max_epochs=1",
        "trainer.enable_progress_bar=false",
        "trainer.enable_model_summary=false",  # it warns of half precision
    )


def test_tokens_that_are_blanks_count_in_bleu():
    """All kinds of blanks are tokens: an output that lacks them is not perfect."""
    blanks = ("\u00a0", "\u2003", "\t", "\x0b", "\u3000", "\x1c", " ")
    names = (*DATA.spec.label_names[:4], "a", "b", *blanks)
    meter = Seq2SeqMeter(replace(DATA.spec, label_names=names))
    true = [4, 6, 5, 7, 4, 8, 5, 9, 4, 10, 5, 11, 4, 12, 5]
    lacking = [token for token in true if token < 6]
    for written, expected in ((true, 100.0), (lacking, 0.0)):
        meter.reset()
        batch = Batch(
            inputs=torch.ones(1, 3, dtype=torch.long),
            lengths=torch.tensor([3]),
            targets=torch.tensor([[*true, END]]),
            target_lengths=torch.tensor([len(true) + 1]),
        )
        outcome = Outcome(
            torch.tensor(1.0),
            torch.tensor(2.0),
            None,
            torch.tensor([written]),
            torch.tensor([len(written)]),
        )
        meter.update(torch.tensor(1.0), outcome, batch)
        scores = meter.compute()
        assert scores["bleu"].item() == pytest.approx(expected, abs=1e-3)
        assert (scores["chrf"].item() == pytest.approx(100)) == (written == true)


def test_exact_match_in_training_is_that_of_greedy_search():
    """Without a search: the tokens that it would read are the true ones up to its first error."""
    task = build()
    batch = DATA.split("train").batch(torch.arange(64))
    optimizer = torch.optim.Adam(task.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        task.losses(
            task.network(batch.inputs, batch.lengths, batch.targets)[0], batch
        ).mean.backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        _, outcome = task.measure(batch, "train")
        found = task.greedy.run(task.network, batch.inputs, batch.lengths, DATA.spec.longest_target)
    lengths = found.lengths[:, 0].tolist()
    written = [row[:n] for row, n in zip(found.tokens[:, 0].tolist(), lengths, strict=True)]
    right = [one == other for one, other in zip(written, targets(batch), strict=True)]
    assert outcome.right.tolist() == right
    assert 0 < sum(right) < len(right)
