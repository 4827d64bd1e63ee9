"""How far back each core remembers: one bit held through 199 steps of noise.

python benchmarks/first_sign.py [picture.png]

Trains each core alike on the sign of the first of up to 200 normal values (64 sequences a step,
Adam with a cosine schedule, lengths drawn from 1 to 200) and prints the accuracy at length 200 on
fresh sequences, and the norm of ∂loss/∂h_t by lag at length 200 before and after training, as a
share of the one at lag 0. Where it fell to nothing, no learning rate could have helped.
"""

import platform
import sys
from functools import partial

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from seqlab.nn.diagnostics import gradient_by_lag, spectral_radius
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell
from seqlab.nn.recurrent.rnn import RNNCell

LENGTH, BATCH, HIDDEN, STEPS = 200, 64, 32, 1300
LAGS = (0, 1, 5, 20, 50, 100, 150, 199)
CORES = {
    "lstm, forget_bias=5": (partial(LSTMCell, forget_bias=5.0), 1, 0.005),
    "gru, update_bias=4": (partial(GRUCell, update_bias=4.0), 1, 0.005),
    "min_gru, two layers": (MinGRUCell, 2, 0.005),
    "tanh rnn, orthogonal": (RNNCell, 1, 0.001),
    "tanh rnn, uniform": (partial(RNNCell, initialisation="uniform"), 1, 0.001),
}


class Network(nn.Module):
    def __init__(self, cell, layers):
        super().__init__()
        self.encoder = RecurrentEncoder(1, cell=cell, hidden_size=HIDDEN, num_layers=layers)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, inputs):
        lengths = torch.full((len(inputs),), inputs.shape[1])
        return self.head(self.encoder(inputs, lengths, need_state=False)[0][:, -1])


def draw(batch, length):
    inputs = torch.randn(batch, length, 1)
    return inputs, (inputs[:, 0, 0] > 0).long()


def train(network, rate):
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        inputs, targets = draw(BATCH, int(torch.randint(1, LENGTH + 1, ())))
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def by_lag(network):
    """‖∂loss/∂h_t‖ of the lowest layer by lag, as a share of the largest layer's at lag 0."""
    inputs, targets = draw(BATCH, LENGTH)
    norms = gradient_by_lag(
        network.encoder,
        inputs,
        torch.full((BATCH,), LENGTH),
        lambda states: F.cross_entropy(network.head(states[:, -1]), targets),
    )[0]
    return norms[0] / norms[:, 0].max()


def main():
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, one thread")
    print(f"{'':<22}{'accuracy':>9}{'radius':>8}   ‖∂loss/∂h‖ at lag {LAGS}, before / after")
    curves = {}
    for name, (cell, layers, rate) in CORES.items():
        torch.manual_seed(1)
        network = Network(cell, layers)
        before = by_lag(network)
        train(network, rate)
        after = by_lag(network)
        curves[name] = (before, after)
        with torch.no_grad():
            inputs, targets = draw(2000, LENGTH)
            accuracy = (network(inputs).argmax(-1) == targets).float().mean().item()
        core = next(network.encoder.recurrences())
        radius = f"{spectral_radius(core)['hidden']:.3f}" if isinstance(core.cell, RNNCell) else ""
        print(f"{name:<22}{accuracy:9.4f}{radius:>8}   {_row(before)}")
        print(f"{'':<42}{_row(after)}", flush=True)
    if len(sys.argv) > 1:
        picture(curves, sys.argv[1])


def _row(norms):
    return " ".join(f"{norms[lag]:8.1e}" for lag in LAGS)


def picture(curves, path):
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for when, (axes, title) in enumerate(zip(panels, ("before", "after"), strict=True)):
        for name, pair in curves.items():
            axes.plot(pair[when].clamp(min=1e-30), label=name)
        axes.set(yscale="log", xlabel="lag", title=f"{title} training", ylim=(1e-12, 1e2))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("‖∂loss/∂h‖, share of lag 0")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
