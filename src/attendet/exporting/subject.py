"""The network that is exported, and the images that its files are measured on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attendet.data.records import Split
from attendet.models.detector import Detector, prepare_for_inference
from attendet.runtimes.file_description import FileDescription
from attendet.surgery.example_inputs import default_input

_DEFAULT_IMGSZ = 640


@dataclass(frozen=True)
class ExportData:
    """Images for an export.

    Attributes:
        images: Images (H, W, 3) on which outputs are compared.
        validation: Images on which mAP is measured; None if it is not.
        read_training: Returns the images with which int8 files are calibrated; None without a training split.
    """

    images: tuple[NDArray[np.uint8], ...] = ()
    validation: Split | None = None
    read_training: Callable[[], Split] | None = None


@dataclass(frozen=True)
class ExportSubject:
    """The network that is exported.

    Attributes:
        network: A detector, or any other network; it is not changed.
        description: What its files will contain.
        name: Name of its files, without an ending.
        example: An example of the input of a network that is not a detector (default: chosen by its first convolution).
    """

    network: nn.Module
    description: FileDescription
    name: str
    example: Tensor | None = None

    @property
    def imgsz(self) -> int:
        """Longer side in pixels that images are scaled to: that of training, or 640."""
        return self.description.imgsz or _DEFAULT_IMGSZ

    def prepared(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return a copy in evaluation mode on the CPU; the batch norms of a detector are folded into convolutions."""
        if isinstance(self.network, Detector):
            prepared = prepare_for_inference(self.network, "cpu", dtype)
        else:
            prepared = copy.deepcopy(self.network).train(False).to("cpu", dtype)
        # Exported programs would contain copies between memory formats.
        return prepared.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]

    def example_images(self, canvas: tuple[int, int], batch: int) -> Tensor:
        """Return an example of the input.

        Args:
            canvas: Height and width in pixels; for a detector only.
            batch: Number of images.
        """
        if isinstance(self.network, Detector):
            return torch.rand(batch, 3, *canvas, generator=torch.Generator().manual_seed(0))
        example = default_input(self.network) if self.example is None else self.example
        example = example.detach().float().cpu()
        return example[:1].expand(batch, *example.shape[1:]).contiguous()
