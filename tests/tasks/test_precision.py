"""Every family, head and precision trains, predicts and samples; nothing is measured rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from lightning import Trainer
from omegaconf import DictConfig

from seqlab.build import build_data, build_network, build_task, build_trainer
from seqlab.runs.setup import prepare
from seqlab.tasks.forecasting import Forecasting
from seqlab.tasks.seq2seq import SequenceToSequence
from tests.conftest import ROOT

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "64-true")
QUIET = ("callbacks=none", "logger=none", "trainer.enable_progress_bar=false")
QUIET += ("trainer.enable_model_summary=false", "trainer.accelerator=cpu", "trainer.max_steps=2")
QUIET += (
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.num_sanity_val_steps=0",
)
QUIET += ("model=gru", "model.encoder.hidden_size=6", "trainer.val_check_interval=2")
QUIET += (
    "trainer.default_root_dir=null",
    "trainer.enable_checkpointing=false",
    "loader.batch_size=8",
)
SIZES = ("data.train_size=20", "data.val_size=8", "data.test_size=8")
COUNTS = ("data=intermittent", "data.num_series=3", "data.length=90", "task.num_samples=3")
COUNTS += ("data.window=8", "task.horizon=4", "task.normaliser=mean")
SEASONS = ("data=seasonal", "data.num_series=3", "data.length=150", "task.horizon=4")
PAIRS = ("data=reverse", *SIZES, "data.max_length=5", "data.long_lengths=null")
HEADS = ("mse", "mae", "huber", "quantile", "gaussian", "student_t", "negative_binomial")
CASES = {
    "classes": ("data=magic_token", *SIZES, "task.class_weights=[1,2]"),
    "classes of values": ("data=motion", *SIZES, "model=gru_attn"),
    "tags": ("data=hmm_tags", *SIZES, "task.class_weights=null", "task.label_smoothing=0.1"),
    "tags, crf": ("data=entities", *SIZES, "task.crf=true"),
    "pairs, greedy": PAIRS,
    "pairs, beam": (*PAIRS, "model/attention=additive", "task.search.method=beam"),
    "pairs, sample": (*PAIRS, "model/attention=general", "task.search.method=sample"),
    "regression": ("data=adding", *SIZES, "data.min_length=5", "data.max_length=9"),
    "reversible": (*SEASONS, "task.normaliser=reversible", "task.series_embedding=2"),
    "covariates": (
        "data=seasonal",
        "data.num_series=3",
        "data.length=150",
        "task.horizon=4",
        "task.decoder=recursive",
    ),
    "attention": (
        *COUNTS,
        "task.decoder=attention",
        "model/attention=additive",
        "task.head=gaussian",
    ),
} | {
    f"{head}, {decoder}": (*COUNTS, f"task.head={head}", f"task.decoder={decoder}")
    for head in HEADS
    for decoder in ("direct", "recursive")
}


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*QUIET, *overrides])


def pairs() -> Iterator[object]:
    """Every case in every precision; those that other tests come near to are slow ones."""
    for case in CASES:
        for precision in PRECISIONS:
            usual = precision in ("32-true", "64-true") and case.split(",")[0] in HEADS
            yield pytest.param(case, precision, marks=[pytest.mark.slow] if usual else [])


@pytest.mark.parametrize(("case", "precision"), list(pairs()))
def test_two_steps_in_every_precision(case, precision):
    train_and_predict(*CASES[case], f"trainer.precision={precision}")


# One model for each cell or encoder. The recurrent ones differ in nothing else.
MODELS = sorted(path.stem for path in (ROOT / "conf" / "model").glob("[!_]*.yaml"))
ENCODERS = [name for name in MODELS if not name.startswith("bi") and not name.endswith("_attn")]
FAMILIES = ("classes of values", "tags", "pairs, greedy", "mse, direct")


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("model", ENCODERS)
def test_every_encoder_in_every_precision(model, precision):
    """Each in one family; the next encoder in the next. `test_config_files.py` has 32-true."""
    family = FAMILIES[ENCODERS.index(model) % len(FAMILIES)]
    sizes = ("model.encoder.hidden_size=8", f"trainer.precision={precision}")
    train_and_predict(*CASES[family], f"model={model}", *sizes)


CELLS = sorted(path.stem for path in (ROOT / "conf" / "cell").glob("[!_]*.yaml"))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_decodes_in_reduced_precision(cell, precision):
    family = ("pairs, greedy", "attention")[CELLS.index(cell) % 2]
    choice = (f"task.decoder.cell={cell}", f"trainer.precision={precision}")
    train_and_predict(*CASES[family], *choice)


def train_and_predict(*overrides):
    prepare(0)
    config = composed(*overrides)
    data = build_data(config)
    task = build_task(config, build_network(config, data.spec), data.spec)
    trainer: Trainer = build_trainer(config)
    trainer.fit(task, data)
    assert trainer.global_step == 2
    (scores, *_) = trainer.test(task, data, verbose=False)
    assert all(np.isfinite(value) for value in scores.values())
    batch = data.examples("test").batch(torch.arange(3))
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        if isinstance(task, Forecasting):
            forecast = task.predict(batch).forecast
            assert forecast.sample(2).isfinite().all()
            assert forecast.point().dtype == torch.float64
        elif isinstance(task, SequenceToSequence):
            task.search.run(task.network, batch.inputs, batch.lengths, 5)
        else:
            assert task.network(batch.inputs, batch.lengths)[0].isfinite().all()


# What is chosen, forecast or drawn from numbers that are none.
UNDEFINED = ("classes", "tags, crf", "pairs, beam", "pairs, sample", "regression")
UNDEFINED += ("mse, recursive", "quantile, direct", "student_t, recursive")
UNDEFINED += ("negative_binomial, recursive",)


@pytest.mark.parametrize("case", UNDEFINED)
def test_outputs_that_are_no_numbers_end_no_test_and_stay_so(case):
    prepare(0)
    config = composed(*CASES[case])
    data = build_data(config)
    task = build_task(config, build_network(config, data.spec), data.spec)
    trainer = build_trainer(config)
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.fill_(torch.nan)
    with pytest.warns(UserWarning, match="not finite: test/loss") as told:
        (scores, *_) = trainer.test(task, data, verbose=False)
    assert sum("not finite" in str(warning.message) for warning in told) == 1
    assert np.isnan(scores["test/loss"])
    assert not np.isfinite(scores[f"test/{data.spec.metric}"])


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A series of 1000 ± 2, which bfloat16 cannot tell apart."""
    path = tmp_path_factory.mktemp("data") / "thousand.csv"
    values = 1000 + np.random.default_rng(0).uniform(-2, 2, 160).round(2)
    path.write_text("t,y\n" + "\n".join(f"{t},{value}" for t, value in enumerate(values)))
    return path, values


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_truth_is_not_rounded(thousand, precision):
    prepare(0)
    path, values = thousand
    config = composed(
        *SERIES,
        f"data.path={path}",
        f"trainer.precision={precision}",
        "trainer.limit_test_batches=1.0",
    )
    data = build_data(config)
    task = build_task(config, build_network(config, data.spec), data.spec)
    trainer = build_trainer(config)
    trainer.fit(task, data)
    (scores,) = trainer.test(task, data, verbose=False)
    error = [
        abs(values[cut + step] - values[cut - 1]) for cut in range(136, 157) for step in range(4)
    ]
    assert scores["test/naive_mae"] == pytest.approx(np.mean(error), rel=1e-6)
    assert scores["test/mae"] < 3


SERIES = ("data=series_file", "data.targets=[y]", "data.time_column=t", "data.series_column=null")
SERIES += ("data.past=[]", "data.known=[]", "data.static=[]", "data.period=1", "data.headline=mae")
SERIES += ("data.window=16", "task.horizon=4", "data.val_steps=24", "data.test_steps=24")
