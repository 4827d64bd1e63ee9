"""A whole LSTM pass with its backward pass written by hand: few kernels a step, one loop each.

Autograd would record and replay some twenty small kernels a step. Here a step is a matrix product
and seven element-wise kernels forward, a matrix product and four backward; everything else is done
for all steps at once, the gradient of the weights in one matrix product (Graves 2012, section 4.6).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input  # (x, σ) → x σ (1 − σ)
_tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (x, τ) → x (1 − τ²)


def lstm_pass(
    projected: Float[Tensor, "time batch gates_hidden"],
    hidden: Float[Tensor, "batch hidden"],
    cell: Float[Tensor, "batch hidden"],
    weight: Float[Tensor, "gates_hidden hidden"],
) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "time batch hidden"]]:
    """Hidden and cell states after every step; the equations are those of `LSTMCell`.

    Runs in the weights' precision, also under autocast, where only the input products are short.

    Args:
        projected: W x_t + b for the input, forget, candidate and output gate.
        hidden: h_0.
        cell: c_0.
        weight: U for the four gates.
    """
    dtype = weight.dtype
    with torch.autocast(weight.device.type, enabled=False):
        hiddens, cells = _LSTMPass.apply(
            projected.to(dtype), hidden.to(dtype), cell.to(dtype), weight
        )
    return hiddens, cells


class _LSTMPass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        time, batch, size = len(projected), *hidden.shape
        gates = torch.empty_like(projected, memory_format=torch.contiguous_format)
        hiddens = hidden.new_empty(time, batch, size)
        cells, tanhs = torch.empty_like(hiddens), torch.empty_like(hiddens)
        transposed = weight.t()
        h, c = hidden, cell
        steps = zip(projected, gates, hiddens, cells, tanhs, strict=True)
        for given, gate, new_hidden, new_cell, tanh in steps:
            torch.addmm(given, h, transposed, out=gate)
            i, f, g, o = gate.chunk(4, -1)
            gate[:, : 2 * size].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.mul(f, c, out=new_cell).addcmul_(i, g)
            torch.tanh(new_cell, out=tanh)
            torch.mul(o, tanh, out=new_hidden)
            h, c = new_hidden, new_cell
        ctx.save_for_backward(hidden, cell, weight, gates, hiddens, cells, tanhs)
        ctx.set_materialize_grads(False)
        return hiddens, cells

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] — the decorator's signature
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        hidden, cell, weight, gates, hiddens, cells, tanhs = ctx.saved_tensors
        by_hidden, by_cell = gradients
        time, batch, size = hiddens.shape
        i, f, g, o = gates.chunk(4, -1)
        # What ∂loss/∂c_t (first three) and ∂loss/∂h_t (the fourth) are multiplied by at each step,
        # which turns them in place into the gradient of what goes into the gates.
        by_gates = gates.new_empty(time, batch, 4, size)
        _sigmoid_slope(g, i, grad_input=by_gates[:, :, 0])
        _sigmoid_slope(cell, f[0], grad_input=by_gates[0, :, 1])
        _sigmoid_slope(cells[:-1], f[1:], grad_input=by_gates[1:, :, 1])
        _tanh_slope(i, g, grad_input=by_gates[:, :, 2])
        _sigmoid_slope(tanhs, o, grad_input=by_gates[:, :, 3])
        through = torch.ops.aten.tanh_backward(o, tanhs)

        d_cell = torch.zeros_like(cell)
        d_hidden = torch.zeros_like(hidden)
        for t in reversed(range(time)):
            if by_hidden is not None:
                d_hidden += by_hidden[t]
            if by_cell is not None:
                d_cell += by_cell[t]
            d_cell.addcmul_(d_hidden, through[t])
            by_gates[t, :, :3].mul_(d_cell[:, None])
            by_gates[t, :, 3].mul_(d_hidden)
            d_cell *= f[t]
            torch.mm(by_gates[t].view(batch, -1), weight, out=d_hidden)
        by_gates = by_gates.view(time, batch, -1)
        by_weight = None
        if ctx.needs_input_grad[3]:
            before = torch.cat([hidden[None], hiddens[:-1]])
            by_weight = by_gates.flatten(0, 1).t() @ before.flatten(0, 1)
        return by_gates, d_hidden, d_cell, by_weight
