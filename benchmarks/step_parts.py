"""Measure the parts of a training step: loading, forward, loss, backward, clipping, optimizer, and averaging.

    python benchmarks/step_parts.py [--model yolov5n_CBAM] [--rounds 15]

Batches have 16 images of 320 pixels with mosaic, from a data set that is written to a temporary folder and decoded
once. The optimizer is AdamW. One process loads and trains, as in training on few processors.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch
from data_stages import training_set, write_data_set
from stage import BATCH, CLASSES, SIZE
from timing import WARM_UP
from torch.nn.utils import clip_grad_norm_
from training_loss import step_loss

import attendet
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import TrainingDataset
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.models.detector import Detector
from attendet.training.weight_average import AveragedWeights

_PARTS = ("loading", "forward", "loss", "backward", "clipping", "optimizer", "averaging")


def dataset(folder: Path) -> TrainingDataset:
    """Return a training set with decoded images."""
    records = drop_invalid(data_source.open(write_data_set(folder)).read("train")).records
    return training_set(records, CachedImages(records, SIZE), Augmentation())


def step_times(detector: Detector, images: TrainingDataset) -> Iterator[list[float]]:
    """Yield for every step the times at which its parts start, and the time at which the last one ends."""
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-4)
    averaged = AveragedWeights(detector, decay=0.999, ramp=100)
    for samples in cycle(TrainingBatchSampler(len(images.records), BATCH, (SIZE, SIZE), seed=0)):
        times = [time.perf_counter()]
        batch = images[samples]
        times.append(time.perf_counter())
        raw = detector(batch.images.to(torch.float32, memory_format=torch.channels_last) / 255)
        times.append(time.perf_counter())
        loss = step_loss(detector, raw, batch.targets, SIZE)
        times.append(time.perf_counter())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        times.append(time.perf_counter())
        clip_grad_norm_(detector.parameters(), 10.0)
        times.append(time.perf_counter())
        optimizer.step()
        times.append(time.perf_counter())
        averaged.update(detector)
        times.append(time.perf_counter())
        yield times


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov5n_CBAM")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.manual_seed(0)
    detector = attendet.build(options.model, num_classes=CLASSES).to(memory_format=torch.channels_last).train()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = list(islice(step_times(detector, dataset(Path(folder))), WARM_UP, WARM_UP + options.rounds))
    total = statistics.median(step[-1] - step[0] for step in steps)
    print(
        f"{options.model}, {torch.get_num_threads()} threads, {total * 1e3:.0f} ms per step\n\n| part | % |\n|---|---|"
    )
    for number, part in enumerate(_PARTS):
        fraction = statistics.median((step[number + 1] - step[number]) / (step[-1] - step[0]) for step in steps)
        print(f"| {part} | {fraction * 100:.1f} |")


if __name__ == "__main__":
    main()
