"""The recurrent decoder: with attention before the cell, after it, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.nn.attention import Attention, check_mask
from seqlab.nn.attention_loop import attention_loop
from seqlab.nn.coverage import covered
from seqlab.nn.decoder_state import Decoded, DecoderState, Memory
from seqlab.nn.gates import GATES
from seqlab.nn.loop_gradient import LoopInputs
from seqlab.nn.recurrent.cell import State, initialise_gates

CellName = Literal["rnn", "gru", "lstm"]
Position = Literal["after", "before"]

LAYERS = {
    "rnn": (nn.RNN, torch.rnn_tanh_cell),
    "gru": (nn.GRU, torch.gru_cell),
    "lstm": (nn.LSTM, torch.lstm_cell),
}
"""PyTorch's layer of each kind, and one step of it."""


class Decoder(nn.Module):
    """Recurrent layers that read the target so far and look at the source.

    Attention after the cell (Luong et al. 2015, section 3): s_t = cell(x_t, s_{t−1}),
    c_t = attend(s_t), readout r_t = tanh(W [s_t; c_t] + b); with input feeding (section 3.3) the
    cell reads r_{t−1} too. Attention before it (Bahdanau et al. 2015, section 3.1):
    c_t = attend(s_{t−1}), s_t = cell(x_t, c_t, s_{t−1}). Without attention the source comes
    through the first state alone (Sutskever et al. 2014).

    Coverage (See et al. 2017, equations 10–11) shifts each key by the weight it has had so far:
    k_i + w Σ_{t'<t} α_{t',i}, which for additive attention is their tanh(W s + U k_i + w c_i).

    Args:
        input_size: features of the target's embeddings.
        key_size: features of the source's states.
        cell: "rnn", "gru" or "lstm".
        hidden_size: features of each layer's states.
        num_layers: how many layers.
        attention: makes the attention from query and key size; None for none.
        attention_position: "after" the cell or "before" it.
        input_feeding: the cell reads the readout of the step before; None: where attention is.
        coverage: keys remember the weight that they have had.
        readout_size: features of the readout; `hidden_size` if None.
        dropout: probability of zeroing a feature between layers.

    Raises:
        InputError: a size or name out of its range, or an option that needs an attention.
    """

    def __init__(
        self,
        input_size: int,
        key_size: int,
        *,
        cell: CellName = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        attention: Callable[[int, int], Attention] | None = None,
        attention_position: Position = "after",
        input_feeding: bool | None = None,
        coverage: bool = False,
        readout_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_at_least("task.decoder.hidden_size", hidden_size)
        check_at_least("task.decoder.num_layers", num_layers)
        check_probability("task.decoder.dropout", dropout)
        if cell not in GATES:
            raise InputError(f"task.decoder.cell={cell!r} must be one of {', '.join(GATES)}")
        if attention_position not in ("after", "before"):
            raise InputError(
                f"task.decoder.attention_position={attention_position!r} must be after or before"
            )
        if attention is None and (coverage or input_feeding or attention_position == "before"):
            raise InputError(
                "task.decoder.coverage, input_feeding and attention_position=before need an "
                "attention; add model/attention=general (or additive, dot, scaled_dot, multihead)"
            )
        self.gates = GATES[cell]
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.readout_size = hidden_size if readout_size is None else readout_size
        self.attention = attention(hidden_size, key_size) if attention else None
        self.before = attention_position == "before"
        self.feeding = self.attention is not None if input_feeding is None else input_feeding
        self.input_size = input_size
        fed = key_size * self.before + self.readout_size * self.feeding
        kind, self.cell = LAYERS[cell]
        sizes = [input_size + fed] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(kind(size, hidden_size, batch_first=True) for size in sizes)
        for layer in self.layers:
            _initialise(layer, hidden_size)
        self.dropout = nn.Dropout(dropout)
        shown = hidden_size + (key_size if self.attention else 0)
        plain = self.attention is None and self.readout_size == hidden_size
        self.readout = None if plain else nn.Linear(shown, self.readout_size)
        self.coverage = None
        if coverage and self.attention is not None:
            compared = self.attention.prepare(torch.zeros(1, 1, key_size)).keys.numel()
            self.coverage = nn.Parameter(torch.zeros(compared))

    def remember(
        self, keys: Float[Tensor, "batch time key_size"], mask: Bool[Tensor, "batch time"]
    ) -> Memory:
        """Prepares the source's states, once a sentence.

        Raises:
            InputError: a sentence without a valid position.
        """
        check_mask(mask)
        if self.attention is None:
            return Memory(None, mask)
        # A state at a padded position may hold anything, and must not reach a sum.
        return Memory(self.attention.prepare(torch.where(mask[..., None], keys, 0.0)), mask)

    def start(self, recurrent: State, memory: Memory) -> DecoderState:
        """The state before the first step: nothing read out, nothing covered."""
        first = recurrent[0]
        readout = first.new_zeros(first.shape[1], self.readout_size) if self.feeding else None
        coverage = None
        if self.coverage is not None:
            coverage = first.new_zeros(first.shape[1], memory.mask.shape[1])
        return DecoderState(recurrent, readout, coverage)

    def forward(
        self, inputs: Float[Tensor, "batch steps input"], recurrent: State, memory: Memory
    ) -> Decoded:
        """Decodes a target that is known: all steps at once, but for what depends on the last.

        Args:
            inputs: embeddings of the target so far.
            recurrent: the first state, each part (layers, batch, hidden).
            memory: from `remember`.
        """
        if self.attention is None or not (self.before or self.feeding or self.coverage is not None):
            return self._whole(inputs, recurrent, memory)
        if self.num_layers == 1 and self.coverage is None and self.attention.scoring() is not None:
            return self._loop(inputs, recurrent, memory)
        return self._stepwise(inputs, recurrent, memory)

    def step(
        self, inputs: Float[Tensor, "rows input"], state: DecoderState, memory: Memory
    ) -> tuple[Decoded, DecoderState]:
        """Decodes one step; each result is (rows, …).

        Args:
            inputs: embeddings of the last tokens. Rows are sentences, or sentence by sentence
                the same number of beams.
            state: from `start` or the step before.
            memory: of the sentences.
        """
        context = weights = None
        if self.before:
            context, weights = self._look(state.recurrent[0][-1], state, memory)
        fed = [x for x in (context, state.readout) if x is not None]
        features = torch.cat([inputs, *fed], -1) if fed else inputs
        recurrent = self._cells(features, state.recurrent)
        hidden = recurrent[0][-1]
        if self.attention is not None and not self.before:
            context, weights = self._look(hidden, state, memory)
        readout = self._read(hidden, context)
        coverage = state.coverage
        if coverage is not None and weights is not None:
            coverage = coverage + weights
        new = DecoderState(recurrent, readout if self.feeding else None, coverage)
        return Decoded(readout, hidden, context, weights), new

    def _whole(self, inputs: Tensor, recurrent: State, memory: Memory) -> Decoded:
        """No step waits for another but in the fused recurrences."""
        states = inputs
        for number, layer in enumerate(self.layers):
            first = tuple(part[number][None].contiguous() for part in recurrent)
            states = self.dropout(states) if number else states
            states, _ = layer(states, first if len(first) == 2 else first[0])
        if self.attention is None or memory.prepared is None:
            return Decoded(self._read(states, None), states, None, None)
        mask = memory.mask[:, None]
        contexts, weights = self.attention.attend(states, memory.prepared, mask)
        return Decoded(self._read(states, contexts), states, contexts, weights)

    def _loop(self, inputs: Tensor, recurrent: State, memory: Memory) -> Decoded:
        """Attention inside the loop, differentiated by hand."""
        assert self.attention is not None  # `forward` asked
        assert memory.prepared is not None
        scoring = self.attention.scoring()
        assert scoring is not None
        parameters = self.gates.parameters(self.layers[0])  # type: ignore[arg-type]
        known, context_weight, feed_weight = parameters.input_weight.split(
            [
                self.input_size,
                self.attention.key_size * self.before,
                self.readout_size * self.feeding,
            ],
            dim=1,
        )
        products = nn.functional.linear(inputs.transpose(0, 1), known, parameters.bias)
        readout_weight = readout_bias = None
        if self.feeding and self.readout is not None:
            # The loop has the context before the state.
            state_weight, shown_weight = self.readout.weight.tensor_split([self.hidden_size], 1)
            readout_weight = torch.cat([shown_weight, state_weight], 1)
            readout_bias = self.readout.bias
        outputs = attention_loop(
            self.gates,
            self.before,
            LoopInputs(
                inputs=products,
                hidden=recurrent[0][0],
                cell=recurrent[1][0] if self.gates.parts == 2 else None,
                weight=torch.cat([context_weight, parameters.recurrent_weight, feed_weight], 1),
                query_weight=scoring.query_weight,
                vector=scoring.vector,
                keys=memory.prepared.keys,
                values=memory.prepared.values,
                factors=memory.prepared.factors,
                readout_weight=readout_weight,
                readout_bias=readout_bias,
                barred=~memory.mask,
            ),
        )
        states, contexts = outputs.states.transpose(0, 1), outputs.contexts.transpose(0, 1)
        if outputs.readouts is None:
            readouts = self._read(states, contexts)
        else:
            readouts = outputs.readouts.transpose(0, 1)
        return Decoded(readouts, states, contexts, outputs.weights.transpose(0, 1))

    def _stepwise(self, inputs: Tensor, recurrent: State, memory: Memory) -> Decoded:
        """One step after the other, as autograd records them."""
        state = self.start(recurrent, memory)
        parts: list[list[Tensor]] = [[], [], [], []]
        for features in inputs.unbind(1):
            decoded, state = self.step(features, state, memory)
            for part, tensor in zip(parts, decoded, strict=True):
                if tensor is not None:
                    part.append(tensor)
        return Decoded(*(torch.stack(x, 1) if x else None for x in parts))  # type: ignore[arg-type]

    def _cells(self, features: Tensor, recurrent: State) -> State:
        """One step of all layers."""
        layers = []
        for number, layer in enumerate(self.layers):
            weight, recurrent_weight, bias, recurrent_bias = _parameters(layer)
            parts = [part[number] for part in recurrent]
            features = self.dropout(features) if number else features
            before = parts if self.gates.parts == 2 else parts[0]
            after = self.cell(features, before, weight, recurrent_weight, bias, recurrent_bias)  # type: ignore[operator]
            layers.append(after if self.gates.parts == 2 else (after,))
            features = layers[-1][0]
        return tuple(torch.stack(parts) for parts in zip(*layers, strict=True))

    def _look(self, hidden: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attends from each row to its sentence."""
        assert self.attention is not None  # who calls has one
        assert memory.prepared is not None
        prepared, mask, rows = memory.prepared, memory.mask, len(hidden)
        if self.coverage is not None and state.coverage is not None:
            beams = rows // len(mask)
            if beams > 1:  # what the beams of a sentence have covered differs
                index = torch.arange(len(mask), device=mask.device).repeat_interleave(beams)
                prepared, mask = memory.select(index)
                assert prepared is not None
            prepared = covered(prepared, state.coverage, self.coverage)
        query = hidden.unflatten(0, (len(mask), -1))
        context, weights = self.attention.attend(query, prepared, mask[:, None])
        return context.flatten(0, 1), weights.flatten(0, 1)

    def _read(self, hidden: Tensor, context: Tensor | None) -> Tensor:
        if self.readout is None:
            return hidden
        shown = hidden if context is None else torch.cat([hidden, context], -1)
        return torch.tanh(self.readout(shown))


def _parameters(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0  # type: ignore[return-value]


def _initialise(layer: nn.Module, hidden_size: int) -> None:
    """Orthogonal recurrent and Xavier-uniform input weights; biases 0, the forget gate's 1."""
    weight, recurrent_weight, bias, recurrent_bias = _parameters(layer)
    initialise_gates(weight, recurrent_weight, hidden_size)
    nn.init.zeros_(bias)
    nn.init.zeros_(recurrent_bias)
    if isinstance(layer, nn.LSTM):
        # PyTorch keeps the gates in the order input, forget, cell, output.
        nn.init.constant_(bias[hidden_size : 2 * hidden_size], 1.0)
