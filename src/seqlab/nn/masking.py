"""Masks, and time reversal of padded sequences."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from seqlab.errors import InputError
from seqlab.nn.kernel_table import kernel_of


def check_lengths(lengths: Int[Tensor, " batch"], time: int) -> None:
    """Raises InputError unless every length is from 1 to `time`.

    On an accelerator the look at the values would stall the stream at every call, and a compiled
    graph would break at it: there the lengths pass unseen.
    """
    if lengths.device.type != "cpu" or torch.compiler.is_compiling():
        return
    low, high = torch.aminmax(lengths)
    if int(low) < 1 or int(high) > time:
        raise InputError(
            f"lengths must be from 1 to the {time} positions of the inputs, but go from "
            f"{int(low)} to {int(high)}; leave out empty sequences, or pad the inputs"
        )


def full_lengths(inputs: Shaped[Tensor, "batch time ..."]) -> Int[Tensor, " batch"]:
    """The lengths of sequences without padding."""
    return torch.full((inputs.shape[0],), inputs.shape[1], device=inputs.device)


def last_valid(
    states: Float[Tensor, "batch time hidden"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch hidden"]:
    """The state at each sequence's last valid position."""
    return states[torch.arange(len(lengths), device=lengths.device), lengths - 1]


def valid_mask(lengths: Int[Tensor, " batch"], time: int) -> Bool[Tensor, "batch time"]:
    """True at the positions before each sequence's length."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def zero_padding(
    inputs: Float[Tensor, "batch time feature"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch time feature"]:
    """Zeros at the padded positions, whatever stands there.

    What stands there meets a gradient of zero, and zero times infinity or NaN is NaN: without this
    it would reach the gradient of every weight that multiplies the inputs.
    """
    return inputs.masked_fill(~valid_mask(lengths, inputs.shape[1])[..., None], 0.0)


def reversal_index(lengths: Int[Tensor, " batch"], time: int) -> Int[Tensor, "batch time"]:
    """Where each position goes when the valid part is reversed and the padding stays."""
    steps = torch.arange(time, device=lengths.device)
    mirrored = lengths[:, None] - 1 - steps
    return torch.where(mirrored >= 0, mirrored, steps)


def reverse_valid(
    states: Shaped[Tensor, "batch time feature"], index: Int[Tensor, "batch time"]
) -> Shaped[Tensor, "batch time feature"]:
    """Reverses the valid part of each sequence; padding stays where it is.

    The result lies in memory time first, as recurrent layers read and write it: theirs pass
    through without a copy.

    Args:
        states: the padded sequences.
        index: from `reversal_index`, made once for all layers.
    """
    batch = len(index)
    rows = (index.T * batch + torch.arange(batch, device=index.device)).flatten()
    by_time = states.transpose(0, 1)
    run = kernel_of(reverse_valid, by_time, rows)
    if run is not None:
        return run(by_time, rows).transpose(0, 1)
    return by_time.reshape(len(rows), -1).index_select(0, rows).view(by_time.shape).transpose(0, 1)
