"""One million magic-token sequences: one vectorised generator against a loop over examples.

The loop is what notebooks write: a token list and a label for each example, tensors at the end.
Claims: under a second, at most twice the memory of the tensors, at least 20 times the loop's speed.

python benchmarks/generation.py
"""

from __future__ import annotations

import platform
import random
import statistics
import time
import tracemalloc

import numpy as np
import torch
from timing import interleaved

from seqlab.data.magic_token import MagicToken

COUNT, LENGTH, VOCABULARY, MAGIC = 1_000_000, 20, 20, 7
# The loop is timed on a tenth and counted tenfold: it does the same for each example.
LOOP_COUNT = COUNT // 10


def vectorised():
    data = MagicToken(
        train_size=COUNT, min_length=LENGTH, max_length=LENGTH, vocabulary_size=VOCABULARY
    )
    return data.split("train")


def per_example():
    """Makes examples as notebooks do."""
    sequences, labels = [], []
    for _ in range(LOOP_COUNT):
        sequence = [random.randint(1, VOCABULARY - 1) for _ in range(LENGTH)]
        label = random.randint(0, 1)
        if label == 1:
            sequence[random.randint(0, LENGTH - 1)] = MAGIC
        else:
            sequence = [token if token != MAGIC else MAGIC + 1 for token in sequence]
        sequences.append(sequence)
        labels.append(label)
    return torch.tensor(sequences), torch.tensor(labels)


def per_example_numpy():
    """The same with a NumPy call an example."""
    sequences, labels = [], []
    for _ in range(LOOP_COUNT):
        label = np.random.randint(2)
        sequence = np.random.randint(1, VOCABULARY, LENGTH)
        sequence[sequence == MAGIC] = MAGIC + 1
        if label:
            sequence[np.random.randint(LENGTH)] = MAGIC
        sequences.append(torch.from_numpy(sequence))
        labels.append(label)
    return torch.stack(sequences), torch.tensor(labels)


def peak_memory():
    """The most that NumPy held at once while generating, and bytes of the tensors."""
    tracemalloc.start()
    examples = vectorised()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    tensors = [examples.inputs, examples.lengths, examples.targets, examples.evidence]
    return peak, sum(t.numel() * t.element_size() for t in tensors if t is not None)


def processor_seconds():
    """What the generation costs where other processes do not take turns with it."""
    start = time.process_time()
    vectorised()
    return time.process_time() - start


def main():
    torch.set_num_threads(1)
    seconds = interleaved(
        {"vectorised": vectorised, "loop": per_example, "numpy": per_example_numpy}, 5, 1
    )
    seconds["loop"] *= COUNT / LOOP_COUNT
    seconds["numpy"] *= COUNT / LOOP_COUNT
    peak, size = peak_memory()
    processor = statistics.median(processor_seconds() for _ in range(5))

    print(f"{COUNT:,} magic-token sequences of length {LENGTH}, medians of 5, interleaved")
    print(f"{'':34}{'seconds':>9}{'ratio':>8}")
    rows = {
        "one vectorised draw a chunk": "vectorised",
        "loop over examples, random": "loop",
        "loop over examples, NumPy": "numpy",
    }
    for told_name, name in rows.items():
        print(f"{told_name:34}{seconds[name]:9.2f}{seconds[name] / seconds['vectorised']:8.1f}")
    fastest_loop = min(seconds["loop"], seconds["numpy"]) / seconds["vectorised"]
    print(f"claim: under 1 s                  {seconds['vectorised']:.2f} s")
    print(f"  without other processes' turns  {processor:.2f} s of processor time")
    print(f"claim: at least 20 times a loop   {fastest_loop:.1f} times the faster one")
    print(f"claim: at most 2 × the tensors    {peak / size:.2f} × of {size / 2**20:.0f} MiB")
    print(
        f"torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()}, "
        f"threads {torch.get_num_threads()}"
    )


if __name__ == "__main__":
    main()
