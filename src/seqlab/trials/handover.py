"""How a search hands a trial to the job that runs it, perhaps in another process or machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

VARIABLE = "SEQLAB_TRIAL"
# Part of the message of a job that lacks the metric: no other job of the search will have it.
NOT_MEASURED = "is not among the metrics of these runs"


@dataclass(frozen=True)
class HandedTrial:
    """A trial as its job gets it, in the environment.

    Attributes:
        storage: the study's storage: the absolute path of a journal, or a database's URL.
        study: the study's name.
        number: the trial's number in it.
        metric: what the search judges by; None of two objectives, which no pruner can judge.
        pruner: the settings of the pruner, which storages do not keep.
    """

    storage: str
    study: str
    number: int
    metric: str | None
    pruner: Mapping[str, Any]

    def override(self) -> str:
        """The override that puts it into the job's environment."""
        text = QuotedString(json.dumps(asdict(self)), Quote.single).with_quotes()
        return f"++hydra.job.env_set.{VARIABLE}={text}"


def handed_trial() -> HandedTrial | None:
    """The trial that this process was given; None outside of a search."""
    text = os.environ.get(VARIABLE)
    return HandedTrial(**json.loads(text)) if text else None
