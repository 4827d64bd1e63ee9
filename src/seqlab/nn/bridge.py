"""From an encoder's final state to a decoder's first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqlab.nn.recurrent.cell import State


class Bridge(nn.Module):
    """Makes the decoder's first state of the encoder's final one.

    Where the encoder has one direction and both are of one size, the state passes as it is
    (Sutskever et al. 2014). Otherwise each layer's final states, both directions together, go
    through tanh(W s + b) (Bahdanau et al. 2015, appendix A.2.2). A decoder with fewer layers takes
    the encoder's upper ones; one with more repeats the uppermost. An LSTM's cell state comes from
    the second part of the final state if there is one, else from the first, by a map of its own.

    Args:
        sizes: features of each part of the final state that can be used, the first at least.
        directions: the encoder's.
        hidden_size: features of the decoder's states.
        num_layers: the decoder's.
        parts: tensors in the decoder's state, 2 for an LSTM.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        directions: int,
        hidden_size: int,
        num_layers: int,
        parts: int,
    ) -> None:
        super().__init__()
        self.directions = directions
        self.num_layers = num_layers
        self.sources = [min(part, len(sizes) - 1) for part in range(parts)]
        self.maps = nn.ModuleList()
        for source in self.sources:
            size = sizes[source] * directions
            fits = directions == 1 and size == hidden_size
            # Each layer has a map of its own: its states mean something else.
            self.maps.append(
                nn.ModuleList(
                    nn.Identity()
                    if fits
                    else nn.Sequential(nn.Linear(size, hidden_size), nn.Tanh())
                    for _ in range(num_layers)
                )
            )

    def forward(self, final: State) -> State:
        """The decoder's first state.

        Args:
            final: each part (layers · directions, batch, size).

        Returns:
            each part (layers, batch, hidden).
        """
        return tuple(
            torch.stack([convert(x) for convert, x in zip(maps, self._layers(part), strict=True)])  # type: ignore[arg-type]
            for maps, part in zip(self.maps, (final[at] for at in self.sources), strict=True)
        )

    def _layers(self, part: Tensor) -> list[Tensor]:
        """The final state of as many layers as the decoder has, directions side by side."""
        layers = part.unflatten(0, (-1, self.directions)).transpose(1, 2).flatten(2)
        taken = list(layers.unbind(0))[-self.num_layers :]
        return taken + [taken[-1]] * (self.num_layers - len(taken))
