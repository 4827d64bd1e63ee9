"""Forecasting, the sizes of every figure on one line each; run on one thread.

    OMP_NUM_THREADS=1 python benchmarks/forecasting.py

1,000 series of 200 points, LSTM 64, window 48, horizon 12, batch 128, direct decoder. Where darts
is installed (any environment with it and the same torch), its BlockRNNModel trains in turn with
ours on the same windows, in its own `fit` against our trainer. Both train `nn.LSTM` on series of
float32, by squared errors.
Times are seconds of computing on the one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import resource
import statistics
import sys
import threading
import time
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from timing import interleaved

from seqlab.data.loader import BatchLoader, LengthBucketSampler
from seqlab.data.sines import Sines
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.lstm import LSTMCell

WINDOW, HORIZON, HIDDEN, BATCH, STEPS = 48, 12, 64, 128, 30
# Steps in a trainer before the stopwatch starts, and while it runs.
WARM, LONG = 10, 100
QUIET = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "logger": False,
    "enable_checkpointing": False,
    "limit_val_batches": 0,
}


def dataset():
    return Sines(
        num_series=1000, length=200, window=WINDOW, horizon=HORIZON, val_steps=24, test_steps=24
    )


def forecaster(data):
    encoder = partial(RecurrentEncoder, cell=LSTMCell, hidden_size=HIDDEN)
    return Forecaster(data.spec, reader=partial(Reader, encoder=encoder))


def our_steps(data):
    """`STEPS` training steps from the loader to the optimiser."""
    network = forecaster(data)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    split = data.split("train")
    sampler = LengthBucketSampler(split.lengths, batch_size=BATCH, shuffle=True)
    batches = itertools.chain.from_iterable(iter(BatchLoader(split, sampler)) for _ in iter(int, 1))

    def run():
        for batch in itertools.islice(batches, STEPS):
            outcome = network(batch.inputs, batch.lengths, batch.context)
            loss = outcome.forecast.loss(outcome.frame.scaled(batch.targets)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def lstm_steps():
    """`STEPS` times the layer alone that both train: what neither can do without."""
    layer = torch.nn.LSTM(1, HIDDEN, batch_first=True)
    inputs = torch.randn(BATCH, WINDOW, 1)

    def run():
        for _ in range(STEPS):
            layer(inputs)[0][:, -1].sum().backward()

    return run


def darts_model(data, *, steps, callbacks=()):
    """A model as its users set it up, and its series."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    model = BlockRNNModel(
        input_chunk_length=WINDOW,
        output_chunk_length=HORIZON,
        model="LSTM",
        hidden_dim=HIDDEN,
        batch_size=BATCH,
        n_epochs=1,
        random_state=0,
        pl_trainer_kwargs={**QUIET, "max_steps": steps, "callbacks": list(callbacks)},
    )
    values = data.store.values.view(1000, 200)[:, : 200 - 48].float().numpy()
    return model, [TimeSeries.from_values(row) for row in values]


class Stopwatch:
    """Seconds of computing between two training steps, in the words of Lightning's callbacks."""

    def __init__(self):
        self.number, self.seconds = 0, 0.0

    def on_train_batch_start(self, *arguments):
        self.number += 1
        if self.number == WARM:
            self.seconds = -time.process_time()
        if self.number == WARM + LONG:
            self.seconds += time.process_time()


def our_fit(data):
    """Seconds of a step in our trainer."""
    import lightning
    from lightning.pytorch.callbacks import Callback

    from seqlab.data.datamodule import SequenceDataModule

    watch = type("Watch", (Stopwatch, Callback), {})()
    trainer = lightning.Trainer(**QUIET, max_steps=WARM + LONG, callbacks=[watch])
    trainer.fit(task_of(data), SequenceDataModule(data, batch_size=BATCH))
    return watch.seconds / LONG


def darts_fit(data):
    """Seconds of a step in darts' `fit`."""
    from pytorch_lightning.callbacks import Callback

    watch = type("Watch", (Stopwatch, Callback), {})()
    model, series = darts_model(data, steps=WARM + LONG, callbacks=[watch])
    model.fit(series)
    return watch.seconds / LONG


def task_of(data):
    from seqlab.tasks.forecasting import Forecasting
    from seqlab.tasks.schedules import constant

    return Forecasting(
        network=forecaster(data),
        spec=data.spec,
        optimizer=torch.optim.Adam,
        scheduler=constant,
        horizon=HORIZON,
    )


def peak_while(action):
    """Seconds, and by how many bytes the resident memory rose at most."""
    page = resource.getpagesize()
    resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * page  # noqa: E731
    gc.collect()
    before, highest, done = resident(), [0], threading.Event()

    def watch():
        while not done.wait(0.005):
            highest[0] = max(highest[0], resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    action()
    seconds = time.process_time() - start
    done.set()
    watcher.join()
    return seconds, highest[0]


def row(name, measured, claim):
    print(f"{name:<52}{measured:>32}   {claim}")


def main():
    torch.set_num_threads(1)
    data = dataset()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread, {len(data.store)} series")
    contestants = {"seqlab": our_steps(data), "nn.LSTM alone": lstm_steps()}
    for _ in range(2):  # a second round shows how far the machine drifts
        medians = interleaved(contestants, repeats=7, clock=time.process_time)
        for name, seconds in medians.items():
            row(f"training in a bare loop, {name}", f"{BATCH * STEPS / seconds:,.0f} windows/s", "")

    if importlib.util.find_spec("lightning") is None:
        return
    from seqlab.runs.backtest import back_test, forecast_windows

    fits = {"seqlab": our_fit}
    if importlib.util.find_spec("darts"):
        import darts

        print(f"darts {darts.__version__}")
        fits["darts"] = darts_fit
    alone = medians["nn.LSTM alone"] / STEPS
    rounds = [{name: fit(data) for name, fit in fits.items()} for _ in range(3)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in fits}
    for name, seconds in medians.items():
        row(f"training in its trainer, {name}", f"{BATCH / seconds:,.0f} windows/s", "")
    if "darts" in medians:
        ratio = medians["darts"] / medians["seqlab"]
        row("training in its trainer, seqlab over darts", f"{ratio:.2f} x", ">= 1.3 x")
        row("  had we nothing to do beside nn.LSTM", f"{medians['darts'] / alone:.2f} x", "")

    task = task_of(data)
    future = data.future()
    seconds = [peak_while(lambda: forecast_windows(task, future))[0] for _ in range(9)]
    row("forecasting 1,000 series", f"{statistics.median(seconds):.3f} s", "<= 0.1 s")
    series_bytes = data.store.values.nbytes
    splits = [data.split(name) for name in data.splits]
    # A tensor that several splits share counts once.
    held = {
        value.data_ptr(): value.nbytes
        for split in splits
        for value in vars(split).values()
        if isinstance(value, torch.Tensor)
    }
    held.pop(data.store.values.data_ptr(), None)
    row(
        "memory of series and all windows, over the series",
        f"{(series_bytes + sum(held.values())) / series_bytes:.2f} x",
        "<= 1.5 x",
    )
    test = partial(back_test, task, data.store, window=WINDOW, steps=200 - WINDOW)
    rounds = [peak_while(test) for _ in range(3)]
    count = 1000 * (200 - WINDOW - HORIZON + 1)
    row(
        f"back-test, {count:,} forecasts and their metrics",
        f"{statistics.median(s for s, _ in rounds):.1f} s",
        "< 20 s",
    )
    row("  highest rise of resident memory", f"{rounds[-1][1] / 1e6:.0f} MB", "")
    every_window = count * (WINDOW + HORIZON) * 4
    row("  (all windows, copied out)", f"{every_window / 1e6:.0f} MB", "")


if __name__ == "__main__":
    main()
