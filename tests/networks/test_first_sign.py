"""Which cores hold one bit through 199 steps of noise, and which do not."""

import pytest

QUIET = (
    "experiment=first_sign_200",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "model",
    [
        ("model=lstm", "model.encoder.cell.forget_bias=5"),
        ("model=gru", "model.encoder.cell.update_bias=4"),
        ("model=min_gru",),
    ],
    ids=["lstm", "gru", "min_gru"],
)
def test_gates_hold_the_first_sign(train, model):
    assert train(*QUIET, *model)["metrics"]["test/accuracy"] >= 0.98


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_vanilla_rnn_as_pytorch_starts_it_forgets_it(train):
    model = ("model=rnn", "model.encoder.cell.initialisation=uniform")
    assert train(*QUIET, *model)["metrics"]["test/accuracy"] < 0.6
