"""The files that tell what a run is: its configuration, command line, curves and results."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from seqlab.errors import InputError
from seqlab.files import parse_yaml
from seqlab.overrides import CONFIG_FILE, OVERRIDES_FILE
from seqlab.saving import write_atomically

RESULTS_FILE = "results.json"
CURVES_FILE = "metrics.csv"
# What a refused command must leave as it was.
RECORD = (CONFIG_FILE, OVERRIDES_FILE, "environment.json", RESULTS_FILE, CURVES_FILE)
# What training and testing leave in a run's folder.
OUTPUTS = (
    "checkpoints/*.ckpt",
    "events.out.tfevents.*",
    CURVES_FILE,
    "figures/*.png",
    "*_outcomes.npy",
    "errors_by_step.csv",
    "backtest.csv",
    "test_pairs.txt",
    "test_sequences.txt",
)
# Stands for the run's folder in its configuration, see `seqlab.config`.
FOLDER = "${run_folder:}"


def portable(config: DictConfig, folder: Path) -> dict[str, Any]:
    """The resolved configuration with a placeholder for the run's folder.

    So a folder that was moved or copied, and a run that starts from this configuration, write
    nothing into the folder that it was made for.
    """
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    # They say what to do with the folder once; read back, they must not do it again.
    content |= {
        name: default
        for name, default in (("ckpt_path", None), ("overwrite", False), ("allow_new_data", False))
        if name in content
    }
    return _without(content, str(folder))  # type: ignore[return-value]


def _without(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, folder) for item in value]
    if isinstance(value, str) and (value == folder or value.startswith(f"{folder}/")):
        return FOLDER + value[len(folder) :]
    return value


def read_config(folder: Path) -> dict[str, Any]:
    """A run's configuration as `portable` wrote it.

    Raises:
        InputError: there is none, or none that can be read.
    """
    path = folder / CONFIG_FILE
    try:
        content = parse_yaml(path.read_bytes())
    except FileNotFoundError:
        content = None
    except ValueError as error:
        raise InputError(f"{path} cannot be read as YAML ({error}); restore it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no configuration; give the folder of a run")
    return content


def write_config(folder: Path, content: dict[str, Any], overrides: list[str]) -> None:
    """Writes `config.yaml` and `overrides.yaml`."""
    write_atomically(folder / CONFIG_FILE, yaml.safe_dump(content, sort_keys=False))
    words = yaml.safe_dump(overrides, allow_unicode=True)
    write_atomically(folder / OVERRIDES_FILE, words)


def outputs(folder: Path) -> list[Path]:
    """What a run has left in its folder beside its record."""
    return [path for pattern in OUTPUTS for path in sorted(folder.glob(pattern))]


def remove_outputs(folder: Path) -> None:
    """Removes what a former run left, and nothing else."""
    for path in outputs(folder):
        path.unlink()
    for name in ("checkpoints", "figures"):
        if (folder / name).is_dir() and not any((folder / name).iterdir()):
            shutil.rmtree(folder / name)
    for name in (RESULTS_FILE, "error.txt"):
        (folder / name).unlink(missing_ok=True)


def read_record(folder: Path) -> dict[str, bytes]:
    """The contents of the files of the record that are there."""
    return {name: (folder / name).read_bytes() for name in RECORD if (folder / name).is_file()}


def restore_record(folder: Path, contents: dict[str, bytes]) -> None:
    """Puts the files of the record back to what `read_record` found."""
    for name in RECORD:
        if name in contents:
            write_atomically(folder / name, contents[name])
        else:
            (folder / name).unlink(missing_ok=True)


def cut_curves(folder: Path, step: int, *, mid_epoch: bool) -> None:
    """Removes from `metrics.csv` what will be logged again.

    Args:
        folder: the run's folder.
        step: what was logged at this step or later is removed.
        mid_epoch: the run stopped within an epoch, whose training metrics so far are removed.
    """
    path = folder / CURVES_FILE
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        # A line that a kill cut off has too few fields.
        rows = [row for row in csv.reader(file) if len(row) == 3]

    def stays(row: list[str]) -> bool:
        if not row[0].isdigit():
            return True  # the header
        of_epoch = row[1].startswith("train/") and not row[1].endswith("_step")
        end = step - 1 if mid_epoch and of_epoch else step
        return int(row[0]) < end

    text = io.StringIO()
    csv.writer(text).writerows(row for row in rows if stays(row))
    write_atomically(path, text.getvalue())
