"""Sequence to sequence: encode the source, then decode the target token by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqlab.data.spec import Spec
from seqlab.data.vocabulary import BEGIN, PAD, SPECIAL, UNKNOWN
from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.networks.reader import Reader
from seqlab.nn.attention import Attention
from seqlab.nn.attention.copying import CopyMixture
from seqlab.nn.compiling import uncompiled
from seqlab.nn.decoding.bridge import Bridge
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.decoding.state import DecoderOutput, DecoderState, Memory
from seqlab.nn.decoding.stepping import TokenScores
from seqlab.nn.decoding.unroll import Continuation, unroll
from seqlab.nn.masking import valid_mask
from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.encoder import RecurrentEncoder


class Source(NamedTuple):
    """What the decoder needs of the source sequences.

    Attributes:
        memory: what the attention attends to.
        tokens: (batch, time) each position's token as a target token, for copying.
    """

    memory: Memory
    tokens: Tensor

    def select(self, sequences: Tensor) -> Source:
        """Some of the sequences."""
        return Source(self.memory.select(sequences), self.tokens[sequences])


class Seq2Seq(nn.Module):
    """Log-probabilities of each token of a target, given the source and the tokens before.

    Args:
        spec: what the data looks like.
        reader: makes the network that turns sources into states.
        decoder: makes the decoder from input size, key size, attention and readout size.
        attention: makes the attention over the source; None leaves the final state alone.
        embedding_dim: features of a target token's embedding.
        embedding_dropout: probability of zeroing a feature of it.
        share_embeddings: source and target use one embedding; they need one vocabulary.
        tie_output: the output layer's weights are the target's embeddings (Press & Wolf 2017).
        copy: tokens can be copied from the source (See et al. 2017).
        dropout: probability of zeroing a feature before the output layer.

    Raises:
        InputError: options that do not fit each other or the data.
    """

    copied_as: Tensor

    def __init__(
        self,
        spec: Spec,
        *,
        reader: Callable[[Spec], Reader],
        decoder: Callable[..., AttentionDecoder],
        attention: Callable[[int, int], Attention] | None = None,
        embedding_dim: int = 64,
        embedding_dropout: float = 0.0,
        share_embeddings: bool = False,
        tie_output: bool = False,
        copy: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.task != "seq2seq":
            raise InputError(
                f"task=seq2seq needs data with target sequences, but this data is for "
                f"task={spec.task}; leave out task=, which the data sets itself"
            )
        check_at_least("embedding_dim", embedding_dim)
        check_probability("dropout", dropout)
        self.reader = reader(spec)
        check_probability("embedding_dropout", embedding_dropout)
        self.embedding = self._embedding(spec, embedding_dim, share_embeddings)
        self.decoder = decoder(
            embedding_dim,
            self.reader.output_size,
            attention=attention,
            readout_size=embedding_dim if tie_output else None,
        )
        if attention is not None and self.decoder.attention is None:
            raise InputError(
                "task.decoder.attention_position=none leaves the attention without effect; use "
                "model/attention=none, or task.decoder.attention_position=after or before"
            )
        encoder = self.reader.encoder
        recurrent = isinstance(encoder, RecurrentEncoder)
        self.bridge = Bridge(
            encoder.state_sizes if recurrent else (encoder.summary_size,),
            self.decoder.state_sizes,
            directions=encoder.directions,
            num_layers=self.decoder.num_layers,
        )
        self.output = nn.Linear(self.decoder.output_size, spec.output_size)
        if tie_output:
            # An embedding's usual N(0, 1) would make logits of size √dim.
            nn.init.normal_(self.embedding.weight, std=embedding_dim**-0.5)
            nn.init.zeros_(self.embedding.weight[PAD])
            self.output.weight = self.embedding.weight
        self.copy = self._copy(spec, attention, embedding_dim) if copy else None
        self.register_buffer("copied_as", _copied_as(spec), persistent=False)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        targets: Tensor,
        teacher_forcing_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Predicts every token of a known target.

        Args:
            inputs: (batch, time) source ids, or (batch, time, feature) values.
            lengths: (batch,) valid positions.
            targets: (batch, steps) the target's tokens.
            teacher_forcing_mask: (batch, steps) true where the step after this token reads the
                token, false where it reads the likeliest one in its place. None for true
                everywhere, which takes one pass.

        Returns:
            logits (batch, steps, vocabulary), with copying log-probabilities; and the weights of
            the attention (batch, steps, time), or None.
        """
        if teacher_forcing_mask is not None:
            return self._unroll(inputs, lengths, targets, teacher_forcing_mask)
        source, initial = self._encode(inputs, lengths)
        # In memory time first, as recurrent layers read.
        embedded = self.embedding(shift_right(targets).T).transpose(0, 1)
        embedded = self.embedding_dropout(embedded)
        decoded = self.decoder(embedded, initial, source.memory)
        return self._predict(decoded, embedded, source), decoded.weights

    @uncompiled
    def _unroll(
        self, inputs: Tensor, lengths: Tensor, targets: Tensor, teacher_forcing_mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Step by step, as some tokens that are read depend on those predicted before."""
        source, state = self.start(inputs, lengths)

        def next_input(step: int, scores: TokenScores) -> Continuation:
            likeliest = scores.logits.argmax(-1)
            is_forced = teacher_forcing_mask[:, step]
            return Continuation(torch.where(is_forced, targets[:, step], likeliest))

        first = shift_right(targets)[:, 0]
        count = targets.shape[1]
        steps = list(unroll(self, first, state, source, steps=count, next_input=next_input))
        weights = [scores.weights for scores in steps if scores.weights is not None]
        logits = torch.stack([scores.logits for scores in steps], 1)
        return logits, torch.stack(weights, 1) if weights else None

    def start(self, inputs: Tensor, lengths: Tensor) -> tuple[Source, DecoderState]:
        """Encodes sources, and gives the state before the first `step`."""
        source, initial = self._encode(inputs, lengths)
        return source, self.decoder.init_state(initial, source.memory)

    def step(
        self, inputs: Tensor, state: DecoderState, memory: Source
    ) -> tuple[TokenScores, DecoderState]:
        """Scores the next token of each row; see `seqlab.nn.decoding.unroll.Decoder`.

        Args:
            inputs: (rows,) the last tokens; rows are sources, or source by source the same number
                of outputs.
            state: from `start` or the step before.
            memory: from `start`.
        """
        embedded = self.embedding_dropout(self.embedding(inputs))
        decoded, state = self.decoder.step(embedded, state, memory.memory)
        copies = len(inputs) // len(memory.tokens)
        by_source = decoded.map(lambda x: x.unflatten(0, (-1, copies)))
        logits = self._predict(by_source, embedded.unflatten(0, (-1, copies)), memory)
        return TokenScores(logits.flatten(0, 1), decoded.weights), state

    def _encode(self, inputs: Tensor, lengths: Tensor) -> tuple[Source, tuple[State, ...]]:
        states, final, _ = self.reader(inputs, lengths)
        mask = valid_mask(lengths, states.shape[1])
        tokens = inputs if self.copy is None else self.copied_as[inputs]
        return Source(self.decoder.prepare_memory(states, mask), tokens), self.bridge(final)

    def _predict(self, decoded: DecoderOutput, embedded: Tensor, source: Source) -> Tensor:
        """(batch, steps, vocabulary) logits, of all steps in one product."""
        logits = self.output(self.dropout(decoded.outputs))
        if self.copy is None or decoded.contexts is None or decoded.weights is None:
            return logits
        features = torch.cat([decoded.contexts, decoded.states, embedded], -1)
        return self.copy(logits, features, decoded.weights, source.tokens)

    def _embedding(self, spec: Spec, size: int, shared: bool) -> nn.Embedding:
        """The target's embedding, which may be the source's."""
        if not shared:
            return nn.Embedding(spec.output_size, size, padding_idx=PAD)
        embedding = self.reader.embedding
        if embedding is None or spec.input_names != spec.label_names:
            raise InputError(
                "task.share_embeddings=true needs source and target tokens of one vocabulary, "
                "which this data does not have; use task.share_embeddings=false"
            )
        if embedding.embedding_dim != size:
            raise InputError(
                f"task.share_embeddings=true needs task.embedding_dim={size} to equal "
                f"model.embedding_dim={embedding.embedding_dim}; set both to one value"
            )
        return embedding

    def _copy(self, spec: Spec, attention: object, embedding_dim: int) -> CopyMixture:
        if attention is None:
            raise InputError(
                "task.copy=true copies from where an attention looks; add model/attention=general "
                "(`python train.py --help` lists all)"
            )
        if spec.kind != "tokens":
            raise InputError("task.copy=true needs a source of tokens; use task.copy=false")
        return CopyMixture(self.reader.output_size + self.decoder.hidden_size + embedding_dim)


def shift_right(targets: Tensor) -> Tensor:
    """The token before each of `targets` (batch, steps): the begin token, then all but the last."""
    return F.pad(targets[:, :-1], (1, 0), value=BEGIN)


def _copied_as(spec: Spec) -> Tensor:
    """(input_size,) the target token of each source token: that of its name, else the unknown."""
    first = len(SPECIAL)
    places = {name: place for place, name in enumerate(spec.label_names[first:], start=first)}
    copied = [places.get(name, UNKNOWN) for name in spec.input_names[first:]]
    # Special tokens are ids: a text that looks like one is none.
    return torch.tensor([*range(first), *copied], dtype=torch.long)
