"""What every encoder promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.recurrent.cell import State


class Encoder(nn.Module, ABC):
    """Reads padded sequences: `(inputs, lengths) → states, final state`.

    States at valid positions depend neither on padding, nor on batch mates, nor on the longest
    sequence of the batch. At padded positions they are unspecified.

    The final state is what `forward` or `step` needs to go on behind each last valid position.
    Each of its parts is (layers · directions, batch, …), layer by layer with the forward direction
    first. The first part has `summary_size` features and is what a decoder can start from: of a
    recurrent layer its last output, of any other its output at the last valid position.

    Attributes:
        input_size: features of the inputs.
        output_size: features of each state, both directions together.
        directions: 1 or 2.
        causal: states depend on nothing to the right of them, so that the encoder can stream.
        summary_size: features of the final state's first part.
    """

    input_size: int
    output_size: int
    directions: int
    causal: bool
    summary_size: int

    @abstractmethod
    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"] | None = None,
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time output"], State | None]:
        """Encodes the sequences.

        Args:
            inputs: features, padded.
            lengths: valid positions of each sequence, at least 1; all are valid if None.
            state: the state before the first position; the encoder's own if None.
            need_state: false spares computing the final state, and returns None for it.

        Raises:
            InputError: a length of zero or beyond the inputs, or a state of another shape.
        """

    @abstractmethod
    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch output"], State]:
        """One position of a stream; stepping through a sequence equals the whole pass.

        Args:
            inputs: features of the next position.
            state: what the last step returned; the encoder's own at the start if None.

        Raises:
            InputError: the encoder is not causal, or the state is of another shape.
        """

    @abstractmethod
    def multiply_accumulates(self, length: int) -> float:
        """Multiply–accumulates of all matrix products a token, in a sequence of `length`."""


def check_causal(encoder: Encoder) -> None:
    """Raises InputError unless the encoder can stream."""
    if not encoder.causal:
        raise InputError(
            f"{type(encoder).__name__} is bidirectional and cannot stream: its first state needs "
            "the last input; use bidirectional=false, or the whole pass"
        )


def check_state(state: State, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises InputError unless the parts of the state have these shapes."""
    found = [tuple(part.shape) for part in state]
    if found != list(shapes):
        raise InputError(
            f"the encoder's state must have the parts (layers · directions, batch, …) = "
            f"{list(shapes)}, but has {found}; pass what forward or step returned for as many "
            "sequences, or None"
        )
