"""The input of the passes that are measured."""

from __future__ import annotations

from torch import Tensor

from attendet.exporting import ExportData, ExportSubject
from attendet.exporting.parity_images import parity_batches, synthetic_images
from attendet.runtimes.image_size import require_image_size


def example_of(subject: ExportSubject, data: ExportData, imgsz: int | None = None, batch: int = 1) -> Tensor:
    """Return the input of a pass: real images on square canvases where there are some, otherwise synthetic ones.

    Args:
        subject: The network.
        data: Its real images.
        imgsz: Side of the canvas in pixels, which is rounded up to a multiple of the stride (default: that of
            training, or 640). Only for detectors; other networks have an example of their own.
        batch: Number of images.

    Returns:
        (batch, C, …) in 0-1.

    Raises:
        OptionError: If `imgsz` is out of range.
    """
    known = subject.description
    if known.kind != "detector":
        return subject.example_images((1, 1), batch)
    side, stride = imgsz or subject.imgsz, int(max(known.strides))
    require_image_size(side, stride)
    canvas = -(-side // stride) * stride
    return next(parity_batches(data.images or synthetic_images(), (canvas, canvas), stride, batch=batch))
