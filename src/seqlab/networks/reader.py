"""What all four families share: from inputs to states."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqlab.data.spec import Spec
from seqlab.errors import check_at_least, check_probability
from seqlab.nn.attention import Attention
from seqlab.nn.encoder import Encoder
from seqlab.nn.masking import valid_mask
from seqlab.nn.recurrent.cell import State


class Reader(nn.Module):
    """Embeds the inputs, encodes them and, if asked to, lets the states attend to one another.

    Token ids are embedded; real-valued features go into the encoder as they are.

    Args:
        spec: what the data looks like.
        encoder: makes the encoder from the number of its input features.
        embedding_dim: features of a token's embedding.
        embedding_dropout: probability of zeroing a feature of the encoder's input.
        self_attention: makes an attention from query and key size; its contexts are added to the
            states, which are then normalised. None for none.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        encoder: Callable[[int], Encoder],
        embedding_dim: int = 64,
        embedding_dropout: float = 0.0,
        self_attention: Callable[[int, int], Attention] | None = None,
    ) -> None:
        super().__init__()
        check_at_least("embedding_dim", embedding_dim)
        check_probability("embedding_dropout", embedding_dropout)
        self.embedding = (
            nn.Embedding(spec.input_size, embedding_dim, padding_idx=0)
            if spec.kind == "tokens"
            else None
        )
        self.dropout = nn.Dropout(embedding_dropout)
        self.encoder = encoder(spec.input_size if self.embedding is None else embedding_dim)
        size = self.encoder.output_size
        self.output_size = size
        self.self_attention = self_attention(size, size) if self_attention else None
        self.norm = nn.LayerNorm(size) if self_attention else None

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Tensor, State | None, Tensor | None]:
        """Reads a batch.

        Args:
            inputs: (batch, time) ids or (batch, time, feature) values.
            lengths: (batch,) valid positions.
            state: the encoder's state before the first position; its own if None.
            need_state: false spares computing the encoder's final state.

        Returns:
            states (batch, time, output_size), the encoder's final state, and the weights of
            self-attention (batch, time, time) or None.
        """
        # In memory time first, as recurrent layers read.
        if self.embedding is None:
            features = inputs.to(next(self.encoder.parameters()).dtype)
        else:
            features = self.embedding(inputs.T).transpose(0, 1)
        states, final = self.encoder(self.dropout(features), lengths, state, need_state=need_state)
        if self.self_attention is None or self.norm is None:
            return states, final, None
        mask = valid_mask(lengths, states.shape[1])
        # A state at a padded position may hold anything, and must not reach a sum.
        states = torch.where(mask[..., None], states, 0.0)
        context, weights = self.self_attention(states, states, mask[:, None])
        return self.norm(states + context), final, weights
