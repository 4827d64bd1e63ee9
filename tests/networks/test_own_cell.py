"""A cell of a user's own, outside the package: one class and one YAML."""

import pytest

from tests.conftest import SHORT

MODULE = '''
import torch
from torch import nn

from seqlab.nn.recurrent.cell import Cell


class Leaky(Cell):
    """h_t = h_{t-1} + rate (tanh(W x_t + b) - h_{t-1})."""

    def __init__(self, input_size, hidden_size, *, rate=0.5):
        super().__init__(input_size, hidden_size, state_sizes=(hidden_size, 1))
        self.input = nn.Linear(input_size, hidden_size)
        self.rate = rate

    def project(self, inputs):
        return self.input(inputs)

    def gates(self, projected, state, mask=None):
        return {"candidate": torch.tanh(projected)}

    def step(self, projected, state, mask=None):
        candidate = self.gates(projected, state, mask)["candidate"]
        return state[0] + self.rate * (candidate - state[0]), state[1] + 1
'''
YAML = """
_target_: own_cells.Leaky
_partial_: true
rate: 0.25
"""
SMALL = ("data.train_size=32", "data.val_size=8", "data.test_size=8")
SERIES = ("data=sines", "data.num_series=2", "data.length=150")
FAMILIES = {
    "classification": ("data=parity", *SMALL),
    "tagging": ("data=hmm_tags", *SMALL),
    "seq2seq": ("data=reverse", "task.decoder.cell=leaky", *SMALL),
    "forecasting": (*SERIES, "task.decoder=recursive", "task.decoder.cell=leaky"),
}


@pytest.fixture
def search_path(tmp_path, monkeypatch):
    """A folder with the module and its YAML, as `hydra.searchpath` takes it."""
    (tmp_path / "own_cells.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf" / "cell").mkdir(parents=True)
    (tmp_path / "conf" / "cell" / "leaky.yaml").write_text(YAML)
    # The decoders' group is the same folder, as in the repository.
    (tmp_path / "conf" / "task.decoder.cell").symlink_to("cell")
    return f"hydra.searchpath=[file://{tmp_path}/conf]"


@pytest.mark.parametrize("family", FAMILIES)
def test_trains_in_every_family_as_encoder_and_as_decoder(train, search_path, family):
    results = train(
        search_path,
        "model=bigru",
        "cell@model.encoder.cell=leaky",
        "model.encoder.cell.rate=0.75",
        "model.encoder.hidden_size=4",
        *FAMILIES[family],
        *SHORT,
    )
    assert results["status"] == "finished"
