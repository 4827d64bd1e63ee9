"""A whole RNN layer with its backward pass written by hand: few kernels a step, each way.

PyTorch's own layer leaves the backward pass to autograd on a CPU: some ten small kernels a step,
among them one that adds the step's share to the gradient of the weights. Here that gradient is one
matrix product over all steps (Graves 2012, section 3.1.2).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seqlab.nn.kernels.once import differentiable_once
from seqlab.nn.masking import last_valid
from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.rnn import RNNCell

_tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (x, τ) → x (1 − τ²)
_relu_slope = torch.ops.aten.threshold_backward.grad_input  # (x, y, 0) → x where y > 0, else 0


def applies(
    cell: RNNCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> bool:
    """On a CPU, where PyTorch has no fused kernel."""
    return inputs.device.type == "cpu"


def run(
    cell: RNNCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """The layer by `rnn_pass`."""
    (before,) = cell.zero_state(inputs) if state is None else state
    # Time first, so that each step reads and writes one stretch of memory.
    outputs = rnn_pass(
        inputs.transpose(0, 1),
        before,
        input_weight=cell.weight_ih,
        weight=cell.weight_hh,
        bias=cell.bias_ih + cell.bias_hh,
        nonlinearity=cell.nonlinearity,
    ).transpose(0, 1)
    return outputs, (last_valid(outputs, lengths),) if need_state else None


def rnn_pass(
    inputs: Float[Tensor, "time batch feature"],
    hidden: Float[Tensor, "batch hidden"],
    *,
    input_weight: Float[Tensor, "hidden feature"],
    weight: Float[Tensor, "hidden hidden"],
    bias: Float[Tensor, " hidden"],
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> Float[Tensor, "time batch hidden"]:
    """The hidden states after every step: h_t = φ(W x_t + U h_{t−1} + b).

    Runs in the weights' precision, also under autocast.

    Args:
        inputs: x.
        hidden: h_0.
        input_weight: W.
        weight: U.
        bias: b.
        nonlinearity: φ.
    """
    dtype = weight.dtype
    with torch.autocast(weight.device.type, enabled=False):
        return _RNNPass.apply(
            inputs.to(dtype), hidden.to(dtype), input_weight, weight, bias, nonlinearity
        )


class _RNNPass(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 — autograd hands over arguments by position
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        input_weight: Tensor,
        weight: Tensor,
        bias: Tensor,
        nonlinearity: str,
    ) -> Tensor:
        inputs = inputs.contiguous()
        hiddens = hidden.new_empty(len(inputs) + 1, *hidden.shape)
        hiddens[0] = hidden
        # The products of the inputs stand where the states will.
        torch.addmm(bias, inputs.flatten(0, 1), input_weight.t(), out=hiddens[1:].flatten(0, 1))
        transposed = weight.t()
        h, *news = hiddens.unbind()
        if nonlinearity == "relu":
            for new in news:
                h = new.addmm_(h, transposed).relu_()
        else:
            # tanh x = 2 σ(2x) − 1, as a CPU takes three times as long for a tanh as for a σ.
            minus = torch.full_like(hidden, -1)
            for new in news:
                sigma = new.addmm_(h, transposed, beta=2, alpha=2).sigmoid_()
                h = torch.add(minus, sigma, alpha=2, out=new)
        ctx.nonlinearity = nonlinearity
        ctx.save_for_backward(inputs, input_weight, weight, hiddens)
        return hiddens[1:]

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, input_weight, weight, hiddens = ctx.saved_tensors
        before, after = hiddens[:-1], hiddens[1:]
        by_products = torch.empty_like(after)
        rows = list(zip(gradients[0].unbind(), after.unbind(), by_products.unbind(), strict=True))
        by_hidden = torch.empty_like(hiddens[0])
        later = None
        for given, new, by_product in reversed(rows):
            gradient = given if later is None else torch.addmm(given, later, weight, out=by_hidden)
            if ctx.nonlinearity == "tanh":
                _tanh_slope(gradient, new, grad_input=by_product)
            else:
                _relu_slope(gradient, new, 0, grad_input=by_product)
            later = by_product
        flat = by_products.flatten(0, 1)
        needs = ctx.needs_input_grad
        return (
            (flat @ input_weight).view_as(inputs) if needs[0] else None,
            by_products[0] @ weight if needs[1] else None,
            flat.t() @ inputs.flatten(0, 1) if needs[2] else None,
            flat.t() @ before.flatten(0, 1) if needs[3] else None,
            flat.sum(0) if needs[4] else None,
            None,
        )
