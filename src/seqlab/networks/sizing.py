"""Networks of like size: the hidden size that meets a budget, and what a network costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from seqlab.errors import InputError, check_at_least
from seqlab.nn.encoder import Encoder

# No layer here is asked for more features, and a search must end.
LARGEST = 1 << 16
# Heads and pairs of features ask for multiples of small numbers.
UNITS = range(1, 65)


@dataclass(frozen=True)
class Figures:
    """What a network costs.

    Attributes:
        parameters: of the whole network.
        state_bytes: what its encoder remembers of one sequence.
        multiply_accumulates: of its encoder's matrix products, a token.
        length: tokens in the sequence for which the two above hold; of most encoders for any.
    """

    parameters: int
    state_bytes: int
    multiply_accumulates: float
    length: int

    def __str__(self) -> str:
        return (
            f"{self.parameters:,} parameters, a state of {self.state_bytes:,} bytes and "
            f"{self.multiply_accumulates:,.0f} multiply–accumulates a token in the encoder "
            f"(at length {self.length:,})"
        )


def figures(network: nn.Module, length: int) -> Figures:
    """Parameters of the network; state and arithmetic of the encoder in it, at this length.

    Raises:
        InputError: there is no encoder in the network, or the length is below 1.
    """
    check_at_least("length", length)
    encoder = next((part for part in network.modules() if isinstance(part, Encoder)), None)
    if encoder is None:
        raise InputError(f"{type(network).__name__} has no encoder to measure")
    weight = next(encoder.parameters())
    training = encoder.training
    with torch.no_grad():
        inputs = weight.new_zeros(1, length, encoder.input_size)
        lengths = torch.full((1,), length, device=weight.device)
        _, state = encoder.eval()(inputs, lengths)
    encoder.train(training)
    return Figures(
        parameters=count(network),
        state_bytes=sum(part.numel() * part.element_size() for part in state),
        multiply_accumulates=encoder.multiply_accumulates(length),
        length=length,
    )


def count(network: nn.Module) -> int:
    """The number of trained parameters."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def match_hidden_size(build: Callable[[int], nn.Module], budget: int) -> tuple[int, int]:
    """The hidden size whose network comes nearest to a number of parameters, and its number.

    Networks are built without memory for their weights, on PyTorch's meta device.

    Args:
        build: makes the network of a hidden size; may refuse some sizes with an InputError.
        budget: the number of parameters wanted.

    Raises:
        InputError: even the smallest network has more, or the largest less.
    """

    def size_of(hidden_size: int) -> int:
        with torch.device("meta"):
            return count(build(hidden_size))

    unit, smallest = _smallest(size_of)
    low, high = 1, 2
    while size_of(high * unit) < budget:
        low, high = high, 2 * high
        if low * unit > LARGEST:
            raise InputError(
                f"model.match_parameters={budget:,} is beyond what hidden_size={LARGEST} makes; "
                "ask for less"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size_of(middle * unit) < budget else (low, middle)
    sizes = {factor * unit: size_of(factor * unit) for factor in (low, high)}
    best = min(sizes, key=lambda size: abs(sizes[size] - budget))
    if budget < smallest:
        raise InputError(
            f"model.match_parameters={budget:,} is less than the {smallest:,} parameters of the "
            f"network with hidden_size={unit}; ask for more, or for a smaller model.embedding_dim "
            "or fewer layers"
        )
    return best, sizes[best]


def _smallest(size_of: Callable[[int], int]) -> tuple[int, int]:
    """The smallest hidden size that can be built, and the size of its network."""
    for unit in UNITS:
        try:
            return unit, size_of(unit)
        except InputError:  # a width that heads, or pairs of features, do not divide
            continue
    return UNITS[-1], size_of(UNITS[-1])
