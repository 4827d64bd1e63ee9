"""What goes to the loggers beside numbers; each gets what it can take, whatever its class is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from lightning import Trainer
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from torch.utils.tensorboard.summary import hparams

from seqlab.private.tensorboard import summary_writer


def send_picture(trainer: Trainer, name: str, picture: Image.Image) -> bytes:
    """Sends a picture to every logger that takes pictures; the picture as PNG.

    Loggers that take one have a writer of summaries (TensorBoard's) or a `log_image` (that of
    Weights & Biases).
    """
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    png = file.getvalue()
    for logger in trainer.loggers:
        writer, log_image = summary_writer(logger), getattr(logger, "log_image", None)
        if writer is not None:
            # The writer's own `add_image` would decode and encode it again.
            width, height = picture.size
            image = Summary.Image(
                width=width, height=height, colorspace=3, encoded_image_string=png
            )
            summary = Summary(value=[Summary.Value(tag=name, image=image)])
            writer.add_summary(summary, trainer.global_step)
        elif log_image is not None:
            log_image(key=name, images=[picture], step=trainer.global_step)
    return png


def send_text(trainer: Trainer, name: str, text: str) -> None:
    """Sends a Markdown text to every logger that takes texts, by `add_text` or `log_text`."""
    for logger in trainer.loggers:
        add_text = getattr(getattr(logger, "experiment", None), "add_text", None)
        log_text = getattr(logger, "log_text", None)
        if add_text is not None:
            add_text(name, text, trainer.global_step)
        elif log_text is not None:
            log_text(key=name, columns=["text"], data=[[text]], step=trainer.global_step)


def send_settings(trainer: Trainer, settings: Mapping[str, Any]) -> None:
    """Sends a run's flat settings to every logger.

    TensorBoard gets the start of a session alone: with an experiment summary its HPARAMS tab would
    take its columns from the first run alone.
    """
    for logger in trainer.loggers:
        writer = summary_writer(logger)
        if writer is None:
            logger.log_hyperparams(dict(settings))
        else:
            # It turns truth values into 0 and 1.
            shown = {
                key: str(value).lower() if isinstance(value, bool) else value
                for key, value in settings.items()
            }
            writer.add_summary(hparams(shown, {})[1])


def send_end(trainer: Trainer) -> None:
    """Tells the loggers that ask for it that the session of `send_settings` has ended."""
    for logger in trainer.loggers:
        writer = summary_writer(logger)
        if writer is not None:
            writer.add_summary(hparams({}, {})[2])
