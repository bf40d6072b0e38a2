"""Time detectors in turns, so that a machine that slows down affects all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import torch
from torch import Tensor

from attendet.data.loading.image_store import OnDemandImages
from attendet.data.loading.resizing import letterbox
from attendet.data.records import Split
from attendet.detection.postprocess import DetectionThresholds, detect_on_canvas
from attendet.models.detector import Detector

WARM_UP = 2


@dataclass(frozen=True)
class TimedDetector:
    """A detector whose latency is measured.

    Attributes:
        detector: The detector, with folded batch norms, on its device.
        size: Side of the images in pixels.
    """

    detector: Detector
    size: int

    @torch.inference_mode()
    def detect(self, images: Tensor) -> None:
        """Run the network and post-processing on images (N, 3, size, size), 0-1, as `attendet predict` does."""
        thresholds = DetectionThresholds.for_prediction(self.detector.head.suppression)
        detect_on_canvas(self.detector.decode(self.detector(images)), thresholds)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)


def time_in_turns(
    detectors: Mapping[str, TimedDetector], images: Mapping[int, Tensor], times: int
) -> dict[str, list[float]]:
    """Return the milliseconds of every pass, by name.

    In every round each detector makes one pass, and their order rotates by one from round to round.

    Args:
        detectors: The detectors by name.
        images: A batch of images by its side in pixels.
        times: Number of timed rounds, after two rounds that are not timed.
    """
    names = list(detectors)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-WARM_UP, times):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            each = detectors[name]
            start = time.perf_counter()
            each.detect(images[each.size])
            if number >= 0:
                spent[name].append(1000 * (time.perf_counter() - start))
    return spent


def image_batch(split: Split, batch: int, size: int, device: torch.device) -> Tensor:
    """Return images of a split (batch, 3, size, size), 0-1; images are repeated if the split has too few."""
    store = OnDemandImages(split.records, size)
    chosen: Sequence[int] = list(islice(cycle(range(len(split.records))), batch))
    canvases = np.stack([letterbox(store[number], size, (size, size))[0] for number in chosen])
    images = torch.from_numpy(canvases).permute(0, 3, 1, 2).to(device, torch.float32) / 255
    return images.contiguous(memory_format=torch.channels_last)
