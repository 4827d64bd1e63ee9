"""The main job on one screen: compose, data, network, task, trainer, fit, test.

seqlab train data=parity model=lstm model.encoder.hidden_size=128 trainer.max_epochs=20
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seqlab.config import run
from seqlab.config_folders import CONF


def job(config: DictConfig) -> None:
    """Trains one configuration, tests its best checkpoint, and fills the run's folder."""
    # Heavy imports stay in here: `--help` and a mistyped override answer without them.
    from seqlab.build import build_data, build_network, build_task, build_trainer
    from seqlab.runs.checkpoint import best_checkpoint
    from seqlab.runs.folder import RunFolder
    from seqlab.runs.report import (
        final_scores,
        fit_scores,
        print_results,
        tested_weights,
        validate_last,
        was_pruned,
    )
    from seqlab.runs.rolling import plan_backtest
    from seqlab.runs.setup import prepare
    from seqlab.runs.start import find_start

    with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
        config = folder.config  # a resumed run has its own, with the overrides on top
        start = find_start(folder)
        prepare(config.seed)
        data = build_data(config)
        network = build_network(config, data.spec)
        task = build_task(config, network, data.spec)
        trainer = build_trainer(config, first_step=start.step)
        backtest = plan_backtest(config, data)

        start.prepare(task, data)
        folder.begin(start.step, mid_epoch=start.mid_epoch)  # up to here nothing is written
        trainer.fit(task, data, ckpt_path=start.checkpoint)
        scores = fit_scores(trainer)
        best = best_checkpoint(trainer)
        if was_pruned(trainer):
            folder.end("pruned", task=task, metrics=scores, best_checkpoint=best)
            return
        if best is None:
            scores |= validate_last(trainer, task, data)
        trainer.test(task, data, ckpt_path=best, verbose=False)
        scores |= final_scores(trainer)
        if backtest:
            scores |= backtest.run(task, trainer, folder.path)

        folder.end("finished", task=task, data=data, metrics=scores, best_checkpoint=best)
        if trainer.is_global_zero:
            print_results(scores, data.spec, folder.path, tested=tested_weights(trainer, best))


def command() -> None:
    """Runs what the command line asks for: one run, or with `-m` a sweep."""
    run(hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")(job))
