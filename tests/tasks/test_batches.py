"""A loss or metric does not depend on how examples are cut into batches or dealt to devices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor

from seqlab.build import build_data, build_network, build_task, build_trainer
from seqlab.data.batch import Batch
from seqlab.data.loader import BatchLoader, LengthBucketSampler
from seqlab.runs.setup import prepare
from seqlab.tasks.base import Task
from seqlab.tasks.meter import Meter
from tests.conftest import ROOT

SIZES = ("data.train_size=19", "data.val_size=15", "data.test_size=15", "model=gru")
CLASSES = ("data=magic_token", *SIZES, "data.max_length=9", "data.min_length=3")
TAGS = ("data=hmm_tags", *SIZES, "data.min_length=2", "data.max_length=7")
SPANS = ("data=entities", *SIZES)
PAIRS = ("data=reverse", *SIZES, "data.max_length=6", "data.long_lengths=null")
GAPS = ("data=series_file", "data.missing=mask", "data.window=8", "task.horizon=4", "model=gru")
GAPS += ("data.targets=[y]", "data.time_column=t", "data.series_column=s", "data.period=5")
GAPS += ("data.past=[]", "data.known=[]", "data.static=[]", "data.val_steps=12")
GAPS += ("data.test_steps=14", "data.min_window=3", "task.normaliser=mean")
CASES = {
    "classes": CLASSES,
    "classes, weights": (*CLASSES, "task.class_weights=[1,3]", "task.label_smoothing=0.1"),
    "classes, attention": (*CLASSES, "model=bigru_attn"),
    "classes, values": ("data=motion", *SIZES),
    "tags": TAGS,
    "tags, smoothing": (*TAGS, "task.label_smoothing=0.1"),
    "tags, crf": (*TAGS, "task.crf=true"),
    "spans": (*SPANS, "task.class_weights=null"),
    "spans, crf": (*SPANS, "task.crf=true"),
    "pairs": PAIRS,
    "pairs, attention": (*PAIRS, "model/attention=additive", "task.label_smoothing=0.1"),
    "pairs, coverage": (*PAIRS, "model/attention=additive", "task.coverage_weight=1.0"),
    "pairs, beam": (*PAIRS, "task.search.method=beam", "task.search.beam_size=3"),
    "pairs, sample": (*PAIRS, "task.search.method=sample"),
    "regression": ("data=adding", *SIZES, "data.min_length=5", "data.max_length=9"),
    "recursive": (*GAPS, "task.decoder=recursive"),
    "log": (*GAPS, "task.log=true", "task.normaliser=reversible"),
    "difference": (*GAPS, "task.difference=1", "data.min_window=4"),
    "attention": (*GAPS, "task.decoder=attention", "model/attention=general"),
}
HEADS = ("mse", "mae", "huber", "quantile", "gaussian", "student_t", "negative_binomial")
CASES |= {head: (*GAPS, f"task.head={head}") for head in HEADS}
# Sampled paths differ by what is drawn; their likelihood does not.
CASES |= {
    f"sampled, {head}": (*GAPS, f"task.head={head}", "task.decoder=recursive", "task.num_samples=2")
    for head in HEADS[4:]
}


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series of counts whose missing values are unevenly spread."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "gaps.csv"
    lines = ["s,t,y"]
    for name in "ab":
        for time in range(60):
            dense = time % 20 > 10
            value = "" if rng.random() < (0.7 if dense else 0.1) and time else rng.poisson(4) + 1
            lines.append(f"{name},{time},{value}")
    path.write_text("\n".join(lines))
    return path


@cache
def built(case: str, path: str) -> tuple[Task, object]:
    """An untrained task of the case in double precision, and its data."""
    overrides = CASES[case]
    if overrides[0] == GAPS[0]:
        overrides += (f"data.path={path}",)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", [*overrides, "model.encoder.hidden_size=6"])
    data = build_data(config)
    torch.manual_seed(0)
    task = build_task(config, build_network(config, data.spec), data.spec)
    return task.double().eval(), data


def double(batch: Batch) -> Batch:
    """The batch in double precision."""
    if batch.inputs.is_floating_point():
        batch.inputs = batch.inputs.double()
    return batch


def loaders(data: object, split: str, batch_size: int, devices: int, accumulate: int = 1):
    examples = data.examples(split)  # type: ignore[attr-defined]
    return [
        BatchLoader(
            examples,
            LengthBucketSampler(
                examples.lengths,
                batch_size=min(batch_size, len(examples)),
                shuffle=False,
                weigh=examples.loss_weights,
                rank=rank,
                world_size=devices,
            ),
            accumulation=lambda: (accumulate, float("inf")),
        )
        for rank in range(devices)
    ]


def merged(meters: list[Meter]) -> Meter:
    """The first meter with the states of all, reduced as TorchMetrics does among processes."""
    first, *others = meters
    pairs = [(first, others)]
    pairs += [
        (child, [dict(other.named_children())[name] for other in others])
        for name, child in first.named_children()
    ]
    for one, rest in pairs:
        for name in getattr(one, "_defaults", {}):
            for other in rest:
                state = getattr(one, name)
                setattr(one, name, state + getattr(other, name))
    return first


def measured(task: Task, data: object, split: str, size: int, devices: int) -> dict[str, Tensor]:
    meters = []
    for loader in loaders(data, split, size, devices):
        meter = task.new_meter(split)
        meter.keeps_examples = split == "test"
        with torch.no_grad():
            for batch in loader:
                meter.update(*task.measure(double(batch), split), batch)
        meters.append(meter)
    return merged(meters).compute()


@pytest.mark.parametrize("case", CASES)
def test_scores_do_not_depend_on_batches_and_devices(case, gaps):
    task, data = built(case, str(gaps))
    measured(task, data, "val", 10_000, 1)  # calibrates the intervals
    for split in ("val", "test"):
        whole = measured(task, data, split, 10_000, 1)
        assert whole["loss"] > 0
        for size, devices in ((1, 1), (7, 1), (7, 2), (10_000, 2)):
            found = measured(task, data, split, size, devices)
            assert found.keys() == whole.keys()
            names = ["loss"] if case.startswith("sampled") else list(whole)
            if split == "val":
                # The margins come from these windows, so that one of them lies on the bound.
                names = [name for name in names if "calibrated_coverage" not in name]
            for name in names:
                assert found[name].item() == pytest.approx(
                    whole[name].item(), rel=1e-6, abs=1e-9
                ), (split, size, devices, name)


def gradients(task: Task, losses: Iterator[Tensor]) -> list[Tensor]:
    task.zero_grad()
    for loss in losses:
        loss.backward()
    return [p.grad.clone() for p in task.parameters() if p.grad is not None]


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2, 3, 50])
@pytest.mark.parametrize(
    "case", ["classes, weights", "tags, crf", "pairs, coverage", "mae", "gaussian"]
)
def test_accumulated_gradients_are_those_of_a_large_batch(
    case, accumulate, devices, gaps, monkeypatch
):
    """In the middle of an epoch and at its end, where a group is smaller."""
    # No trainer runs here that could say which steps are logged.
    monkeypatch.setattr(Task, "watches_batch", False)
    task, data = built(case, str(gaps))
    parts = loaders(data, "train", 7, devices, accumulate)
    (alone,) = loaders(data, "train", 7, 1)
    batches = alone.batch_sampler.batches()
    by_device = [list(part) for part in parts]
    for start in range(0, len(batches), accumulate):
        group = slice(start, start + accumulate)
        whole = double(alone.examples.batch(torch.cat(batches[group])))
        expected = gradients(task, iter([task.measure(whole, "train")[0]]))
        # The trainer divides by `accumulate`, and takes the mean of the devices' gradients.
        found = gradients(
            task,
            (
                task.measure(double(batch), "train")[0]
                * (batch.share * batch.group_share / accumulate / devices)
                for device in by_device
                for batch in device[group]
            ),
        )
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", ["classes, weights", "tags", "pairs, coverage", "mae"])
def test_a_trainer_that_accumulates_takes_the_steps_of_a_large_batch(case, gaps):
    """Where an epoch is one group, smaller than the trainer divides by."""

    def trained(*overrides: str) -> list[Tensor]:
        prepare(1)
        GlobalHydra.instance().clear()
        path = (f"data.path={gaps}",) if CASES[case][0] == GAPS[0] else ()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("train", [*CASES[case], *path, *TRAINED, *overrides])
        data = build_data(config)
        task = build_task(config, build_network(config, data.spec), data.spec)
        trainer = build_trainer(config)
        trainer.fit(task, data)
        assert trainer.global_step == 2
        return [parameter.detach().clone() for parameter in task.parameters()]

    whole = trained("loader.batch_size=100", "trainer.max_epochs=2")
    groups = ("loader.batch_size=7", "trainer.accumulate_grad_batches=9")
    groups = trained(*groups, "trainer.max_epochs=2")
    torch.testing.assert_close(groups, whole, rtol=1e-6, atol=1e-9)


TRAINED = ("callbacks=none", "logger=none", "optimizer=sgd", "optimizer.lr=0.1")
TRAINED += ("trainer.precision=64-true", "trainer.gradient_clip_val=null")
TRAINED += ("trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")
TRAINED += ("trainer.enable_checkpointing=false", "trainer.limit_val_batches=0")
TRAINED += ("trainer.default_root_dir=null", "model.encoder.hidden_size=6")
TRAINED += ("trainer.accelerator=cpu",)
