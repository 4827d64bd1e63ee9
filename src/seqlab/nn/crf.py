"""A linear-chain conditional random field over tags (Lafferty, McCallum & Pereira 2001)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least
from seqlab.nn.forward_backward import Chain, log_partition, unary_marginals
from seqlab.nn.masking import valid_mask
from seqlab.nn.viterbi import best_path, best_paths

UNKNOWN = -100
"""A tag that is not given; the value that `torch.nn.functional.cross_entropy` ignores too."""


class Moves(NamedTuple):
    """What a path may do.

    Attributes:
        transitions: true where the row's tag may be followed by the column's.
        start: true for tags that may come first.
        end: true for tags that may come last.
    """

    transitions: Bool[Tensor, "tags tags"]
    start: Bool[Tensor, " tags"]
    end: Bool[Tensor, " tags"]


class CRF(nn.Module):
    """Scores whole tag sequences: p(y | emissions) = exp(score(y)) / Z.

    score(y) = start(y_1) + Σ_t emission_t(y_t) + Σ_t transition(y_t, y_{t+1}) + end(y_T)
    (Lample et al. 2016, section 2.2, without its extra tags). Sums run in float32 or wider
    whatever the emissions' precision. The CRF's own scores start at 0: training starts from a
    softmax.

    Every method takes emissions (batch, time, tags) and lengths (batch,), and ignores what stands
    at padded positions.

    Args:
        num_tags: how many tags.
        moves: the legal moves; all of them if None.

    Raises:
        InputError: moves of another size.
    """

    legal_transitions: Tensor
    legal_start: Tensor
    legal_end: Tensor

    def __init__(self, num_tags: int, *, moves: Moves | None = None) -> None:
        super().__init__()
        check_at_least("num_tags", num_tags)
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        self.constrained = moves is not None
        if moves is not None:
            for name, mask in moves._asdict().items():
                expected = getattr(self, name).shape
                if mask.shape != expected:
                    raise InputError(
                        f"the CRF's legal moves ({name}) are for {tuple(mask.shape)} tags, but it "
                        f"has {tuple(expected)}; make them from the same tag names"
                    )
                self.register_buffer(f"legal_{name}", mask.clone())

    def log_likelihood(
        self,
        emissions: Float[Tensor, "batch time tags"],
        tags: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """The log-likelihood log p(tags | emissions) of each sequence.

        Where tags are `UNKNOWN`, the likelihood of the known ones: the sum over all paths that
        agree with them (Tsuboi et al. 2008, section 3).

        Raises:
            InputError: unequal sizes, an empty sequence, a tag out of range, or an illegal path.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            chain = self.chain(emissions)
            known = self._checked(chain.emissions, tags, lengths)
            inside = valid_mask(lengths, emissions.shape[1])
            if (known | ~inside).all():
                score = self._score(chain, tags.where(inside, 0), lengths, inside)
                if self.constrained and torch.isneginf(score).any():
                    _check_paths(score, _clamped(chain, tags, known), lengths)
            else:
                score = self._log_z(_clamped(chain, tags, known), lengths)
            return score - self._log_z(chain, lengths)

    def decode(
        self,
        emissions: Float[Tensor, "batch time tags"],
        lengths: Int[Tensor, " batch"],
        given: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Int[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """The best path and its score (Viterbi); tags are 0 where padded.

        Args:
            emissions: scores.
            lengths: valid positions.
            given: tags that the path must have, `UNKNOWN` where it is free.

        Raises:
            InputError: an empty sequence, or no legal path.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            chain = self._restricted(emissions, lengths, given)
            path, score = best_path(chain, lengths)
            _check_paths(score, chain, lengths)
            return path, score

    def n_best(
        self,
        emissions: Float[Tensor, "batch time tags"],
        lengths: Int[Tensor, " batch"],
        count: int,
        given: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Int[Tensor, "batch count time"], Float[Tensor, "batch count"]]:
        """The best paths and their scores, best first; −inf where there are fewer legal paths.

        Raises:
            InputError: an empty sequence, or no legal path.
        """
        check_at_least("count", count)
        with torch.autocast(emissions.device.type, enabled=False):
            chain = self._restricted(emissions, lengths, given)
            paths, scores = best_paths(chain, lengths, count)
            _check_paths(scores[:, 0], chain, lengths)
            return paths, scores

    def marginals(
        self,
        emissions: Float[Tensor, "batch time tags"],
        lengths: Int[Tensor, " batch"],
        given: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time tags"]:
        """p(y_t = tag | emissions), exact, by forward–backward; 0 where padded.

        Raises:
            InputError: an empty sequence, or no legal path.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            chain = self._restricted(emissions, lengths, given)
            marginals = unary_marginals(chain, lengths)
            # They sum to 1 where any path is legal, and are 0 elsewhere.
            _check_paths(marginals[:, 0].sum(-1).log(), chain, lengths)
            return marginals

    def chain(self, emissions: Float[Tensor, "batch time tags"]) -> Chain:
        """All scores in float32 or wider, with −inf for illegal moves."""
        dtype = torch.promote_types(emissions.dtype, torch.float32)
        parts = [self.transitions, self.start, self.end]
        if self.constrained:
            masks = [self.legal_transitions, self.legal_start, self.legal_end]
            parts = [
                part.masked_fill(~mask, float("-inf"))
                for part, mask in zip(parts, masks, strict=True)
            ]
        return Chain(emissions.to(dtype), *(part.to(dtype) for part in parts))

    def _restricted(self, emissions: Tensor, lengths: Tensor, given: Tensor | None) -> Chain:
        chain = self.chain(emissions)
        if given is None:
            check_lengths(lengths)
            return chain
        return _clamped(chain, given, self._checked(emissions, given, lengths))

    def _checked(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Checks tags against emissions; true where a tag is known."""
        check_lengths(lengths)
        if tags.shape != emissions.shape[:2]:
            raise InputError(
                f"{tuple(emissions.shape[:2])} (sequences, positions) are scored, but "
                f"{tuple(tags.shape)} are tagged; give each position one tag"
            )
        inside = valid_mask(lengths, emissions.shape[1])
        known = (tags != UNKNOWN) & inside
        wrong = known & ((tags < 0) | (tags >= emissions.shape[-1]))
        if wrong.any():
            sequence, position = wrong.nonzero()[0].tolist()
            raise InputError(
                f"sequence {sequence}, position {position}: tag {int(tags[sequence, position])} "
                f"must be from 0 to {emissions.shape[-1] - 1}, or {UNKNOWN} for unknown"
            )
        return known

    def _score(self, chain: Chain, tags: Tensor, lengths: Tensor, inside: Tensor) -> Tensor:
        """The score of complete paths; tags are 0 where padded."""
        count = chain.transitions.shape[0]
        emitted = chain.emissions.gather(2, tags[..., None]).squeeze(-1)
        moves = tags[:, :-1] * count + tags[:, 1:]
        moved = chain.transitions.flatten().index_select(0, moves.flatten()).view(moves.shape)
        last = tags.gather(1, lengths[:, None] - 1).squeeze(1)
        return (
            emitted.where(inside, 0.0).sum(1)
            + moved.where(inside[:, 1:], 0.0).sum(1)
            + chain.start.index_select(0, tags[:, 0])
            + chain.end.index_select(0, last)
        )

    def _log_z(self, chain: Chain, lengths: Tensor) -> Tensor:
        log_z = log_partition(chain, lengths)
        _check_paths(log_z, chain, lengths)
        return log_z


def check_lengths(lengths: Int[Tensor, " batch"]) -> None:
    """Raises InputError for an empty sequence."""
    if (lengths < 1).any():
        sequence = int((lengths < 1).nonzero()[0])
        raise InputError(f"sequence {sequence} is empty; every sequence needs at least one token")


def _clamped(chain: Chain, tags: Tensor, known: Tensor) -> Chain:
    """Forbids all other tags where one is known."""
    others = tags[..., None] != torch.arange(chain.start.shape[0], device=tags.device)
    emissions = chain.emissions.masked_fill(others & known[..., None], float("-inf"))
    return chain._replace(emissions=emissions)


@torch.no_grad()
def _check_paths(score: Tensor, chain: Chain, lengths: Tensor) -> None:
    """Raises InputError where `score` is −inf, naming the first position that none can reach."""
    missing = torch.isneginf(score)
    if not missing.any():
        return
    sequence = int(missing.nonzero()[0])
    emissions = chain.emissions[sequence, : int(lengths[sequence])] > float("-inf")
    moves = chain.transitions > float("-inf")
    reached = (chain.start > float("-inf")) & emissions[0]
    position = 0
    while reached.any() and position + 1 < len(emissions):
        position += 1
        reached = moves[reached].any(0) & emissions[position]
    fault = (
        "may not come last"
        if reached.any()
        else ("cannot be reached from the tags before it" if position else "cannot come first")
    )
    raise InputError(
        f"sequence {sequence} has no legal path: at position {position} every allowed tag {fault}; "
        "allow other tags there, or correct the given ones"
    )
