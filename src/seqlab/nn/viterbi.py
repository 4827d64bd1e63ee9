"""The best paths through a linear chain: Viterbi, for one and for several."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqlab.nn.forward_backward import Chain
from seqlab.nn.masking import valid_mask


@torch.no_grad()
def best_path(
    chain: Chain, lengths: Int[Tensor, " batch"]
) -> tuple[Int[Tensor, "batch time"], Float[Tensor, " batch"]]:
    """The path of the highest score (Viterbi 1967).

    Only the scores are kept on the way; the tag before a chosen tag is found again while tracing
    back, for one tag instead of all of them.

    Args:
        chain: the scores.
        lengths: valid positions, at least 1 each.

    Returns:
        the tags, 0 where padded, and the path's score, −inf where no path is legal.
    """
    batch, time, tags = chain.emissions.shape
    # Tags before sequences: the maximum over the leading axis runs over contiguous memory.
    emissions = _valid_emissions(chain, lengths).permute(1, 2, 0).contiguous()
    moves = chain.transitions[:, :, None].contiguous()
    scores = torch.empty_like(emissions)
    steps = list(zip(emissions.unbind(), scores.unbind(), strict=True))
    torch.add(emissions[0], chain.start[:, None], out=steps[0][1])
    candidates = emissions.new_empty(tags, tags, batch)
    for (_, before), (emission, score) in pairwise(steps):
        torch.add(before[:, None], moves, out=candidates)
        torch.amax(candidates, 0, out=score)
        score.add_(emission)

    place = (lengths - 1).expand(1, tags, batch)
    final, last = (scores.gather(0, place)[0] + chain.end[:, None]).max(0)
    path = torch.zeros(time, batch, dtype=torch.long, device=lengths.device)
    arrivals = chain.transitions.contiguous()
    starts_here = torch.arange(time, device=lengths.device)[:, None] == lengths - 1
    shortest = int(lengths.min())
    tag = last
    for number in range(time - 1, -1, -1):
        if number < time - 1:
            tag = (steps[number][1] + arrivals.index_select(1, tag)).argmax(0)
        if number >= shortest - 1:
            tag = torch.where(starts_here[number], last, tag)
        path[number] = tag
    return path.T.masked_fill(~valid_mask(lengths, time), 0), final


@torch.no_grad()
def best_paths(
    chain: Chain, lengths: Int[Tensor, " batch"], count: int
) -> tuple[Int[Tensor, "batch count time"], Float[Tensor, "batch count"]]:
    """The `count` paths of the highest scores, best first (Soong & Huang 1991, list Viterbi).

    Args:
        chain: the scores.
        lengths: valid positions, at least 1 each.
        count: how many.

    Returns:
        the tags, 0 where padded, and each path's score, −inf where there are fewer legal paths.
    """
    batch, time, tags = chain.emissions.shape
    valid = valid_mask(lengths, time)
    emissions = _valid_emissions(chain, lengths).unbind(1)
    # (batch, rank, tag): the scores of the best paths that end in each tag.
    scores = emissions[0].new_full((batch, count, tags), float("-inf"))
    scores[:, 0] = chain.start + emissions[0]
    moves = chain.transitions.repeat(count, 1)
    stay = torch.arange(count * tags, device=lengths.device).view(count, tags)
    origins = []
    for number in range(1, time):
        reached = scores.flatten(1)[:, :, None] + moves
        best, origin = reached.topk(count, dim=1)
        here = valid[:, number, None, None]
        scores = torch.where(here, best + emissions[number][:, None], scores)
        origins.append(torch.where(here, origin, stay))
    final, place = (scores + chain.end).flatten(1).topk(count, dim=1)
    path = [place % tags]
    for origin in reversed(origins):
        place = origin.flatten(1).gather(1, place)
        path.append(place % tags)
    paths = torch.stack(path[::-1], dim=-1)
    return paths.masked_fill(~valid[:, None], 0), final


def _valid_emissions(chain: Chain, lengths: Tensor) -> Tensor:
    valid = valid_mask(lengths, chain.emissions.shape[1])
    return chain.emissions.masked_fill(~valid[..., None], 0.0)
