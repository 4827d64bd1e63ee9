"""Every metric that a run can have points one way, the other, or neither."""

from __future__ import annotations

import pytest

from seqlab.data.direction import direction

KNOWN = {
    "larger": "accuracy test/macro_f1 f1_loss_of_it exact_match_length_01_05 bleu skill_vs_naive "
    "alignment_mass attention_on_evidence span_strict_f1_LOC auroc",
    "smaller": "loss val/free_loss test/rmse scaled_mae naive_mase edit_distance calibration_error "
    "perplexity crps scaled_pinball rmsse",
    None: "coverage_80 calibrated_width_95 scaled_width_80 skill_vs_naive_margin attention_entropy "
    "attention_monotonicity lr-Adam",
}


@pytest.mark.parametrize(
    ("name", "wanted"), [(name, way) for way, names in KNOWN.items() for name in names.split()]
)
def test_direction(name, wanted):
    assert direction(name) == wanted
