"""Weights that an earlier version wrote give the outputs that they gave then.

`old_networks.pt.gz` holds small networks of commit b8eaa09 after two training steps: the command
line's words, the weights, a batch and what came out.
"""

import gzip
import io
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from seqlab.build import build_data, build_network
from seqlab.errors import InputError
from seqlab.networks.checkpoint_keys import current_keys
from seqlab.runs.checkpoint import check_fits, check_goes_on
from tests.conftest import ROOT

FILE = Path(__file__).parent / "old_networks.pt.gz"
OLD = torch.load(io.BytesIO(gzip.decompress(FILE.read_bytes())), weights_only=True)


def network_of(overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", overrides=overrides)
    return build_network(config, build_data(config).spec)


def loaded(old):
    """An old network as this version has it."""
    network = network_of(old["overrides"])
    weights = {
        key.removeprefix("network."): x for key, x in current_keys(old["state_dict"]).items()
    }
    network.load_state_dict(weights)
    return network.eval()


CLASSIFIERS = [name for name in OLD if name.startswith("classifier")]


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if "multihead" not in name])
def test_classifiers(name):
    old = OLD[name]
    with torch.no_grad():
        outputs, _ = loaded(old)(old["inputs"], old["lengths"])
    torch.testing.assert_close(outputs, old["outputs"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["seq2seq_lstm_luong", "seq2seq_gru_bahdanau", "seq2seq_rnn_plain"]
)
def test_seq2seq(name):
    old = OLD[name]
    network = loaded(old)
    with torch.no_grad():
        outputs, _ = network(old["inputs"], old["lengths"], old["targets"])
    torch.testing.assert_close(outputs, old["outputs"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in OLD if name.startswith("forecaster")])
def test_forecasters(name):
    old = OLD[name]
    network = loaded(old)
    with torch.no_grad():
        outcome = network(old["inputs"].double(), old["lengths"])
    found = outcome.forecast.point().to(old["outputs"].dtype)
    torch.testing.assert_close(found, old["outputs"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn", "peephole_lstm", "min_gru", "lru", "tcn"])
def test_what_this_version_writes_stays_as_it_is(model):
    state = network_of([f"model={model}", "data=parity"]).state_dict()
    assert list(current_keys(state)) == list(state)


def saved(tmp_path, name):
    """A checkpoint with an optimiser's state, whose weights are an old network's."""
    old = OLD[name]
    path = tmp_path / "old.ckpt"
    groups = [{"params": list(range(len(old["state_dict"])))}]
    content = {"state_dict": old["state_dict"], "optimizer_states": [{"param_groups": groups}]}
    torch.save(content, path)
    module = torch.nn.Module()
    module.network = network_of(old["overrides"])
    return path, module


def test_training_goes_on_where_the_weights_stand_in_the_same_order(tmp_path):
    path, module = saved(tmp_path, "classifier_lstm")
    check_fits(path, module)
    check_goes_on(path, module)


def test_what_cannot_be_mapped_is_refused_in_one_line(tmp_path):
    """Pooling by multi-head attention: its number of heads is not in the weights."""
    path, module = saved(tmp_path, "classifier_multihead")
    with pytest.raises(InputError, match="another architecture"):
        check_fits(path, module)


@pytest.mark.parametrize("name", ["classifier_lstm_cell", "classifier_gru"])
def test_training_does_not_go_on_where_there_are_other_weights(tmp_path, name):
    path, module = saved(tmp_path, name)
    check_fits(path, module)
    with pytest.raises(InputError, match="its training cannot go on"):
        check_goes_on(path, module)


def test_a_decoder_behind_a_linear_unit_is_refused(tmp_path):
    """It started from the unit's complex state, and starts from its output now."""
    path, module = saved(tmp_path, "seq2seq_lru")
    with pytest.raises(InputError, match=r"another architecture \(network\.bridge"):
        check_fits(path, module)
