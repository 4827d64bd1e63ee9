import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning import Callback, Trainer
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score
from torch import nn

from seqlab.data.batch import Batch
from seqlab.data.datamodule import SequenceDataModule
from seqlab.data.magic_token import MagicToken
from seqlab.data.spec import Spec
from seqlab.errors import InputError, NonFiniteLossError
from seqlab.networks.classifier import Classifier
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.runs.setup import prepare
from seqlab.tasks.classification import Classification, ClassificationMeter
from seqlab.tasks.schedules import constant, cosine, plateau, warmup_cosine


class Given(nn.Module):
    """A network that answers with what its inputs hold, (batch, 1, classes)."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs, lengths):
        return self.scale * inputs[:, 0], None


def spec_of(classes):
    return Spec(
        task="classification",
        kind="values",
        input_size=classes,
        output_size=classes,
        metric="accuracy",
        trivial=None,
        optimum=None,
        label_names=tuple(f"label {number}" for number in range(classes)),
    )


def make_task(classes=3, network=None, spec=None, scheduler=constant, rate=0.1, **options):
    return Classification(
        network=network or Given(),
        spec=spec or spec_of(classes),
        optimizer=partial(torch.optim.SGD, lr=rate),
        scheduler=scheduler,
        **options,
    )


def batch_of(logits, targets):
    lengths = torch.ones(len(targets), dtype=torch.long)
    return Batch(torch.as_tensor(logits)[:, None], lengths, torch.as_tensor(targets))


def scores_of(task, logits, targets, sizes, stage="test"):
    """The scores of an epoch cut into batches of these sizes."""
    meter = task.meter(stage)
    for part, labels in zip(logits.split(sizes), targets.split(sizes), strict=True):
        batch = batch_of(part, labels)
        loss, outputs = task.measure(batch, stage)
        meter.update(loss.detach(), outputs, batch)
    scores = {name: float(score) for name, score in meter.compute().items()}
    return scores, meter


def cut(total, seed):
    """Unequal batch sizes."""
    generator = np.random.default_rng(seed)
    places = sorted(generator.choice(np.arange(1, total), size=min(3, total - 1), replace=False))
    return np.diff([0, *places, total]).tolist()


def random_epoch(seed, classes, count, present=None):
    torch.manual_seed(seed)
    present = present or classes
    return 2 * torch.randn(count, classes), torch.randint(0, present, (count,))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    classes=st.integers(2, 5),
    count=st.integers(8, 60),
    missing=st.booleans(),
)
def test_scores_equal_scikit_learns_over_the_whole_epoch(seed, classes, count, missing):
    logits, targets = random_epoch(seed, classes, count, classes - 1 if missing else classes)
    task = make_task(classes)
    scores, meter = scores_of(task, logits, targets, cut(count, seed))
    predicted, probabilities = logits.argmax(1), logits.softmax(1)
    labels = list(range(classes))
    assert scores["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    # Classes that occur in neither are left out, as scikit-learn does.
    assert scores["macro_f1"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    each = f1_score(targets, predicted, average=None, labels=labels, zero_division=0)
    for number, expected in enumerate(each):
        assert scores[f"f1_label_{number}"] == pytest.approx(expected)
    assert meter.confusion.tolist() == confusion_matrix(targets, predicted, labels=labels).tolist()
    if len(targets.unique()) < classes:
        assert "auroc" not in scores
    else:
        expected = (
            roc_auc_score(targets, probabilities[:, 1])
            if classes == 2
            else np.mean([roc_auc_score(targets == n, probabilities[:, n]) for n in labels])
        )
        assert scores["auroc"] == pytest.approx(expected)


def calibration_error(logits, targets, bins=15):
    """Expected calibration error (Guo et al. 2017, equation 3), bin by bin."""
    total = 0.0
    rows = []
    for row, target in zip(logits.double().softmax(1).tolist(), targets.tolist(), strict=True):
        confidence = max(row)
        rows.append((confidence, row.index(confidence) == target))
    for number in range(bins):
        held = [r for r in rows if number / bins < r[0] <= (number + 1) / bins]
        if held:
            gap = sum(right for _, right in held) - sum(confidence for confidence, _ in held)
            total += abs(gap) / len(rows)
    return total


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 5), count=st.integers(4, 80))
def test_calibration_error_written_out(seed, classes, count):
    logits, targets = random_epoch(seed, classes, count)
    scores, _ = scores_of(make_task(classes), logits, targets, cut(count, seed))
    expected = calibration_error(logits, targets)
    assert scores["calibration_error"] == pytest.approx(expected, abs=1e-5)


def test_epoch_metrics_are_not_averages_over_batches():
    """9 right of 9 and 0 right of 1: 0.9, where the mean of the batches would be 0.5."""
    logits = torch.tensor([[4.0, 0.0]] * 10)
    targets = torch.tensor([0] * 9 + [1])
    for stage in ("train", "test"):
        scores, _ = scores_of(make_task(2), logits, targets, [9, 1], stage)
        assert scores["accuracy"] == pytest.approx(0.9)
        small, large = math.log1p(math.exp(-4)), math.log1p(math.exp(4))
        assert scores["loss"] == pytest.approx((9 * small + large) / 10)


def written_out_loss(logits, targets, weights, smoothing):
    """Mean over the examples of Σ_c w_c · q_c · −log p_c, q the smoothed label."""
    total = 0.0
    classes = logits.shape[1]
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        norm = math.log(sum(math.exp(value) for value in row))
        for number, value in enumerate(row):
            share = smoothing / classes + (1 - smoothing) * (number == target)
            total += weights[number] * share * (norm - value)
    return total / len(targets)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    weights=st.none() | st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_class_weights_and_label_smoothing_written_out(seed, weights, smoothing):
    logits, targets = random_epoch(seed, 3, 20)
    task = make_task(3, class_weights=weights, label_smoothing=smoothing)
    expected = written_out_loss(logits, targets, weights or [1.0] * 3, smoothing)
    loss, _ = task.measure(batch_of(logits, targets), "train")
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    # The epoch's loss is the same however it is cut into batches.
    scores, _ = scores_of(task, logits, targets, cut(20, seed))
    assert scores["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_meter_of_training_computes_accuracy_only():
    logits, targets = random_epoch(0, 3, 20)
    scores, _ = scores_of(make_task(3), logits, targets, [20], "train")
    assert set(scores) == {"loss", "accuracy"}


def test_attention_on_evidence():
    meter = ClassificationMeter(("a", "b"))
    weights = torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    evidence = torch.tensor([[True, False], [True, True], [False, False]])
    batch = batch_of(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    batch.evidence = evidence
    meter.update(torch.tensor(0.5), (torch.zeros(3, 2), weights), batch)
    assert float(meter.compute()["attention_on_evidence"]) == pytest.approx((0.7 + 1.0) / 2)


class Watch(Callback):
    """The learning rate of each step."""

    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def magic_token():
    dataset = MagicToken(train_size=64, val_size=16, test_size=16, seed=1)
    return SequenceDataModule(dataset, batch_size=16)


def reader_network(spec):
    torch.manual_seed(0)
    encoder = partial(RecurrentEncoder, cell=GRUCell, hidden_size=4)
    return Classifier(spec, reader=partial(Reader, encoder=encoder, embedding_dim=4))


def fit(task, data, epochs=3, **options):
    prepare(1)
    watch = Watch()
    trainer = Trainer(
        **{
            "max_epochs": epochs,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "use_distributed_sampler": False,
            **options,
        },
        callbacks=[watch],
    )
    trainer.fit(task, data)
    return watch.rates


class TestLearningRate:
    """Followed through real training: four steps an epoch, a full rate of 0.1."""

    def rates(self, scheduler, network=None, **options):
        data = magic_token()
        task = make_task(
            network=network or reader_network(data.spec), spec=data.spec, scheduler=scheduler
        )
        return fit(task, data, **options)

    def test_constant(self):
        assert self.rates(constant) == [0.1] * 12

    def test_cosine(self):
        expected = [0.1 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
        assert self.rates(cosine) == pytest.approx(expected)

    def test_cosine_ends_at_its_ratio(self):
        rates = self.rates(partial(cosine, min_ratio=0.5))
        expected = [0.05 + 0.05 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
        assert rates == pytest.approx(expected)

    def test_warmup_then_cosine(self):
        rates = self.rates(partial(warmup_cosine, warmup_ratio=0.25))
        rising = [0.1 * (step + 1) / 4 for step in range(3)]
        falling = [0.1 * (1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
        assert rates == pytest.approx(rising + falling)

    def test_warmup_then_constant(self):
        rates = self.rates(partial(warmup_cosine, warmup_ratio=0.25, min_ratio=1.0))
        assert rates == pytest.approx([0.1 * (step + 1) / 4 for step in range(3)] + [0.1] * 9)

    def test_a_schedule_counts_the_optimisers_steps(self):
        rates = self.rates(cosine, accumulate_grad_batches=2)
        expected = [0.1 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
        assert rates == pytest.approx([rate for rate in expected for _ in range(2)])

    def test_plateau(self):
        """A loss that never falls: after each patience + 1 epochs half the rate."""

        class Idle(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Parameter(torch.ones(()))

            def forward(self, inputs, lengths):
                return torch.zeros(len(inputs), 2) + 0 * self.unused, None

        rates = self.rates(partial(plateau, patience=1), network=Idle(), epochs=7)
        # The first epoch sets the best loss; two without a lower one, and the rate is halved.
        an_epoch = [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
        assert rates == pytest.approx([rate for rate in an_epoch for _ in range(4)])

    def test_plateau_keeps_the_rate_while_the_loss_falls(self):
        assert self.rates(partial(plateau, patience=0)) == [0.1] * 12


class Recorder(torch.optim.SGD):
    """Keeps the norm of the gradient that each step sees."""

    def __init__(self, parameters, norms):
        super().__init__(parameters, lr=1.0)
        self.norms = norms

    def step(self, closure=None):
        loss = super().step(closure)
        squares = (p.grad.square().sum() for group in self.param_groups for p in group["params"])
        self.norms.append(float(sum(squares)) ** 0.5)
        return loss


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_optimiser_sees_clipped_gradients(precision):
    norms = {}
    for limit in (None, 0.01):
        data, norms[limit] = magic_token(), []
        task = Classification(
            network=reader_network(data.spec),
            spec=data.spec,
            optimizer=partial(Recorder, norms=norms[limit]),
            scheduler=constant,
        )
        fit(task, data, gradient_clip_val=limit, precision=precision)
    assert len(norms[0.01]) == 12
    assert max(norms[0.01]) <= 0.01 * (1 + 1e-5)
    assert min(norms[None]) > 0.011


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(value):
    data = magic_token()

    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = reader_network(data.spec)

        def forward(self, inputs, lengths):
            logits, weights = self.inner(inputs, lengths)
            if self.training and task.global_step == 6:
                # For an infinite loss the right class must become impossible.
                logits = logits * value if math.isnan(value) else logits - torch.tensor([value, 0])
            return logits, weights

    task = make_task(network=Breaks(), spec=data.spec)
    with pytest.raises(NonFiniteLossError, match=r"at step 6\b"):
        fit(task, data, log_every_n_steps=50)


class TestErrors:
    @pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0]])
    def test_class_weights(self, weights):
        with pytest.raises(InputError, match=r"class_weights.* must be 3 positive numbers"):
            make_task(3, class_weights=weights)

    @pytest.mark.parametrize("smoothing", [1.0, -0.1])
    def test_label_smoothing(self, smoothing):
        with pytest.raises(InputError, match="label_smoothing"):
            make_task(3, label_smoothing=smoothing)

    def test_a_cosine_without_an_end(self):
        with pytest.raises(InputError, match=r"trainer\.max_epochs or"):
            cosine(torch.optim.SGD([nn.Parameter(torch.ones(()))]), math.inf)

    @pytest.mark.parametrize(
        ("schedule", "options"),
        [
            (warmup_cosine, {"warmup_ratio": 1.0}),
            (cosine, {"min_ratio": -0.1}),
            (warmup_cosine, {"min_ratio": 1.1}),
            (plateau, {"factor": 1.0}),
            (plateau, {"patience": -1}),
        ],
    )
    def test_settings_of_schedules(self, schedule, options):
        with pytest.raises(InputError, match=f"^{next(iter(options))}="):
            schedule(torch.optim.SGD([nn.Parameter(torch.ones(()))]), 10, **options)
