"""Recurrent cores: cells step by step and by kernel, the parallel recurrences, and memory.

python benchmarks/cores.py [scan] [parallel] [lengths] [memory]     all four if none is named

One training step each: forward pass and gradients of all weights and of the inputs. Contestants
run in turn in one process; a figure is the median, of processor time on a CPU, of wall time on an
accelerator. Before a scan is timed it must give the outputs and gradients of PyTorch's layer from
the same weights. On an accelerator the compiled networks stand beside the others.
"""

import multiprocessing
import platform
import sys
import time
from functools import partial

import torch
from timing import interleaved
from torch import nn

from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
from seqlab.nn.recurrent.rnn import RNNCell
from seqlab.nn.recurrent.variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell
from seqlab.nn.tcn import TCNEncoder
from seqlab.nn.transformer import TransformerEncoder

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
REFERENCE = partial(RecurrentLayer, kernel="reference")
CORES = {
    "rnn": partial(RecurrentLayer, cell=RNNCell),
    "gru": partial(RecurrentLayer, cell=GRUCell),
    "lstm": partial(RecurrentLayer, cell=LSTMCell),
    "rnn_cell": partial(REFERENCE, cell=RNNCell),
    "gru_cell": partial(REFERENCE, cell=GRUCell),
    "lstm_cell": partial(REFERENCE, cell=LSTMCell),
    "ln_lstm": partial(RecurrentLayer, cell=LayerNormLSTMCell),
    "ln_gru": partial(RecurrentLayer, cell=LayerNormGRUCell),
    "peephole_lstm": partial(RecurrentLayer, cell=PeepholeLSTMCell),
    "min_gru": partial(RecurrentLayer, cell=MinGRUCell),
    "min_lstm": partial(RecurrentLayer, cell=MinLSTMCell),
    "lru": partial(RecurrentLayer, cell=LRUCell),
    "tcn": lambda features, hidden: TCNEncoder(features, hidden_size=hidden, num_layers=5),
    "transformer": lambda features, hidden: TransformerEncoder(
        features, hidden_size=hidden, num_layers=1, bidirectional=False
    ),
}


class Notebook(nn.Module):
    """An LSTM as notebooks write it: four pairs of linear layers and a list."""

    def __init__(self, size):
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(size, size) for _ in range(4))
        self.hiddens = nn.ModuleList(nn.Linear(size, size) for _ in range(4))

    def forward(self, inputs, lengths, *, need_state=False):
        hidden = inputs.new_zeros(len(inputs), inputs.shape[2])
        cell = torch.zeros_like(hidden)
        outputs = []
        for position in range(inputs.shape[1]):
            x = inputs[:, position, :]
            i, f, g, o = (w(x) + u(hidden) for w, u in zip(self.inputs, self.hiddens, strict=True))
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1), None


class OfPyTorch(nn.Module):
    """PyTorch's layer with the weights of a cell."""

    def __init__(self, kind, cell):
        super().__init__()
        self.rnn = kind(cell.input_size, cell.hidden_size, batch_first=True)
        self.rnn.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})

    def forward(self, inputs, lengths, *, need_state=False):
        return self.rnn(inputs)


def training_step(core, batch, length, features):
    """A call that computes outputs and all gradients; it returns the outputs and the inputs'."""
    core = core.to(DEVICE)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, length, features, generator=generator).to(DEVICE).requires_grad_()
    lengths = torch.full((batch,), length, device=DEVICE)
    weights = list(core.parameters())

    def step():
        outputs, _ = core(inputs, lengths, need_state=False)
        gradients = torch.autograd.grad(outputs.square().sum(), [inputs, *weights])
        if CUDA:
            torch.cuda.synchronize()
        return outputs.detach(), gradients[0]

    return step


def measured(contestants, repeats):
    clock = time.perf_counter if CUDA else time.process_time
    return interleaved(contestants, repeats=repeats, clock=clock)


def with_compiled(cores):
    """On an accelerator, each core and the compiled one beside it."""
    if not CUDA:
        return cores
    both = {}
    for name, core in cores.items():
        both[name] = core
        compiled = nn.Module.to(core, DEVICE)
        both[f"{name}, compiled"] = torch.compile(compiled)
    return both


def scan(repeats=9):
    for batch, length, hidden, claim in ((64, 20, 64, 3.0), (64, 100, 128, 1.5)):
        lstm, gru = LSTMCell(hidden, hidden), GRUCell(hidden, hidden)
        ours = "LSTM cell"
        cores = {
            "nn.LSTM": OfPyTorch(nn.LSTM, lstm),
            ours: RecurrentLayer(hidden, hidden, cell=lambda *_, cell=lstm: cell),
            "LSTM cell, step by step": REFERENCE(hidden, hidden, cell=lambda *_, cell=lstm: cell),
            "LSTM as notebooks write it": Notebook(hidden),
            "nn.GRU": OfPyTorch(nn.GRU, gru),
            "GRU cell": RecurrentLayer(hidden, hidden, cell=lambda *_, cell=gru: cell),
            "GRU cell, step by step": REFERENCE(hidden, hidden, cell=lambda *_, cell=gru: cell),
        }
        steps = {
            k: training_step(c, batch, length, hidden) for k, c in with_compiled(cores).items()
        }
        for name in (ours, "LSTM cell, step by step"):
            for found, expected in zip(steps[name](), steps["nn.LSTM"](), strict=True):
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        times = measured(steps, repeats)
        print(f"\nbatch {batch}, length {length}, hidden {hidden}")
        for name, seconds in times.items():
            ratio = seconds / times["nn.LSTM"]
            told = f"   claim: at most {claim}" if name == ours else ""
            print(f"  {name:<34}{1e3 * seconds:9.2f} ms{ratio:8.2f} × nn.LSTM{told}")


def parallel(repeats=3, batch=16, length=4096, hidden=64):
    names = ("gru", "lstm", "min_gru", "min_lstm", "lru", "tcn", "transformer")
    cores = {name: CORES[name](hidden, hidden) for name in names}
    steps = {
        name: training_step(core, batch, length, hidden)
        for name, core in with_compiled(cores).items()
    }
    times = measured(steps, repeats)
    print(f"\nbatch {batch}, length {length}, hidden {hidden}")
    for name, seconds in times.items():
        told = "   claim: at least 3" if name == "min_gru" else ""
        faster = times["gru"] / seconds
        print(f"  {name:<24}{1e3 * seconds:10.1f} ms{faster:8.2f} × as fast as nn.GRU{told}")


def lengths(repeats=3, batch=16, hidden=64):
    print(f"\nmicroseconds a position of the batch ({batch} sequences, hidden {hidden})")
    sizes = (256, 1024, 4096, 16384)
    for name in ("min_gru", "min_lstm", "lru"):
        core = CORES[name](hidden, hidden)
        steps = {size: training_step(core, batch, size, hidden) for size in sizes}
        times = {size: seconds / size for size, seconds in measured(steps, repeats).items()}
        row = "".join(f"{1e6 * times[size]:8.1f} at {size}" for size in sizes)
        told = "   claim: flat" if name == "min_gru" else ""
        print(f"  {name:<10}{row}   last/first {times[16384] / times[256]:.2f}{told}")


def memory(batch=16, length=1024, hidden=64):
    print("\npeak memory of a training step beyond weights and inputs")
    print(f"batch {batch}, length {length}, hidden {hidden}")
    for name, make in CORES.items():
        print(f"  {name:<16}{peak(make, batch, length, hidden) / 2**20:9.1f} MiB")


def peak(make, batch, length, hidden):
    """Bytes at the highest point of a second step."""
    if CUDA:
        step = training_step(make(hidden, hidden), batch, length, hidden)
        step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    # A process of its own, whose high-water mark starts anew (Linux).
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_peak_in_child, args=(send, make, batch, length, hidden))
    child.start()
    bytes_used = receive.recv()
    child.join()
    return bytes_used


def _peak_in_child(send, make, batch, length, hidden):
    torch.set_num_threads(1)
    core = make(hidden, hidden)
    training_step(core, 2, 32, hidden)()  # what is loaded at the first call
    step = training_step(core, batch, length, hidden)
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")
    before = _status("VmRSS")
    step()
    send.send(_status("VmHWM") - before)


def _status(field):
    with open("/proc/self/status") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    machine = torch.cuda.get_device_name() if CUDA else platform.processor() or platform.machine()
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, {machine}, one thread")
    parts = {"scan": scan, "parallel": parallel, "lengths": lengths, "memory": memory}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
