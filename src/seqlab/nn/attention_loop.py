"""A recurrent layer with attention inside its loop, and its gradient through time by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqlab.nn.additive_score import exponentials, reciprocals
from seqlab.nn.gates import Gates
from seqlab.nn.loop_gradient import LoopBackward, LoopInputs, LoopOutputs, first_readout


def attention_loop(gates: Gates, given: LoopInputs) -> LoopOutputs:
    """Runs a recurrent layer whose every step depends on an attention of the step before.

    Attention after the cell with input feeding (Luong et al. 2015, section 3.3):
    s_t = cell(x_t, r_{t−1}, s_{t−1}), c_t = attend(s_t), r_t = tanh(R [s_t; c_t] + b).
    Attention before it (Bahdanau et al. 2015, appendix A.2.2):
    c_t = attend(s_{t−1}), s_t = cell(x_t, c_t, s_{t−1}), and with feeding r_{t−1} to the cell.

    Autograd would record some twenty operations a step, keep the tanh of all pairs, and add up the
    gradients of keys and weights step by step. Here each weight's gradient is one product over all
    steps, and the pairs are computed anew. Gradients of gradients are not available.
    """
    with torch.autocast(given.inputs.device.type, enabled=False):
        dtype = torch.promote_types(given.inputs.dtype, torch.float32)
        same = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in given]
        outputs = _Loop.apply(gates, *same)
    return LoopOutputs(*(None if x is None else x.to(given.inputs.dtype) for x in outputs))  # type: ignore[arg-type]


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Gates, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        given = LoopInputs(*tensors)  # type: ignore[arg-type]
        before = given.context_weight is not None
        look = _Look(given)
        state = (given.hidden,) if given.cell is None else (given.hidden, given.cell)
        readout = first_readout(given)
        context_weight, feed_weight, recurrent_weight, readout_weight = (
            None if weight is None else weight.T
            for weight in (
                given.context_weight,
                given.feed_weight,
                given.recurrent_weight,
                given.readout_weight,
            )
        )
        states, contexts, weights, queries, readouts, kept = [], [], [], [], [], []
        cells: list[tuple[Tensor, ...]] = [state[1:]]
        for products in given.inputs.unbind(0):
            seen = look.at(state[0]) if before else None
            if seen is not None:
                inputs = torch.addmm(products, seen[0], context_weight)  # type: ignore[union-attr]
                if readout is not None:
                    inputs.addmm_(readout, feed_weight)  # type: ignore[union-attr]
            else:
                inputs = torch.addmm(products, readout, feed_weight)  # type: ignore[union-attr, arg-type]
            recurrent = None
            if gates.separate:
                recurrent = torch.addmm(
                    given.recurrent_bias,  # type: ignore[arg-type]
                    state[0],
                    recurrent_weight,  # type: ignore[arg-type]
                )
            else:
                inputs.addmm_(state[0], recurrent_weight)  # type: ignore[arg-type]
            state, keep = gates.step(inputs, recurrent, state)
            context, weight, query = look.at(state[0]) if seen is None else seen
            if readout is not None:
                both = torch.cat([state[0], context], -1)
                readout = torch.addmm(
                    given.readout_bias,  # type: ignore[arg-type]
                    both,
                    readout_weight,  # type: ignore[union-attr]
                ).tanh_()
                readouts.append(readout)
            states.append(state[0])
            cells.append(state[1:])
            contexts.append(context)
            weights.append(weight)
            queries.append(query)
            kept.append(keep)
        outputs = (
            torch.stack(states),
            torch.stack(contexts),
            torch.stack(weights),
            torch.stack(readouts) if readouts else None,
        )
        ctx.gates, ctx.kept, ctx.queries, ctx.cells = gates, kept, queries, cells
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *outputs)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        size = len(LoopInputs._fields)
        given = LoopInputs(*ctx.saved_tensors[:size])
        outputs = LoopOutputs(*ctx.saved_tensors[size:])
        back = LoopBackward(ctx, given, outputs, LoopOutputs(*gradients))  # type: ignore[arg-type]
        back.run()
        return None, *back.totals()


class _Look:
    """Attends from one query a row."""

    def __init__(self, given: LoopInputs) -> None:
        self.given = given
        self.barred = given.barred if bool(given.barred.any()) else None
        self.buffer = None if given.factors is None else torch.empty_like(given.factors)
        self.vector = None if given.vector is None else given.vector * -2

    def at(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The context, the weights, and the projected query or its exponential."""
        given = self.given
        query = source if given.query_weight is None else source @ given.query_weight.T
        if given.factors is None:
            # A row times a matrix: the same as a column takes a CPU seven times as long.
            scores = torch.bmm(query[:, None], given.keys.mT).squeeze(1)
        else:
            query = exponentials(query)
            scores = reciprocals(query, given.factors, self.buffer) @ self.vector  # type: ignore[arg-type, operator]
        if self.barred is not None:
            scores.masked_fill_(self.barred, float("-inf"))
        weights = scores.softmax(-1)
        return torch.bmm(weights[:, None], given.values).squeeze(1), weights, query
