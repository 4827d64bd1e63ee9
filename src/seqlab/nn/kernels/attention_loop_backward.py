"""The gradient through time of a recurrent layer with attention inside its loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqlab.nn.kernels.additive_score import step_backward
from seqlab.nn.kernels.loop_cells import LoopCell
from seqlab.nn.recurrent.cell import State

_softmax_slope = torch.ops.aten._softmax_backward_data.out


class LoopInputs(NamedTuple):
    """All that a loop reads; None for what is not part of it.

    Attributes:
        inputs: (steps, batch, blocks · hidden) products of what is known beforehand, with biases.
        hidden: (batch, hidden) before the first step.
        cell: likewise, for an LSTM.
        weight: (blocks · hidden, …) of what the cell reads: the context where attention stands
            before it, the hidden state, and with feeding the readout of the step before.
        query_weight: (size, hidden), projects the query of additive attention.
        vector: (size,), its v; None for qᵀ k.
        keys: (batch, time, size) prepared.
        values: (batch, time, key size).
        factors: (batch, time, size), e^{2 keys} for additive attention.
        readout_weight: (readout, key size + hidden); None without feeding.
        readout_bias: (readout,).
        padding_mask: (batch, time), true where no query may attend.
    """

    inputs: Tensor
    hidden: Tensor
    cell: Tensor | None
    weight: Tensor
    query_weight: Tensor | None
    vector: Tensor | None
    keys: Tensor
    values: Tensor
    factors: Tensor | None
    readout_weight: Tensor | None
    readout_bias: Tensor | None
    padding_mask: Tensor


class LoopOutputs(NamedTuple):
    """What each step returns, (steps, batch, …); readouts are None without feeding."""

    states: Tensor
    contexts: Tensor
    weights: Tensor
    readouts: Tensor | None


class StepBuffer:
    """Context, hidden state and readout side by side, and likewise their gradients.

    What a product reads or adds to is then one stretch of each row, whichever side of the cell
    the attention stands on: with attention before the cell, a step's context lies beside the state
    before it, else beside the state after it.

    Attributes:
        tensor: (steps + 1, batch, key size + hidden + readout).
        contexts: (steps, batch, key size) of each step.
        states: (steps, batch, hidden) after each step.
        earlier: the same before each step.
        first_state: before the first step.
        sources: what attends at each step: `earlier` or `states`.
        readouts: (steps, batch, readout) of each step.
        cell_inputs: (steps, batch, …) what the cell reads.
        read: what the readout reads, in one piece or two.
    """

    def __init__(self, tensor: Tensor, key_size: int, hidden_size: int, before: bool) -> None:
        end = key_size + hidden_size
        self.tensor, self.key_size, self.before = tensor, key_size, before
        self.contexts = (tensor[:-1] if before else tensor[1:])[..., :key_size]
        self.states = tensor[1:, :, key_size:end]
        self.earlier = tensor[:-1, :, key_size:end]
        self.first_state = self.earlier[0]
        self.sources = self.earlier if before else self.states
        self.readouts = tensor[1:, :, end:]
        self.cell_inputs = tensor[:-1] if before else tensor[:-1, :, key_size:]
        self.read = (self.contexts, self.states) if before else (tensor[1:, :, :end],)

    @classmethod
    def of(cls, tensor: Tensor, inputs: LoopInputs, before: bool) -> StepBuffer:
        return cls(tensor, inputs.values.shape[-1], inputs.hidden.shape[-1], before)

    @classmethod
    def zeros(cls, inputs: LoopInputs, before: bool) -> StepBuffer:
        steps, (batch, hidden_size) = len(inputs.inputs), inputs.hidden.shape
        readout = 0 if inputs.readout_weight is None else len(inputs.readout_weight)
        width = inputs.values.shape[-1] + hidden_size + readout
        return cls.of(inputs.hidden.new_zeros(steps + 1, batch, width), inputs, before)

    def split(self, readout_weight: Tensor) -> tuple[Tensor, ...]:
        """The weight's columns for each of `read`."""
        return readout_weight.tensor_split([self.key_size], 1) if self.before else (readout_weight,)


class LoopBackward:
    """The loop from its end to its beginning, then one product for each weight."""

    def __init__(
        self,
        inputs: LoopInputs,
        buffers: StepBuffer,
        *,
        weights: Tensor,
        queries: Tensor | None,
        cell: LoopCell,
        saved: State,
        gradients: LoopOutputs,
    ) -> None:
        self.inputs, self.buffers, self.weights, self.queries = inputs, buffers, weights, queries
        self.cells = cell.backward(saved, buffers.earlier, buffers.states)
        # Starts as the gradients from outside; each step adds its own.
        self.own = own = StepBuffer.zeros(inputs, buffers.before)
        for part, gradient in (
            (own.states, gradients.states),
            (own.contexts, gradients.contexts),
            (own.readouts, gradients.readouts),
        ):
            if gradient is not None:
                part.copy_(gradient)
        self.attend = _AttendBackward(inputs, own, weights, queries, gradients.weights)

    def run(self) -> None:
        inputs, buffers, own, cells = self.inputs, self.buffers, self.own, self.cells
        earlier, states = own.earlier.unbind(0), own.states.unbind(0)
        cell_inputs = own.cell_inputs.unbind(0)
        slopes, readouts, read = (), (), []
        if inputs.readout_weight is not None:
            squares = buffers.readouts.square()
            slopes, readouts = squares.neg_().add_(1).unbind(0), own.readouts.unbind(0)
            weights = buffers.split(inputs.readout_weight)
            read = [(p.unbind(0), weight) for p, weight in zip(own.read, weights, strict=True)]
        for number in reversed(range(len(inputs.inputs))):
            if read:
                gradient = readouts[number].mul_(slopes[number])
                for parts, weight in read:
                    parts[number].addmm_(gradient, weight)
            if not buffers.before:
                self.attend.step(number)
            cells.step(number, states[number], earlier[number])
            cell_inputs[number].addmm_(cells.products[number], inputs.weight)
            if buffers.before:
                self.attend.step(number)

    def totals(self) -> LoopInputs:
        """The gradients of all inputs, in their order."""
        inputs, buffers, own, attend = self.inputs, self.buffers, self.own, self.attend
        products = self.cells.all_products
        query_weight = vector = readout_weight = readout_bias = None
        scores = attend.all_scores.permute(1, 2, 0)
        if attend.all_by_query is None:
            keys = torch.bmm(scores, buffers.sources.transpose(0, 1))
        else:
            keys, vector = attend.key_sum.mul_(attend.scale), attend.vector_sum * -2
            query_weight = _product(attend.all_by_query, buffers.sources) * attend.scale[:, None]
        if inputs.readout_weight is not None:
            parts = [_product(own.readouts, part) for part in buffers.read]
            readout_weight, readout_bias = torch.cat(parts, 1), own.readouts.sum((0, 1))
        return LoopInputs(
            inputs=products,
            hidden=own.first_state,
            cell=self.cells.cell,
            weight=_product(products, buffers.cell_inputs),
            query_weight=query_weight,
            vector=vector,
            keys=keys,
            values=torch.bmm(self.weights.permute(1, 2, 0), own.contexts.transpose(0, 1)),
            factors=None,
            readout_weight=readout_weight,
            readout_bias=readout_bias,
            padding_mask=None,  # type: ignore[arg-type]
        )


class _AttendBackward:
    """The gradient of an attention's source, from those of its context and weights.

    Attributes:
        all_scores: (steps, batch, time) gradients of the scores.
        all_by_query: (steps, batch, size) those of additive attention's queries; they and
            `key_sum` lack the factor 4v, which the weight has.
    """

    def __init__(
        self,
        inputs: LoopInputs,
        own: StepBuffer,
        weights: Tensor,
        queries: Tensor | None,
        by_weights: Tensor | None,
    ) -> None:
        self.contexts = own.contexts.unsqueeze(2).unbind(0)
        self.values = inputs.values.mT
        self.weights = weights.unsqueeze(2).unbind(0)
        self.by_weights = None if by_weights is None else by_weights.unsqueeze(2).unbind(0)
        self.all_scores = torch.empty_like(weights)
        self.scores = self.all_scores.unsqueeze(2).unbind(0)
        self.gradient = torch.empty_like(self.scores[0])
        self.sources = own.sources.unbind(0)
        self.keys, self.factors = inputs.keys, inputs.factors
        self.all_by_query: Tensor | None = None
        if inputs.factors is None:
            batch, _, size = inputs.keys.shape
            self.by_source = inputs.keys.new_empty(batch, 1, size)
            self.by_source_row = self.by_source.squeeze(1)
        else:
            self.queries = queries.unbind(0)  # type: ignore[union-attr]
            self.all_by_query = torch.empty_like(queries)  # type: ignore[arg-type]
            self.by_query = self.all_by_query.unsqueeze(2).unbind(0)
            self.by_query_rows = self.all_by_query.unbind(0)
            self.scale = inputs.vector * 4  # type: ignore[operator]
            self.query_weight = self.scale[:, None] * inputs.query_weight  # type: ignore[operator]
            self.buffer = torch.empty_like(inputs.factors)
            self.key_sum = torch.zeros_like(inputs.factors)
            self.vector_sum = torch.zeros_like(inputs.vector)  # type: ignore[arg-type]

    def step(self, number: int) -> None:
        """Adds to the gradient of what attended at a step."""
        gradient, scores = self.gradient, self.scores[number]
        torch.bmm(self.contexts[number], self.values, out=gradient)
        if self.by_weights is not None:
            gradient += self.by_weights[number]
        weights = self.weights[number]
        _softmax_slope(gradient, weights, -1, weights.dtype, grad_input=scores)
        if self.factors is None:
            torch.bmm(scores, self.keys, out=self.by_source)
            self.sources[number].add_(self.by_source_row)
            return
        step_backward(
            scores,
            buffer=self.buffer,
            query_factors=self.queries[number],
            factors=self.factors,
            key_sum=self.key_sum,
            vector_sum=self.vector_sum,
            out=self.by_query[number],
        )
        self.sources[number].addmm_(self.by_query_rows[number], self.query_weight)


def _product(gradients: Tensor, inputs: Tensor) -> Tensor:
    """A weight's gradient over all steps and buffers."""
    return gradients.flatten(0, 1).T @ inputs.flatten(0, 1)
