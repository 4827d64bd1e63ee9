from functools import partial
from itertools import product

import pytest
import torch

from seqlab.data.reverse import Reverse
from seqlab.data.vocabulary import BEGIN, END, UNKNOWN
from seqlab.errors import InputError
from seqlab.networks.reader import Reader
from seqlab.networks.search import Search, score
from seqlab.networks.seq2seq import Seq2Seq, shift_right
from seqlab.nn.attention import AdditiveAttention, GeneralAttention, MultiheadAttention
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

DATA = Reverse(num_symbols=3, train_size=40, val_size=10, test_size=10, min_length=2, max_length=6)
BATCH = DATA.split("train").batch(torch.arange(6))


def build(
    layer=GRUCell,
    *,
    directions=2,
    layers=1,
    size=8,
    attention=GeneralAttention,
    embedding_dim=6,
    decoder=None,
    **options,
):
    torch.manual_seed(0)
    encoder = partial(
        RecurrentEncoder,
        cell=layer,
        hidden_size=size,
        num_layers=layers,
        bidirectional=directions == 2,
    )
    network = Seq2Seq(
        DATA.spec,
        reader=partial(Reader, encoder=encoder, embedding_dim=6),
        decoder=partial(
            AttentionDecoder, **{"cell": LSTMCell, "hidden_size": 8, **(decoder or {})}
        ),
        attention=attention,
        embedding_dim=embedding_dim,
        **options,
    )
    with torch.no_grad():  # far from even, so that searches of different sentences differ
        for parameter in network.parameters():
            parameter.mul_(2)
        network.output.bias[END] -= 2
    return network.eval()


OPTIONS = [
    {},
    {"attention": None},
    {"attention": None, "directions": 1},
    {"attention": AdditiveAttention, "decoder": {"attention_position": "before"}},
    {"attention": MultiheadAttention, "decoder": {"coverage": True, "num_layers": 2}},
    {"copy": True, "decoder": {"input_feeding": False}},
    {"copy": True, "share_embeddings": True, "tie_output": True},
]


@pytest.mark.parametrize(
    ("layer", "directions", "layers", "cell", "decoder_layers"),
    [
        (layer, directions, 2, cell, layers)
        for layer, cell in product([RNNCell, LSTMCell], [RNNCell, GRUCell, LSTMCell, LRUCell])
        for directions, layers in ((1, 3), (2, 1))
    ],
)
def test_any_encoder_meets_any_decoder(layer, directions, layers, cell, decoder_layers):
    network = build(
        layer,
        directions=directions,
        layers=layers,
        size=5,
        decoder={"cell": cell, "num_layers": decoder_layers},
    )
    logits, weights = network(BATCH.inputs, BATCH.lengths, BATCH.targets)
    assert logits.shape == (*BATCH.targets.shape, DATA.spec.output_size)
    assert weights.shape == (*BATCH.targets.shape, BATCH.inputs.shape[1])


@pytest.mark.parametrize("options", OPTIONS)
def test_forced_score_is_the_sum_of_stepwise_log_probabilities(options):
    network = build(**options)
    found = score(network, BATCH.inputs, BATCH.lengths, BATCH.targets, BATCH.target_lengths)
    memory, state = network.start(BATCH.inputs, BATCH.lengths)
    total, last = torch.zeros(len(BATCH)), torch.full((len(BATCH),), BEGIN)
    for step in range(BATCH.targets.shape[1]):
        output, state = network.step(last, state, memory)
        last = BATCH.targets[:, step]
        each = output.log_probs().gather(1, last[:, None]).squeeze(1)
        total += torch.where(step < BATCH.target_lengths, each, 0)
    torch.testing.assert_close(found, total, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
def test_outputs_score_what_forcing_them_scores(options):
    network = build(**options)
    for search, n_best in (
        (Search(), 1),
        (Search(method="beam", beam_size=3, length_penalty=1.0), 3),
        (Search(method="sample", seed=1), 1),
    ):
        found = search.run(network, BATCH.inputs, BATCH.lengths, 6, n_best=n_best)
        for rank in range(found.tokens.shape[1]):
            lengths = found.lengths[:, rank]
            targets = torch.cat([found.tokens[:, rank], torch.zeros(len(BATCH), 1).long()], 1)
            targets[torch.arange(len(BATCH)), lengths] = END
            expected = score(network, BATCH.inputs, BATCH.lengths, targets, lengths + 1)
            torch.testing.assert_close(found.log_probs[:, rank], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_outputs_depend_neither_on_batch_mates_nor_on_padding(options, method):
    network = build(**options)
    search = Search(method=method, beam_size=4, length_penalty=0.7, min_length=2)
    together = search.run(network, BATCH.inputs, BATCH.lengths, 6)
    for row in range(len(BATCH)):
        length = BATCH.lengths[row]
        alone = search.run(network, BATCH.inputs[row : row + 1, :length], length[None], 6)
        size = alone.lengths[0, 0]
        assert together.lengths[row, 0] == size
        assert torch.equal(together.tokens[row, 0, :size], alone.tokens[0, 0, :size])
        torch.testing.assert_close(
            together.log_probs[row], alone.log_probs[0], atol=1e-4, rtol=1e-4
        )
    assert together.lengths.min() >= 2
    assert len(set(together.log_probs[:, 0].tolist())) >= 4  # two of the sources are equal


def test_a_wide_beam_finds_the_best_of_all_targets():
    network = build(copy=True)
    with torch.no_grad():  # hypotheses that end soon, so that lengths compete
        network.output.bias[END] += 3
    search = Search(method="beam", beam_size=200, max_length=4)
    found = search.run(network, BATCH.inputs[:2], BATCH.lengths[:2], None, n_best=5)
    symbols = range(UNKNOWN + 1, DATA.spec.output_size)
    space = [s for length in range(5) for s in product(symbols, repeat=length)]
    targets = torch.zeros(len(space), 5, dtype=torch.long)
    for row, sequence in enumerate(space):
        targets[row, : len(sequence) + 1] = torch.tensor([*sequence, END])
    lengths = torch.tensor([len(sequence) + 1 for sequence in space])
    for sentence in range(2):
        inputs = BATCH.inputs[sentence].expand(len(space), -1)
        source_lengths = BATCH.lengths[sentence].expand(len(space))
        each = score(network, inputs, source_lengths, targets, lengths)
        best = each.topk(5)
        torch.testing.assert_close(found.log_probs[sentence], best.values, atol=1e-4, rtol=1e-4)
        for rank, row in enumerate(best.indices.tolist()):
            size = found.lengths[sentence, rank]
            assert tuple(found.tokens[sentence, rank, :size].tolist()) == space[row]


@pytest.mark.parametrize("options", OPTIONS)
def test_teacher_forcing_always_is_the_whole_pass_and_never_is_autoregressive(options):
    network = build(**options)
    case = BATCH.inputs, BATCH.lengths
    always, _ = network(*case, BATCH.targets, torch.ones_like(BATCH.targets).bool())
    whole, _ = network(*case, BATCH.targets)
    torch.testing.assert_close(always, whole, atol=1e-5, rtol=1e-5)
    never, _ = network(*case, BATCH.targets, torch.zeros_like(BATCH.targets).bool())
    forced, _ = network(*case, never.argmax(-1))
    torch.testing.assert_close(never, forced, atol=1e-5, rtol=1e-5)


def test_teacher_forcing_in_part_reads_the_token_where_the_mask_is_true():
    network = build()
    mask = torch.rand(BATCH.targets.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    found, weights = network(BATCH.inputs, BATCH.lengths, BATCH.targets, mask)
    read = torch.where(mask, BATCH.targets, found.argmax(-1))
    expected, expected_weights = network(BATCH.inputs, BATCH.lengths, read)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights, expected_weights, atol=1e-5, rtol=1e-5)


def test_targets_are_shifted_right_behind_the_begin_token():
    targets = torch.tensor([[5, 6, END], [7, END, 0]])
    assert shift_right(targets).tolist() == [[BEGIN, 5, 6], [BEGIN, 7, END]]


def test_sharing_and_tying_share_one_matrix():
    network = build(share_embeddings=True, tie_output=True)
    weights = {id(network.embedding.weight), id(network.output.weight)}
    assert weights == {id(network.reader.embedding.weight)}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"copy": True, "attention": None}, "model/attention"),
        ({"decoder": {"attention_position": "none"}}, "leaves the attention without effect"),
        ({"share_embeddings": True, "embedding_dim": 5}, "model.embedding_dim=6"),
        ({"attention": partial(MultiheadAttention, num_heads=3)}, "num_heads=3"),
    ],
)
def test_what_cannot_work_is_told(options, named):
    with pytest.raises(InputError, match=named):
        build(**options)


def test_a_maximum_below_the_references_is_refused():
    with pytest.raises(InputError, match="max_length=5 is below the 6 tokens"):
        Search(max_length=5).constraints(6)
    assert Search().constraints(6).max_length > 6
    with pytest.raises(InputError, match="greedy, beam or sample"):
        Search(method="best")
