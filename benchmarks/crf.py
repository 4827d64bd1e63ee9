"""Our CRF against pytorch-crf, side by side in one run.

pip install pytorch-crf==0.7.2
OMP_NUM_THREADS=1 python benchmarks/crf.py
"""

from importlib.metadata import version

import torch
import torchcrf
from timing import interleaved

from seqlab.nn.crf import CRF

BATCH, TIME, TAGS = 64, 100, 20
TRAINING_CLAIM, DECODING_CLAIM = 3.0, 2.0


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, peer = CRF(TAGS), torchcrf.CRF(TAGS, batch_first=True)
    with torch.no_grad():
        ours.transitions.copy_(peer.transitions)
        ours.start.copy_(peer.start_transitions)
        ours.end.copy_(peer.end_transitions)
    print(
        f"batch {BATCH}, length up to {TIME}, {TAGS} tags; torch {torch.__version__}, "
        f"pytorch-crf {version('pytorch-crf')}, {torch.get_num_threads()} thread"
    )
    print(f"{'':40}{'seqlab':>10}{'pytorch-crf':>14}{'ratio':>8}{'claim':>8}")
    for shortest in (TIME, TIME // 2):
        kind = "all of one length" if shortest == TIME else f"lengths {shortest}–{TIME}"
        for name, claim, contestants in duels(ours, peer, shortest):
            times = interleaved(contestants)
            ratio = times["peer"] / times["ours"]
            print(
                f"{name + ', ' + kind:40}{times['ours'] * 1e3:7.1f} ms"
                f"{times['peer'] * 1e3:11.1f} ms{ratio:7.1f}×{claim:7.1f}×"
            )


def duels(ours, peer, shortest):
    """Name, claim and contestants of each comparison, on sequences of `shortest` and longer."""
    lengths = torch.randint(shortest, TIME + 1, (BATCH,))
    mask = torch.arange(TIME) < lengths[:, None]
    emissions = torch.randn(BATCH, TIME, TAGS, requires_grad=True)
    tags = torch.randint(TAGS, (BATCH, TIME))
    without = emissions.detach()
    with torch.no_grad():
        # They must agree, or their times say nothing.
        expected = peer(emissions, tags, mask, reduction="none")
        torch.testing.assert_close(ours.log_likelihood(emissions, tags, lengths), expected)
        paths = ours.decode(emissions, lengths)[0]
        for path, length, wanted in zip(paths, lengths, peer.decode(without, mask), strict=True):
            assert path[:length].tolist() == wanted

    def train_ours():
        (-ours.log_likelihood(emissions, tags, lengths).mean()).backward()

    def train_peer():
        (-peer(emissions, tags, mask, reduction="mean")).backward()

    training = {"ours": train_ours, "peer": train_peer}
    decoding = {
        "ours": lambda: ours.decode(without, lengths),
        "peer": torch.no_grad()(lambda: peer.decode(without, mask)),
    }
    yield "loss and gradient", TRAINING_CLAIM, training
    yield "best path", DECODING_CLAIM, decoding


if __name__ == "__main__":
    main()
