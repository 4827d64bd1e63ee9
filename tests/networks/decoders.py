"""The forecaster's decoders, as the options of `task.decoder` make them."""

from functools import partial

from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.recurrent.gru import GRUCell

RECURSIVE = partial(
    AttentionDecoder,
    cell=GRUCell,
    hidden_size=None,
    attention_position="none",
    input_feeding=False,
)
DECODERS = {
    "direct": None,
    "recursive": RECURSIVE,
    "attention": partial(RECURSIVE, attention_position="after"),
}
