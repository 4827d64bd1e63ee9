"""Forecasts the horizon step by step: a decoder that reads the value before each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.attention import Attention
from seqlab.nn.decoding.bridge import Bridge
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.decoding.state import DecoderOutput, Memory
from seqlab.nn.decoding.unroll import Continuation, unroll
from seqlab.nn.recurrent.cell import State


class DecoderContext(NamedTuple):
    """What the decoder starts from.

    Attributes:
        memory: what it attends to.
        initial: the state of each layer.
        before: (batch, channel) the value before the first step.
        future: (batch, horizon, covariate) known covariates of each step; None for none.
    """

    memory: Memory
    initial: tuple[State, ...]
    before: Tensor
    future: Tensor | None


class AutoregressiveHorizon(nn.Module):
    """h_t = decoder([y_{t−1}, x_t], h_{t−1});  o_t = V [h_t, c_t] + b, with c_t of the attention.

    The decoder starts from tanh(W s + b) of the pooled states s.

    Args:
        size: features of the encoder's states.
        horizon: steps.
        channels: values forecast together.
        outputs: raw numbers a step.
        future_size: covariates known for the future.
        decoder: makes the decoder from input size, key size, attention and readout size.
        attention: makes the decoder's attention from query and key size; None for none.

    Raises:
        InputError: a decoder that is to attend, without an attention.
    """

    def __init__(
        self,
        size: int,
        *,
        horizon: int,
        channels: int,
        outputs: int,
        future_size: int,
        decoder: Callable[..., AttentionDecoder],
        attention: Callable[[int, int], Attention] | None,
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.decoder = decoder(channels + future_size, size, attention=attention, readout_size=0)
        if attention is None and self.decoder.attention_position != "none":
            raise InputError(
                "task.decoder=attention needs an attention; add model/attention=additive "
                "(`python train.py --help` lists all)"
            )
        self.bridge = Bridge(
            (size,),
            self.decoder.state_sizes,
            num_layers=self.decoder.num_layers,
            always_map=True,  # pooled states are no state of a recurrence
        )
        self.output = nn.Linear(self.decoder.output_size, outputs)

    def context(
        self, states: Tensor, mask: Tensor, summary: Tensor, before: Tensor, future: Tensor | None
    ) -> DecoderContext:
        """What to start from.

        Args:
            states: (batch, time, size) of the encoder.
            mask: (batch, time) true at valid positions.
            summary: (batch, size) the pooled states.
            before: see `DecoderContext`.
            future: see `DecoderContext`.
        """
        memory = self.decoder.prepare_memory(states, mask)
        return DecoderContext(memory, self.bridge((summary[None],)), before, future)

    def teacher_forced(
        self, start: DecoderContext, targets: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """All steps in one pass, each reading the true value before it.

        Args:
            start: what to start from.
            targets: (batch, horizon, channel) true values.

        Returns:
            raw numbers (batch, horizon, outputs), and the weights of the attention or None.
        """
        inputs = torch.cat([start.before[:, None], targets[:, :-1]], dim=1)
        inputs = inputs.to(self.output.weight.dtype)  # values are more precise
        if start.future is not None:
            inputs = torch.cat([inputs, start.future], dim=-1)
        decoded = self.decoder(inputs, start.initial, start.memory)
        return self.output(decoded.outputs), decoded.weights

    def autoregressive(
        self,
        start: DecoderContext,
        next_value: Callable[[int, Tensor], Tensor],
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Step by step, each reading a value that depends on what the step before forecast.

        Args:
            start: what to start from.
            next_value: from a step's number and its raw numbers (rows, outputs) to the value
                (rows, channel) that the next step reads; called after every step.
            rows: the window of each row, the rows of a window side by side; None where each
                window is one row.

        Returns:
            raw numbers (rows, horizon, outputs), and the weights of the attention or None.
        """
        state = self.decoder.init_state(start.initial, start.memory)
        before, future = start.before, start.future
        if rows is not None:
            state, before = state.select(rows), before[rows]
            future = None if future is None else future[rows]
        raws = []

        def inputs(value: Tensor, step: int) -> Tensor:
            value = value.to(self.output.weight.dtype)  # values are more precise
            return value if future is None else torch.cat([value, future[:, step]], dim=-1)

        def next_input(step: int, output: DecoderOutput) -> Continuation | None:
            raws.append(self.output(output.outputs))
            value = next_value(step, raws[-1])
            return None if step + 1 == self.horizon else Continuation(inputs(value, step + 1))

        outputs = list(
            unroll(
                self.decoder,
                inputs(before, 0),
                state,
                start.memory,
                steps=self.horizon,
                next_input=next_input,
            )
        )
        weights = [output.weights for output in outputs if output.weights is not None]
        return torch.stack(raws, dim=1), torch.stack(weights, dim=1) if weights else None
