"""The transformer encoder: pre-norm blocks of self-attention, bidirectional or causal."""

from __future__ import annotations

from math import log
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqlab.errors import ArgumentError, check_at_least, check_probability
from seqlab.nn.encoder import Encoder, check_causal, check_state
from seqlab.nn.masking import (
    check_lengths,
    full_lengths,
    last_valid,
    valid_mask,
    zero_padding,
)
from seqlab.nn.recurrent.cell import State

# Wavelengths go from 2π to 2π times this (Vaswani et al. 2017, section 3.5).
LONGEST = 10_000.0


class TransformerEncoder(Encoder):
    """Self-attention and feed-forward blocks (Vaswani et al. 2017), normalised before each part.

    x ← x + Attention(LN(x));  x ← x + W₂ GELU(W₁ LN(x));  LN at the end (Xiong et al. 2020,
    section 3.2). States are of both directions together, not one half for each.

    The final state of a causal one has four parts: each block's output at the last valid position
    (layers, batch, hidden); the keys and the values of all positions so far (layers, batch, time,
    hidden); and which of these positions are valid (1, batch, time).

    Args:
        input_size: features of the inputs.
        hidden_size: features of the states.
        num_layers: blocks.
        num_heads: heads of attention; must divide `hidden_size`.
        feedforward_size: features between W₁ and W₂; four times `hidden_size` if None.
        bidirectional: each position sees all others; if false, those before it.
        positions: "sinusoidal", added to the inputs (Vaswani et al. 2017, section 3.5), or
            "rotary", turning queries and keys (Su et al. 2021, section 3.2).
        dropout: probability of zeroing a feature of each part's result, and of the inputs.

    Raises:
        InputError: a size below 1, heads that do not divide the width, an odd width of heads for
            rotary positions, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: int,
        num_layers: int = 2,
        num_heads: int = 4,
        feedforward_size: int | None = None,
        bidirectional: bool = True,
        positions: Literal["sinusoidal", "rotary"] = "sinusoidal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, size in (
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
            ("num_heads", num_heads),
        ):
            check_at_least(name, size)
        check_probability("dropout", dropout)
        if hidden_size % num_heads:
            multiple = -(-hidden_size // num_heads) * num_heads
            rule = f"must divide hidden_size={hidden_size}"
            remedy = f"use a multiple of {num_heads}, such as {multiple}"
            raise ArgumentError("num_heads", num_heads, f"{rule}; {remedy}")
        if positions not in ("sinusoidal", "rotary"):
            raise ArgumentError("positions", positions, "must be sinusoidal or rotary")
        width = hidden_size // num_heads
        if positions == "rotary" and width % 2:
            raise ArgumentError(
                "positions",
                positions,
                f"turns pairs of features, but hidden_size={hidden_size} over "
                f"num_heads={num_heads} gives heads of odd width {width}; make it even, or use "
                "positions=sinusoidal",
            )
        self.input_size = input_size
        self.output_size = self.summary_size = self.hidden_size = hidden_size
        self.directions = 1
        self.causal = not bidirectional
        self.positions = positions
        self.enter = nn.Linear(input_size, hidden_size)
        feedforward = 4 * hidden_size if feedforward_size is None else feedforward_size
        check_at_least("feedforward_size", feedforward)
        self.blocks = nn.ModuleList(
            Block(hidden_size, num_heads, feedforward, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

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
        valid = valid_mask(lengths, time)
        states = self.enter(zero_padding(inputs, lengths))
        steps = torch.arange(time, device=inputs.device).expand(batch, time)
        seen = valid
        if state is not None:
            check_causal(self)
            self._check(state, batch)
            steps = steps + state[3][0].sum(dim=1, keepdim=True)
            seen = torch.cat([state[3][0], valid], dim=1)
        mask = self._mask(seen, time)
        turns = None
        if self.positions == "rotary":
            turns = angles(steps, self.blocks[0].width)[:, None]  # type: ignore[union-attr]
        else:
            states = states + sinusoids(steps, self.hidden_size).to(states.dtype)
        states = self.dropout(states)
        lasts, caches = [], []
        for number, block in enumerate(self.blocks):
            before = None if state is None else (state[1][number], state[2][number])
            states, cache = block(states, mask, turns, before)
            lasts.append(states)
            caches.append(cache)
        lasts[-1] = states = self.norm(states)
        if not need_state:
            return states, None
        last = torch.stack([last_valid(x, lengths) for x in lasts])
        if not self.causal:
            return states, (last,)
        keys, values = (torch.stack(parts) for parts in zip(*caches, strict=True))
        return states, (last, keys, values, seen[None])

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch output"], State]:
        check_causal(self)
        ones = torch.ones(len(inputs), dtype=torch.long, device=inputs.device)
        states, after = self(inputs[:, None], ones, state)
        return states[:, 0], after

    def multiply_accumulates(self, length: int) -> float:
        weights = sum(w.numel() for w in self.parameters() if w.dim() > 1)
        pairs = (length + 1) / 2 if self.causal else length
        return weights + 2 * len(self.blocks) * pairs * self.hidden_size

    def _mask(
        self, seen: Bool[Tensor, "batch keys"], time: int
    ) -> Bool[Tensor, "batch 1 time keys"]:
        """Which keys each query sees; one at a padded position sees what the last valid does."""
        if not self.causal:
            return seen[:, None, None]
        keys = seen.shape[1]
        order = torch.ones(time, keys, dtype=torch.bool, device=seen.device).tril(keys - time)
        return order & seen[:, None, None]

    def _check(self, state: State, batch: int) -> None:
        time = state[1].shape[2] if len(state) == 4 and state[1].dim() == 4 else 0
        layers, hidden = len(self.blocks), self.hidden_size
        past = (layers, batch, time, hidden)
        check_state(state, [(layers, batch, hidden), past, past, (1, batch, time)])


class Block(nn.Module):
    """One block: self-attention, then a feed-forward network, each added to what goes in."""

    def __init__(
        self, hidden_size: int, num_heads: int, feedforward_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.width = hidden_size // num_heads
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.project = nn.Linear(hidden_size, 3 * hidden_size)
        self.attended = nn.Linear(hidden_size, hidden_size)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, feedforward_size),
            nn.GELU(),
            nn.Linear(feedforward_size, hidden_size),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        states: Float[Tensor, "batch time hidden"],
        mask: Bool[Tensor, "batch 1 #time keys"],
        turns: Float[Tensor, "batch 1 time half"] | None,
        before: tuple[Tensor, Tensor] | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], tuple[Tensor, Tensor]]:
        """Runs the block; also returns keys and values, those of earlier positions first."""
        query, key, value = self.project(self.attention_norm(states)).chunk(3, -1)
        if turns is not None:
            query = self._joined(rotate(self._split(query), turns))
            key = self._joined(rotate(self._split(key), turns))
        if before is not None:
            key = torch.cat([before[0].to(key.dtype), key], dim=1)
            value = torch.cat([before[1].to(value.dtype), value], dim=1)
        heads = (self._split(x) for x in (query, key, value))
        context = F.scaled_dot_product_attention(*heads, attn_mask=mask)
        states = states + self.dropout(self.attended(self._joined(context)))
        return states + self.dropout(self.feedforward(states)), (key, value)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _joined(self, heads: Tensor) -> Tensor:
        return heads.transpose(1, 2).flatten(-2)


def angles(steps: Int[Tensor, "batch time"], width: int) -> Float[Tensor, "batch time half"]:
    """For position t and each pair k of features: t / 10000^(2k/width)."""
    # In float32 an angle of some thousand has lost the digits that tell neighbours apart.
    precise = torch.float32 if steps.device.type == "mps" else torch.float64
    pairs = torch.arange(0, width, 2, device=steps.device, dtype=precise)
    return steps[..., None] * torch.exp(pairs * (-log(LONGEST) / width))


def sinusoids(steps: Int[Tensor, "batch time"], width: int) -> Float[Tensor, "batch time width"]:
    """Sine and cosine of `angles`, interleaved; an odd width lacks the last cosine."""
    turns = angles(steps, width)
    return torch.stack([turns.sin(), turns.cos()], dim=-1).flatten(-2)[..., :width]


def rotate(
    heads: Float[Tensor, "batch heads time width"], turns: Float[Tensor, "batch 1 time half"]
) -> Float[Tensor, "batch heads time width"]:
    """Turns the pair of features k and k + width/2 by its angle (Su et al. 2021, section 3.4)."""
    cos, sin = turns.cos().to(heads.dtype), turns.sin().to(heads.dtype)
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
