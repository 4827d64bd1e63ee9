"""No setting is without effect, or it is refused: by the table of rules, and by generation."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from seqlab.effects import RULES, refuse_without_effect, without_effect
from seqlab.errors import InputError
from tests.conftest import ROOT

# Overrides for each kind of rule: the last has no effect beside the others, then what helps.
WITHOUT = {
    "data=copy task.search.beam_size=8": "task.search.method=beam",
    "data=copy task.search.length_penalty=0.5": "task.search.method=beam",
    "data=copy task.search.coverage_penalty=0.5": "task.search.method=beam",
    "data=copy task.search.method=beam task.search.top_k=3": "task.search.method=sample",
    "data=copy task.search.temperature=2": "task.search.method=sample",
    "data=copy task.search.top_p=0.5": "task.search.method=sample",
    "data=copy task.search.seed=3": "task.search.method=sample",
    "data=copy task.forcing_end=0.5": "task.forcing=linear",
    "data=copy task.forcing_steps=5": "task.forcing=linear",
    "data=copy task.decoder.dropout=0.5": "task.decoder.num_layers=2",
    "data=entities task.constraints=none": "task.crf=true",
    "model=gru model.encoder.dropout=0.5": "model.encoder.num_layers=2",
    "model.match_parameters=9000 model.encoder.hidden_size=32": "model.match_parameters=null",
    "trainer.limit_val_batches=0 scheduler=plateau": "trainer.limit_val_batches=1",
    "trainer.limit_val_batches=0 callbacks.early_stopping.patience=3": (
        "trainer.limit_val_batches=1"
    ),
    "trainer.enable_checkpointing=false callbacks.best.filename=x": (
        "trainer.enable_checkpointing=true"
    ),
    "trainer.enable_progress_bar=false callbacks.progress_bar.every=5": (
        "trainer.enable_progress_bar=true"
    ),
    "logger=none callbacks.learning_rate.logging_interval=epoch": "logger=csv",
    "trainer.gradient_clip_val=null trainer.gradient_clip_algorithm=value": (
        "trainer.gradient_clip_val=1"
    ),
    "data=sines task.forcing=constant": "STEPWISE",
    "data=sines task.forcing_start=0.5": "STEPWISE",
    "data=sines task.head=gaussian task.num_samples=50": "STEPWISE",
    "data=sines STEPWISE task.num_samples=50": "task.head=gaussian",
    "data=sines task.quantiles=[0.1,0.5,0.9]": "task.head=quantile",
}
STEPWISE = "task.decoder=recursive"


def composed(*overrides: str, job: int | None = None):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = "run"
        if job is not None:
            config.hydra.job.num = job
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


@pytest.mark.parametrize("words", WITHOUT)
def test_what_has_no_effect_is_refused(words):
    *others, last = words.replace("STEPWISE", STEPWISE).split()
    remedy = WITHOUT[words].replace("STEPWISE", STEPWISE)
    with pytest.raises(InputError) as caught:
        refuse_without_effect(composed(*others, last))
    assert f"{last} has no effect with " in str(caught.value)
    assert remedy.partition("=")[0] in str(caught.value)
    # The rule is about what the user sets, and beside the remedy nothing is wrong.
    refuse_without_effect(composed(*others))
    refuse_without_effect(composed(*others, last, remedy))
    # In a sweep it may be meant for other jobs, and is told.
    with pytest.warns(UserWarning, match="has no effect"):
        refuse_without_effect(composed(*others, last, job=3))


def test_every_rule_applies_somewhere():
    """A key that was renamed would make a rule dead."""
    used = set()
    for words in WITHOUT:
        *others, last = words.replace("STEPWISE", STEPWISE).split()
        config = composed(*others, last)
        for number, rule in enumerate(RULES):
            if not without_effect_of(config, last, rule):
                continue
            used.add(number)
    assert used == set(range(len(RULES)))


def without_effect_of(config, override, rule) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqlab.effects.RULES", (rule,))
        return bool(list(without_effect(config, [override])))


@pytest.mark.parametrize(
    "words",
    [
        "model=tcn model.encoder.dropout=0.5 model.encoder.num_layers=1",
        "model=transformer model.encoder.dropout=0.5 model.encoder.num_layers=1",
        "model.encoder.dropout=0.0",
        "data=copy task.search.top_k=0",
        "data=copy task.forcing=linear task.forcing_end=0.5",
        "trainer.limit_val_batches=0",
        "scheduler=plateau",
        "experiment=reverse_joeynmt",
    ],
)
def test_what_has_an_effect_is_not_refused(words):
    refuse_without_effect(composed(*words.split()))
