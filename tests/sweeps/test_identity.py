"""Which overrides make another job, and which only another place or another screen."""

from __future__ import annotations

import json

import pytest
from hydra import compose, initialize_config_dir

from seqlab.sweeps.identity import KnownIdentities, identity
from tests.sweeps.sweeping import CONF


def named(*overrides: str) -> str:
    with initialize_config_dir(CONF, version_base="1.3"):
        return identity(compose("train", overrides=list(overrides), return_hydra_config=True))


@pytest.fixture(scope="module")
def plain():
    return named()


def test_place_and_screen_make_no_other(plain):
    same = (
        "hydra.run.dir=elsewhere",
        "hydra.sweep.dir=elsewhere",
        "hydra.sweep.subdir=x",
        "trainer.enable_progress_bar=false",
        "trainer.enable_model_summary=false",
        "callbacks.progress_bar.every=1",
        "logger=csv",
        "sweep.stop_on_failure=true",
    )
    assert named(*same) == plain
    # The default's own value, said aloud.
    assert named("seed=1", "model=bigru_attn", "data=magic_token") == plain


def test_what_trains_otherwise_is_another(plain):
    others = [
        named(override)
        for override in (
            "seed=2",
            "model=bigru",
            "data.train_size=100",
            "trainer.max_epochs=99",
            "callbacks.early_stopping.patience=3",
            "ckpt_path=some.ckpt",
        )
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_remembered_until_a_file_changes(tmp_path):
    source = tmp_path / "conf"
    (source / "model").mkdir(parents=True)
    (source / "model" / "rnn.yaml").write_text("size: 1\n")
    path = tmp_path / "identities.json"

    def known(*common: str) -> KnownIdentities:
        return KnownIdentities(path, [source], common)

    known().update({"abc": ["model=rnn"], "def": ["model=${oc.env:MODEL}"]})
    assert known().get(["model=rnn"]) == "abc"
    assert known().get(["model=gru"]) is None
    assert known().get(["model=${oc.env:MODEL}"]) is None  # may mean another tomorrow
    assert known("hydra/launcher=x").get(["model=rnn"]) is None
    content = path.read_text()
    odd = json.loads(content)
    for text in (
        *(content[:20], "[]", "3", "null", "{}", "[" * 100_000, '{"fingerprint": 3}'),
        *(json.dumps({**odd, "identities": other}) for other in ([], None, {"[]": 3}, 3)),
    ):
        path.write_text(text)
        assert known().get(["model=rnn"]) is None
    path.write_text(content)
    (source / "model" / "rnn.yaml").write_text("size: 2\n")
    assert known().get(["model=rnn"]) is None
    (source / "model" / "rnn.yaml").write_text("size: ${oc.env:SIZE}\n")
    known().update({"abc": ["model=rnn"]})
    assert known().get(["model=rnn"]) is None
