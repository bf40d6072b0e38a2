"""The network in torch, as if it were a file: what an exported file is compared with."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from attendet.exporting.graph_source import GraphSource
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.file_description import FileDescription


class GraphRuntime(ExportedFile):
    """The graph of a network, which torch runs in float32.

    Args:
        source: The network.
        description: The description of the file that it is compared with.
    """

    def __init__(self, source: GraphSource, description: FileDescription) -> None:
        super().__init__(Path(source.subject.name), description)
        self._source = source

    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU."""
        with torch.inference_mode(), self._source.running():
            return self._source.graph(images)
