"""The recurrent decoder: with attention before the cell, after it, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.nn.attention.attention import Attention, check_mask
from seqlab.nn.attention.coverage import shift_by_coverage
from seqlab.nn.decoding.state import DecoderOutput, DecoderState, Memory, stack_steps
from seqlab.nn.kernel_table import kernel_of
from seqlab.nn.recurrent.cell import Cell, State
from seqlab.nn.recurrent.layer import KernelChoice, RecurrentLayer

Position = Literal["after", "before", "none"]


class AttentionDecoder(nn.Module):
    """Recurrent layers that read an output sequence so far and attend to a source.

    Attention after the cell (Luong et al. 2015, section 3): s_t = cell(x_t, s_{t−1}),
    c_t = attend(s_t). Attention before it (Bahdanau et al. 2015, section 3.1):
    c_t = attend(s_{t−1}), s_t = cell(x_t, c_t, s_{t−1}). The output is the readout
    r_t = tanh(W [s_t; c_t] + b), or [s_t; c_t] as it is. With input feeding (Luong, section 3.3)
    the cell also reads the output of the step before. Without attention the source comes through
    the initial state alone (Sutskever et al. 2014).

    Coverage (See et al. 2017, equations 10–11) shifts each key by the weight it has had so far:
    k_i + w Σ_{t'<t} α_{t',i}, which for additive attention is their tanh(W s + U k_i + w c_i).

    Example:
        >>> decoder = AttentionDecoder(8, 16, cell=GRUCell, attention=AdditiveAttention)
        >>> memory = decoder.prepare_memory(torch.randn(2, 5, 16), torch.ones(2, 5).bool())
        >>> decoder(torch.randn(2, 3, 8), ((torch.zeros(2, 64),),), memory).outputs.shape
        torch.Size([2, 3, 64])

    Args:
        input_size: features of the inputs.
        key_size: features of the source's states.
        cell: makes the cell of a layer: `cell(input_size, hidden_size)`.
        hidden_size: features of each layer's outputs; `key_size` if None.
        num_layers: how many layers.
        attention: makes the attention from query and key size; None for none.
        attention_position: "after" the cell, "before" it, or "none" for no attention.
        input_feeding: the cell reads the output of the step before; None: where attention is.
        coverage: keys remember the weight that they have had.
        readout_size: features of the readout; `hidden_size` if None; 0 for no readout. Without
            attention there is none where it would have the size of the states.
        dropout: probability of zeroing a feature between layers.
        kernel: "auto" takes fast kernels where they apply; "reference" always repeats `step`,
            which is slower and can be differentiated any number of times.

    Raises:
        InputError: a size or name out of its range, or an option that needs an attention.
    """

    def __init__(
        self,
        input_size: int,
        key_size: int,
        *,
        cell: Callable[[int, int], Cell],
        hidden_size: int | None = 64,
        num_layers: int = 1,
        attention: Callable[[int, int], Attention] | None = None,
        attention_position: Position = "after",
        input_feeding: bool | None = None,
        coverage: bool = False,
        readout_size: int | None = None,
        dropout: float = 0.0,
        kernel: KernelChoice = "auto",
    ) -> None:
        super().__init__()
        hidden_size = key_size if hidden_size is None else hidden_size
        check_at_least("hidden_size", hidden_size)
        check_at_least("num_layers", num_layers)
        check_at_least("readout_size", 0 if readout_size is None else readout_size, 0)
        check_probability("dropout", dropout)
        if attention_position not in ("after", "before", "none"):
            raise InputError(
                f"attention_position={attention_position!r} must be after, before or none"
            )
        if attention_position == "none":
            attention = None
        if attention is None and (coverage or input_feeding or attention_position == "before"):
            raise InputError(
                "coverage, input_feeding and attention_position=before need an attention, and "
                "attention_position=after or before"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.attention = attention(hidden_size, key_size) if attention else None
        self.attention_position: Position = attention_position
        self.attends_before = attention_position == "before"
        self.input_feeding = bool(attention) if input_feeding is None else input_feeding
        features = hidden_size + (key_size if attention else 0)
        if readout_size is None:
            readout_size = hidden_size
        if attention is None and readout_size == hidden_size:  # a readout would add nothing
            readout_size = 0
        self.output_size = readout_size or features
        first = input_size + key_size * self.attends_before + self.output_size * self.input_feeding
        self.layers = nn.ModuleList(
            RecurrentLayer(size, hidden_size, cell=cell, kernel=kernel)
            for size in [first] + [hidden_size] * (num_layers - 1)
        )
        self.readout = nn.Linear(features, readout_size) if readout_size else None
        self.state_sizes = self.recurrent_layers()[0].cell.state_sizes
        self.kernel: KernelChoice = kernel
        self.dropout = nn.Dropout(dropout)
        self.coverage = None
        if coverage and self.attention is not None:
            size = self.attention.prepare(torch.zeros(1, 1, key_size)).keys.numel()
            self.coverage = nn.Parameter(torch.zeros(size))

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, the one that reads the inputs first."""
        return list(self.layers)  # type: ignore[arg-type]  # a ModuleList holds any module

    def prepare_memory(
        self, keys: Float[Tensor, "batch time key_size"], mask: Bool[Tensor, "batch time"]
    ) -> Memory:
        """Computes once what the attention needs of the source's states at every step.

        Args:
            keys: the source's states.
            mask: true at valid positions.

        Raises:
            InputError: a source without a valid position.
        """
        check_mask(mask)
        if self.attention is None:
            return Memory(None, mask)
        # A state at a padded position may hold anything, and must not reach a sum.
        return Memory(self.attention.prepare(torch.where(mask[..., None], keys, 0.0)), mask)

    def init_state(self, initial: tuple[State, ...], memory: Memory) -> DecoderState:
        """The state before the first step.

        Args:
            initial: the state of each layer, each part (batch, size); see `Bridge`.
            memory: from `prepare_memory`.
        """
        hidden = initial[0][0]
        output = coverage = None
        if self.input_feeding:
            output = hidden.new_zeros(len(hidden), self.output_size)
        if self.coverage is not None:
            coverage = hidden.new_zeros(len(hidden), memory.mask.shape[1])
        return DecoderState(initial, output, coverage)

    def step(
        self, inputs: Float[Tensor, "rows input"], state: DecoderState, memory: Memory
    ) -> tuple[DecoderOutput, DecoderState]:
        """Decodes one step; each result is (rows, …). This is the definition of the decoder.

        Args:
            inputs: what the step reads. Rows are the sources, or source by source the same number
                of output sequences.
            state: from `init_state` or the step before.
            memory: of the sources.
        """
        context = weights = None
        if self.attends_before:
            context, weights = self._attend(state.layers[-1][0], state, memory)
        parts = [part for part in (inputs, context, state.output) if part is not None]
        hidden = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        layers = []
        for number, (layer, before) in enumerate(
            zip(self.recurrent_layers(), state.layers, strict=True)
        ):
            hidden = self.dropout(hidden) if number else hidden
            hidden, after = layer.step(hidden, before)
            layers.append(after)
        if self.attention is not None and not self.attends_before:
            context, weights = self._attend(hidden, state, memory)
        output = self.read_out(hidden, context)
        coverage = state.coverage
        if coverage is not None and weights is not None:
            coverage = coverage + weights
        new = DecoderState(tuple(layers), output if self.input_feeding else None, coverage)
        return DecoderOutput(output, hidden, context, weights), new

    def forward(
        self, inputs: Float[Tensor, "batch steps input"], initial: tuple[State, ...], memory: Memory
    ) -> DecoderOutput:
        """Decodes a whole sequence of known inputs; the same as one `step` after the other.

        Args:
            inputs: what each step reads.
            initial: the state of each layer before the first step, each part (batch, size).
            memory: from `prepare_memory`.
        """
        waits = self.attends_before or self.input_feeding or self.coverage is not None
        if self.kernel == "auto" and not waits:
            return self._forward_parallel(inputs, initial, memory)
        if self.kernel == "auto":
            run = kernel_of(type(self), self, inputs, initial, memory)
            if run is not None:
                return run(self, inputs, initial, memory)
        state, steps = self.init_state(initial, memory), []
        for features in inputs.unbind(1):
            output, state = self.step(features, state, memory)
            steps.append(output)
        return stack_steps(steps)

    def _forward_parallel(
        self, inputs: Tensor, initial: tuple[State, ...], memory: Memory
    ) -> DecoderOutput:
        """All steps at once, where no cell reads what an attention or readout computed."""
        hidden = inputs
        for number, (layer, before) in enumerate(
            zip(self.recurrent_layers(), initial, strict=True)
        ):
            hidden = self.dropout(hidden) if number else hidden
            hidden, _ = layer(hidden, None, before, need_state=False)
        context = weights = None
        if self.attention is not None and memory.prepared is not None:
            context, weights = self.attention.attend(hidden, memory.prepared, memory.mask[:, None])
        return DecoderOutput(self.read_out(hidden, context), hidden, context, weights)

    def _attend(self, query: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attends from each row to its source."""
        prepared, mask = memory
        assert self.attention is not None  # the caller has asked
        assert prepared is not None
        if self.coverage is not None and state.coverage is not None:
            copies = len(query) // len(mask)
            if copies > 1:  # the output sequences of a source have covered different positions
                index = torch.arange(len(mask), device=mask.device).repeat_interleave(copies)
                prepared, mask = prepared.select(index), mask[index]
            prepared = shift_by_coverage(prepared, state.coverage, self.coverage)
        context, weights = self.attention.attend(
            query.unflatten(0, (len(mask), -1)), prepared, mask[:, None]
        )
        return context.flatten(0, 1), weights.flatten(0, 1)

    def read_out(self, hidden: Tensor, context: Tensor | None) -> Tensor:
        """What the output layer reads, from states and contexts of one step or all."""
        features = hidden if context is None else torch.cat([hidden, context], -1)
        return features if self.readout is None else torch.tanh(self.readout(features))
