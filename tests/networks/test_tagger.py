"""The tagger: what it must not see, and what it may be asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from seqlab.data.spec import Spec
from seqlab.errors import InputError
from seqlab.networks.reader import Reader
from seqlab.networks.tagger import Tagger
from seqlab.nn.attention import AdditiveAttention, MultiheadAttention
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.lstm import LSTMCell

NAMES = ("O", "B-X", "I-X", "B-Y", "I-Y")
SPEC = Spec(
    task="tagging",
    kind="tokens",
    input_size=11,
    output_size=5,
    metric="span_f1",
    trivial=0.0,
    optimum=1.0,
    label_names=NAMES,
    scheme="bio",
)


def reader(bidirectional=True):
    encoder = partial(RecurrentEncoder, cell=LSTMCell, hidden_size=8, bidirectional=bidirectional)
    return partial(Reader, encoder=encoder, embedding_dim=6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("attention", [None, AdditiveAttention, MultiheadAttention])
def test_padding_and_batch_mates_change_nothing(bidirectional, attention):
    torch.manual_seed(0)
    tagger = Tagger(SPEC, reader=reader(bidirectional), attention=attention).eval()
    inputs = torch.randint(1, 11, (3, 9))
    lengths = torch.tensor([9, 1, 4])
    together, weights = tagger(inputs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = tagger(inputs[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-6)
        if weights is not None:
            assert not weights[row, :, length:].any()
            torch.testing.assert_close(weights[row, :length].sum(-1), torch.ones(length))
    assert (weights is None) == (attention is None)


def test_each_state_keeps_itself_beside_what_it_attends_to():
    """Joined, not replaced: with a head that reads the first half only, attention has no effect."""
    torch.manual_seed(0)
    tagger = Tagger(SPEC, reader=reader(), attention=AdditiveAttention).eval()
    inputs, lengths = torch.randint(1, 11, (2, 5)), torch.tensor([5, 3])
    states, _, _ = tagger.reader(inputs, lengths)
    with torch.no_grad():
        tagger.head.weight[:, 16:] = 0
    torch.testing.assert_close(
        tagger(inputs, lengths)[0][0], (states @ tagger.head.weight[:, :16].T + tagger.head.bias)[0]
    )


def test_attention_lets_a_forward_reader_see_what_comes():
    torch.manual_seed(0)
    inputs, lengths = torch.randint(1, 11, (1, 6)), torch.tensor([6])
    changed = inputs.clone()
    changed[0, 5] = 1 + changed[0, 5] % 10
    for attention, sees in ((None, False), (AdditiveAttention, True)):
        tagger = Tagger(SPEC, reader=reader(False), attention=attention).eval()
        before, after = (tagger(tokens, lengths)[0][0, 0] for tokens in (inputs, changed))
        assert (not torch.equal(before, after)) == sees


def test_a_constrained_crf_never_leaves_the_scheme():
    torch.manual_seed(0)
    tagger = Tagger(SPEC, reader=reader(), crf=True)
    assert tagger.crf is not None
    lengths = torch.randint(1, 20, (200,))
    paths, _ = tagger.crf.decode(3 * torch.randn(200, 20, 5), lengths)
    for path, length in zip(paths.tolist(), lengths.tolist(), strict=True):
        before = "O"
        for tag in path[:length]:
            name = NAMES[tag]
            assert not name.startswith("I") or before[1:] == name[1:]
            before = name
    free = Tagger(SPEC, reader=reader(), crf=True, constraints="none").crf
    assert free is not None
    assert not free.constrained
    nothing_spelled = replace(SPEC, scheme=None)
    assert not Tagger(nothing_spelled, reader=reader(), crf=True).crf.constrained


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (replace(SPEC, task="classification"), {}, "one tag a token"),
        (SPEC, {"constraints": "scheme"}, "add task.crf=true"),
        (replace(SPEC, scheme=None), {"constraints": "scheme", "crf": True}, "spell spans"),
        (SPEC, {"constraints": "some"}, "auto, scheme or none"),
        (SPEC, {"dropout": 1.0}, "below 1"),
    ],
)
def test_bad_input_is_named(spec, options, message):
    with pytest.raises(InputError, match=message):
        Tagger(spec, reader=reader(), **options)
