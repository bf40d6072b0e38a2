"""Writing of Lightning's checkpoints straight into their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint into the file that it is given, which the caller moves to its place.

    Lightning's own class keeps a second copy in memory, and leaves an unnamed file in the folder of temporary files if
    the process is killed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint.

        Raises:
            OSError: If the file cannot be written.
        """
        try:
            with Path(path).open("wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:
            # torch raises an error of its own after that of the operating system, which has the reason.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
