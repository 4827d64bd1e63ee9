"""A recurrent layer with attention inside its loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqlab.nn.additive_score import BOUND, reciprocals
from seqlab.nn.gates import Gates
from seqlab.nn.loop_gradient import LoopBackward, LoopInputs, LoopOutputs, Rows


def attention_loop(gates: Gates, before: bool, given: LoopInputs) -> LoopOutputs:
    """Runs a recurrent layer whose every step depends on an attention of the step before.

    Attention after the cell with input feeding (Luong et al. 2015, section 3.3):
    s_t = cell(x_t, r_{t−1}, s_{t−1}), c_t = attend(s_t), r_t = tanh(R [c_t; s_t] + b).
    Attention before it (Bahdanau et al. 2015, appendix A.2.2):
    c_t = attend(s_{t−1}), s_t = cell(x_t, c_t, s_{t−1}), and with feeding r_{t−1} to the cell.

    Autograd would record some twenty operations a step, keep the tanh of all pairs, and add up the
    gradients of keys and weights step by step. Here a step is a dozen operations each way, on
    buffers taken apart beforehand; each weight's gradient is one product over all steps, and the
    pairs are computed anew. Gradients of gradients are not available.

    Args:
        gates: the layer's kind.
        before: attention stands before the cell.
        given: all tensors.
    """
    with torch.autocast(given.inputs.device.type, enabled=False):
        dtype = torch.promote_types(given.inputs.dtype, torch.float32)
        same = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in given]
        outputs = _Loop.apply(gates, before, *same)
    return LoopOutputs(*(None if x is None else x.to(given.inputs.dtype) for x in outputs))  # type: ignore[arg-type]


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Gates, before: bool, *tensors: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        given = LoopInputs(*tensors)  # type: ignore[arg-type]
        rows = Rows.zeros(given, before)
        rows.first_state.copy_(given.hidden)
        cells = gates.forward(len(given.inputs), given.hidden, given.cell)
        look = _Look(given, rows)
        readout = _Readout(given, rows) if given.readout_weight is not None else None
        earlier, states = rows.earlier.unbind(0), rows.states.unbind(0)
        weight = given.weight.T
        steps = zip(given.inputs.unbind(0), rows.cell_inputs.unbind(0), cells.products, strict=True)
        for number, (inputs, read, product) in enumerate(steps):
            if before:
                look.step(number)
            torch.addmm(inputs, read, weight, out=product)
            cells.step(number, earlier[number], states[number])
            if not before:
                look.step(number)
            if readout is not None:
                readout.step(number)
        ctx.gates, ctx.before = gates, before
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(
            *tensors, rows.tensor, look.all_weights, look.all_queries, *cells.kept
        )
        readouts = None if readout is None else rows.readouts
        return rows.states, rows.contexts, look.all_weights, readouts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        size = len(LoopInputs._fields)
        given = LoopInputs(*ctx.saved_tensors[:size])
        rows, weights, queries, *kept = ctx.saved_tensors[size:]
        back = LoopBackward(
            given,
            Rows.of(rows, given, ctx.before),
            weights=weights,
            queries=queries,
            gates=ctx.gates,
            kept=tuple(kept),
            gradients=LoopOutputs(*gradients),  # type: ignore[arg-type]
        )
        back.run()
        return None, None, *back.totals()


class _Look:
    """Attends from one query a row.

    Attributes:
        all_weights: (steps, batch, time).
        all_queries: (steps, batch, size) e^{2q} of additive attention; else None.
    """

    def __init__(self, given: LoopInputs, rows: Rows) -> None:
        batch, time, _ = given.keys.shape
        steps = len(given.inputs)
        self.all_weights = given.keys.new_empty(steps, batch, time)
        self.weights = self.all_weights.unsqueeze(2).unbind(0)
        self.all_queries: Tensor | None = None
        self.contexts = rows.contexts.unbind(0)
        self.context = given.values.new_empty(batch, 1, given.values.shape[-1])
        self.context_row = self.context.squeeze(1)
        self.values = given.values
        self.barred = given.barred[:, None] if bool(given.barred.any()) else None
        self.scores = given.keys.new_empty(batch, 1, time)
        self.factors = given.factors
        if given.factors is None:
            # A row times a matrix: the same as a column takes a CPU seven times as long.
            self.keys = given.keys.mT
            self.sources = rows.sources.unsqueeze(2).unbind(0)
        else:
            self.sources = rows.sources.unbind(0)
            self.all_queries = given.keys.new_empty(steps, batch, given.keys.shape[-1])
            self.queries = self.all_queries.unbind(0)
            self.query_weight = 2 * given.query_weight.T  # type: ignore[union-attr]
            self.vector = -2 * given.vector  # type: ignore[operator]
            self.buffer = torch.empty_like(given.factors)
            self.pairs = self.buffer.flatten(0, 1)
            self.flat = self.scores.flatten()

    def step(self, number: int) -> None:
        if self.factors is None:
            torch.bmm(self.sources[number], self.keys, out=self.scores)
        else:
            query = torch.mm(self.sources[number], self.query_weight, out=self.queries[number])
            reciprocals(query.clamp_(-2 * BOUND, 2 * BOUND).exp_(), self.factors, self.buffer)
            torch.mv(self.pairs, self.vector, out=self.flat)
        if self.barred is not None:
            self.scores.masked_fill_(self.barred, float("-inf"))
        weights = self.weights[number]
        torch.softmax(self.scores, -1, out=weights)
        # A product of small matrices that is written with gaps takes a CPU four times as long.
        torch.bmm(weights, self.values, out=self.context)
        self.contexts[number].copy_(self.context_row)


class _Readout:
    """r = tanh(R [c; s] + b)."""

    def __init__(self, given: LoopInputs, rows: Rows) -> None:
        self.readouts = rows.readouts.unbind(0)
        self.bias = given.readout_bias
        self.products = [
            (part.unbind(0), weight.T)
            for part, weight in zip(rows.read, rows.split(given.readout_weight), strict=True)  # type: ignore[arg-type]
        ]

    def step(self, number: int) -> None:
        out, product = self.readouts[number], self.bias
        for parts, weight in self.products:
            product = torch.addmm(product, parts[number], weight, out=out)  # type: ignore[arg-type]
        out.tanh_()
