"""From files to measured detections, piece by piece and beside peers, in one run.

    python benchmarks/pipeline.py [--data data.yaml] [--rounds 15] [--out benchmarks/results/pipeline-cpu.md]

Without `--data` pictures are written to a temporary folder. Contenders of one piece have to agree before they are
timed; in every round each runs once, in an order drawn anew, and ratios are taken within a round (see `timing.py`).
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
from data_pieces import augmenting, decoding, training_set, write_pictures
from detection_pieces import decoded, measuring, networks, stepping, suppressing, together
from piece import BATCH, SIZE, Piece
from timing import measure, spread

from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split

PACKAGES = ("torch", "torchvision", "opencv-python-headless", "torchmetrics", "faster-coco-eval")

METHOD = (
    "Interleaved in one run; median (quartiles) over the rounds. A ratio is the contender's time over that of ours: "
    "above 1, ours is faster. What is beside ours only to show where the time goes, or how fast it could be at most, "
    "is marked as *part* or *floor*. Images have 320 pixels, batches 16 of them; the network is yolov5n with 3 classes."
)


def pieces(split: Split) -> Iterator[Piece]:
    """Yield the pieces, in the order of the pipeline."""
    records = split.records
    images = CachedImages(records, SIZE)
    detectors = networks()
    yield decoding(records)
    yield augmenting(records, images)
    batches = TrainingBatchSampler(len(records), BATCH, (SIZE, SIZE), seed=0)
    yield stepping(training_set(records, images, Augmentation())[next(iter(batches))], detectors)
    yield together(records, images, detectors["channels last"])
    piece, predictions = decoded(detectors["channels last"])
    yield piece
    yield suppressing(predictions)
    yield measuring()


def rows(piece: Piece, rounds: int) -> Iterator[str]:
    """Yield the lines of a piece: images a second of ours, then each contender's ratio."""
    times = measure(piece.works, rounds, torch.device("cpu"))
    name, *others = times
    ours = times[name]
    yield f"| {piece.name} | {name} | {spread([piece.images / value for value in ours])} | 1 |"
    for other in others:
        ratios = [theirs / own for theirs, own in zip(times[other], ours, strict=True)]
        yield f"| | {other} | {spread([piece.images / value for value in times[other]])} | {spread(ratios)} |"


def report(split: Split, pictures: str, rounds: int) -> str:
    """Return the whole table as Markdown, with what it was measured on."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    setting = f"CPU, {torch.get_num_threads()} threads; {packages}; {len(split.records)} {pictures}; {rounds} rounds"
    lines = [
        "# From files to measured detections, side by side",
        "",
        f"{setting}; load average of the minute before {os.getloadavg()[0]:.1f}.",
        "",
        METHOD,
        "",
        "| piece | contender | images a second | time over ours |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for piece in pieces(split):
        for line in rows(piece, rounds):
            print(line, flush=True)
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = options.data or write_pictures(Path(folder))
        split = drop_invalid(data_source.open(data).read("train"))
        pictures = f"training images of {options.data}" if options.data else "pictures of 640x480 pixels"
        table = report(split, pictures, options.rounds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
