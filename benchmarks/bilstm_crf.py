"""A whole BiLSTM-CRF training step against a packed nn.LSTM with pytorch-crf, and flair's.

    pip install pytorch-crf==0.7.2 flair==0.15.1
    OMP_NUM_THREADS=1 python benchmarks/bilstm_crf.py

Embedding, bidirectional LSTM, linear head, CRF loss, backward pass, clipping and optimiser step.
flair is left out where it is not installed. Its contestant embeds through a table of ours, as its
own embeddings would add the cost of looking tokens up by their text.
"""

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import torch
import torchcrf
from timing import interleaved
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqlab.data.spec import Spec
from seqlab.networks.reader import Reader
from seqlab.networks.tagger import Tagger
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.lstm import LSTMCell

BATCH, SHORTEST, LONGEST, HIDDEN, TAGS = 32, 20, 40, 128, 17
EMBEDDING, VOCABULARY = 64, 1000
CLAIMS = {"pytorch-crf": 0.6, "flair": 0.5}


class Packed(nn.Module):
    """What a tutorial writes."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, TAGS)
        self.crf = torchcrf.CRF(TAGS, batch_first=True)

    def loss(self, inputs, tags, lengths):
        packed = pack_padded_sequence(
            self.embedding(inputs), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        mask = torch.arange(inputs.shape[1]) < lengths[:, None]
        return -self.crf(self.head(states), tags, mask, reduction="mean")


class Ours(nn.Module):
    def __init__(self):
        super().__init__()
        spec = Spec(
            task="tagging",
            kind="tokens",
            input_size=VOCABULARY,
            output_size=TAGS,
            metric="token_accuracy",
            trivial=None,
            optimum=None,
            label_names=tuple(map(str, range(TAGS))),
        )
        encoder = partial(RecurrentEncoder, cell=LSTMCell, hidden_size=HIDDEN, bidirectional=True)
        reader = partial(Reader, encoder=encoder, embedding_dim=EMBEDDING)
        self.tagger = Tagger(spec, reader=reader, crf=True)

    def loss(self, inputs, tags, lengths):
        emissions, _ = self.tagger(inputs, lengths)
        return -self.tagger.crf.log_likelihood(emissions, tags, lengths).mean()


class Flair(nn.Module):
    """flair's SequenceTagger, as its documentation sets it up, on sentences of its own."""

    def __init__(self):
        super().__init__()
        import flair
        from flair.data import Dictionary
        from flair.embeddings import TokenEmbeddings
        from flair.models import SequenceTagger

        flair.device = torch.device("cpu")

        class Table(TokenEmbeddings):
            def __init__(self):
                super().__init__()
                self.name = "table"
                self.static_embeddings = False
                self.table = nn.Embedding(VOCABULARY, EMBEDDING)

            @property
            def embedding_length(self):
                return EMBEDDING

            @property
            def embedding_type(self):
                return "word-level"

            def _add_embeddings_internal(self, sentences):
                ids = [int(token.text) for sentence in sentences for token in sentence]
                vectors = self.table(torch.tensor(ids))
                tokens = (token for sentence in sentences for token in sentence)
                for token, vector in zip(tokens, vectors, strict=True):
                    token.set_embedding(self.name, vector)

        names = Dictionary(add_unk=False)
        for tag in range(TAGS):
            names.add_item(f"t{tag}")
        self.tagger = SequenceTagger(
            embeddings=Table(),
            tag_dictionary=names,
            tag_type="tag",
            hidden_size=HIDDEN,
            rnn_layers=1,
            use_rnn=True,
            use_crf=True,
            reproject_embeddings=False,
            dropout=0.0,
            word_dropout=0.0,
            locked_dropout=0.0,
            tag_format="BIO",
            allow_unk_predictions=False,
        )

    def sentences(self, inputs, tags, lengths):
        from flair.data import Sentence

        made = []
        for row, length in enumerate(lengths.tolist()):
            sentence = Sentence([str(token) for token in inputs[row, :length].tolist()])
            for token, tag in zip(sentence, tags[row, :length].tolist(), strict=True):
                token.add_label("tag", f"t{tag}")
            made.append(sentence)
        return made

    def step(self, sentences):
        loss, _ = self.tagger.forward_loss(sentences)
        for sentence in sentences:
            sentence.clear_embeddings()
        return loss / len(sentences)


def stepper(module, loss):
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()

    return step


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (BATCH,))
    lengths[0] = LONGEST
    inside = torch.arange(LONGEST) < lengths[:, None]
    inputs = torch.randint(1, VOCABULARY, (BATCH, LONGEST)) * inside
    tags = torch.randint(TAGS, (BATCH, LONGEST)) * inside
    ours, packed = Ours(), Packed()
    contestants = {
        "seqlab": stepper(ours, lambda: ours.loss(inputs, tags, lengths)),
        "pytorch-crf": stepper(packed, lambda: packed.loss(inputs, tags, lengths)),
    }
    if find_spec("flair"):
        flair = Flair()
        sentences = flair.sentences(inputs, tags, lengths)
        contestants["flair"] = stepper(flair, lambda: flair.step(sentences))
    packages = ["torch", "pytorch-crf", *(["flair"] if find_spec("flair") else [])]
    print(
        f"training step, batch {BATCH}, lengths {SHORTEST}–{LONGEST}, hidden {HIDDEN}, "
        f"{TAGS} tags; {', '.join(f'{name} {version(name)}' for name in packages)}, "
        f"{torch.get_num_threads()} thread"
    )
    times = interleaved(contestants, repeats=21, warmup=3)
    for name, seconds in times.items():
        line = f"{name:14}{seconds * 1e3:8.1f} ms"
        if name in CLAIMS:
            line += f"   seqlab is {times['seqlab'] / seconds:.2f}×, claimed ≤ {CLAIMS[name]}×"
        print(line)


if __name__ == "__main__":
    main()
