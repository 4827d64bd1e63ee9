"""The tagger: read, let the states attend to one another, score each tag of each token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from seqlab.data.spec import Spec
from seqlab.data.tag_scheme import TagScheme
from seqlab.errors import InputError, check_probability
from seqlab.networks.reader import Reader
from seqlab.nn.attention import Attention
from seqlab.nn.crf import CRF, Moves
from seqlab.nn.masking import valid_mask

Constraints = Literal["auto", "scheme", "none"]


class Tagger(nn.Module):
    """Scores for each tag of each token, and a CRF over them if asked for.

    Args:
        spec: what the data looks like.
        reader: makes the network that turns inputs into states.
        attention: makes an attention from query and key size. Each state attends to all states of
            its sequence, and what it finds is joined to it. None for none.
        dropout: probability of zeroing a feature before the linear head.
        crf: puts a linear-chain CRF on top (Huang et al. 2015, section 2.4).
        constraints: "scheme" forbids the CRF the moves that the scheme of the data's tags does,
            "none" forbids nothing, "auto" is the one where the data has a scheme, else the other.

    Raises:
        InputError: data of another family, or constraints without a CRF or a scheme.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        reader: Callable[[Spec], Reader],
        attention: Callable[[int, int], Attention] | None = None,
        dropout: float = 0.0,
        crf: bool = False,
        constraints: Constraints = "auto",
    ) -> None:
        super().__init__()
        if spec.task != "tagging":
            raise InputError(
                f"task=tagging needs data with one tag a token, but this data is for "
                f"task={spec.task}; leave out task=, which the data sets itself"
            )
        check_probability("dropout", dropout)
        self.reader = reader(spec)
        size = self.reader.output_size
        self.attention = attention(size, size) if attention else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * size if attention else size, spec.output_size)
        moves = legal_moves(spec, constraints, crf)
        self.crf = CRF(spec.output_size, moves=moves) if crf else None

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores the tags.

        Args:
            inputs: (batch, time) ids or (batch, time, feature) values.
            lengths: (batch,) valid positions.

        Returns:
            emissions (batch, time, tags), unspecified where padded, and the weights with which the
            states attend to one another (batch, time, time), or None.
        """
        states, _, weights = self.reader(inputs, lengths, need_state=False)
        if self.attention is not None:
            mask = valid_mask(lengths, states.shape[1])
            # A state at a padded position may hold anything, and must not reach a sum.
            states = torch.where(mask[..., None], states, 0.0)
            context, weights = self.attention(states, states, mask[:, None])
            states = torch.cat([states, context], dim=-1)
        return self.head(self.dropout(states)), weights


def legal_moves(spec: Spec, constraints: Constraints, crf: bool) -> Moves | None:
    """The moves that the data's scheme allows; None where all are.

    Raises:
        InputError: constraints without a CRF or a scheme, or of an unknown name.
    """
    if constraints not in ("auto", "scheme", "none"):
        raise InputError(f"task.constraints={constraints!r} must be auto, scheme or none")
    if constraints == "scheme" and not crf:
        raise InputError(
            "task.constraints=scheme constrains a CRF; add task.crf=true, or leave it out"
        )
    if constraints == "scheme" and spec.scheme is None:
        raise InputError(
            "task.constraints=scheme needs tags that spell spans, as B-PER and I-PER do, and these "
            f"are {', '.join(spec.label_names[:6])}; use task.constraints=none"
        )
    if not crf or constraints == "none" or spec.scheme is None:
        return None
    if (move := spec.illegal_move) is not None:
        raise InputError(
            f"{move.place}: {move.tag} may not follow {move.before} in the scheme {spec.scheme}, "
            "and a CRF with constraints cannot learn it; correct the tags, or set "
            "task.constraints=none"
        )
    legal = torch.from_numpy(TagScheme(spec.label_names, spec.scheme).legal)
    return Moves(legal[:-1, :-1], legal[-1, :-1], legal[:-1, -1])
