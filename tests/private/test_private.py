"""What other libraries' private interfaces are expected to do; fails when a version has another."""

import inspect
import os
import signal

import optuna
import pytest
import torch
import torchmetrics
from hydra import compose, initialize_config_dir
from hydra._internal import utils
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from omegaconf import OmegaConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.summary_pb2 import Summary

from seqlab.private import hydra, lightning, tensorboard
from seqlab.private.joblib import processes_of
from seqlab.private.optuna import JournalLock, trial_id
from seqlab.private.torch import set_last_rates
from seqlab.private.torchmetrics import set_update_count
from tests.conftest import ROOT


def test_hydra_asks_for_its_mode_by_this_method(monkeypatch):
    monkeypatch.setattr(Hydra, "get_mode", Hydra.get_mode)  # put back afterwards
    assert list(inspect.signature(Hydra.get_mode).parameters) == [
        "self",
        "config_name",
        "overrides",
    ]
    assert "hydra.get_mode(" in inspect.getsource(utils._run_hydra)
    hydra.skip_mode_lookup()
    assert Hydra.get_mode(None, "train", []) is None


def test_hydra_sets_values_as_it_does_while_it_composes():
    given = ["seed=3", "+foo.bar=[1,2]", "~compile", "optimizer.lr=0.5"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        plain, wanted = compose("train"), compose("train", given)
    parsed = OverridesParser.create().parse_overrides(given)
    hydra.set_values(plain, parsed)
    assert plain == wanted
    with pytest.raises(HydraException, match="sede"):
        hydra.set_values(plain, OverridesParser.create().parse_overrides(["sede=3"]))


def test_hydra_names_a_folder_after_overrides():
    parsed = OverridesParser.create().parse_overrides(["seed=3", "model=gru", "data=copy"])
    name = hydra.override_dirname(parsed, kv_sep="=", item_sep=",", exclude_keys=["seed"])
    assert name == "data=copy,model=gru"


def test_hydra_keeps_the_error_of_a_job():
    done, error = JobReturn(), ValueError("no")
    done.status, done.return_value = JobStatus.FAILED, error
    assert hydra.job_error(done) is error
    done.status = JobStatus.COMPLETED
    assert hydra.job_error(done) is None


def test_omegaconf_knows_the_root_of_a_node():
    config = OmegaConf.create({"a": {"b": {"c": 1}}})
    assert hydra.whole_configuration(config.a.b) is config


class Small(LightningModule):
    """Notes the hooks that it is told of."""

    def __init__(self):
        object.__setattr__(self, "seen", [])
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def __setattr__(self, name, value):
        if name == lightning.CURRENT_HOOK:
            self.seen.append(value)
        super().__setattr__(name, value)

    def training_step(self, batch, batch_idx):
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.seen.append("validated")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Watch(Callback):
    """Notes after each training batch what is due, and who handles SIGTERM."""

    def __init__(self):
        self.due, self.handlers = [], []

    def on_train_batch_end(self, trainer, module, *_):
        self.due.append(lightning.validation_is_due(trainer))
        self.handlers.append(signal.getsignal(signal.SIGTERM))


@pytest.fixture
def trained(tmp_path):
    trainer = Trainer(
        max_steps=5,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        accelerator="cpu",
        default_root_dir=tmp_path,
        callbacks=[Watch()],
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
    )
    lightning.leave_signals_alone(trainer)
    module = Small()
    batches = torch.utils.data.DataLoader(range(6))
    trainer.fit(module, batches, torch.utils.data.DataLoader([0]))
    return trainer, module


# Of torch, by Lightning; and that a loader of numbers could use more processes.
@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning", "ignore:.*num_workers")
def test_lightning_tells_hooks_due_validations_and_leaves_signals_alone(trained):
    trainer, module = trained
    watch = next(call for call in trainer.callbacks if isinstance(call, Watch))
    assert "training_step" in module.seen
    assert watch.due == [False, True, False, True, False]
    assert module.seen.count("validated") == 2
    assert set(watch.handlers) == {signal.getsignal(signal.SIGTERM)}


@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning", "ignore:.*num_workers")
def test_lightning_logs_at_the_step_that_is_set(trained):
    trainer, module = trained
    lightning.set_logged_step(trainer, 41)
    steps = []
    trainer.logger = CSVLogger(trainer.default_root_dir)
    trainer.logger.log_metrics = lambda metrics, step: steps.append(step)
    module.validation_step = lambda batch, batch_idx: module.log("loss", 1.0)
    trainer.test_step = module.test_step = module.validation_step
    trainer.test(module, torch.utils.data.DataLoader([0]), verbose=False)
    assert steps == [41]


def test_a_journals_lock_needs_no_more_than_two_methods(tmp_path):
    assert JournalLock.__abstractmethods__ == {"acquire", "release"}
    taken = []

    class Lock(JournalLock):
        def acquire(self):
            taken.append("acquire")
            return True

        def release(self):
            taken.append("release")

    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal"), Lock()))
    optuna.create_study(storage=storage)
    assert taken[:2] == ["acquire", "release"]


def test_a_trials_id_leads_back_to_it():
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="first").ask()
    study = optuna.create_study(storage=storage, study_name="second")
    trial = study.ask()
    assert trial.number == 0
    assert trial_id(trial) == trial_id(study.get_trials()[0]) == 1
    assert optuna.Trial(study, trial_id(trial)).number == 0


def test_a_summary_reaches_the_events_as_it_is(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="")
    summary = Summary(value=[Summary.Value(tag="x", simple_value=0.5)])
    tensorboard.summary_writer(logger).add_summary(summary, 7)
    assert tensorboard.summary_writer(CSVLogger(tmp_path)) is None
    logger.experiment.flush()
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("x")] == [(7, 0.5)]


def test_a_pool_knows_its_processes():
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=1)
    identity = pool.submit(os.getpid).result()
    processes = processes_of(pool)
    assert set(processes) == {identity}
    pool.shutdown()
    assert processes[identity].exitcode == 0


def test_a_metric_knows_that_it_was_updated():
    source, copy = torchmetrics.MeanMetric(), torchmetrics.MeanMetric()
    source.update(3.0)
    for name, value in source.metric_state.items():
        setattr(copy, name, value)
    assert not copy.update_called
    set_update_count(copy, source.update_count)
    assert copy.update_count == 1
    assert copy.compute() == 3.0  # which warns where nothing was updated


def test_a_schedule_says_the_rates_that_it_was_told():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    set_last_rates(scheduler, [0.25])
    assert scheduler.get_last_lr() == [0.25]
    assert scheduler.last_epoch == 0
