"""Each logger gets what it can take; while training nobody gets to see the test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger

from tests.conftest import SHORT

SIZES = ("data.train_size=64", "data.val_size=32", "data.test_size=32")
CLASSIFIER = ("data=magic_token", "model=bigru_attn", *SIZES)
SELF = "model/attention@model.self_attention=scaled_dot"
FAMILIES = {
    "classifier": CLASSIFIER,
    "tagger": (
        "data=hmm_tags",
        "model=gru",
        "model/attention@model.self_attention=scaled_dot",
        *SIZES,
    ),
    "seq2seq": ("data=reverse", "model=gru_attn", "data.long_lengths=null", *SIZES),
    "forecaster": ("data=sines", "model=gru_attn"),
}


class Recorder(Logger):
    """A logger as Weights & Biases' is: no TensorBoard, but it takes pictures, texts, settings."""

    name = version = ""
    found: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        Recorder.found = {"settings": {}, "pictures": {}, "texts": {}}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Numbers are Lightning's own matter."""

    def log_hyperparams(self, params: dict[str, Any], *_: Any, **__: Any) -> None:
        self.found["settings"] |= params

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.found["pictures"][key] = (images, step)

    def log_text(self, key: str, columns: list[str], data: list[list[str]], step: int) -> None:
        self.found["texts"][key] = (data[0][0], step)


def test_loggers_get_what_they_can_take(train, tmp_path):
    train(
        *FAMILIES["seq2seq"],
        *SHORT,
        "logger=none",
        "+logger.recorder={_target_: tests.callbacks.test_loggers.Recorder}",
        f"+logger.table={{_target_: {CSVLogger.__module__}.CSVLogger, save_dir: {tmp_path}}}",
    )
    found = Recorder.found
    assert found["settings"]["data"] == "reverse"
    assert found["settings"]["trainer.max_epochs"] == 1
    assert {"val/alignment_1", "test/alignment_1"} <= found["pictures"].keys()
    text, step = found["texts"]["test/outputs"]
    assert "reference" in text
    assert step == 1
    (settings,) = Path(tmp_path, "lightning_logs").rglob("hparams.yaml")
    assert yaml.safe_load(settings.read_text())["model"] == "gru_attn"


class Splits(Callback):
    """Notes which splits are made before the tests."""

    made: set[str]

    def on_fit_start(self, trainer, pl_module):
        data = trainer.datamodule
        make = data.examples
        Splits.made = made = set()

        def examples(name):
            made.add(name)
            return make(name)

        data.examples = examples

    def on_fit_end(self, trainer, pl_module):
        assert "val" in Splits.made
        assert "test" not in Splits.made


@pytest.mark.parametrize("family", FAMILIES)
def test_no_test_examples_while_training(train, tmp_path, family):
    train(
        *FAMILIES[family],
        *SHORT,
        "logger=csv",
        "+callbacks.splits={_target_: tests.callbacks.test_loggers.Splits}",
    )
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert any(name.startswith("val_") for name in figures)
    assert any(name.startswith("test_") for name in figures)
    for path in (tmp_path / "run" / "figures").glob("val_*.md"):
        assert path.read_text(encoding="utf-8").startswith("Validation ")
