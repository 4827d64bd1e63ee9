"""What a forecaster reaches on data whose best forecast is known; minutes each."""

import statistics

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
QUIET = (
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
    "logger=none",
    "callbacks.learning_rate=null",
)


@pytest.fixture
def scores(train, tmp_path):
    def run(*overrides, name="run"):
        return train(*overrides, *QUIET, folder=tmp_path / name)["metrics"]

    return run


def test_air_passengers_over_five_seeds(scores):
    found = [
        scores("experiment=air_passengers", f"seed={seed}", name=str(seed))["test/mase"]
        for seed in range(1, 6)
    ]
    assert statistics.mean(found) <= 0.54


def test_ar_comes_within_two_percent_of_the_noise(scores):
    found = scores("data=ar", "model=gru", "trainer.max_epochs=3")
    assert found["test/mse"] <= 1.02


def test_nothing_beats_the_last_value_of_a_random_walk(scores):
    found = scores("data=random_walk", "model=gru", "trainer.max_epochs=3")
    assert found["test/skill_vs_naive"] <= found["test/skill_vs_naive_margin"]


def test_sines_are_forecast_far_better_than_by_the_season(scores):
    found = scores("data=sines", "model=gru", "trainer.max_epochs=3")
    assert found["test/skill_vs_seasonal"] >= 0.5


@pytest.mark.parametrize("model", [("model=lstm",), ("model=gru", "model.encoder.hidden_size=37")])
def test_adding_over_100_steps(scores, model):
    assert scores("experiment=adding_t100", *model)["test/rmse"] < 0.02
