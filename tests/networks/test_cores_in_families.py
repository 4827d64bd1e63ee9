"""Every kind of core trains in every family, in both directions."""

import pytest

from tests.conftest import SHORT

SIZES = {
    "magic_token": ("data.train_size=128", "data.val_size=64", "data.test_size=64"),
    "hmm_tags": ("data.train_size=128", "data.val_size=64", "data.test_size=64"),
    "reverse": ("data.train_size=128", "data.val_size=64", "data.test_size=64"),
    "sines": (),
}


@pytest.mark.parametrize("data", SIZES)
@pytest.mark.parametrize(
    ("model", "bidirectional"),
    [
        ("lstm_cell", True),
        ("min_gru", False),
        ("lru", True),
        ("transformer", True),
        ("transformer", False),
        ("tcn", True),
        ("tcn", False),
    ],
)
def test_trains(train, data, model, bidirectional):
    results = train(
        f"data={data}",
        f"model={model}",
        f"model.encoder.bidirectional={str(bidirectional).lower()}",
        "model.encoder.hidden_size=16",
        *SIZES[data],
        *SHORT,
    )
    assert results["status"] == "finished"
    assert results["metrics"]["test/loss"] > -100


def test_a_budget_of_parameters_is_met_by_the_whole_network(train, capsys):
    train("model=tcn", "model.match_parameters=30000", *SIZES["magic_token"], *SHORT)
    told = capsys.readouterr().out
    assert "model.match_parameters=30,000: model.encoder.hidden_size=" in told
    parameters = int(told.split(" parameters")[0].rpartition(" ")[2].replace(",", ""))
    assert abs(parameters - 30_000) < 1_500
