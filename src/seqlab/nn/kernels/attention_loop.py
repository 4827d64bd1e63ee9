"""A kernel of `AttentionDecoder`: one recurrent layer with attention inside its loop.

Autograd would record some twenty operations a step, keep the tanh of all pairs, and add up the
gradients of keys and weights step by step. Here a step is a dozen operations each way, on buffers
that are cut into steps beforehand; each weight's gradient is one product over all steps, and the
pairs are computed again. Gradients of gradients are not available.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqlab.nn.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    ScaledDotAttention,
)
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.decoding.state import DecoderOutput, Memory
from seqlab.nn.kernels.additive_score import BOUND, exponentials, reciprocals
from seqlab.nn.kernels.attention_loop_backward import (
    LoopBackward,
    LoopInputs,
    LoopOutputs,
    StepBuffer,
)
from seqlab.nn.kernels.loop_cells import LoopCell, loop_cell
from seqlab.nn.kernels.once import differentiable_once
from seqlab.nn.recurrent.cell import State


class Score(NamedTuple):
    """The parameters of an attention that compares a query with each key.

    Attributes:
        query_weight: projects the query, (size, query_size); None where it stays as it is.
        vector: v of vᵀ tanh(q + k), (size,); None where the score is qᵀ k.
    """

    query_weight: Tensor | None = None
    vector: Tensor | None = None


SCORES: dict[type[Attention], Callable[[Any], Score]] = {
    AdditiveAttention: lambda x: Score(x.project_query.weight, x.score.weight[0]),
    GeneralAttention: lambda x: Score(),  # W is in the prepared keys
    DotAttention: lambda x: Score(),
    ScaledDotAttention: lambda x: Score(),
}


def applies(
    decoder: AttentionDecoder, inputs: Tensor, initial: tuple[State, ...], memory: Memory
) -> bool:
    """Where one layer of a known cell attends with a known score, without coverage or compiler.

    With input feeding there must be a readout: the loop feeds nothing else.
    """
    return (
        decoder.num_layers == 1
        and decoder.coverage is None
        and not (decoder.input_feeding and decoder.readout is None)
        and type(decoder.attention) in SCORES
        and loop_cell(decoder.recurrent_layers()[0].cell) is not None
        and not torch.compiler.is_compiling()
    )


def run(
    decoder: AttentionDecoder, inputs: Tensor, initial: tuple[State, ...], memory: Memory
) -> DecoderOutput:
    """What `decoder(inputs, initial, memory)` returns."""
    cell_module = decoder.recurrent_layers()[0].cell
    cell, attention, prepared = loop_cell(cell_module), decoder.attention, memory.prepared
    assert cell is not None  # `applies` has asked for all three
    assert attention is not None
    assert prepared is not None
    score = SCORES[type(attention)](attention)
    parameters = cell.parameters(cell_module)
    sizes = [
        decoder.input_size,
        attention.key_size * decoder.attends_before,
        decoder.output_size * decoder.input_feeding,
    ]
    known, context_weight, feed_weight = parameters.input_weight.split(sizes, dim=1)
    readout = decoder.readout if decoder.input_feeding else None
    readout_weight = None
    if readout is not None:
        # The buffer has the context before the state.
        state_weight, shown_weight = readout.weight.tensor_split([decoder.hidden_size], 1)
        readout_weight = torch.cat([shown_weight, state_weight], 1)
    factors = prepared.factors
    if score.vector is not None and factors is None:
        factors = exponentials(prepared.keys)
    outputs = attention_loop(
        cell,
        decoder.attends_before,
        LoopInputs(
            inputs=nn.functional.linear(inputs.transpose(0, 1), known, parameters.bias),
            hidden=initial[0][0],
            cell=initial[0][1] if cell.parts == 2 else None,
            weight=torch.cat([context_weight, parameters.recurrent_weight, feed_weight], 1),
            query_weight=score.query_weight,
            vector=score.vector,
            keys=prepared.keys,
            values=prepared.values,
            factors=factors,
            readout_weight=readout_weight,
            readout_bias=None if readout is None else readout.bias,
            padding_mask=~memory.mask,
        ),
    )
    states, contexts = outputs.states.transpose(0, 1), outputs.contexts.transpose(0, 1)
    if outputs.readouts is None:
        readouts = decoder.read_out(states, contexts)
    else:
        readouts = outputs.readouts.transpose(0, 1)
    return DecoderOutput(readouts, states, contexts, outputs.weights.transpose(0, 1))


def attention_loop(cell: LoopCell, before: bool, inputs: LoopInputs) -> LoopOutputs:
    """Runs a recurrent layer whose every step depends on an attention of the step before.

    Args:
        cell: the layer's kind.
        before: attention stands before the cell.
        inputs: all tensors.
    """
    with torch.autocast(inputs.inputs.device.type, enabled=False):
        dtype = torch.promote_types(inputs.inputs.dtype, torch.float32)
        same = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in inputs]
        outputs = _Loop.apply(cell, before, *same)
    return LoopOutputs(*(None if x is None else x.to(inputs.inputs.dtype) for x in outputs))  # type: ignore[arg-type]  # only readouts may be None


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cell: LoopCell, before: bool, *tensors: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        inputs = LoopInputs(*tensors)  # type: ignore[arg-type]
        buffers = StepBuffer.zeros(inputs, before)
        buffers.first_state.copy_(inputs.hidden)
        cells = cell.forward(len(inputs.inputs), inputs.hidden, inputs.cell)
        attend = _Attend(inputs, buffers)
        readout = _Readout(inputs, buffers) if inputs.readout_weight is not None else None
        earlier, states = buffers.earlier.unbind(0), buffers.states.unbind(0)
        weight = inputs.weight.T
        parts = inputs.inputs.unbind(0), buffers.cell_inputs.unbind(0), cells.products
        for number, (known, read, product) in enumerate(zip(*parts, strict=True)):
            if before:
                attend.step(number)
            torch.addmm(known, read, weight, out=product)
            cells.step(number, earlier[number], states[number])
            if not before:
                attend.step(number)
            if readout is not None:
                readout.step(number)
        ctx.cell, ctx.before = cell, before
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(
            *tensors, buffers.tensor, attend.all_weights, attend.all_queries, *cells.saved
        )
        readouts = None if readout is None else buffers.readouts
        return buffers.states, buffers.contexts, attend.all_weights, readouts

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        size = len(LoopInputs._fields)
        inputs = LoopInputs(*ctx.saved_tensors[:size])
        buffers, weights, queries, *saved = ctx.saved_tensors[size:]
        back = LoopBackward(
            inputs,
            StepBuffer.of(buffers, inputs, ctx.before),
            weights=weights,
            queries=queries,
            cell=ctx.cell,
            saved=tuple(saved),
            gradients=LoopOutputs(*gradients),  # type: ignore[arg-type]
        )
        back.run()
        return None, None, *back.totals()


class _Attend:
    """Attends from one query a row.

    Attributes:
        all_weights: (steps, batch, time).
        all_queries: (steps, batch, size) e^{2q} of additive attention; else None.
    """

    def __init__(self, inputs: LoopInputs, buffers: StepBuffer) -> None:
        batch, time, _ = inputs.keys.shape
        steps = len(inputs.inputs)
        self.all_weights = inputs.keys.new_empty(steps, batch, time)
        self.weights = self.all_weights.unsqueeze(2).unbind(0)
        self.all_queries: Tensor | None = None
        self.contexts = buffers.contexts.unbind(0)
        self.context = inputs.values.new_empty(batch, 1, inputs.values.shape[-1])
        self.context_row = self.context.squeeze(1)
        self.values = inputs.values
        padded = bool(inputs.padding_mask.any())
        self.padding_mask = inputs.padding_mask[:, None] if padded else None
        self.scores = inputs.keys.new_empty(batch, 1, time)
        self.factors = inputs.factors
        if inputs.factors is None:
            # A row times a matrix: the same as a column takes a CPU seven times as long.
            self.keys = inputs.keys.mT
            self.sources = buffers.sources.unsqueeze(2).unbind(0)
        else:
            self.sources = buffers.sources.unbind(0)
            self.all_queries = inputs.keys.new_empty(steps, batch, inputs.keys.shape[-1])
            self.queries = self.all_queries.unbind(0)
            self.query_weight = 2 * inputs.query_weight.T  # type: ignore[union-attr]
            self.vector = -2 * inputs.vector  # type: ignore[operator]
            self.buffer = torch.empty_like(inputs.factors)
            self.pairs = self.buffer.flatten(0, 1)
            self.flat = self.scores.flatten()

    def step(self, number: int) -> None:
        if self.factors is None:
            torch.bmm(self.sources[number], self.keys, out=self.scores)
        else:
            query = torch.mm(self.sources[number], self.query_weight, out=self.queries[number])
            reciprocals(query.clamp_(-2 * BOUND, 2 * BOUND).exp_(), self.factors, self.buffer)
            torch.mv(self.pairs, self.vector, out=self.flat)
        if self.padding_mask is not None:
            self.scores.masked_fill_(self.padding_mask, float("-inf"))
        weights = self.weights[number]
        torch.softmax(self.scores, -1, out=weights)
        # A product of small matrices that is written with gaps takes a CPU four times as long.
        torch.bmm(weights, self.values, out=self.context)
        self.contexts[number].copy_(self.context_row)


class _Readout:
    """r = tanh(R [c; s] + b)."""

    def __init__(self, inputs: LoopInputs, buffers: StepBuffer) -> None:
        self.readouts = buffers.readouts.unbind(0)
        self.bias = inputs.readout_bias
        self.products = [
            (part.unbind(0), weight.T)
            for part, weight in zip(buffers.read, buffers.split(inputs.readout_weight), strict=True)  # type: ignore[arg-type]
        ]

    def step(self, number: int) -> None:
        out, product = self.readouts[number], self.bias
        for parts, weight in self.products:
            product = torch.addmm(product, parts[number], weight, out=out)  # type: ignore[arg-type]
        out.tanh_()
