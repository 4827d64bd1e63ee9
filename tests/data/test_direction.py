"""Every metric that a run can have points one way, the other, or neither; others are not known."""

from __future__ import annotations

import pytest
import torch

from seqlab.data.air_passengers import AirPassengers
from seqlab.data.baselines import baselines
from seqlab.data.direction import BASELINES, direction, higher_is_better, is_known
from seqlab.errors import InputError
from tests.conftest import SHORT

KNOWN = {
    "larger": "accuracy test/macro_f1 f1_loss exact_match_length_01_05 bleu skill_vs_naive "
    "alignment_mass attention_on_evidence span_strict_f1_LOC auroc f1_A/B val/span_f1_loss/x",
    "smaller": "loss val/free_loss test/rmse scaled_mae naive_mase edit_distance calibration_error "
    "perplexity crps scaled_pinball rmsse test_long/drift_seasonal_scaled_mae parameters "
    "backtest/mae",
    None: "coverage_80 calibrated_width_95 scaled_width_80 scaled_calibrated_width_99.5 "
    "skill_vs_naive_margin attention_entropy attention_monotonicity lr-Adam",
}
UNKNOWN = ("acuracy", "val/lossy", "my_loss", "val/", "", "best/loss", "accuracy_at_5", "f1")


@pytest.mark.parametrize(
    ("name", "wanted"), [(name, way) for way, names in KNOWN.items() for name in names.split()]
)
def test_direction(name, wanted):
    assert is_known(name)
    assert direction(name) == wanted
    if wanted is None:
        with pytest.raises(InputError, match="neither larger nor smaller values are better"):
            higher_is_better(name)
    else:
        assert higher_is_better(name) == (wanted == "larger")


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_metric_has_no_direction(name):
    assert not is_known(name)
    assert direction(name) is None
    with pytest.raises(InputError, match=f"{name} is not a known metric"):
        higher_is_better(name)


def test_the_baselines_are_those_that_are_measured():
    """Their names are parts of metrics' names."""
    data = AirPassengers()
    series = data.spec.series
    assert series is not None
    assert set(baselines(data.split("test").batch(torch.arange(1)), series)) == set(BASELINES)


@pytest.mark.parametrize(
    "overrides",
    [
        "data=first_sign data.train_size=64 data.val_size=64 data.test_size=64",
        "data=magic_token data.train_size=64 data.val_size=64 data.test_size=64",
        "data=entities task.crf=true data.train_size=64 data.val_size=16 data.test_size=16",
        "data=reverse model/attention=general data.train_size=64 task.forcing=linear "
        "data.val_size=16 data.test_size=16",
        "data=seasonal task.head=gaussian data.num_series=3 backtest=rolling",
        "data=sines task.decoder=recursive data.num_series=2 scheduler=plateau",
        "data=adding data.train_size=64 data.val_size=16 data.test_size=16",
    ],
)
def test_every_metric_that_a_family_logs_is_known(train, tmp_path, overrides):
    results = train(*overrides.split(), *SHORT, "trainer.log_every_n_steps=1")
    logged = {line.split(",")[1] for line in (tmp_path / "run/metrics.csv").read_text().split()[1:]}
    assert "train/loss" in logged
    logged.remove("epoch")  # Lightning's own, where the logger has no other place for it
    names = logged | set(results["metrics"]) | {results["reference"]["metric"]}
    assert not [name for name in names if not is_known(name)]
