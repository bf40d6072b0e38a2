"""Latency and memory of the arms, measured in turns, so that a machine that slows down affects all arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split
from attendet.errors import OptionError
from attendet.models.costs import count_network
from attendet.models.detector import Detector, prepare_for_inference
from attendet.study.records import ArmCosts, CostRecord, Latency
from attendet.study.runs.peak_memory import peak_bytes
from attendet.study.runs.side_by_side import TimedDetector, image_batch, time_in_turns
from attendet.training.resource_errors import explain_resource_errors
from attendet.training.run_folder import RunFolder, RunRecord, device_name, read_run
from attendet.utils.devices import resolve_device
from attendet.weights.io import opening

# Batch size, and number of timed passes of each arm.
ROUNDS: Mapping[int, int] = {1: 40, 16: 10}


@dataclass(frozen=True)
class TimedArm(TimedDetector):
    """An arm whose latency and memory are measured.

    Attributes:
        record: Record of the run.
        activation_bytes: Memory that training stores of one image for the backward pass, without weights.
    """

    record: RunRecord
    activation_bytes: int


def measure_costs(runs: Mapping[str, RunFolder], baseline: str, rounds: Mapping[int, int] | None = None) -> CostRecord:
    """Measure latency and memory of trained arms on validation images, on the device where they were trained.

    Each arm uses its own training size and folded batch norms. In every round each arm makes one pass, and the order of
    the arms rotates by one from round to round.

    Args:
        runs: A finished run of each arm.
        baseline: The arm whose image size is recorded, if it is one of the arms.
        rounds: Number of timed passes of each arm, by batch size.

    Raises:
        AttendetError: If weights or images of a run are missing, the arms were trained on different kinds of devices or
            on a device that this machine lacks, or memory is too small.
    """
    rounds = rounds or ROUNDS
    records = {name: read_run(run) for name, run in runs.items()}
    device = _device(list(records.values()))
    first = records.get(baseline, next(iter(records.values())))
    with explain_resource_errors(max(rounds), max(map(_size, records.values()))):
        arms_by_name = {name: _arm(run, records[name], device) for name, run in runs.items()}
        latencies, peaks = _measured(arms_by_name, _validation_split(first), rounds, device)
    arms = {
        name: ArmCosts(
            parameters=each.record.model["parameters"],
            gflops=each.record.model["gflops"],
            activation_bytes=each.activation_bytes,
            peak_bytes=peaks[name],
            latency=tuple(latencies[name]),
        )
        for name, each in arms_by_name.items()
    }
    return CostRecord(device=device_name(device), imgsz=_size(first), arms=arms)


def _measured(
    arms_by_name: Mapping[str, TimedArm], split: Split, rounds: Mapping[int, int], device: torch.device
) -> tuple[Mapping[str, list[Latency]], Mapping[str, int]]:
    """Return the latencies of every arm, and its peak memory at the largest batch size."""
    latencies: dict[str, list[Latency]] = {name: [] for name in arms_by_name}
    peaks: dict[str, int] = {}
    for batch, times in sorted(rounds.items()):
        images = {
            size: image_batch(split, batch, size, device) for size in {each.size for each in arms_by_name.values()}
        }
        for name, milliseconds in time_in_turns(arms_by_name, images, times).items():
            low, middle, high = np.percentile(milliseconds, [25, 50, 75]).tolist()
            latencies[name].append(Latency(batch=batch, median_ms=middle, low_ms=low, high_ms=high, rounds=times))
        if batch == max(rounds):
            peaks = {name: _peak(each, images[each.size]) for name, each in arms_by_name.items()}
    return latencies, peaks


def _device(records: Sequence[RunRecord]) -> torch.device:
    """Return the device that all runs were trained on.

    Raises:
        OptionError: If the runs used several kinds of devices, whose times cannot be compared, or a device that this
            machine lacks.
    """
    names = [record.computed_on for record in records]
    kinds = sorted({name.partition(":")[0] for name in names})
    if len(kinds) > 1:
        raise OptionError(f"the arms were trained on different devices, {' and '.join(kinds)}")
    return torch.device(resolve_device(names[0]))


def _size(record: RunRecord) -> int:
    return int(record.configuration["schedule"]["imgsz"])


def _arm(run: RunFolder, record: RunRecord, device: torch.device) -> TimedArm:
    detector = opening.open(run.weights).detector
    size = _size(record)
    return TimedArm(prepare_for_inference(detector, device), size, record, _activation_bytes(detector, size))


def _validation_split(record: RunRecord) -> Split:
    settings = record.configuration["data"]
    return drop_invalid(data_source.open(settings["path"], settings["format"], settings.get("bit_depth")).read("val"))


def _peak(arm: TimedArm, images: Tensor) -> int:
    return peak_bytes(arm.detector, lambda: arm.detect(images), images.device)


def _activation_bytes(detector: Detector, size: int) -> int:
    """Return the memory that training stores of one image for the backward pass, without weights."""
    return count_network(detector, size).activation_bytes
