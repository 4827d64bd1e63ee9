"""What makes two jobs the same: the resolved configuration, less where and how it is shown."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from seqlab.files import parse_json
from seqlab.saving import write_atomically

# What decides only where a run is kept, what is shown of it, or which others run beside it.
LEFT_OUT = (
    ("sweep",),
    ("overwrite",),
    ("allow_new_data",),
    ("logger",),
    ("callbacks", "progress_bar"),
    ("callbacks", "model_summary"),
    ("trainer", "enable_progress_bar"),
    ("trainer", "enable_model_summary"),
    ("trainer", "default_root_dir"),
    ("trainer", "profiler"),
)
# Raised whenever the rule above or below changes, so that remembered identities are not believed.
RULE = 2


def identity(config: DictConfig) -> str:
    """Sixteen hexadecimal digits that two jobs share only if they train the same.

    Args:
        config: the composed configuration of one job with its `hydra` node. Interpolations that
            lead to the run's folder see a fixed name instead.
    """
    config = pickle.loads(pickle.dumps(config))  # copies ten times as fast as deepcopy
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.runtime.output_dir = "RUN"
        config.hydra.sweep.dir = "SWEEP"
        config.hydra.sweep.subdir = config.hydra.run.dir = "RUN"
        config.hydra.job.id = "JOB"
        config.hydra.job.num = 0
    with seen_by_resolvers(config):
        content = {str(key): _plain(config[key]) for key in config if key != "hydra"}
    for *parents, leaf in LEFT_OUT:
        node = content
        for name in parents:
            node = node.get(name) or {}
        node.pop(leaf, None)
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def seen_by_resolvers(config: DictConfig) -> Iterator[None]:
    """Lets `${hydra:…}` lead into this configuration."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = config  # type: ignore[assignment]  # `set_config` would copy it
    try:
        yield
    finally:
        instance.cfg = before


def _plain(value: Any) -> Any:
    is_node = OmegaConf.is_config(value)
    return OmegaConf.to_container(value, resolve=True) if is_node else value


class KnownIdentities:
    """Remembers the identities of a sweep's overrides, as composing each again takes long.

    They are believed only while no file that they were composed of has changed.

    Args:
        path: the file that keeps them.
        sources: the folders of configuration files.
        common: whatever else all jobs depend on.
    """

    def __init__(self, path: Path, sources: Iterable[Path], common: Iterable[str] = ()) -> None:
        self.path = path
        self._fingerprint = _fingerprint(sources, common)
        self._known: dict[str, str] = {}
        with suppress(OSError, ValueError):  # nothing there yet, or not readable: composed again
            saved = parse_json(path.read_text(encoding="utf-8"))
            self._known = self._believed(saved)

    def _believed(self, saved: Any) -> dict[str, str]:
        if not isinstance(saved, dict) or self._fingerprint is None:
            return {}
        known = saved.get("identities")
        if saved.get("fingerprint") != self._fingerprint or not isinstance(known, dict):
            return {}
        return known if all(isinstance(name, str) for name in known.values()) else {}

    def get(self, overrides: list[str]) -> str | None:
        return self._known.get(json.dumps(overrides))

    def update(self, found: Mapping[str, list[str]]) -> None:
        """Adds identities with their overrides, and saves them all."""
        new = {json.dumps(overrides): name for name, overrides in found.items()}
        if self._fingerprint is None or new.items() <= self._known.items():
            return
        self._known |= {key: name for key, name in new.items() if "${" not in key}
        content = {"fingerprint": self._fingerprint, "identities": self._known}
        write_atomically(self.path, json.dumps(content))


def _fingerprint(sources: Iterable[Path], common: Iterable[str]) -> str | None:
    """A hash of the files' contents; None where they read the environment."""
    digest = hashlib.sha256(json.dumps([RULE, *common]).encode())
    for source in sources:
        for path in sorted(source.rglob("*.yaml")):
            content = path.read_bytes()
            if b"oc.env" in content:
                return None
            digest.update(f"{path.relative_to(source)} {len(content)} ".encode() + content)
    return digest.hexdigest()
