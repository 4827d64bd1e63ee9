"""A run that has ended, as its folder tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from omegaconf import DictConfig, OmegaConf

from seqlab.errors import InputError
from seqlab.files import number_of, parse_json
from seqlab.runs.record import RESULTS_FILE, read_config


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        folder: where its files are.
        status: "finished", "pruned", "interrupted" or "failed".
        metrics: the final metrics by name, such as `test/accuracy`.
        config: what was trained, resolved.
    """

    folder: Path
    status: str
    metrics: dict[str, float]
    config: DictConfig

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads a run's folder.

        Raises:
            InputError: the folder lacks the record of a run that has ended.
        """
        folder = Path(folder)
        path = folder / RESULTS_FILE
        try:
            results = parse_json(path.read_text(encoding="utf-8"))
            status = results["status"]
            metrics = {name: number_of(v) for name, v in results.get("metrics", {}).items()}
        except FileNotFoundError:
            raise InputError(f"{path} is missing; give the folder of a run that ended") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path} cannot be read ({error}); restore it") from error
        return cls(folder, status, metrics, OmegaConf.create(read_config(folder)))
