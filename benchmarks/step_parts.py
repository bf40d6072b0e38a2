"""Where the time of a training step goes: loading, forward, loss, backward, clipping, optimizer, averaging.

    python benchmarks/step_parts.py [--model yolov5n_CBAM] [--rounds 15]

Batches of 16 images of 320 pixels with mosaic, from pictures written to a temporary folder and decoded once; AdamW;
one process that loads and trains, as training on few processors does.
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
from data_pieces import training_set, write_pictures
from piece import BATCH, CLASSES, SIZE
from timing import WARM_UP
from torch.nn.utils import clip_grad_norm_
from training_loss import loss_of

import attendet
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import TrainingDataset
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.models.detector import Detector
from attendet.training.weight_average import AveragedWeights

PARTS = ("loading", "forward", "loss", "backward", "clipping", "optimizer", "averaging")


def dataset(folder: Path) -> TrainingDataset:
    """Return a training set with its images decoded."""
    records = drop_invalid(data_source.open(write_pictures(folder)).read("train")).records
    return training_set(records, CachedImages(records, SIZE), Augmentation())


def moments(detector: Detector, images: TrainingDataset) -> Iterator[list[float]]:
    """Yield, step by step, the seconds at which its parts begin and the last one ends."""
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-4)
    averaged = AveragedWeights(detector, decay=0.999, ramp=100)
    for draws in cycle(TrainingBatchSampler(len(images.records), BATCH, (SIZE, SIZE), seed=0)):
        now = [time.perf_counter()]
        batch = images[draws]
        now.append(time.perf_counter())
        raw = detector(batch.images.to(torch.float32, memory_format=torch.channels_last) / 255)
        now.append(time.perf_counter())
        loss = loss_of(detector, raw, batch.targets, SIZE)
        now.append(time.perf_counter())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        now.append(time.perf_counter())
        clip_grad_norm_(detector.parameters(), 10.0)
        now.append(time.perf_counter())
        optimizer.step()
        now.append(time.perf_counter())
        averaged.update(detector)
        now.append(time.perf_counter())
        yield now


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov5n_CBAM")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.manual_seed(0)
    detector = attendet.build(options.model, num_classes=CLASSES).to(memory_format=torch.channels_last).train()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = list(islice(moments(detector, dataset(Path(folder))), WARM_UP, WARM_UP + options.rounds))
    whole = statistics.median(step[-1] - step[0] for step in steps)
    print(f"{options.model}, {torch.get_num_threads()} threads, {whole * 1e3:.0f} ms a step\n\n| part | % |\n|---|---|")
    for number, part in enumerate(PARTS):
        share = statistics.median((step[number + 1] - step[number]) / (step[-1] - step[0]) for step in steps)
        print(f"| {part} | {share * 100:.1f} |")


if __name__ == "__main__":
    main()
