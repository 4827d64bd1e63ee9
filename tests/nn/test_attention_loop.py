from itertools import product

import pytest
import torch

from seqlab.nn.additive_score import exponentials
from seqlab.nn.attention_loop import attention_loop
from seqlab.nn.gates import GATES
from seqlab.nn.loop_gradient import LoopInputs

STEPS, BATCH, TIME, HIDDEN, KEY, READOUT, SIZE = 3, 2, 4, 3, 5, 2, 4
CASES = [
    case
    for case in product(GATES, ["before", "after"], [True, False], ["additive", "general", "dot"])
    if case[1] == "before" or case[2]
]


def inputs(cell, position, feeding, kind):
    gates = GATES[cell]
    width = gates.number * HIDDEN
    size = {"additive": SIZE, "general": KEY, "dot": HIDDEN}[kind]
    key = HIDDEN if kind == "dot" else KEY

    def random(*shape):
        return (torch.randn(*shape, dtype=torch.float64) / 2).requires_grad_()

    barred = torch.zeros(BATCH, TIME, dtype=torch.bool)
    barred[1, 2:] = True
    return gates, LoopInputs(
        inputs=random(STEPS, BATCH, width),
        hidden=random(BATCH, HIDDEN),
        cell=random(BATCH, HIDDEN) if cell == "lstm" else None,
        recurrent_weight=random(width, HIDDEN),
        recurrent_bias=random(width) if gates.separate else None,
        context_weight=random(width, key) if position == "before" else None,
        feed_weight=random(width, READOUT) if feeding else None,
        query_weight=None if kind == "dot" else random(size, HIDDEN),
        vector=random(size) if kind == "additive" else None,
        keys=random(BATCH, TIME, size),
        values=random(BATCH, TIME, key),
        factors=None,
        readout_weight=random(READOUT, HIDDEN + key) if feeding else None,
        readout_bias=random(READOUT) if feeding else None,
        barred=barred,
    )


@pytest.mark.parametrize(("cell", "position", "feeding", "kind"), CASES)
def test_gradients_by_finite_differences(cell, position, feeding, kind):
    torch.manual_seed(0)
    gates, given = inputs(cell, position, feeding, kind)
    names = [n for n, x in given._asdict().items() if x is not None and x.requires_grad]

    def run(*tensors):
        changed = given._replace(**dict(zip(names, tensors, strict=True)))
        if kind == "additive":
            changed = changed._replace(factors=exponentials(changed.keys))
        return tuple(x for x in attention_loop(gates, changed) if x is not None)

    assert torch.autograd.gradcheck(run, [getattr(given, name) for name in names], fast_mode=True)


def test_only_what_is_asked_for_needs_a_gradient():
    torch.manual_seed(0)
    gates, given = inputs("lstm", "after", True, "general")
    outputs = attention_loop(gates, given)
    outputs.readouts[0].sum().backward()  # the other outputs' gradients are missing
    assert given.feed_weight.grad.count_nonzero() == 0
    assert given.inputs.grad[0].count_nonzero() > 0
    assert given.inputs.grad[1:].count_nonzero() == 0


def test_barred_positions_have_no_weight_and_no_gradient():
    torch.manual_seed(0)
    gates, given = inputs("gru", "before", False, "general")
    outputs = attention_loop(gates, given)
    assert (outputs.weights[:, given.barred] == 0).all()
    torch.testing.assert_close(
        outputs.weights.sum(-1), torch.ones(STEPS, BATCH, dtype=torch.float64)
    )
    outputs.states.sum().backward()
    assert (given.values.grad[given.barred] == 0).all()
    assert (given.keys.grad[given.barred] == 0).all()
