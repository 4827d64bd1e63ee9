"""Every cell and encoder that the configuration offers, small: what the laws are held against.

They are found in `conf/cell` and `conf/model`: a new YAML is taken in by its name. Beside each
stand its variants: one for every other value of an option that is true or false, or one of some
names.
"""

import inspect
import typing
from functools import partial

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from seqlab.nn.recurrent.encoder import RecurrentEncoder
from tests.conftest import ROOT

# Of the stack of layers rather than of the cell or encoder, or told apart by a test of its own.
SHARED = ("bidirectional", "initialisation")


def found(group):
    """The options of a config group that describe a cell or an encoder themselves."""
    for path in sorted((ROOT / "conf" / group).glob("[!_]*.yaml")):
        node = OmegaConf.load(path)
        node = node if group == "cell" else node.get("encoder", {})
        if "_target_" in node:
            yield path.stem, instantiate(node)


def with_variants(made):
    for name, make in made:
        yield name, make
        hints = typing.get_type_hints(make.func.__init__)
        for option, parameter in inspect.signature(make.func).parameters.items():
            hint = hints.get(option)
            literal = typing.get_origin(hint) is typing.Literal
            values = typing.get_args(hint) if literal else (False, True) if hint is bool else ()
            for value in values:
                if option not in SHARED and value != parameter.default:
                    yield (
                        f"{name} {option}={value}",
                        partial(make.func, **{**make.keywords, option: value}),
                    )


CELLS = dict(with_variants(found("cell")))
RECURRENT = {
    **{f"{name}, fast": partial(RecurrentEncoder, cell=cell) for name, cell in CELLS.items()},
    **{
        f"{name}, reference": partial(RecurrentEncoder, cell=cell, kernel="reference")
        for name, cell in CELLS.items()
    },
    "zoneout": partial(RecurrentEncoder, cell=CELLS["lstm"], zoneout=[0.1, 0.3]),
    "layer norm": partial(RecurrentEncoder, cell=CELLS["gru"], layer_norm=True),
}
OTHERS = dict(with_variants(found("model")))
ENCODERS = {
    **{name: partial(encoder, num_layers=2) for name, encoder in RECURRENT.items()},
    **OTHERS,
}


def make(name, *, bidirectional=False, dtype=torch.float64, hidden_size=8, seed=0, **options):
    """An encoder of 3 features, evaluating, with every parameter off its starting value."""
    torch.manual_seed(seed)
    encoder = ENCODERS[name](3, hidden_size=hidden_size, bidirectional=bidirectional, **options)
    with torch.no_grad():
        for key, parameter in encoder.named_parameters():
            if not key.endswith(("log_rate", "log_phase", "scale")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder.to(dtype).eval()
