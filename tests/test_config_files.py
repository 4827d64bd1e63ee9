"""Every YAML composes, and what it describes trains two steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT, SHORT, SMALL

CONF = ROOT / "conf"


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))


def check(results: dict, folder: Path) -> None:
    assert results["status"] == "finished"
    assert results["metrics"]["test/loss"] == pytest.approx(results["metrics"]["test/loss"])
    assert f"test/{results['reference']['metric']}" in results["metrics"]
    assert (folder / "config.yaml").is_file()


@pytest.mark.parametrize("name", options("model"))
def test_model(train, tmp_path, name):
    check(train(f"model={name}", *SMALL, *SHORT), tmp_path / "run")


@pytest.mark.parametrize("name", options("data"))
def test_data(train, tmp_path, name):
    check(train(f"data={name}", *SHORT), tmp_path / "run")


@pytest.mark.parametrize("name", options("model/attention"))
@pytest.mark.parametrize("place", ["model/attention", "model/attention@model.self_attention"])
def test_attention(train, tmp_path, name, place):
    check(train("model=gru", f"{place}={name}", *SMALL, *SHORT), tmp_path / "run")


@pytest.mark.parametrize(
    "choice",
    [
        f"{group}={name}"
        for group in ("optimizer", "scheduler", "callbacks", "logger", "debug")
        for name in options(group)
    ],
)
def test_other_groups(train, tmp_path, choice):
    # A preset for debugging sets some of these keys itself; the command line wins over it.
    check(train(choice, "model=gru", *SMALL, *SHORT), tmp_path / "run")


@pytest.mark.parametrize("name", options("experiment"))
def test_experiment(train, tmp_path, name):
    check(train(f"experiment={name}", *SHORT), tmp_path / "run")


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "first_last"])
def test_pooling(train, tmp_path, pooling):
    check(train("model=bigru", f"task.pooling={pooling}", *SMALL, *SHORT), tmp_path / "run")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("model", ["bilstm_attn", "rnn", "bigru"])
def test_precision(train, tmp_path, precision, model):
    overrides = (f"model={model}", f"trainer.precision={precision}")
    check(train(*overrides, *SMALL, *SHORT), tmp_path / "run")
