import math
import random
from itertools import product

import pytest
import torch

from seqlab.tasks.sequence_scores import alignment_sums, bleu, chrf, edit_distances


def levenshtein(first, second):
    table = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            row.append(min(table[j] + 1, row[-1] + 1, table[j - 1] + (a != b)))
        table = row
    return table[-1]


def test_edit_distances_of_all_pairs_of_short_sequences():
    words = [w for length in range(4) for w in product((1, 2), repeat=length)]
    pairs = list(product(words, words))
    sides = []
    for side in (0, 1):
        lengths = torch.tensor([len(pair[side]) for pair in pairs])
        # What stands behind the end must not matter: it differs from side to side.
        padded = torch.tensor(
            [[*pair[side], *[7 + side] * (3 - len(pair[side]))] for pair in pairs]
        )
        sides += [padded, lengths]
    expected = [levenshtein(*pair) for pair in pairs]
    assert max(expected) == 3
    assert edit_distances(*sides).tolist() == expected


def test_perfect_and_hopeless_outputs():
    references = ["a b c d e", "f g h i"]
    assert bleu(references, references).item() == pytest.approx(100)
    assert chrf(references, references).item() == pytest.approx(100)
    assert bleu(["z z z z z", "z z z z"], references).item() == 0


def test_scores_equal_sacrebleu():
    """What sacrebleu 2.6.0 says, with tokenize none and smoothing none."""
    generator = random.Random(0)
    references, outputs = [], []
    for _ in range(20):
        length = generator.randint(1, 12)
        references.append(" ".join(str(generator.randint(0, 49)) for _ in range(length)))
    for reference in references:
        tokens = reference.split()
        for _ in range(generator.randint(0, 3)):
            place = generator.randrange(len(tokens))
            changes = [[], [str(generator.randint(0, 49))], [tokens[place]] * 2]
            tokens[place : place + 1] = generator.choice(changes)
            tokens = tokens or ["7"]
        outputs.append(" ".join(tokens))
    assert bleu(outputs, references).item() == pytest.approx(66.34606036701614, abs=1e-3)
    assert chrf(outputs, references).item() == pytest.approx(70.682675892578, abs=1e-6)
    assert chrf(["ab", "cd"], ["ab", "ce"]).item() == pytest.approx(62.5)


def test_bleu_by_written_out_counts():
    output, reference = "1 2 3 4 9", "1 2 3 4 5 6"
    precisions = [4 / 5, 3 / 4, 2 / 3, 1 / 2]
    expected = math.exp(1 - 6 / 5) * math.prod(precisions) ** 0.25
    assert bleu([output], [reference]).item() == pytest.approx(100 * expected, rel=1e-5)


def test_alignment_by_written_out_sums():
    torch.manual_seed(0)
    weights = torch.randn(2, 4, 5).softmax(-1)
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    alignment = torch.tensor(
        [[[0, 1], [3, -1], [-1, -1], [4, -1]], [[2, -1], [1, 0], [0, -1], [0, -1]]]
    )
    right = mass = known = entropy = tokens = forward = pairs = 0.0
    for row in range(2):
        for step in range(4):
            if not valid[row, step]:
                continue
            sources = [p for p in alignment[row, step].tolist() if p >= 0]
            looked = weights[row, step].argmax().item()
            if sources:
                known += 1
                right += looked in sources
                mass += sum(weights[row, step, p].item() for p in sources)
            tokens += 1
            entropy -= sum(w * math.log(w) for w in weights[row, step].tolist())
            if step:
                pairs += 1
                forward += looked >= weights[row, step - 1].argmax().item()
    expected = torch.tensor([right, mass, known, entropy, tokens, forward, pairs])
    found = alignment_sums(weights, valid, alignment)
    torch.testing.assert_close(found, expected.double(), atol=1e-5, rtol=1e-5)
    without = alignment_sums(weights, valid, None)
    assert without[:3].tolist() == [0, 0, 0]
    torch.testing.assert_close(without[3:], found[3:])
