"""What goes on inside a core: gradients by lag, norms, saturated gates, spectral radius."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqlab.errors import InputError
from seqlab.nn.encoder import check_causal
from seqlab.nn.masking import check_lengths, valid_mask
from seqlab.nn.recurrent.cell import GatedCell, State
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lru import LRUCell


def gradient_by_lag(
    encoder: RecurrentEncoder,
    inputs: Float[Tensor, "batch time feature"],
    lengths: Int[Tensor, " batch"],
    loss: Callable[[Tensor], Tensor],
) -> tuple[Float[Tensor, "layers lags"], ...]:
    """‖∂loss/∂s_t‖ by lag, for each part s of the state: how much of the past still counts.

    The derivative is the total one, through everything that comes after t (Pascanu et al. 2013,
    section 2.1). A lag counts from each sequence's last valid position; the norm is over the
    features, its mean over the sequences that are long enough.

    Args:
        encoder: a causal one of recurrent layers, in evaluation mode for figures that repeat.
        inputs: features, padded.
        lengths: valid positions.
        loss: from the encoder's states (batch, time, output) to a scalar.

    Raises:
        InputError: the encoder is bidirectional, or a length is not within the inputs.
    """
    check_causal(encoder)
    time = inputs.shape[1]
    check_lengths(lengths, time)
    with torch.enable_grad():
        outputs, trace = _trace(encoder, inputs)
        value = loss(outputs)
    watched = [part for step in trace for state in step for part in state]
    found = torch.autograd.grad(value, watched, allow_unused=True)
    gradients = iter(
        torch.zeros_like(part) if gradient is None else gradient
        for part, gradient in zip(watched, found, strict=True)
    )
    norms = [[[next(gradients).norm(dim=-1) for _ in state] for state in step] for step in trace]
    lags = lengths - 1 - torch.arange(time, device=lengths.device)[:, None]  # (time, batch)
    places = torch.where(lags >= 0, lags, time)
    return tuple(
        torch.stack(
            [
                _mean_by(places, torch.stack([step[layer][part] for step in norms]), time)
                for layer in range(len(trace[0]))
            ]
        )
        for part in range(len(trace[0][0]))
    )


def _trace(encoder: RecurrentEncoder, inputs: Tensor) -> tuple[Tensor, list[Sequence[State]]]:
    """The encoder's states, and those of each layer after each step, all in one graph."""
    state: Sequence[State | None] = encoder.layer_states(inputs)
    outputs: list[Tensor] = []
    trace: list[Sequence[State]] = []
    for given in inputs.detach().requires_grad_().unbind(1):
        output, after = encoder.layer_steps(given, state)
        # Parts behind the first as tensors of their own: moving c_t leaves the h_t it has made.
        state = [(first, *(part.view_as(part) for part in rest)) for first, *rest in after]
        outputs.append(output)
        trace.append(state)
    return torch.stack(outputs, dim=1), trace


def _mean_by(places: Tensor, values: Tensor, count: int) -> Tensor:
    """The mean of the values at each place below `count`."""
    sums = values.new_zeros(count + 1).index_add(0, places.flatten(), values.flatten())
    number = torch.bincount(places.flatten(), minlength=count + 1)
    return (sums / number.clamp(min=1))[:count]


def norm_by_step(
    states: Float[Tensor, "batch time hidden"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, " time"]:
    """‖h_t‖ by step, its mean over the sequences that have one; NaN where none has."""
    mask = valid_mask(lengths, states.shape[1])
    norms = states.norm(dim=-1).masked_fill(~mask, 0.0)
    return norms.sum(0) / mask.sum(0)


def gate_saturation(
    layer: RecurrentLayer,
    inputs: Float[Tensor, "batch time feature"],
    lengths: Int[Tensor, " batch"],
    *,
    low: float = 0.1,
    high: float = 0.9,
) -> dict[str, tuple[float, float]]:
    """How often each gate is all but closed and all but open (Karpathy et al. 2016, section 4.3).

    Args:
        layer: a recurrent layer.
        inputs: what goes into it.
        lengths: valid positions.
        low: closed is below.
        high: open is above.

    Returns:
        for each gate the fraction of its values at valid positions below `low` and above `high`.

    Raises:
        InputError: the layer has no gates.
    """
    cell = layer.cell
    if not cell.gate_names:
        raise InputError(f"{type(cell).__name__} has no gates; use an LSTM, a GRU or a minimal one")
    mask = valid_mask(lengths, inputs.shape[1]).T
    training = layer.training
    layer.eval()
    with torch.no_grad():
        start = cell.zero_state(inputs)
        before = tuple(
            torch.cat([first[None], part[:-1]])
            for first, part in zip(start, layer.history(inputs, start), strict=True)
        )
        activations = cell.gates(cell.project(inputs.transpose(0, 1)), before)
    layer.train(training)
    return {
        name: (
            (activations[name][mask] < low).double().mean().item(),
            (activations[name][mask] > high).double().mean().item(),
        )
        for name in cell.gate_names
    }


def spectral_radius(layer: RecurrentLayer) -> dict[str, float]:
    """The largest |eigenvalue| of each block of the recurrent matrix (Pascanu et al. 2013, sec. 2).

    Raises:
        InputError: the layer has no recurrent matrix.
    """
    cell = layer.cell
    if isinstance(cell, LRUCell):
        return {"state": cell.eigenvalues.abs().max().item()}
    if not isinstance(cell, GatedCell):
        raise InputError(f"{type(cell).__name__} has no recurrent matrix; see gate_saturation")
    blocks = cell.weight_hh.detach().split(cell.hidden_size)
    return {
        name: torch.linalg.eigvals(block).abs().max().item()
        for name, block in zip(cell.blocks, blocks, strict=True)
    }
