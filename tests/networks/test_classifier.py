from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.data.spec import Spec
from seqlab.errors import InputError
from seqlab.networks.classifier import Classifier
from seqlab.networks.reader import Reader
from seqlab.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

CELLS = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell}
ATTENTIONS = {
    "additive": AdditiveAttention,
    "general": GeneralAttention,
    "dot": DotAttention,
    "scaled_dot": ScaledDotAttention,
    "multihead": partial(MultiheadAttention, num_heads=2),
}
VOCABULARY, FEATURES, CLASSES = 11, 3, 4
# Attention and pooling: all that fit together.
HEADS = [
    *((None, pooling) for pooling in ("auto", "last", "first_last", "mean", "max")),
    *((attention, "auto") for attention in ATTENTIONS),
    ("additive", "attention"),
]


def make_spec(kind, task="classification"):
    return Spec(
        task=task,
        kind=kind,
        input_size=VOCABULARY if kind == "tokens" else FEATURES,
        output_size=CLASSES,
        metric="accuracy",
        trivial=None,
        optimum=None,
    )


def make(
    cell="gru",
    *,
    kind="tokens",
    attention=None,
    pooling="auto",
    self_attention=None,
    dropout=0.0,
    embedding_dropout=0.0,
    embedding_dim=5,
    task="classification",
    dtype=torch.float64,
    **encoder,
):
    torch.manual_seed(0)
    reader = partial(
        Reader,
        encoder=partial(RecurrentEncoder, cell=CELLS[cell], **{"hidden_size": 4, **encoder}),
        embedding_dim=embedding_dim,
        embedding_dropout=embedding_dropout,
        self_attention=ATTENTIONS.get(self_attention),
    )
    network = Classifier(
        make_spec(kind, task),
        reader=reader,
        attention=ATTENTIONS.get(attention),
        pooling=pooling,
        dropout=dropout,
    )
    return network.to(dtype)


def random_inputs(kind, batch, time):
    if kind == "tokens":
        return torch.randint(1, VOCABULARY, (batch, time))
    return torch.randn(batch, time, FEATURES).double()


def check_padding(network, kind, lengths, extra=3):
    """Logits and weights of each sequence alone are those it has in the batch padded with junk."""
    inputs = random_inputs(kind, len(lengths), max(lengths) + extra)
    with torch.no_grad():
        logits, weights = network(inputs, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone, alone_weights = network(inputs[row : row + 1, :length], torch.tensor([length]))
            torch.testing.assert_close(logits[row], alone[0], atol=1e-12, rtol=1e-12)
            assert (weights is None) == (alone_weights is None)
            if weights is not None:
                torch.testing.assert_close(weights[row, :length], alone_weights[0])
                assert not weights[row, length:].any()
    assert logits.abs().max() > 1e-3


@pytest.mark.parametrize("self_attention", [None, "multihead", "additive"])
@pytest.mark.parametrize(
    ("attention", "pooling", "bidirectional"),
    [(*head, two) for head in HEADS for two in (False, True) if two or head[1] != "first_last"],
)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_logit(
    *, cell, bidirectional, num_layers, attention, pooling, self_attention
):
    network = make(
        cell,
        bidirectional=bidirectional,
        num_layers=num_layers,
        attention=attention,
        pooling=pooling,
        self_attention=self_attention,
    )
    check_padding(network, "tokens", [5, 7, 1, 3])


@settings(max_examples=60, deadline=None)
@given(
    cell=st.sampled_from(sorted(CELLS)),
    kind=st.sampled_from(["tokens", "values"]),
    head=st.sampled_from([head for head in HEADS if head[1] != "first_last"]),
    self_attention=st.sampled_from([None, *ATTENTIONS]),
    bidirectional=st.booleans(),
    layer_norm=st.booleans(),
    initial_state=st.sampled_from(["zero", "learned"]),
    lengths=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    extra=st.integers(0, 4),
)
def test_padding_changes_no_logit_for_any_option(cell, kind, head, lengths, extra, **options):
    network = make(cell, kind=kind, attention=head[0], pooling=head[1], **options)
    check_padding(network, kind, lengths, extra)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("attention", "pooling"), HEADS)
def test_not_a_number_behind_a_sequence_reaches_nothing(cell, attention, pooling):
    network = make(
        cell,
        kind="values",
        bidirectional=True,
        attention=attention,
        pooling=pooling,
        self_attention="scaled_dot",
    )
    lengths = torch.tensor([6, 2, 4])
    valid = (torch.arange(7) < lengths[:, None])[..., None]
    clean = torch.where(valid, random_inputs("values", 3, 7), 0.0)

    def outcome(inputs):
        network.zero_grad()
        logits, _ = network(inputs, lengths)
        logits.square().sum().backward()
        return [logits.detach(), *(p.grad.clone() for p in network.parameters())]

    expected = outcome(clean)
    for ours, wanted in zip(
        outcome(torch.where(valid, clean, float("nan"))), expected, strict=True
    ):
        assert torch.equal(ours, wanted)


def test_auto_pools_both_ends_of_two_directions():
    """Defect of well-known toolkits: the backward half at the last position has read one token."""
    network = make("lstm", bidirectional=True, hidden_size=16)
    read = []
    network.pooling.register_forward_hook(lambda module, given, result: read.append(result[0]))
    inputs, lengths = random_inputs("tokens", 2, 6), torch.tensor([6, 4])
    for place in (None, 0, -1):
        changed = inputs.clone()
        if place is not None:
            at = (torch.arange(2), lengths - 1 if place else torch.zeros(2, dtype=torch.long))
            changed[at] = changed[at] % (VOCABULARY - 1) + 1
        network(changed, lengths)
    for changed in read[1:]:
        assert ((changed != read[0])[:, :16].any(1)).all()
        assert ((changed != read[0])[:, 16:].any(1)).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "LastPooling"),
        ({"bidirectional": True}, "FirstLastPooling"),
        ({"attention": "dot"}, "AttentionPooling"),
        ({"attention": "additive"}, "AttentionPooling"),
        ({"pooling": "max"}, "MaxPooling"),
    ],
)
def test_what_auto_chooses(options, expected):
    assert type(make(**options).pooling).__name__ == expected


def test_the_padding_token_embeds_as_zero_and_is_not_trained():
    network = make()
    inputs = torch.tensor([[3, 4, 5], [3, 0, 0]])
    network(inputs, torch.tensor([3, 3]))[0].sum().backward()
    weight = network.reader.embedding.weight
    assert not weight[0].any()
    assert not weight.grad[0].any()
    assert weight.grad[3].any()


class TestDropout:
    def outputs(self, **options):
        network = make(bidirectional=True, hidden_size=16, **options)
        inputs, lengths = random_inputs("tokens", 3, 6), torch.tensor([6, 2, 4])
        trained = [network(inputs, lengths)[0] for _ in range(2)]
        network.eval()
        return trained, [network(inputs, lengths)[0] for _ in range(2)]

    @pytest.mark.parametrize("option", ["dropout", "embedding_dropout"])
    def test_it_acts_while_training_only(self, option):
        trained, evaluated = self.outputs(**{option: 0.5})
        assert not torch.equal(*trained)
        assert torch.equal(*evaluated)

    def test_none_is_none(self):
        trained, evaluated = self.outputs()
        assert torch.equal(*trained)
        assert torch.equal(trained[0], evaluated[0])

    def test_it_stands_before_the_head(self):
        network = make(dropout=0.5, hidden_size=64)
        seen = []
        network.head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        network(random_inputs("tokens", 8, 6), torch.full((8,), 6))
        assert 0.4 < (seen[0] == 0).double().mean() < 0.6


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"task": "tagging"}, "task=tagging"),
            ({"pooling": "first_last"}, "two directions"),
            ({"pooling": "attention"}, "needs an attention"),
            ({"pooling": "mean", "attention": "dot"}, "without effect"),
            ({"dropout": 1.0}, "dropout=1.0"),
            ({"embedding_dropout": -0.5}, "embedding_dropout=-0.5"),
            ({"embedding_dim": 0}, "embedding_dim=0"),
            ({"attention": "multihead", "hidden_size": 5}, "num_heads=2 must divide the width 5"),
        ],
    )
    def test_settings(self, options, said):
        with pytest.raises(InputError, match=said):
            make(**options)

    def test_an_unknown_pooling(self):
        with pytest.raises(InputError, match="'median' must be auto, attention, last"):
            make(pooling="median")

    def test_an_empty_sequence(self):
        with pytest.raises(InputError, match="lengths must be from 1"):
            make()(random_inputs("tokens", 2, 3), torch.tensor([3, 0]))
