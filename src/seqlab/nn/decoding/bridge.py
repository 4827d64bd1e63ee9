"""From an encoder's final state to a decoder's initial one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seqlab.nn.recurrent.cell import State


class Bridge(nn.Module):
    """Computes a decoder's initial state from what an encoder returns in the end.

    Where a part has one direction and the size that the decoder needs, it passes as it is
    (Sutskever et al. 2014). Otherwise both directions together go through tanh(W s + b) (Bahdanau
    et al. 2015, appendix A.2.2), with a map for each layer and each part. A decoder with fewer
    layers takes the encoder's upper ones; one with more repeats the uppermost. The parts of the
    decoder's state come from the same parts of the encoder's; those that it lacks, such as the
    cell state of an LSTM after a GRU, from its last one.

    Args:
        sizes: features of each part of the encoder's state, the first at least.
        state_sizes: features of each part of the decoder's state.
        directions: the encoder's.
        num_layers: the decoder's.
        always_map: maps a part also where it could pass as it is.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        state_sizes: Sequence[int],
        *,
        directions: int = 1,
        num_layers: int = 1,
        always_map: bool = False,
    ) -> None:
        super().__init__()
        self.directions = directions
        self.num_layers = num_layers
        self.sources = [min(part, len(sizes) - 1) for part in range(len(state_sizes))]
        self.maps = nn.ModuleList()
        for source, wanted in zip(self.sources, state_sizes, strict=True):
            size = sizes[source] * directions
            passes = directions == 1 and size == wanted and not always_map
            # Each layer has a map of its own: its states mean something else.
            self.maps.append(
                nn.ModuleList(
                    nn.Identity() if passes else nn.Sequential(nn.Linear(size, wanted), nn.Tanh())
                    for _ in range(num_layers)
                )
            )

    def forward(self, final: State) -> tuple[State, ...]:
        """The decoder's initial state.

        Args:
            final: the encoder's, each part (layers · directions, batch, size).

        Returns:
            the state of each layer, each part (batch, size).
        """
        parts = []
        for maps, source in zip(self.maps, self.sources, strict=True):
            layers = zip(maps, self._layers(final[source]), strict=True)  # type: ignore[arg-type]  # a ModuleList
            parts.append([convert(states) for convert, states in layers])
        return tuple(zip(*parts, strict=True))

    def _layers(self, part: Tensor) -> list[Tensor]:
        """The final state of as many layers as the decoder has, directions side by side."""
        layers = part.unflatten(0, (-1, self.directions)).transpose(1, 2).flatten(2)
        taken = list(layers.unbind(0))[-self.num_layers :]
        return taken + [taken[-1]] * (self.num_layers - len(taken))
