"""Comparison of an exported file with the network in torch, on several canvases and batch sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attendet.exporting.detection_check import count_differing
from attendet.exporting.graph_source import GraphSource
from attendet.exporting.parity import (
    Parity,
    QualityComparison,
    compare_output,
    compare_predictions,
    merge_differences,
)
from attendet.exporting.parity_images import example_batches, parity_batches, synthetic_images
from attendet.runtimes.exported_file import ExportedFile


def comparison_inputs(source: GraphSource, images: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
    """Return the inputs on which a file is compared with torch.

    Args:
        source: The network.
        images: Real images (H, W, 3); if it is empty, synthetic images are used. For a detector only.
    """
    description = source.description
    if description.kind != "detector":
        return list(example_batches(source.images, static=source.options.static))
    height, width = description.shape.height, description.shape.width
    size = (height, width) if height and width else description.imgsz or max(source.images.shape[2:])
    stride = int(max(description.strides))
    return list(parity_batches(images or synthetic_images(), size, stride, batch=description.shape.batch))


def compare_files(
    reference: ExportedFile,
    file: ExportedFile,
    inputs: Sequence[Tensor],
    tolerance: float,
    real_images: int,
    quality: QualityComparison | None = None,
) -> Parity:
    """Return the differences between a file and the network in torch.

    Args:
        reference: The network in torch, with all predictions as its output.
        file: The file.
        inputs: Images (N, C, …) of several shapes.
        tolerance: Largest difference.
        real_images: Number of real images among the inputs.
        quality: Their quality on a data set, if it was measured.
    """
    pairs = [(images, reference.run(images), file.run(images)) for images in inputs]
    differences = merge_differences(_differences(file, images, expected, actual) for images, expected, actual in pairs)
    differing = detections = 0
    selection = file.description.selection
    # Scores of int8 files, whose tolerance is 1 by default, are measured by mAP.
    if selection is not None and tolerance < 1:
        for _, expected, actual in pairs:
            for predictions, rows in zip(expected["predictions"], actual["detections"], strict=True):
                selected = rows[rows[:, 4] > 0]
                differing += count_differing(predictions, selected, selection, tolerance)
                detections += len(selected)
    shapes = tuple(tuple(images.shape) for images in inputs)
    return Parity(tolerance, shapes, real_images, differences, differing, detections, quality)


def _differences(
    file: ExportedFile, images: Tensor, expected: dict[str, Tensor], actual: dict[str, Tensor]
) -> dict[str, float]:
    differences: dict[str, float] = {}
    for name, values in expected.items():
        match name:
            case "predictions" if file.description.selection is not None:
                pass  # The file returns detections instead.
            case "predictions" if file.description.kind == "detector":
                is_exact = file.description.precision == "float32"
                differences |= compare_predictions(values, actual[name], max(images.shape[2:]), exact=is_exact)
            case _:
                differences[name] = compare_output(values, actual[name])
    return differences
