"""Sequence to sequence: training steps and decoding against their peers, in one run.

    python benchmarks/seq2seq.py

Times are processor times of one thread, which neighbours on the machine disturb least. With
JoeyNMT 2.3.0 importable (`pip install joeynmt==2.3.0`, best in an environment of its own with
SeqLab beside it) its model of the same sizes runs in turn with ours.
"""

from __future__ import annotations

import importlib.util
import platform
import time
from functools import partial
from types import SimpleNamespace

import torch
from timing import interleaved
from torch import nn
from torch.nn import functional as F

from seqlab.data.spec import Spec
from seqlab.networks.reader import Reader
from seqlab.networks.search import Search
from seqlab.networks.seq2seq import Seq2Seq, shift_right
from seqlab.nn.attention import AdditiveAttention, GeneralAttention
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.lstm import LSTMCell

BATCH, LENGTH, HIDDEN, VOCABULARY = 64, 50, 256, 1000


def network(
    attention, *, hidden=HIDDEN, embedding=HIDDEN, vocabulary=VOCABULARY, both=False, **decoder
):
    spec = Spec(
        task="seq2seq",
        kind="tokens",
        input_size=vocabulary,
        output_size=vocabulary,
        metric="exact_match",
        trivial=None,
        optimum=None,
    )
    encoder = partial(RecurrentEncoder, cell=LSTMCell, hidden_size=hidden, bidirectional=both)
    return Seq2Seq(
        spec,
        reader=partial(Reader, encoder=encoder, embedding_dim=embedding),
        decoder=partial(AttentionDecoder, cell=LSTMCell, hidden_size=hidden, **decoder),
        attention=attention,
        embedding_dim=embedding,
    )


def training_step(model, inputs, lengths, targets):
    def run():
        model.zero_grad()
        logits, _ = model(inputs, lengths, targets)
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()

    return run


class Recurrences(nn.Module):
    """The two fused recurrences that a model without attention consists of; with output layer."""

    def __init__(self, output):
        super().__init__()
        self.source, self.target = (
            nn.Embedding(VOCABULARY, HIDDEN),
            nn.Embedding(VOCABULARY, HIDDEN),
        )
        self.encoder, self.decoder = (nn.LSTM(HIDDEN, HIDDEN, batch_first=True) for _ in range(2))
        self.output = nn.Linear(HIDDEN, VOCABULARY) if output else nn.Identity()

    def forward(self, inputs, lengths, targets):
        _, state = self.encoder(self.source(inputs))
        embedded = self.target(shift_right(targets))
        return self.output(self.decoder(embedded, state)[0]), None


class TidyLoop(nn.Module):
    """Bahdanau's decoder as a tidy loop: keys projected once, one output layer for all steps."""

    def __init__(self):
        super().__init__()
        self.source, self.target = (
            nn.Embedding(VOCABULARY, HIDDEN),
            nn.Embedding(VOCABULARY, HIDDEN),
        )
        self.encoder = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.cell = nn.LSTMCell(2 * HIDDEN, HIDDEN)
        self.query, self.key = nn.Linear(HIDDEN, HIDDEN, bias=False), nn.Linear(HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1, bias=False)
        self.output = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, inputs, lengths, targets):
        states, (hidden, cell) = self.encoder(self.source(inputs))
        hidden, cell = hidden[0], cell[0]
        keys, embedded = self.key(states), self.target(shift_right(targets))
        outputs = []
        barred = torch.arange(inputs.shape[1]) >= lengths[:, None]
        for step in range(targets.shape[1]):
            scores = self.score(torch.tanh(keys + self.query(hidden)[:, None])).squeeze(-1)
            weights = scores.masked_fill(barred, float("-inf")).softmax(-1)
            context = (weights[:, None] @ states).squeeze(1)
            hidden, cell = self.cell(torch.cat([embedded[:, step], context], -1), (hidden, cell))
            outputs.append(hidden)
        return self.output(torch.stack(outputs, 1)), None


def bahdanau_products():
    """The matrix products alone that a step with Bahdanau's attention cannot do without."""
    rows, width = BATCH * LENGTH, HIDDEN
    encoder = nn.LSTM(width, width, batch_first=True)
    embedded = torch.randn(BATCH, LENGTH, width, requires_grad=True)
    # rows, inputs, outputs: embeddings, keys, readout and output layer of all steps at once …
    whole = [(rows, width, 4 * width), (rows, width, width), (rows, 2 * width, width)]
    whole += [(rows, width, VOCABULARY)]
    # … and query, and context with state, step by step; their weights' gradients at once.
    stepped = [(BATCH, width, width), (BATCH, 2 * width, 4 * width)]

    def operands(count, inputs, outputs):
        return torch.randn(count, inputs), torch.randn(outputs, inputs), torch.randn(count, outputs)

    whole, at_once, stepped = (
        [operands(*sizes) for sizes in part]
        for part in (whole, [(rows, i, o) for _, i, o in stepped], stepped)
    )

    def run():
        encoder(embedded)[0].sum().backward()
        for inputs, weight, gradient in whole:
            inputs @ weight.T
            gradient @ weight
            gradient.T @ inputs
        for _ in range(LENGTH):
            for inputs, weight, gradient in stepped:
                inputs @ weight.T
                gradient @ weight
        for inputs, _, gradient in at_once:
            gradient.T @ inputs

    return run


def training(repeats=7):
    torch.manual_seed(0)
    inputs, targets = (torch.randint(4, VOCABULARY, (BATCH, LENGTH)) for _ in range(2))
    lengths = torch.full((BATCH,), LENGTH)
    models = {
        "two recurrences": Recurrences(output=False),
        "two recurrences and output layer": Recurrences(output=True),
        "tidy Bahdanau loop": TidyLoop(),
        "no attention": network(None),
        "Luong after the cell": network(GeneralAttention, input_feeding=False),
        "Luong, input feeding": network(GeneralAttention, input_feeding=True),
        "Bahdanau": network(AdditiveAttention, attention_position="before", input_feeding=False),
        "Bahdanau, readout fed too": network(
            AdditiveAttention, attention_position="before", input_feeding=True
        ),
    }
    steps = {n: training_step(m, inputs, lengths, targets) for n, m in models.items()}

    def bare():
        model = models["two recurrences"]
        model.zero_grad()
        model(inputs, lengths, targets)[0].sum().backward()

    steps["two recurrences"] = bare
    steps["Bahdanau's matrix products alone"] = bahdanau_products()
    times = interleaved(steps, repeats=repeats, warmup=1, clock=time.process_time)
    print(
        f"training step, hidden {HIDDEN}, batch {BATCH}, lengths {LENGTH}, vocabulary {VOCABULARY}"
    )
    for name, seconds in times.items():
        print(f"  {name:36}{1e3 * seconds:8.0f} ms")
    both, out = times["two recurrences"], times["two recurrences and output layer"]
    for name, peer, claim in [
        ("no attention", out, "≤ 1.3"),
        ("no attention", both, "≤ 1.3, without their output layer"),
        ("Luong after the cell", out, "≤ 1.6"),
        ("Luong after the cell", both, "≤ 1.6, without their output layer"),
        ("Bahdanau", times["tidy Bahdanau loop"], "≤ 0.5"),
        ("Bahdanau, readout fed too", times["tidy Bahdanau loop"], "≤ 0.5"),
        ("Bahdanau's matrix products alone", times["tidy Bahdanau loop"], "none: the floor"),
    ]:
        print(f"  {name:36}{times[name] / peer:8.2f} × (claim {claim})")


def reversal(attention=GeneralAttention):
    torch.manual_seed(0)
    return network(attention, hidden=64, embedding=16, vocabulary=54, both=True).eval()


def decoding(repeats=5):
    model = reversal()
    with torch.no_grad():  # nothing ends early: all contestants take the same steps
        model.output.bias[2] = -1e4
    inputs, lengths = torch.randint(4, 54, (256, 25)), torch.full((256,), 25)
    beam = Search(method="beam", beam_size=5, max_length=25)

    def together():
        beam.run(model, inputs, lengths, None)

    def one_by_one():
        for row in range(0, 256, 16):  # a sixteenth of them
            beam.run(model, inputs[row : row + 1], lengths[:1], None)

    with torch.inference_mode():
        times = interleaved(
            {"together": together, "alone": one_by_one},
            repeats=repeats,
            warmup=1,
            clock=time.process_time,
        )
        speedup = 16 * times["alone"] / times["together"]
        print("\nbeam 5, 256 sentences of 25 tokens, reversal sizes")
        print(f"  together {256 / times['together']:.0f} sentences a second")
        print(f"  {speedup:.1f} × as fast as sentence by sentence (claim ≥ 8)")
        print("greedy decoding by length")
        wide = {
            f"{n}": partial(Search(max_length=n, min_length=n).run, model, inputs, lengths, None)
            for n in (25, 50, 100, 200)
        }
        times = interleaved(wide, repeats=repeats, warmup=1, clock=time.process_time)
        for name, seconds in times.items():
            print(
                f"  {name:>4} tokens {1e3 * seconds:7.0f} ms, {1e3 * seconds / int(name):.2f} each"
            )


def joeynmt_model():
    """JoeyNMT's model of the reversal sizes."""
    from joeynmt.model import build_model
    from joeynmt.vocabulary import Vocabulary

    special = {
        "unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>",
        "sep_token": None, "unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3, "lang_tags": [],
    }  # fmt: skip
    vocabulary = Vocabulary([str(n) for n in range(50)], SimpleNamespace(**special))
    embeddings = {"embedding_dim": 16, "scale": False}
    side = {"rnn_type": "lstm", "embeddings": embeddings, "hidden_size": 64, "num_layers": 1}
    model = build_model(
        {
            "encoder": {**side, "type": "recurrent", "bidirectional": True, "dropout": 0.0},
            "decoder": {
                **side,
                "type": "recurrent",
                "dropout": 0.0,
                "hidden_dropout": 0.0,
                "bridge": True,
                "init_hidden": "bridge",
                "input_feeding": True,
                "attention": "luong",
            },
        },
        src_vocab=vocabulary,
        trg_vocab=vocabulary,
    )
    model.loss_function = ("crossentropy", 0.0)
    return model


def joeynmt_batch(inputs, targets=None):
    """Tokens 4 to 53, of one length, between JoeyNMT's marks."""
    from joeynmt.batch import Batch

    rows, width = inputs.shape
    begin, end = torch.full((rows, 1), 2), torch.full((rows, 1), 3)
    target = None if targets is None else torch.cat([begin, targets, end], 1)
    return Batch(
        src=torch.cat([inputs, end], 1),
        src_length=torch.full((rows,), width + 1),
        src_prompt_mask=None,
        trg=target,
        trg_prompt_mask=None,
        indices=torch.arange(rows),
        device=torch.device("cpu"),
        pad_index=1,
        eos_index=3,
    )


def joeynmt(repeats=9):
    """A step of 24 sentences, and decoding, beside JoeyNMT."""
    from joeynmt.search import search

    torch.manual_seed(0)
    ours, theirs = reversal().train(), joeynmt_model()
    inputs, targets = (torch.randint(4, 54, (24, 25)) for _ in range(2))
    lengths = torch.full((24,), 25)
    ended = torch.cat([targets, torch.full((24, 1), 2)], 1)
    batch = joeynmt_batch(inputs, targets)
    optimizers = {model: torch.optim.AdamW(model.parameters(), lr=1e-3) for model in (ours, theirs)}
    our_pass = training_step(ours, inputs, lengths, ended)

    def our_step():
        our_pass()
        nn.utils.clip_grad_norm_(ours.parameters(), 1.0)
        optimizers[ours].step()

    def their_step():
        optimizers[theirs].zero_grad()
        loss, *_ = theirs(return_type="loss", **vars(batch))
        (loss / batch.nseqs).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizers[theirs].step()

    times = interleaved(
        {"ours": our_step, "JoeyNMT": their_step}, repeats=repeats, clock=time.process_time
    )
    print("\nreversal sizes, training step of 24 sentences of 25 tokens")
    _compare(times, "≤ 0.5")
    ours.eval()
    theirs.eval()
    with torch.no_grad():  # no hypothesis ends early: both take the same steps
        ours.output.bias[2] = -1e4
        theirs.decoder.output_layer.weight[3] = 0
    inputs, lengths = torch.randint(4, 54, (256, 25)), torch.full((256,), 25)
    batch = joeynmt_batch(inputs)
    for name, size in (("greedy", 1), ("beam 5", 5)):
        method = {"method": "greedy"} if size == 1 else {"method": "beam", "length_penalty": 1.0}
        find = Search(**method, max_length=25, min_length=24)

        def our_search(find=find):
            with torch.inference_mode():
                find.run(ours, inputs, lengths, None)

        def their_search(size=size):
            search(theirs, batch, 25, size, 1.0, min_output_length=24, generate_unk=False)

        times = interleaved(
            {"ours": our_search, "JoeyNMT": their_search},
            repeats=5,
            warmup=1,
            clock=time.process_time,
        )
        print(f"{name}, 256 sentences of 25 tokens")
        for who, seconds in times.items():
            print(f"  {who:10}{256 / seconds:8.0f} sentences a second")
        _compare(times, "≤ 0.5, that is twice as fast" if size > 1 else "none")


def _compare(times, claim):
    for name, seconds in times.items():
        print(f"  {name:10}{1e3 * seconds:8.1f} ms")
    print(f"  {times['ours'] / times['JoeyNMT']:.2f} of JoeyNMT's time (claim {claim})")


def main():
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, 1 thread")
    print("processor time, one run, contestants in turn, medians\n")
    training()
    decoding()
    if importlib.util.find_spec("joeynmt") is None:
        print("\nJoeyNMT is not installed: its comparison is left out")
    else:
        joeynmt()


if __name__ == "__main__":
    main()
