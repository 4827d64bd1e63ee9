"""The one loop against loops that are written out."""

from itertools import product

import pytest
import torch

from seqlab.nn.attention import AdditiveAttention
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.decoding.state import stack_steps
from seqlab.nn.decoding.unroll import Continuation, unroll
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell

INPUT, KEY, TIME, STEPS = 3, 4, 5, 6
CASES = list(product([GRUCell, LSTMCell], ["after", "before"]))


@pytest.fixture(params=CASES)
def case(request):
    """A decoder, inputs, the initial state and what is attended to, of three sources."""
    cell, position = request.param
    torch.manual_seed(0)
    decoder = AttentionDecoder(
        INPUT,
        KEY,
        cell=cell,
        hidden_size=INPUT,
        attention=AdditiveAttention,
        attention_position=position,
        coverage=True,
    ).double()
    mask = torch.arange(TIME) < torch.tensor([[5], [2], [3]])
    keys = torch.randn(3, TIME, KEY, dtype=torch.float64)
    memory = decoder.prepare_memory(keys, mask)
    layer = tuple(torch.randn(3, size, dtype=torch.float64) for size in decoder.state_sizes)
    inputs = torch.randn(3, STEPS, INPUT, dtype=torch.float64)
    return decoder, inputs, (layer,), memory


def close(one, other):
    for x, y in zip(one, other, strict=True):
        torch.testing.assert_close(x, y, atol=1e-12, rtol=1e-12)


def test_known_inputs_are_the_whole_pass(case):
    decoder, inputs, initial, memory = case
    padded = torch.cat([inputs, inputs[:, :1]], 1)
    steps = unroll(
        decoder,
        inputs[:, 0],
        decoder.init_state(initial, memory),
        memory,
        steps=STEPS,
        next_input=lambda step, output: Continuation(padded[:, step + 1]),
    )
    close(stack_steps(list(steps)), decoder(inputs, initial, memory))


def test_autoregressive(case):
    decoder, inputs, initial, memory = case
    steps = unroll(
        decoder,
        inputs[:, 0],
        decoder.init_state(initial, memory),
        memory,
        steps=STEPS,
        next_input=lambda step, output: Continuation(output.outputs),
    )
    state, read, expected = decoder.init_state(initial, memory), inputs[:, 0], []
    for _ in range(STEPS):
        output, state = decoder.step(read, state, memory)
        read = output.outputs
        expected.append(output)
    close(stack_steps(list(steps)), stack_steps(expected))


def test_teacher_forcing_in_part(case):
    decoder, inputs, initial, memory = case
    is_forced = torch.rand(3, STEPS, 1) < 0.5
    steps = unroll(
        decoder,
        inputs[:, 0],
        decoder.init_state(initial, memory),
        memory,
        steps=STEPS,
        next_input=lambda step, output: Continuation(
            torch.where(is_forced[:, step], inputs[:, step], output.outputs)
        ),
    )
    found = stack_steps(list(steps))
    read = torch.where(is_forced, inputs, found.outputs)
    close(found, decoder(torch.cat([inputs[:, :1], read[:, :-1]], 1), initial, memory))


def test_rows_that_go_on_in_another_order(case):
    """Two output sequences a source, of which those of the last source change their places."""
    decoder, inputs, initial, memory = case
    second = torch.randn(6, INPUT, dtype=torch.float64)
    third = torch.randn(2, INPUT, dtype=torch.float64)
    moves = [
        Continuation(second, torch.tensor([0, 0, 1, 1, 2, 2])),
        Continuation(third, torch.tensor([5, 4]), torch.tensor([2])),
        None,
    ]
    outputs = list(
        unroll(
            decoder,
            inputs[:, 0],
            decoder.init_state(initial, memory),
            memory,
            steps=9,
            next_input=lambda step, output: moves[step],
        )
    )
    assert [len(output.outputs) for output in outputs] == [3, 6, 2]
    alone = memory.select(torch.tensor([2]))
    start = (tuple(part[2:] for part in initial[0]),)
    for row, came_from in enumerate((5, 4)):
        read = torch.stack([inputs[2, 0], second[came_from], third[row]])
        expected = decoder(read[None], start, alone)
        torch.testing.assert_close(outputs[1].outputs[came_from], expected.outputs[0, 1])
        torch.testing.assert_close(outputs[2].outputs[row], expected.outputs[0, 2])


def test_it_ends_after_its_steps_or_where_nothing_follows(case):
    decoder, inputs, initial, memory = case
    asked = []

    def next_input(step, output):
        asked.append(step)
        return None if step == 2 else Continuation(inputs[:, step])

    state = decoder.init_state(initial, memory)
    run = unroll(decoder, inputs[:, 0], state, memory, steps=5, next_input=next_input)
    assert len(list(run)) == 3
    assert asked == [0, 1, 2]
    run = unroll(decoder, inputs[:, 0], state, memory, steps=2, next_input=next_input)
    assert len(list(run)) == 2
