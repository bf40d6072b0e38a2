"""Measure what the gray around images brings and costs: mAP of trained weights on canvases of different shapes.

    python benchmarks/canvases.py WEIGHTS DATA [WEIGHTS DATA ...] [--imgsz 256 320 384] [--split val] [--out FILE]

Each pair of weights and data set is measured at each image size with each rule.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from attendet.data.loading.canvases import border_shapes, canvas_shapes
from attendet.data.loading.data_module import make_loader
from attendet.data.loading.datasets import ValidationDataset
from attendet.data.loading.image_store import load_images
from attendet.data.reading import data_source
from attendet.data.records import Split
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.inference import detect_in_batch, ground_truth
from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation
from attendet.evaluation.validation import read_split_for_classes
from attendet.models.detector import Detector, prepare_for_inference
from attendet.utils.io import write_text
from attendet.weights.io import opening

_BATCH = 16
_HEADING = """# Gray around images

Accuracy on the validation images with the same weights on canvases of different shapes. The border is the least gray
along an axis; `attendet.data.loading.canvases` defines all rules. The standard error of the difference comes from a
bootstrap over the images. The time of the network is proportional to the number of pixels.
"""

ShapeRule = Callable[[NDArray[np.int64], int, int], NDArray[np.int64]]
RULES: dict[str, ShapeRule] = {
    "tight": lambda sizes, imgsz, stride: border_shapes(sizes, imgsz, stride, 0),
    "border of 1/2 stride": lambda sizes, imgsz, stride: border_shapes(sizes, imgsz, stride, 0.5),
    "border of 1 stride": lambda sizes, imgsz, stride: border_shapes(sizes, imgsz, stride, 1),
    "border of 2 strides": lambda sizes, imgsz, stride: border_shapes(sizes, imgsz, stride, 2),
    "square": lambda sizes, imgsz, stride: canvas_shapes(sizes, imgsz, stride, "square"),
    "yolov5": lambda sizes, imgsz, stride: canvas_shapes(sizes, imgsz, stride, "yolov5"),
}


@torch.inference_mode()
def detections(
    model: Detector, split: Split, imgsz: int, rule: ShapeRule
) -> tuple[list[torch.Tensor], list[GroundTruth], float]:
    """Return the detections and the objects of each image, and the mean number of pixels of a canvas."""
    stride = int(max(model.strides))
    images = load_images(split.records, imgsz, "ram")
    dataset = ValidationDataset(split.records, images, imgsz, stride)
    dataset.shapes = rule(split.records.sizes, imgsz, stride)
    by_image: dict[int, tuple[torch.Tensor, GroundTruth]] = {}
    batches = dataset.batches(_BATCH)
    for indices, batch in zip(batches, make_loader(dataset, batches, workers=0), strict=True):
        pixels = batch.batch.images.to(torch.float32, memory_format=torch.channels_last) / 255
        found = detect_in_batch(model.decode(model(pixels)), batch, ValidationConfig(), model.head.suppression)
        truths = map(ground_truth, batch.records)
        by_image |= dict(zip(indices, zip(found, truths, strict=True), strict=True))
    # The order of the batches differs between rules.
    results = [by_image[index] for index in sorted(by_image)]
    pixels_per_image = float(dataset.shapes.prod(1).mean())
    return [found for found, _ in results], [truth for _, truth in results], pixels_per_image


def accuracy(names: Sequence[str], found: Sequence[torch.Tensor], truths: Sequence[GroundTruth]) -> tuple[float, float]:
    """Return mAP50-95 and mAP50."""
    evaluation = Evaluation(tuple(names))
    evaluation.update(list(found), list(truths))
    metrics = evaluation.compute()
    return metrics.map50_95, metrics.map50


def resampled(
    names: Sequence[str], found: Sequence[torch.Tensor], truths: Sequence[GroundTruth], resamples: int
) -> NDArray[np.float64]:
    """Return mAP50-95 (resamples,) of images drawn with replacement, the same images for every rule."""
    generator = np.random.default_rng(0)
    draws = generator.integers(len(found), size=(resamples, len(found))).tolist()
    return np.array(
        [accuracy(names, [found[image] for image in draw], [truths[image] for image in draw])[0] for draw in draws]
    )


def rows(weights: str, data: str, split: str, imgsz: int, resamples: int) -> Iterator[str]:
    """Yield the lines of the table for one data set and image size."""
    opened = opening.open(weights)
    model = prepare_for_inference(opened.detector, "cpu")
    images = read_split_for_classes(opened.names, data_source.open(data), split)
    reference: tuple[NDArray[np.float64], float] | None = None
    for name, rule in RULES.items():
        found, truths, pixels = detections(model, images, imgsz, rule)
        map50_95, map50 = accuracy(images.names, found, truths)
        means = resampled(images.names, found, truths, resamples)
        reference = reference or (means, pixels)
        difference = means - reference[0]
        yield (
            f"| {Path(data).stem} | {imgsz} | {name} | {map50_95:.4f} | {map50:.4f} | "
            f"{difference.mean():+.4f} ± {difference.std(ddof=1):.4f} | {pixels / reference[1]:.2f} |"
        )


def main() -> None:
    """Parse the command line, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="WEIGHTS DATA")
    parser.add_argument("--imgsz", type=int, nargs="+", default=[256, 320, 384])
    parser.add_argument("--split", default="val")
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if len(options.pairs) % 2:
        parser.error("give a data set after each weights file")
    lines = [
        "| data set | pixels | rule | mAP50-95 | mAP50 | minus tight (± standard error) | pixels / tight |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for weights, data in zip(options.pairs[::2], options.pairs[1::2], strict=True):
        for imgsz in options.imgsz:
            for row in rows(weights, data, options.split, imgsz, options.resamples):
                print(row, flush=True)
                lines.append(row)
    if options.out:
        write_text(options.out, "\n".join([_HEADING, *lines]) + "\n")


if __name__ == "__main__":
    main()
