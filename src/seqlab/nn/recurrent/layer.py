"""One cell over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError, check_probability
from seqlab.nn.compiling import uncompiled
from seqlab.nn.kernel_table import kernel_of
from seqlab.nn.masking import full_lengths, last_valid
from seqlab.nn.recurrent.cell import Cell, State

KernelChoice = Literal["auto", "reference"]


class RecurrentLayer(nn.Module):
    """Runs a cell over time, from left to right.

    Args:
        input_size: features of the inputs.
        hidden_size: features of the outputs.
        cell: makes the cell: `cell(input_size, hidden_size)`.
        zoneout: probability of keeping a unit's old state in a step (Krueger et al. 2017), one for
            all parts of the state or one for each; when evaluating, the expectation.
        variational_dropout: probability of zeroing a feature of the inputs, and of the hidden
            state where a matrix multiplies it, the same features at all steps of a sequence (Gal &
            Ghahramani 2016).
        kernel: "auto" takes a fast kernel where one applies; "reference" always repeats the
            cell's step, which is slower and can be differentiated any number of times.

    Raises:
        InputError: a probability outside [0, 1), another number of them than parts, or an unknown
            kernel.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: Callable[[int, int], Cell],
        zoneout: float | Sequence[float] = 0.0,
        variational_dropout: float = 0.0,
        kernel: KernelChoice = "auto",
    ) -> None:
        super().__init__()
        self.cell = cell(input_size, hidden_size)
        parts = len(self.cell.state_sizes)
        self.zoneout = (
            (float(zoneout),) * parts if isinstance(zoneout, (int, float)) else tuple(zoneout)
        )
        if len(self.zoneout) != parts:
            raise InputError(
                f"zoneout={list(self.zoneout)} must be one probability, or one for each of the "
                f"{parts} parts of the state of {type(self.cell).__name__}"
            )
        for probability in self.zoneout:
            check_probability("zoneout", probability)
        check_probability("variational_dropout", variational_dropout)
        if kernel not in ("auto", "reference"):
            raise InputError(f"kernel={kernel!r} must be auto or reference")
        self.variational_dropout = variational_dropout
        self.kernel: KernelChoice = kernel

    @uncompiled
    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"] | None = None,
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        """Runs over whole sequences.

        Args:
            inputs: features, padded behind each sequence.
            lengths: valid positions of each sequence; all if None.
            state: the state before the first position, each part (batch, size); zeros if None.
            need_state: false spares computing the final state.

        Returns:
            outputs, unspecified where padded, and the state after each last valid position.
        """
        lengths = full_lengths(inputs) if lengths is None else lengths
        if self._is_plain():
            run = kernel_of(type(self.cell), self.cell, inputs, lengths, state, need_state)
            if run is not None:
                return run(self.cell, inputs, lengths, state, need_state)
        history = self.history(inputs, self.cell.zero_state(inputs) if state is None else state)
        outputs, *others = (part.transpose(0, 1) for part in history)
        if not need_state:
            return outputs, None
        return outputs, tuple(last_valid(part, lengths) for part in (outputs, *others))

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        """One position: output and state after it; stepping equals the whole pass."""
        before = self.cell.zero_state(inputs) if state is None else state
        if self._is_plain():
            run = kernel_of((type(self.cell), "step"), self.cell, inputs, before)
            if run is not None:
                after = run(self.cell, inputs, before)
                return after[0], after
        inputs_mask, mask = self._masks(inputs, before[0])
        projected = self.cell.project(inputs if inputs_mask is None else inputs * inputs_mask)
        after = self._zoned(before, self.cell.step(projected, before, mask))
        return after[0], after

    def history(
        self, inputs: Float[Tensor, "batch time feature"], state: State
    ) -> tuple[Float[Tensor, "time batch size"], ...]:
        """The states after all steps, part by part, time first: the definition of this layer."""
        inputs_mask, mask = self._masks(inputs[:, 0], state[0])
        if inputs_mask is not None:
            inputs = inputs * inputs_mask[:, None]
        # Time first, so that each step reads and writes one stretch of memory.
        projected = self.cell.project(inputs.transpose(0, 1))
        history = []
        for given in projected.unbind(0):
            state = self._zoned(state, self.cell.step(given, state, mask))
            history.append(state)
        return tuple(torch.stack(part) for part in zip(*history, strict=True))

    def _is_plain(self) -> bool:
        """Whether nothing but the cell decides what comes out, so that a kernel can run it."""
        drops = self.training and self.variational_dropout
        return self.kernel == "auto" and not drops and not any(self.zoneout)

    def _zoned(self, old: State, new: State) -> State:
        """Zoneout: some units keep their old state."""
        if not any(self.zoneout):
            return new
        kept = []
        for before, after, probability in zip(old, new, self.zoneout, strict=True):
            if self.training:
                keep = torch.rand_like(after) < probability
                kept.append(torch.where(keep, before.to(after.dtype), after))
            else:
                kept.append(after + probability * (before - after))
        return tuple(kept)

    def _masks(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Variational dropout's masks, scaled: one for the inputs, one for the hidden state."""
        if not self.training or not self.variational_dropout:
            return None, None
        keep = 1 - self.variational_dropout
        return tuple(torch.empty_like(x).bernoulli_(keep) / keep for x in (inputs, hidden))  # type: ignore[return-value]
