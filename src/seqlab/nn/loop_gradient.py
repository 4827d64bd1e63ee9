"""The gradient through time of a recurrent layer with attention inside its loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqlab.nn.additive_score import step_backward
from seqlab.nn.gates import Gates, StepGradients


class LoopInputs(NamedTuple):
    """All that a loop reads. What is None is not part of it.

    Attributes:
        inputs: (steps, batch, gates · hidden) products of what is known beforehand, with biases.
        hidden: (batch, hidden) before the first step.
        cell: likewise, for an LSTM.
        recurrent_weight: (gates · hidden, hidden).
        recurrent_bias: (gates · hidden,), where the recurrent products stay apart.
        context_weight: (gates · hidden, key size); attention stands before the cell, which reads
            the context of the state before. None: attention stands after the cell.
        feed_weight: (gates · hidden, readout); the cell reads the readout of the step before.
        query_weight: (size, hidden), projects the query.
        vector: (size,), v of additive attention; None for qᵀ k.
        keys: (batch, time, size) prepared.
        values: (batch, time, key size).
        factors: (batch, time, size), e^{2 keys} for additive attention.
        readout_weight: (readout, hidden + key size); present exactly with `feed_weight`.
        readout_bias: (readout,).
        barred: (batch, time), true where no query may look.
    """

    inputs: Tensor
    hidden: Tensor
    cell: Tensor | None
    recurrent_weight: Tensor
    recurrent_bias: Tensor | None
    context_weight: Tensor | None
    feed_weight: Tensor | None
    query_weight: Tensor | None
    vector: Tensor | None
    keys: Tensor
    values: Tensor
    factors: Tensor | None
    readout_weight: Tensor | None
    readout_bias: Tensor | None
    barred: Tensor


class LoopOutputs(NamedTuple):
    """What each step brings, (steps, batch, …); readouts are None without feeding."""

    states: Tensor
    contexts: Tensor
    weights: Tensor
    readouts: Tensor | None


class LoopBackward:
    """The loop from its end to its beginning, then one product for each weight."""

    def __init__(
        self, ctx: Any, given: LoopInputs, outputs: LoopOutputs, gradients: LoopOutputs
    ) -> None:
        self.gates: Gates = ctx.gates
        self.kept, self.queries, self.cells = ctx.kept, ctx.queries, ctx.cells
        self.given, self.outputs = given, outputs
        self.before = given.context_weight is not None
        self.previous = torch.cat([given.hidden[None], outputs.states[:-1]])
        # Each tensor is taken apart once: to take out a step at a time costs as much as to use it.
        self.states_before = self.previous.unbind(0)
        self.weights = outputs.weights.unbind(0)
        self.readouts = _unbound(outputs.readouts)
        self.state_gradients = _unbound(gradients.states)
        self.context_gradients = _unbound(gradients.contexts)
        self.weight_gradients = _unbound(gradients.weights)
        self.readout_gradients = _unbound(gradients.readouts)
        steps = len(given.inputs)
        self.inputs: list[Any] = [None] * steps
        self.recurrent: list[Any] = [None] * steps
        self.scores: list[Any] = [None] * steps
        self.query: list[Any] = [None] * steps
        self.context: list[Any] = [None] * steps
        self.readout: list[Any] = [None] * steps
        read = [] if self.gates.separate else [given.recurrent_weight]
        read += [w for w in (given.context_weight, given.feed_weight) if w is not None]
        self.read_weight = torch.cat(read, 1)
        # Additive attention: the gradient of a query lacks the factor 4v until the weight has it.
        self.query_weight = given.query_weight
        if given.factors is not None:
            self.scale = given.vector * 4  # type: ignore[operator]
            self.query_weight = self.scale[:, None] * given.query_weight  # type: ignore[operator]
            self.buffer = torch.empty_like(given.factors)
            self.key_sum = torch.zeros_like(given.factors)
            self.vector_sum = torch.zeros_like(given.vector)  # type: ignore[arg-type]

    def run(self) -> None:
        given, hidden_size = self.given, self.given.hidden.shape[-1]
        hidden = torch.zeros_like(given.hidden)
        cell = None if given.cell is None else torch.zeros_like(given.cell)
        fed: Tensor | None = None
        for step in reversed(range(len(given.inputs))):
            context = _at(self.context_gradients, step)
            hidden = _sum(hidden, _at(self.state_gradients, step))
            if given.readout_weight is not None:
                gradient = _sum(fed, _at(self.readout_gradients, step))
                readout = self.readouts[step]  # type: ignore[index]
                if gradient is None:
                    gradient = torch.zeros_like(readout)
                gradient = torch.ops.aten.tanh_backward(gradient, readout)
                self.readout[step] = gradient
                both = gradient @ given.readout_weight
                hidden = hidden + both[:, :hidden_size]
                context = _sum(both[:, hidden_size:], context)
            if not self.before:
                hidden = hidden + self._look(step, context)
            gradient = (hidden,) if cell is None else (hidden, cell)
            state = (self.states_before[step], *self.cells[step])
            grads = self.gates.backward(gradient, state, self.kept[step])
            self.inputs[step], self.recurrent[step], cell = (
                grads.inputs,
                grads.recurrent,
                grads.cell,
            )
            hidden, through, fed = self._products(grads)
            if self.before:
                hidden = hidden + self._look(step, _sum(through, context))
        self.hidden, self.cell = hidden, cell

    def _products(self, grads: StepGradients) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The gradients of hidden state, context and readout before a step, in one product."""
        given = self.given
        if self.gates.separate:
            hidden = grads.recurrent @ given.recurrent_weight
            read = grads.inputs @ self.read_weight
        else:
            both = grads.inputs @ self.read_weight
            hidden, read = both.tensor_split([given.hidden.shape[-1]], -1)
        if grads.hidden is not None:
            hidden = hidden + grads.hidden
        if given.context_weight is None:
            return hidden, None, read
        if given.feed_weight is None:
            return hidden, read, None
        through, fed = read.tensor_split([given.context_weight.shape[1]], -1)
        return hidden, through, fed

    def _look(self, step: int, context: Tensor | None) -> Tensor:
        """The gradient of an attention's source, from those of its context and weights."""
        given, weights = self.given, self.weights[step]
        if context is None:
            context = torch.zeros_like(self.outputs.contexts[step])
        self.context[step] = context
        gradient = torch.bmm(context[:, None], given.values.mT).squeeze(1)
        gradient = _sum(gradient, _at(self.weight_gradients, step))
        scores = torch.ops.aten._softmax_backward_data(gradient, weights, -1, weights.dtype)
        self.scores[step] = scores
        if given.factors is None:
            query = torch.bmm(scores[:, None], given.keys).squeeze(1)
        else:
            query = step_backward(
                scores,
                buffer=self.buffer,
                query_factors=self.queries[step],
                factors=given.factors,
                key_sum=self.key_sum,
                vector_sum=self.vector_sum,
            )
        self.query[step] = query
        return query if self.query_weight is None else query @ self.query_weight

    def totals(self) -> LoopInputs:
        """The gradients of all inputs, in their order."""
        given, outputs = self.given, self.outputs
        inputs = torch.stack(self.inputs)
        recurrent = torch.stack(self.recurrent) if self.gates.separate else inputs
        sources = self.previous if self.before else outputs.states
        contexts = torch.stack(self.context, 1)
        query_weight = vector = feed = readout_weight = readout_bias = None
        if given.query_weight is not None:
            query_weight = _product(torch.stack(self.query), sources)
        if given.factors is None:
            keys = torch.bmm(torch.stack(self.scores, 2), torch.stack(self.queries, 1))
        else:
            keys, vector = self.key_sum * self.scale, self.vector_sum * -2
            query_weight = query_weight * self.scale[:, None]  # type: ignore[operator]
        if given.readout_weight is not None:
            fed = torch.cat([first_readout(given)[None], outputs.readouts[:-1]])  # type: ignore[index]
            feed = _product(inputs, fed)
            readouts = torch.stack(self.readout)
            readout_weight = _product(readouts, torch.cat([outputs.states, outputs.contexts], -1))
            readout_bias = readouts.sum((0, 1))
        return LoopInputs(
            inputs=inputs,
            hidden=self.hidden,
            cell=self.cell,
            recurrent_weight=_product(recurrent, self.previous),
            recurrent_bias=recurrent.sum((0, 1)) if self.gates.separate else None,
            context_weight=_product(inputs, outputs.contexts) if self.before else None,
            feed_weight=feed,
            query_weight=query_weight,
            vector=vector,
            keys=keys,
            values=torch.bmm(outputs.weights.permute(1, 2, 0), contexts),
            factors=None,
            readout_weight=readout_weight,
            readout_bias=readout_bias,
            barred=None,  # type: ignore[arg-type]
        )


def first_readout(given: LoopInputs) -> Tensor | None:
    """Zeros: nothing has been read out before the first step."""
    if given.readout_weight is None:
        return None
    return given.inputs.new_zeros(len(given.hidden), len(given.readout_weight))


def _product(gradients: Tensor, inputs: Tensor) -> Tensor:
    """A weight's gradient over all steps and rows."""
    return gradients.flatten(0, 1).T @ inputs.flatten(0, 1)


def _unbound(steps: Tensor | None) -> tuple[Tensor, ...] | None:
    return None if steps is None else steps.unbind(0)


def _at(gradients: tuple[Tensor, ...] | None, step: int) -> Tensor | None:
    return None if gradients is None else gradients[step]


def _sum(first: Tensor | None, second: Tensor | None) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return first + second
