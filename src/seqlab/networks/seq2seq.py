"""Sequence to sequence: read the source, bridge, write the target token by token."""

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
from seqlab.nn.bridge import Bridge
from seqlab.nn.copying import CopyMixture
from seqlab.nn.decoder import Decoder
from seqlab.nn.decoder_state import Decoded, DecoderState, Memory
from seqlab.nn.masking import valid_mask
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.stepping import Step


class Source(NamedTuple):
    """What the decoder needs of the sentences it translates.

    Attributes:
        memory: what the attention looks at.
        tokens: (batch, time) each position's token as a target token, for copying.
    """

    memory: Memory
    tokens: Tensor

    def select(self, sentences: Tensor) -> Source:
        """Some of the sentences."""
        return Source(self.memory.select(sentences), self.tokens[sentences])


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
        decoder: Callable[..., Decoder],
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
        encoder = self.reader.encoder
        recurrent = isinstance(encoder, RecurrentEncoder)
        self.bridge = Bridge(
            encoder.state_sizes if recurrent else (encoder.summary_size,),
            directions=encoder.directions,
            hidden_size=self.decoder.hidden_size,
            num_layers=self.decoder.num_layers,
            parts=self.decoder.gates.parts,
        )
        self.output = nn.Linear(self.decoder.readout_size, spec.output_size)
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
        self, inputs: Tensor, lengths: Tensor, before: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Predicts every token of a known target at once.

        Args:
            inputs: (batch, time) source ids, or (batch, time, feature) values.
            lengths: (batch,) valid positions.
            before: (batch, steps) the token before each; see `tokens_before`.

        Returns:
            logits (batch, steps, vocabulary), with copying log-probabilities; and the weights of
            the attention (batch, steps, time), or None.
        """
        source, recurrent = self._read(inputs, lengths)
        # In memory time first, as recurrent layers read.
        embedded = self.embedding_dropout(self.embedding(before.T).transpose(0, 1))
        decoded = self.decoder(embedded, recurrent, source.memory)
        return self._predict(decoded, embedded, source), decoded.weights

    def run(
        self, inputs: Tensor, lengths: Tensor, before: Tensor, truth: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, but reads the truth at some steps only, and what it wrote at the others.

        Args:
            inputs: as in `forward`.
            lengths: as in `forward`.
            before: as in `forward`; the first step reads it in any case.
            truth: (batch, steps) where it is read.
        """
        source, state = self.start(inputs, lengths)
        tokens = before[:, 0]
        logits, weights = [], []
        for step in range(before.shape[1]):
            if step:
                tokens = torch.where(truth[:, step], before[:, step], logits[-1].argmax(-1))
            row, looked, state = self.step(tokens, state, source)
            logits.append(row)
            weights.append(looked)
        looked = None if weights[0] is None else torch.stack(weights, 1)
        return torch.stack(logits, 1), looked

    def start(self, inputs: Tensor, lengths: Tensor) -> tuple[Source, DecoderState]:
        """Reads sources, for `next`."""
        source, recurrent = self._read(inputs, lengths)
        return source, self.decoder.start(recurrent, source.memory)

    def next(
        self, tokens: Tensor, state: DecoderState, memory: Source
    ) -> tuple[Step, DecoderState]:
        """Predicts the next token of each row; see `seqlab.nn.stepping.StepModel`.

        Args:
            tokens: (rows,) the last ones; rows are sentences, or sentence by sentence the same
                number of beams.
            state: from `start` or the step before.
            memory: from `start`.
        """
        logits, weights, state = self.step(tokens, state, memory)
        return Step(logits.float().log_softmax(-1), weights), state

    def step(
        self, tokens: Tensor, state: DecoderState, memory: Source
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """As `next`, but logits (rows, vocabulary), with copying log-probabilities."""
        embedded = self.embedding_dropout(self.embedding(tokens))
        decoded, state = self.decoder.step(embedded, state, memory.memory)
        beams = len(tokens) // len(memory.tokens)
        by_sentence = decoded.each(lambda x: x.unflatten(0, (-1, beams)))
        logits = self._predict(by_sentence, embedded.unflatten(0, (-1, beams)), memory)
        return logits.flatten(0, 1), decoded.weights, state

    def _read(self, inputs: Tensor, lengths: Tensor) -> tuple[Source, tuple[Tensor, ...]]:
        states, final, _ = self.reader(inputs, lengths)
        mask = valid_mask(lengths, states.shape[1])
        tokens = inputs if self.copy is None else self.copied_as[inputs]
        return Source(self.decoder.remember(states, mask), tokens), self.bridge(final)

    def _predict(self, decoded: Decoded, embedded: Tensor, source: Source) -> Tensor:
        """(batch, steps, vocabulary) logits, of all steps in one product."""
        logits = self.output(self.dropout(decoded.readouts))
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
                "(or additive, dot, scaled_dot, multihead)"
            )
        if spec.kind != "tokens":
            raise InputError("task.copy=true needs a source of tokens; use task.copy=false")
        return CopyMixture(self.reader.output_size + self.decoder.hidden_size + embedding_dim)


def tokens_before(targets: Tensor) -> Tensor:
    """The token before each of `targets` (batch, steps): the begin token, then all but the last."""
    return F.pad(targets[:, :-1], (1, 0), value=BEGIN)


def _copied_as(spec: Spec) -> Tensor:
    """(input_size,) the target token of each source token: that of its name, else the unknown."""
    first = len(SPECIAL)
    places = {name: place for place, name in enumerate(spec.label_names[first:], start=first)}
    copied = [places.get(name, UNKNOWN) for name in spec.input_names[first:]]
    # Special tokens are ids: a text that looks like one is none.
    return torch.tensor([*range(first), *copied], dtype=torch.long)
