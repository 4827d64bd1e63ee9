"""Span scores of 10,000 sentences of 20 tokens against seqeval, both readings, in one run.

pip install seqeval==1.2.2
OMP_NUM_THREADS=1 python benchmarks/span_scores.py
"""

import warnings
from importlib.metadata import version

import torch
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from timing import interleaved

from seqlab.data.tag_scheme import TagScheme
from seqlab.tasks.spans import SpanScore

SENTENCES, LENGTH, BATCH = 10_000, 20, 64
NAMES = ("O", *(f"{prefix}-{kind}" for kind in ("PER", "LOC", "ORG", "MISC") for prefix in "BI"))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    targets = torch.randint(len(NAMES), (SENTENCES, LENGTH))
    wrong = torch.rand(SENTENCES, LENGTH) < 0.1
    predicted = torch.where(wrong, torch.randint(len(NAMES), targets.shape), targets)
    counted = torch.ones_like(targets, dtype=torch.bool)
    truths, guesses = (
        [[NAMES[tag] for tag in row] for row in tags.tolist()] for tags in (targets, predicted)
    )
    scheme = TagScheme(NAMES, "bio")
    print(
        f"{SENTENCES} sentences of {LENGTH} tokens, ours in batches of {BATCH}; torch "
        f"{torch.__version__}, seqeval {version('seqeval')}, {torch.get_num_threads()} thread"
    )
    for reading, mode in (("lenient", {}), ("strict", {"mode": "strict", "scheme": IOB2})):

        def ours(reading=reading):
            score = SpanScore(scheme, reading)
            parts = zip(*(part.split(BATCH) for part in (predicted, targets, counted)), strict=True)
            for part in parts:
                score.update(*part)
            return float(score.compute()["f1"])

        def peer(mode=mode):
            return f1_score(truths, guesses, **mode)

        assert abs(ours() - peer()) < 1e-12
        times = interleaved({"seqlab": ours, "seqeval": peer}, repeats=5, warmup=1)
        print(
            f"{reading:8} seqlab {times['seqlab'] * 1e3:7.0f} ms   seqeval "
            f"{times['seqeval'] * 1e3:7.0f} ms   ratio {times['seqeval'] / times['seqlab']:.1f}×, "
            "claimed ≥ 1×"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
