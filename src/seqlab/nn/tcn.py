"""The temporal convolutional network: dilated causal convolutions in residual blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.errors import check_at_least, check_probability
from seqlab.nn.encoder import Encoder, check_causal, check_state
from seqlab.nn.masking import (
    check_lengths,
    full_lengths,
    last_valid,
    reversal_index,
    reverse_valid,
    zero_padding,
)
from seqlab.nn.recurrent.cell import State


class TCNEncoder(Encoder):
    """Residual blocks with dilations 1, 2, 4, … (Bai et al. 2018, section 3).

    Each block: twice a weight-normalised causal convolution, ReLU and dropout; then the input,
    projected where its size differs, is added and goes through another ReLU. The receptive field
    is 1 + 2 (kernel_size − 1)(2^num_layers − 1). The backward direction reads the reversed valid
    part with blocks of its own.

    The final state: the last block's output at the last valid position (directions, batch, hidden);
    then for each convolution its inputs at the positions that the next steps look back to
    (directions, batch, positions, features).

    Args:
        input_size: features of the inputs.
        hidden_size: features of each direction's states.
        num_layers: blocks.
        kernel_size: positions that each convolution sees.
        bidirectional: reads backward too.
        dropout: probability of zeroing a whole feature after each convolution.

    Raises:
        InputError: a size below 1, a kernel below 2, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int,
        num_layers: int = 4,
        kernel_size: int = 3,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_at_least("hidden_size", hidden_size)
        check_at_least("num_layers", num_layers)
        check_at_least("kernel_size", kernel_size, 2)
        check_probability("dropout", dropout)
        self.input_size = input_size
        self.hidden_size = self.summary_size = hidden_size
        self.directions = 2 if bidirectional else 1
        self.output_size = self.directions * hidden_size
        self.causal = not bidirectional
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**num_layers - 1)
        self.ways = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(
                    hidden_size if number else input_size,
                    hidden_size,
                    kernel_size=kernel_size,
                    dilation=2**number,
                    dropout=dropout,
                )
                for number in range(num_layers)
            )
            for _ in range(self.directions)
        )

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"] | None = None,
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time output"], State | None]:
        batch, time, _ = inputs.shape
        lengths = full_lengths(inputs) if lengths is None else lengths
        check_lengths(lengths, time)
        if state is None:
            state = tuple(inputs.new_zeros(shape) for shape in self._shapes(batch))
        else:
            check_state(state, self._shapes(batch))
        index = reversal_index(lengths, time) if self.directions == 2 else None
        inputs = zero_padding(inputs, lengths)
        outputs, finals = [], []
        for way, blocks in enumerate(self.ways):
            states = reverse_valid(inputs, index) if way and index is not None else inputs
            histories = []
            for number, block in enumerate(blocks):  # type: ignore[arg-type]
                before = (state[1 + 2 * number][way], state[2 + 2 * number][way])
                states, after = block(states, lengths, before, need_state)
                histories += after
            if need_state:
                finals.append((last_valid(states, lengths), *histories))
            outputs.append(reverse_valid(states, index) if way and index is not None else states)
        states = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        if not need_state:
            return states, None
        return states, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch output"], State]:
        check_causal(self)
        ones = torch.ones(len(inputs), dtype=torch.long, device=inputs.device)
        states, after = self(inputs[:, None], ones, state)
        return states[:, 0], after

    def multiply_accumulates(self, length: int) -> float:
        return sum(w.numel() for name, w in self.named_parameters() if name.endswith("weight"))

    def _shapes(self, batch: int) -> list[tuple[int, ...]]:
        """The shapes of the state's parts."""
        histories = [
            (self.directions, batch, convolution.reach, convolution.input_size)
            for block in self.ways[0]  # type: ignore[union-attr]
            for convolution in (block.first, block.second)
        ]
        return [(self.directions, batch, self.hidden_size), *histories]


class ResidualBlock(nn.Module):
    """Two causal convolutions beside a shortcut."""

    def __init__(
        self, input_size: int, hidden_size: int, *, kernel_size: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.first = CausalConvolution(
            input_size, hidden_size, kernel_size=kernel_size, dilation=dilation
        )
        self.second = CausalConvolution(
            hidden_size, hidden_size, kernel_size=kernel_size, dilation=dilation
        )
        self.shortcut = (
            nn.Linear(input_size, hidden_size) if input_size != hidden_size else nn.Identity()
        )
        self.dropout = nn.Dropout1d(dropout)

    def forward(
        self,
        states: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        before: tuple[Tensor, Tensor],
        need_state: bool,
    ) -> tuple[Float[Tensor, "batch time hidden"], list[Tensor]]:
        """Runs the block; also returns the two convolutions' pasts where they are needed."""
        entered, pasts = states, []
        for convolution, past in zip((self.first, self.second), before, strict=True):
            extended = torch.cat([past.to(states.dtype), states], dim=1)
            if need_state:
                pasts.append(_window(extended, lengths, convolution.reach))
            states = self.dropout(F.relu(convolution(extended).mT)).mT
        return F.relu(states + self.shortcut(entered)), pasts


class CausalConvolution(nn.Module):
    """A dilated convolution without padding, weight-normalised (Salimans & Kingma 2016, eq. 2).

    y_t = b + Σ_k w_k x_{t + k·dilation}, with w = scale · weight / ‖weight‖ for each output.

    Args:
        input_size: features of the inputs.
        hidden_size: features of the outputs.
        kernel_size: positions that it sees.
        dilation: distance between them.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, kernel_size: int, dilation: int
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.dilation = dilation
        self.reach = (kernel_size - 1) * dilation
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size, kernel_size))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.scale = nn.Parameter(self.weight.detach().norm(dim=(1, 2), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(hidden_size))

    def forward(
        self, inputs: Float[Tensor, "batch longer feature"]
    ) -> Float[Tensor, "batch time hidden"]:
        """Convolves; the outputs are `reach` positions fewer."""
        weight = self.scale * self.weight / self.weight.norm(dim=(1, 2), keepdim=True)
        return F.conv1d(inputs.mT, weight, self.bias, dilation=self.dilation).mT


def _window(
    extended: Float[Tensor, "batch longer feature"], lengths: Int[Tensor, " batch"], reach: int
) -> Float[Tensor, "batch reach feature"]:
    """The `reach` positions up to the last valid one, where as many stand before the first."""
    places = lengths[:, None] + torch.arange(reach, device=lengths.device)
    rows = torch.arange(len(lengths), device=lengths.device)[:, None]
    return extended[rows, places]
