"""Scores of decoded sequences, and of where an attention looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics.functional.text import sacre_bleu_score

CHRF_ORDER = 6


def edit_distances(
    first: Int[Tensor, "batch one"],
    first_lengths: Int[Tensor, " batch"],
    second: Int[Tensor, "batch two"],
    second_lengths: Int[Tensor, " batch"],
) -> Int[Tensor, " batch"]:
    """Insertions, deletions and substitutions from one sequence to the other (Levenshtein 1966).

    The table is filled row by row, all sequences at once. A run of insertions to column j from
    column k costs j − k, so that the best one is a running minimum of (cost − column).
    """
    columns = torch.arange(second.shape[1] + 1, device=second.device)
    costs = columns.expand(len(second), -1)
    distances = costs.gather(1, second_lengths[:, None])
    for row in range(first.shape[1]):
        changed = costs[:, :-1] + (first[:, row, None] != second)
        best = torch.minimum(costs[:, 1:] + 1, changed)
        best = torch.cat([torch.full_like(best[:, :1], row + 1), best], 1)
        costs = (best - columns).cummin(1).values + columns
        ended = (first_lengths == row + 1)[:, None]
        distances = torch.where(ended, costs.gather(1, second_lengths[:, None]), distances)
    return distances.squeeze(1)


def bleu(outputs: Sequence[str], references: Sequence[str]) -> Tensor:
    """Corpus BLEU from 0 to 100 (Papineni et al. 2002) of tokens between blanks, as sacrebleu's.

    Equal to sacrebleu with tokenize none and smoothing none.
    """
    return 100 * sacre_bleu_score(outputs, [[text] for text in references], tokenize="none")


def chrf(outputs: Sequence[str], references: Sequence[str]) -> Tensor:
    """Corpus chrF from 0 to 100 (Popović 2015): characters up to 6-grams, β = 2, as sacrebleu's.

    TorchMetrics' differs from sacrebleu's where a text is shorter than an n-gram: here an order
    counts only as far as both sides have n-grams of it.
    """
    orders = range(1, CHRF_ORDER + 1)
    counts = torch.zeros(CHRF_ORDER, 3, dtype=torch.float64)  # of outputs, references, matches
    for pair in zip(outputs, references, strict=True):
        output, reference = (text.replace(" ", "") for text in pair)
        for row, order in enumerate(orders):
            written, true = _ngrams(output, order), _ngrams(reference, order)
            matches = (written & true).total()
            counts[row] += torch.tensor([written.total() if true else 0, true.total(), matches])
    counts = counts[(counts[:, :2] > 0).all(1)]
    if not len(counts):
        return torch.tensor(0.0)
    precision, recall = (counts[:, 2] / counts[:, side] for side in (0, 1))
    precision, recall = precision.mean(), recall.mean()
    # F with β² = 4; without a match 0 / 0 would stand there.
    return 100 * 5 * precision * recall / (4 * precision + recall).clamp(min=1e-16)


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[place : place + order] for place in range(len(text) - order + 1))


def alignment_sums(
    weights: Float[Tensor, "batch steps time"],
    valid: Bool[Tensor, "batch steps"],
    alignment: Int[Tensor, "batch steps sources"] | None,
) -> Float[Tensor, " 7"]:
    """Sums over target tokens, for means over an epoch.

    Returns:
        how often the largest weight is on a true source, the weight on all true sources, tokens
        with a true source; the entropies of the weights in nats, tokens; how often the place of
        the largest weight does not move to the left from a token to the next, pairs of tokens.
    """
    looked = weights.argmax(-1)
    sums = [weights.new_zeros(())] * 3
    if alignment is not None:
        known = valid & (alignment >= 0).any(-1)
        right = (alignment == looked[..., None]).any(-1)
        on_source = weights.gather(2, alignment.clamp(min=0)).masked_fill(alignment < 0, 0).sum(-1)
        sums = [right[known].sum(), on_source[known].sum(), known.sum()]
    entropy = torch.special.entr(weights).sum(-1)
    pairs = valid[:, 1:] & valid[:, :-1]
    forward = (looked[:, 1:] >= looked[:, :-1])[pairs]
    sums += [entropy[valid].sum(), valid.sum(), forward.sum(), pairs.sum()]
    return torch.stack([part.double() for part in sums])
