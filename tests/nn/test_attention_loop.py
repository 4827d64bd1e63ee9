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
    for case in product(GATES, ["before", "after"], [True, False], ["additive", "dot"])
    if case[1] == "before" or case[2]
]


def inputs(cell, position, feeding, kind):
    gates = GATES[cell]
    width = gates.blocks * HIDDEN
    size = {"additive": SIZE, "dot": HIDDEN}[kind]
    key = HIDDEN if kind == "dot" else KEY
    read = HIDDEN + key * (position == "before") + READOUT * feeding

    def random(*shape):
        return (torch.randn(*shape, dtype=torch.float64) / 2).requires_grad_()

    barred = torch.zeros(BATCH, TIME, dtype=torch.bool)
    barred[1, 2:] = True
    return gates, LoopInputs(
        inputs=random(STEPS, BATCH, width),
        hidden=random(BATCH, HIDDEN),
        cell=random(BATCH, HIDDEN) if cell == "lstm" else None,
        weight=random(width, read),
        query_weight=random(size, HIDDEN) if kind == "additive" else None,
        vector=random(size) if kind == "additive" else None,
        keys=random(BATCH, TIME, size),
        values=random(BATCH, TIME, key),
        factors=None,
        readout_weight=random(READOUT, key + HIDDEN) if feeding else None,
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
        return tuple(
            x for x in attention_loop(gates, position == "before", changed) if x is not None
        )

    assert torch.autograd.gradcheck(run, [getattr(given, name) for name in names], fast_mode=True)


def test_only_what_is_asked_for_needs_a_gradient():
    torch.manual_seed(0)
    gates, given = inputs("lstm", "after", True, "dot")
    outputs = attention_loop(gates, False, given)
    outputs.readouts[0].sum().backward()  # the other outputs' gradients are missing
    assert given.weight.grad[:, HIDDEN:].count_nonzero() == 0
    assert given.inputs.grad[0].count_nonzero() > 0
    assert given.inputs.grad[1:].count_nonzero() == 0


def test_barred_positions_have_no_weight_and_no_gradient():
    torch.manual_seed(0)
    gates, given = inputs("gru", "before", False, "dot")
    outputs = attention_loop(gates, True, given)
    assert (outputs.weights[:, given.barred] == 0).all()
    torch.testing.assert_close(
        outputs.weights.sum(-1), torch.ones(STEPS, BATCH, dtype=torch.float64)
    )
    outputs.states.sum().backward()
    assert (given.values.grad[given.barred] == 0).all()
    assert (given.keys.grad[given.barred] == 0).all()
