"""What a search leaves in its folder for reports: what it searched for, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from seqlab.reports.records import DamagedError, read_json
from seqlab.saving import write_json

STUDY_FILE = "study.json"
# How far above a trial's run its sweep's folder may be.
LEVELS = 4


@dataclass(frozen=True)
class Study:
    """A search.

    Attributes:
        metrics: what it searched for; two of two objectives.
        logarithmic: the keys that it searched on a logarithmic scale.
        importances: each key's importance by Optuna, from 0 to 1; empty where there is none.
    """

    metrics: list[str]
    logarithmic: list[str] = field(default_factory=list)
    importances: dict[str, float] = field(default_factory=dict)

    @property
    def metric(self) -> str | None:
        """The first objective that is a metric, and no cost."""
        return next((name for name in self.metrics if "/" in name), None)


def write_study(folder: Path, study: Study) -> None:
    """Writes `study.json` into the sweep's folder."""
    write_json(folder / STUDY_FILE, asdict(study))
    _read.cache_clear()


def study_of(run: Path) -> Study | None:
    """The search whose folder a run lies in; None for other runs."""
    for folder in run.absolute().parents[:LEVELS]:
        found = _read(folder)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=1024)
def _read(folder: Path) -> Study | None:
    try:
        content = read_json(folder / STUDY_FILE)
        study = Study(**content) if isinstance(content, dict) else None
    except (DamagedError, TypeError):
        return None
    if study is None or not all(
        isinstance(part, kind)
        for part, kind in zip(
            (study.metrics, study.logarithmic, study.importances), (list, list, dict), strict=True
        )
    ):
        return None
    texts = [*study.metrics, *study.logarithmic]
    numbers = study.importances.values()
    fits = all(isinstance(text, str) for text in texts) and all(
        isinstance(number, (int, float)) for number in numbers
    )
    return study if fits else None
