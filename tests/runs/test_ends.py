"""However training ends, what can be validated is validated, and it is said what was tested."""

from __future__ import annotations

import pytest

RUN = (
    "model=gru",
    "logger=csv",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.max_epochs=2",
    "loader.batch_size=32",
    "data.train_size=128",
    "data.val_size=32",
    "data.test_size=32",
)
BEST = "the best checkpoint"
EARLY = ("callbacks.early_stopping.patience=0", "callbacks.early_stopping.min_delta=9")


@pytest.mark.parametrize(
    ("words", "tested", "validated"),
    [
        (("trainer.max_steps=3",), "the last weights (step 3)", True),
        (("trainer.max_steps=6",), BEST, True),
        (("trainer.max_time=00:00:00:00",), "the last weights (step 0)", True),
        (("trainer.limit_train_batches=0",), "the last weights (step 0)", True),
        (("trainer.check_val_every_n_epoch=5",), "the last weights (step 8)", True),
        (("trainer.limit_val_batches=0",), "the last weights (step 8)", False),
        (
            EARLY,
            BEST,
            True,
        ),
        (("trainer.fast_dev_run=true",), "the last weights (step 1)", True),
        (("trainer.enable_checkpointing=false",), "the last weights (step 8)", True),
        (("callbacks=none",), "the last weights (step 8)", True),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_each_way_to_end(train, capsys, words, tested, validated):
    results = train(*RUN, *words)
    assert results["status"] == "finished"
    assert "test/accuracy" in results["metrics"]
    assert ("val/accuracy" in results["metrics"]) == validated
    assert (results.get("best_checkpoint") is not None) == (tested == BEST)
    assert f"Results of {tested}" in " ".join(capsys.readouterr().out.split())


def test_no_tests(train, capsys):
    results = train(*RUN, "trainer.limit_test_batches=0")
    assert "val/accuracy" in results["metrics"]
    screen = capsys.readouterr().out
    assert "nothing was tested: trainer.limit_test_batches=0" in screen
    assert "Results of" not in screen


def test_the_scores_are_those_of_the_weights_that_are_tested(train):
    """Trained in one go with the same steps and validated at its end, a run has the same scores."""
    early = train(*RUN, "trainer.max_steps=4", "trainer.limit_train_batches=4")["metrics"]
    late = train(*RUN, "trainer.max_steps=4", "trainer.val_check_interval=null", "overwrite=true")
    for name in ("val/loss", "test/loss"):
        assert late["metrics"][name] == pytest.approx(early[name], rel=1e-6)
