"""How every checkpoint gets onto the disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from seqlab.saving import write_atomically


class SyncedCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints so that a crash, a full disk or a power cut leaves the former one.

    Lightning's own way does not sync to the disk, and its errors do not name the file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Writes `path` in one piece.

        Raises:
            OSError: the file cannot be written; the error names it.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(path, content.getbuffer())
