"""A run that was stopped after its last epoch ends with all the scores of a whole one."""

from __future__ import annotations

from tests.conftest import SHORT, SMALL


def test_going_on_after_the_last_epoch(train, tmp_path):
    folder = tmp_path / "run"
    whole = train("model=gru", *SMALL, *SHORT, folder=folder)
    assert {"val/loss", "test/loss"} <= whole["metrics"].keys()
    (folder / "results.json").unlink()
    again = train("model=gru", *SMALL, *SHORT, "ckpt_path=last", folder=folder)
    assert again["metrics"] == whole["metrics"]
