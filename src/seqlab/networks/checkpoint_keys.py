"""What the weights of earlier versions are called today, in one place.

Each rule names the last version that wrote the old name, by its git commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# One layer and direction of a recurrent encoder.
_LAYER = r"(.*\blayers\.\d+\.\d+)"
_RENAMED = [
    # b8eaa09: PyTorch's layers held the weights of an RNN, GRU or LSTM.
    (rf"{_LAYER}\.rnn\.(\w+)_l0", r"\1.cell.\2"),
    # b8eaa09: the layers of minGRU, minLSTM and LRU had no cell.
    (rf"{_LAYER}\.(input|enter|norm|gate)\.(\w+)", r"\1.cell.\2.\3"),
    (rf"{_LAYER}\.(log_rate|log_phase|log_scale|into|out_of|skip)", r"\1.cell.\2"),
    # b8eaa09: cells had names of their own for their matrices.
    (rf"{_LAYER}\.cell\.input_weight", r"\1.cell.weight_ih"),
    (rf"{_LAYER}\.cell\.recurrent_weight", r"\1.cell.weight_hh"),
    # b8eaa09: the decoder of seq2seq held PyTorch's layers.
    (r"(.*\bdecoder\.layers\.\d+)\.(\w+)_l0", r"\1.cell.\2"),
    # b8eaa09: the forecaster had a decoder of its own, a GRU.
    (r"(.*\bhorizon)\.recurrence\.rnn\.(\w+)_l0", r"\1.decoder.layers.0.cell.\2"),
    (r"(.*\bhorizon)\.attention\.(.+)", r"\1.decoder.attention.\2"),
    (r"(.*\bhorizon)\.bridge\.(\w+)", r"\1.bridge.maps.0.0.0.\2"),
]


def current_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of any version as this one calls them, in the same order.

    What this version wrote stays as it is, and so does what no rule knows.
    """
    renamed = {_renamed(key): weight for key, weight in state.items()}
    renamed = _without_queries(renamed)
    found: dict[str, Tensor] = {}
    for key, weight in renamed.items():
        cell, _, name = key.rpartition(".")
        if not re.fullmatch(rf"{_LAYER}\.cell", cell):
            found[key] = weight
        elif name == "bias":
            found |= _two_biases(cell, weight, renamed)
        elif name != "recurrent_bias":
            found[key] = weight
    return found


def _renamed(key: str) -> str:
    for old, new in _RENAMED:
        key, count = re.subn(f"^{old}$", new, key)
        if count:
            return key
    return key


def _two_biases(cell: str, bias: Tensor, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """b8eaa09: cells had one bias; a GRU another for what the reset gate multiplies."""
    if f"{cell}.peepholes" in state:  # it has one bias today
        return {f"{cell}.bias_ih": bias}
    recurrent = torch.zeros_like(bias)
    candidate = state.get(f"{cell}.recurrent_bias")
    if candidate is not None:
        recurrent[-len(candidate) :] = candidate
    return {f"{cell}.bias_ih": bias, f"{cell}.bias_hh": recurrent}


def _without_queries(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """b8eaa09: pooling attention projected a learned query, a constant.

    Multi-head attention's number of heads is not in its weights: those stay as they are.
    """
    place = "network.pooling"
    query = state.get(f"{place}.query")
    if query is None or f"{place}.attention.project_value.weight" in state:
        return state
    weight = state.get(f"{place}.attention.project_query.weight")
    constant = query if weight is None else weight @ query
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix(f"{place}.")
        if name == "attention.project_key.weight":
            found[f"{place}.score.0.weight"] = value
        elif name == "attention.project_key.bias":
            found[f"{place}.score.0.bias"] = value + constant
        elif name == "attention.score.weight":
            found[f"{place}.score.2.weight"] = value
        elif name == "query" and f"{place}.attention.score.weight" not in state:
            found[f"{place}.score.weight"] = constant[None]
        elif name not in ("query", "attention.project_query.weight"):
            found[key] = value
    return found
