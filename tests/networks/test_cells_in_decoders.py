"""Every cell decodes in seq2seq and in the forecaster, with attention before, after, and none."""

from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from seqlab.build import build_data, build_network
from seqlab.data.reverse import Reverse
from seqlab.data.sines import Sines
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.reader import Reader
from seqlab.networks.seq2seq import Seq2Seq
from seqlab.nn.attention import AdditiveAttention
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.decoding.state import stack_steps
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.lstm import LSTMCell
from tests.conftest import ROOT

CELLS = sorted(path.stem for path in (ROOT / "conf" / "cell").glob("*.yaml"))
SMALL = ("model.encoder.hidden_size=6", "task.decoder.num_layers=2")
DATA = {
    "reverse": ("data.train_size=8", "data.val_size=4", "data.test_size=4", "data.max_length=5"),
    "sines": ("data.num_series=2", "data.length=150", "task.horizon=4", "task.decoder=attention"),
}


def network_of(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    data = build_data(config)
    torch.manual_seed(0)
    return build_network(config, data.spec), data.dataset.split("train").batch(torch.arange(4))


def loss_of(network, batch):
    if batch.target_lengths is not None:
        logits, _ = network(batch.inputs, batch.lengths, batch.targets)
        return logits.log_softmax(-1).gather(2, batch.targets[..., None]).neg().mean()
    settings = {"targets": batch.targets, "teacher_forcing_ratio": 1.0}
    outcome = network(batch.inputs, batch.lengths, batch.context, **settings)
    return outcome.forecast.loss(outcome.frame.scaled(batch.targets)).mean()


CELL_NODES = {name: OmegaConf.load(ROOT / "conf" / "cell" / f"{name}.yaml") for name in CELLS}
REVERSE = Reverse(train_size=8, val_size=4, test_size=4, max_length=5)
SINES = Sines(num_series=2, length=100, horizon=4, window=16)


def small_network(data, cell, position):
    torch.manual_seed(0)
    encoder = partial(RecurrentEncoder, cell=LSTMCell, hidden_size=6)
    decoder = partial(
        AttentionDecoder,
        cell=instantiate(CELL_NODES[cell]),
        hidden_size=6,
        num_layers=2,
        attention_position=position,
    )
    kind = Seq2Seq if data is REVERSE else Forecaster
    return kind(
        data.spec,
        reader=partial(Reader, encoder=encoder),
        decoder=decoder,
        attention=None if position == "none" else AdditiveAttention,
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("position", ["before", "after", "none"])
@pytest.mark.parametrize("data", [REVERSE, SINES], ids=["reverse", "sines"])
def test_trains_two_steps_and_steps_as_it_runs_whole(data, position, cell, monkeypatch):
    network, batch = small_network(data, cell, position), data.split("train").batch(torch.arange(4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        losses.append(loss_of(network, batch))
        losses[-1].backward()
        optimizer.step()
    assert losses[1] < losses[0]
    decoders = [part for part in network.modules() if isinstance(part, AttentionDecoder)]
    assert [(decoder.attention is None) for decoder in decoders] == [position == "none"]
    # The same pass with every step of the decoder on its own.
    with torch.no_grad():
        whole = loss_of(network, batch)
        monkeypatch.setattr(AttentionDecoder, "forward", by_steps)
        torch.testing.assert_close(loss_of(network, batch), whole, atol=1e-5, rtol=1e-5)


def by_steps(decoder, inputs, initial, memory):
    state, steps = decoder.init_state(initial, memory), []
    for features in inputs.unbind(1):
        output, state = decoder.step(features, state, memory)
        steps.append(output)
    return stack_steps(steps)


def test_every_cell_can_be_chosen_for_a_decoder():
    """The group `task.decoder.cell` gives each option of `cell` its short name."""
    found = sorted(path.stem for path in (ROOT / "conf" / "task.decoder.cell").glob("*.yaml"))
    assert found == CELLS
    for cell in CELLS:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            short = compose("train", overrides=["data=reverse", f"task.decoder.cell={cell}"])
            full = compose("cell/" + cell)
        assert short.task.decoder.cell == full.cell


def test_a_cell_from_elsewhere_decodes_in_both_families():
    target = f"{__name__}.OwnCell"
    for data, options in DATA.items():
        network, batch = network_of(
            f"data={data}",
            "model=lstm",
            "model/attention=general",
            "task.decoder.cell=lstm",
            f"task.decoder.cell._target_={target}",
            *options,
        )
        cells = [part for part in network.modules() if isinstance(part, OwnCell)]
        assert len(cells) == 1
        loss_of(network, batch).backward()
        assert cells[0].weight_hh.grad.count_nonzero() > 0


class OwnCell(LSTMCell):
    """A user's cell: it has no kernel."""


def test_no_decoder_is_direct():
    network, _ = network_of("data=sines", "task.decoder=direct", *DATA["sines"][:-1])
    assert not network.stepwise
