"""Log Z of a linear chain, and its marginals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqlab.nn.kernel_table import kernel_of
from seqlab.nn.masking import valid_mask


class Chain(NamedTuple):
    """The scores of a batch of linear chains; −inf forbids.

    Attributes:
        emissions: the score of each tag at each position; anything where padded.
        transitions: the score of a move from the row's tag to the column's.
        start: the score of starting with a tag.
        end: the score of ending with a tag.
    """

    emissions: Float[Tensor, "batch time tags"]
    transitions: Float[Tensor, "tags tags"]
    start: Float[Tensor, " tags"]
    end: Float[Tensor, " tags"]


def log_partition(chain: Chain, lengths: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Sums over all paths: log Z = log Σ_paths exp(score) (Sutton & McCallum 2012, section 4.1).

    Args:
        chain: the scores.
        lengths: valid positions, at least 1 each.

    Returns:
        log Z of each sequence, −inf where no path is legal.
    """
    run = kernel_of(log_partition, chain, lengths)
    return log_partition_in_log_space(chain, lengths) if run is None else run(chain, lengths)


def log_partition_in_log_space(
    chain: Chain, lengths: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """The definition of `log_partition`: slow, and exact for scores of any spread."""
    dtype, device = chain.emissions.dtype, chain.emissions.device.type
    if device != "mps":  # which has no float64; in float32 long sums lose their digits
        chain = Chain(*(part.double() for part in chain))
    valid = valid_mask(lengths, chain.emissions.shape[1])[..., None]
    steps = chain.emissions.masked_fill(~valid, 0.0).unbind(1)
    state = chain.start + steps[0]
    for number, emission in enumerate(steps[1:], start=1):
        moved = (state[:, :, None] + chain.transitions).logsumexp(1) + emission
        state = torch.where(valid[:, number], moved, state)
    return (state + chain.end).logsumexp(-1).to(dtype)


def unary_marginals(
    chain: Chain, lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch time tags"]:
    """The probability of each tag at each position, given the whole sequence.

    0 where padded, and where no path is legal. They are the gradient of log Z by the emissions
    (Sutton & McCallum 2012, section 4.1).
    """
    run = kernel_of(unary_marginals, chain, lengths)
    return unary_marginals_by_gradient(chain, lengths) if run is None else run(chain, lengths)


def unary_marginals_by_gradient(
    chain: Chain, lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch time tags"]:
    """The definition of `unary_marginals`."""
    with torch.inference_mode(False), torch.enable_grad():
        parts = Chain(*(part.detach().clone() for part in chain))
        emissions = parts.emissions.requires_grad_()
        log_z = log_partition_in_log_space(parts, lengths.clone())
        marginals = torch.autograd.grad(log_z.sum(), emissions)[0]
    return marginals.masked_fill(torch.isneginf(log_z.detach())[:, None, None], 0.0)
