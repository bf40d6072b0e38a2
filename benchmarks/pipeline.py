"""Measure the pipeline from files to metrics, stage by stage, compared with other implementations.

    python benchmarks/pipeline.py [--data data.yaml] [--rounds 15] [--out benchmarks/results/pipeline-cpu.md]

Without `--data`, a data set is written to a temporary folder. The contenders of a stage must agree before they are
timed. In every round each contender runs once, in random order, and ratios are taken within a round (see `timing.py`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from data_stages import augmentation_stage, decoding_stage, training_set, write_data_set
from detection_stages import (
    decoding_of_maps_stage,
    load_and_step_stage,
    metrics_stage,
    networks,
    step_stage,
    suppression_stage,
)
from stage import BATCH, SIZE, PipelineStage
from timing import measure, median_and_quartiles

from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split

_PACKAGES = ("torch", "torchvision", "opencv-python-headless", "torchmetrics", "faster-coco-eval")

_METHOD = (
    "Interleaved in one run; median (quartiles) over the rounds. A ratio is the contender's time divided by the time "
    "of attendet: above 1, attendet is faster. *part* marks a part of attendet's work, and *floor* a lower bound of "
    "the time. Images have 320 pixels, batches have 16 images, and the network is yolov5n with 3 classes."
)


def stages(split: Split) -> Iterator[PipelineStage]:
    """Yield the stages in the order of the pipeline."""
    records = split.records
    images = CachedImages(records, SIZE)
    detectors = networks()
    yield decoding_stage(records)
    yield augmentation_stage(records, images)
    batches = TrainingBatchSampler(len(records), BATCH, (SIZE, SIZE), seed=0)
    yield step_stage(training_set(records, images, Augmentation())[next(iter(batches))], detectors)
    yield load_and_step_stage(records, images, detectors["channels last"])
    stage, predictions = decoding_of_maps_stage(detectors["channels last"])
    yield stage
    yield suppression_stage(predictions)
    yield metrics_stage()


def rows(stage: PipelineStage, rounds: int) -> Iterator[str]:
    """Yield the lines of a stage: attendet's images per second, then the ratio of each contender."""
    times = measure(stage.contenders, rounds, torch.device("cpu"))
    name, *others = times
    ours = times[name]
    yield f"| {stage.name} | {name} | {median_and_quartiles([stage.images / value for value in ours])} | 1 |"
    for other in others:
        ratios = [theirs / own for theirs, own in zip(times[other], ours, strict=True)]
        speed = median_and_quartiles([stage.images / value for value in times[other]])
        yield f"| | {other} | {speed} | {median_and_quartiles(ratios)} |"


def report(split: Split, images: str, rounds: int) -> str:
    """Return the Markdown report with the setup of the measurement."""
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    description = f"CPU, {torch.get_num_threads()} threads; {packages}; {len(split.records)} {images}; {rounds} rounds"
    lines = [
        "# The pipeline from files to metrics",
        "",
        f"{description}; load average in the minute before {os.getloadavg()[0]:.1f}.",
        "",
        _METHOD,
        "",
        "| stage | contender | images per second | time / attendet |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for stage in stages(split):
        for line in rows(stage, rounds):
            print(line, flush=True)
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = options.data or write_data_set(Path(folder))
        split = drop_invalid(data_source.open(data).read("train"))
        images = f"training images of {options.data}" if options.data else "images of 640x480 pixels"
        table = report(split, images, options.rounds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
