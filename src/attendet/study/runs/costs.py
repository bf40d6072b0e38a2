"""What arms cost to use, measured in turns: a machine that slows down slows all of them."""

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
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split
from attendet.detection.postprocess import DetectionThresholds, detect_on_canvas
from attendet.errors import OptionError
from attendet.models.costs import count_network
from attendet.models.detector import Detector, prepare_for_inference
from attendet.study.records import ArmCosts, CostRecord, Latency
from attendet.study.runs.peak_memory import peak_bytes
from attendet.training.resource_errors import explain_resource_errors
from attendet.training.run_folder import RunFolder, RunRecord, device_name, read_run
from attendet.utils.devices import resolve_device
from attendet.weights.io import opening

# Images at once, and how often each arm's pass is timed.
ROUNDS: Mapping[int, int] = {1: 40, 16: 10}
WARM_UP = 2
# The defaults of `attendet predict`.
THRESHOLDS = DetectionThresholds()


@dataclass(frozen=True)
class TimedArm:
    """An arm that is timed.

    Attributes:
        detector: Its network, batch norms folded, where it computes.
        record: Its run.
        kept_bytes: What training keeps of one image for the backward pass, weights left out.
    """

    detector: Detector
    record: RunRecord
    kept_bytes: int

    @property
    def size(self) -> int:
        """Side of its images in pixels."""
        return _size(self.record)

    @torch.inference_mode()
    def detect(self, images: Tensor) -> None:
        """Make detections of images (N, 3, size, size) in 0-1, to the end."""
        detect_on_canvas(self.detector.decode(self.detector(images)), THRESHOLDS)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)


def measure_costs(runs: Mapping[str, RunFolder], baseline: str, rounds: Mapping[int, int] | None = None) -> CostRecord:
    """Return what arms cost: trained weights, batch norms folded, on validation images, where they were trained.

    Each arm takes the images at its own training size; in every round each arm makes one pass, in an order that moves
    on by one from round to round.

    Args:
        runs: A finished run of each arm.
        baseline: The arm whose size stands for all in the record, where it is among them.
        rounds: How often each arm is timed, by number of images at once.

    Raises:
        AttendetError: If the weights or images of a run are not there any more, the arms were trained on different
            kinds of devices or on one that is not here, or there is too little memory.
    """
    rounds = rounds or ROUNDS
    records = {name: read_run(run) for name, run in runs.items()}
    device = _device(list(records.values()))
    first = records.get(baseline, next(iter(records.values())))
    with explain_resource_errors(max(rounds), max(map(_size, records.values()))):
        contestants = {name: _contestant(run, records[name], device) for name, run in runs.items()}
        latencies, peaks = _measured(contestants, _pictures(first), rounds, device)
    arms = {
        name: ArmCosts(
            parameters=each.record.model["parameters"],
            gflops=each.record.model["gflops"],
            activation_bytes=each.kept_bytes,
            peak_bytes=peaks[name],
            latency=tuple(latencies[name]),
        )
        for name, each in contestants.items()
    }
    return CostRecord(device=device_name(device), imgsz=_size(first), arms=arms)


def _measured(
    contestants: Mapping[str, TimedArm], pictures: Split, rounds: Mapping[int, int], device: torch.device
) -> tuple[Mapping[str, list[Latency]], Mapping[str, int]]:
    """Return latencies of every arm, and the most memory that it has in use with the most images at once."""
    latencies: dict[str, list[Latency]] = {name: [] for name in contestants}
    peaks: dict[str, int] = {}
    for batch, times in sorted(rounds.items()):
        images = {size: _images(pictures, batch, size, device) for size in {each.size for each in contestants.values()}}
        for name, milliseconds in _timed(contestants, images, times).items():
            low, middle, high = np.percentile(milliseconds, [25, 50, 75]).tolist()
            latencies[name].append(Latency(batch=batch, median_ms=middle, low_ms=low, high_ms=high, rounds=times))
        if batch == max(rounds):
            peaks = {name: _peak(each, images[each.size]) for name, each in contestants.items()}
    return latencies, peaks


def _timed(contestants: Mapping[str, TimedArm], images: Mapping[int, Tensor], times: int) -> dict[str, list[float]]:
    """Return milliseconds of every pass, by arm."""
    names = list(contestants)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-WARM_UP, times):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            contestant = contestants[name]
            start = time.perf_counter()
            contestant.detect(images[contestant.size])
            if number >= 0:
                spent[name].append(1000 * (time.perf_counter() - start))
    return spent


def _device(records: Sequence[RunRecord]) -> torch.device:
    """Return what all runs were trained on.

    Raises:
        OptionError: If that is more than one kind of device, whose times tell nothing about arms, or is not here.
    """
    names = [record.computed_on for record in records]
    kinds = sorted({name.partition(":")[0] for name in names})
    if len(kinds) > 1:
        raise OptionError(f"the arms were trained on different devices, {' and '.join(kinds)}")
    return torch.device(resolve_device(names[0]))


def _size(record: RunRecord) -> int:
    return int(record.configuration["schedule"]["imgsz"])


def _contestant(run: RunFolder, record: RunRecord, device: torch.device) -> TimedArm:
    detector = opening.open(run.weights).detector
    return TimedArm(prepare_for_inference(detector, device), record, _kept_bytes(detector, _size(record)))


def _pictures(record: RunRecord) -> Split:
    settings = record.configuration["data"]
    return drop_invalid(data_source.open(settings["path"], settings["format"]).read("val"))


def _images(split: Split, batch: int, size: int, device: torch.device) -> Tensor:
    """Return validation images (batch, 3, size, size) in 0-1; from the first again where there are too few."""
    store = OnDemandImages(split.records, size)
    chosen: Sequence[int] = list(islice(cycle(range(len(split.records))), batch))
    canvases = np.stack([letterbox(store[number], size, (size, size))[0] for number in chosen])
    images = torch.from_numpy(canvases).permute(0, 3, 1, 2).to(device, torch.float32) / 255
    return images.contiguous(memory_format=torch.channels_last)


def _peak(contestant: TimedArm, images: Tensor) -> int:
    return peak_bytes(contestant.detector, lambda: contestant.detect(images), images.device)


def _kept_bytes(detector: Detector, size: int) -> int:
    """Return what training keeps of one image for the backward pass, weights left out."""
    return count_network(detector, size).activation_bytes
