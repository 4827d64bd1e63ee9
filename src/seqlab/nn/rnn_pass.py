"""A whole RNN pass with its backward pass written by hand: two kernels a step, each way.

PyTorch's own layer leaves the backward pass to autograd on a CPU: some ten small kernels a step,
among them one that adds the step's share to the gradient of the weights. Here that gradient is one
matrix product over all steps (Graves 2012, section 3.1.2).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (x, τ) → x (1 − τ²)
_relu_slope = torch.ops.aten.threshold_backward.grad_input  # (x, y, 0) → x where y > 0, else 0


def rnn_pass(
    projected: Float[Tensor, "time batch hidden"],
    hidden: Float[Tensor, "batch hidden"],
    weight: Float[Tensor, "hidden hidden"],
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> Float[Tensor, "time batch hidden"]:
    """The hidden states after every step: h_t = φ(p_t + U h_{t−1}).

    Runs in the weights' precision, also under autocast, where only the input products are short.

    Args:
        projected: p_t = W x_t + b.
        hidden: h_0.
        weight: U.
        nonlinearity: φ.
    """
    dtype = weight.dtype
    with torch.autocast(weight.device.type, enabled=False):
        return _RNNPass.apply(projected.to(dtype), hidden.to(dtype), weight, nonlinearity)


class _RNNPass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, hidden: Tensor, weight: Tensor, nonlinearity: str
    ) -> Tensor:
        hiddens = hidden.new_empty(len(projected) + 1, *hidden.shape)
        hiddens[0] = hidden
        activate = torch.tanh_ if nonlinearity == "tanh" else torch.relu_
        transposed = weight.t()
        h, *news = hiddens.unbind()
        for given, new in zip(projected.unbind(), news, strict=True):
            h = activate(torch.addmm(given, h, transposed, out=new))
        ctx.nonlinearity = nonlinearity
        ctx.save_for_backward(weight, hiddens)
        return hiddens[1:]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] — the decorator's signature
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, None]:
        weight, hiddens = ctx.saved_tensors
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
        by_weight = None
        if ctx.needs_input_grad[2]:
            by_weight = by_products.flatten(0, 1).t() @ before.flatten(0, 1)
        return by_products, by_products[0] @ weight, by_weight, None
