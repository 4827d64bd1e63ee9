"""Variable length: padded batches of like length against `pack_padded_sequence` on mixed ones.

python benchmarks/packing.py [lstm] [rnn] [gru]

One pass of training steps (embed, bidirectional recurrent layer, both final states, linear head,
cross-entropy, backward, Adam) over sequences of 5 to 100 tokens, 64 a batch, hidden size 128.
The packed network is `nn.LSTM` and its kin on `pack_padded_sequence`, whose final states need no
unpacking; ours is the classifier that `model=bilstm` makes. Before anything is timed, both must
give the same logits from the same weights.
"""

import platform
import sys
from functools import partial

import torch
from timing import interleaved
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from seqlab.data.examples import Examples
from seqlab.data.loader import BATCHES_A_POOL, LengthBucketSampler
from seqlab.data.spec import Spec
from seqlab.networks.classifier import Classifier
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

SHORTEST, LONGEST, BATCH, EMBEDDING, HIDDEN = 5, 100, 64, 64, 128
SPEC = Spec(
    task="classification",
    kind="tokens",
    input_size=1000,
    output_size=4,
    metric="accuracy",
    trivial=None,
    optimum=None,
)
CELLS = {
    "lstm": (LSTMCell, nn.LSTM, 3.5),
    "rnn": (RNNCell, nn.RNN, 2.5),
    "gru": (GRUCell, nn.GRU, 1.8),
}
PACKED, MIXED, OURS, PACKED_ALIKE = (
    "packed, shuffled",
    "padded, shuffled",
    "padded, bucketed",
    "packed, bucketed",
)


class PackedClassifier(nn.Module):
    """What a reader of PyTorch's documentation would write."""

    def __init__(self, layer: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SPEC.input_size, EMBEDDING, padding_idx=0)
        self.rnn = layer(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, SPEC.output_size)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, None]:
        packed = pack_padded_sequence(
            self.embedding(inputs), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, final = self.rnn(packed)
        hidden = final[0] if isinstance(final, tuple) else final
        return self.head(torch.cat([hidden[0], hidden[1]], -1)), None


def padded_classifier(layer: type) -> Classifier:
    encoder = partial(RecurrentEncoder, cell=layer, hidden_size=HIDDEN, bidirectional=True)
    return Classifier(SPEC, reader=partial(Reader, encoder=encoder, embedding_dim=EMBEDDING))


def copy_weights(source: Classifier, target: PackedClassifier) -> None:
    weights = dict(target.named_parameters())
    with torch.no_grad():
        weights["embedding.weight"].copy_(source.reader.embedding.weight)
        for ending, recurrence in zip(
            ("", "_reverse"), source.reader.encoder.layers[0], strict=True
        ):
            for name, weight in recurrence.cell.named_parameters():
                weights[f"rnn.{name}_l0{ending}"].copy_(weight)
        for name, weight in source.head.named_parameters():
            weights[f"head.{name}"].copy_(weight)


def make_examples(count: int) -> Examples:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator)
    inputs = torch.randint(1, SPEC.input_size, (count, LONGEST), generator=generator)
    inputs *= torch.arange(LONGEST) < lengths[:, None]
    return Examples(inputs, lengths, torch.randint(0, 4, (count,), generator=generator))


class Steps:
    """One pass of training steps, batch by batch."""

    def __init__(self, network: nn.Module, examples: Examples, bucket: bool, device: str) -> None:
        self.network = network.to(device)
        sampler = LengthBucketSampler(
            examples.lengths, batch_size=BATCH, shuffle=True, bucket=bucket
        )
        self.examples = examples
        self.batches = sampler.batches()
        self.optimizer = torch.optim.Adam(network.parameters())
        self.device = device

    def step(self, number: int) -> None:
        batch = self.examples.batch(self.batches[number])
        # Packing wants the lengths on the CPU: taken there before the batch leaves it.
        packed = isinstance(self.network, PackedClassifier)
        lengths = batch.lengths if packed else batch.lengths.to(self.device)
        batch = batch.to(self.device)
        logits, _ = self.network(batch.inputs, lengths)
        self.optimizer.zero_grad()
        F.cross_entropy(logits, batch.targets).backward()
        self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()


def seconds_a_pass(ways: dict[str, Steps], repeats: int) -> dict[str, float]:
    """Sum over a pass of each step's median; the ways take turns step by step."""
    total = dict.fromkeys(ways, 0.0)
    for number in range(BATCHES_A_POOL):
        calls = {name: partial(way.step, number) for name, way in ways.items()}
        for name, median in interleaved(calls, repeats, warmup=1 if number == 0 else 0).items():
            total[name] += median
    return total


def largest_difference(layer: type, packed_layer: type, examples: Examples, device: str) -> float:
    padded, packed = padded_classifier(layer), PackedClassifier(packed_layer)
    copy_weights(padded, packed)
    padded, packed, batch = (
        padded.to(device),
        packed.to(device),
        examples.batch(torch.arange(BATCH)),
    )
    batch = batch.to(device)
    with torch.no_grad():
        ours, theirs = (net(batch.inputs, batch.lengths)[0] for net in (padded, packed))
    difference = float((ours - theirs).abs().max())
    if difference > (1e-3 if device == "cuda" else 1e-5):
        raise SystemExit(f"the two ways differ by {difference}: nothing to compare")
    return difference


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    examples = make_examples(BATCH * BATCHES_A_POOL)
    tokens = int(examples.lengths.sum())
    where = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    print(
        f"{BATCHES_A_POOL} training steps a pass, {tokens} tokens; torch {torch.__version__}, "
        f"{device} ({where}), {torch.get_num_threads()} thread; steps interleaved, medians of 3\n"
    )
    print("cell  way                tokens/s   ratio   claim")
    for cell in sys.argv[1:] or CELLS:
        layer, packed_layer, claim = CELLS[cell]
        difference = largest_difference(layer, packed_layer, examples, device)
        ways = {
            PACKED: Steps(PackedClassifier(packed_layer), examples, False, device),
            MIXED: Steps(padded_classifier(layer), examples, False, device),
            OURS: Steps(padded_classifier(layer), examples, True, device),
        }
        if device == "cuda":
            ways[PACKED_ALIKE] = Steps(PackedClassifier(packed_layer), examples, True, device)
        seconds = seconds_a_pass(ways, repeats=3)
        for way, median in seconds.items():
            ratio = seconds[PACKED] / median
            told = f"≥ {claim}" if way == OURS and device == "cpu" else ""
            print(f"{cell:5} {way:17} {tokens / median:9.0f}  {ratio:5.2f}×  {told}", flush=True)
        print(f"      largest difference of the logits {difference:.1e}\n")


if __name__ == "__main__":
    main()
