"""Resolve the hardware settings of a run: accelerator, devices, precision, and processes."""

from __future__ import annotations

import os
from typing import Any

import torch

from attendet.errors import OptionError
from attendet.training.config_sections import HardwareConfig
from attendet.utils.devices import parse_device
from attendet.utils.text import plural


def resolve_accelerator(hardware: HardwareConfig) -> tuple[str, int | list[int]]:
    """Return Lightning's accelerator and its devices: a number of processes, or GPU numbers.

    Raises:
        OptionError: If a device does not exist, or `device` and `devices` contradict each other.

    Example:
        >>> resolve_accelerator(HardwareConfig(device="cpu", devices=2))
        ('cpu', 2)
    """
    accelerator, numbers = parse_device(hardware.device)
    if numbers:
        if hardware.devices not in (None, len(numbers)):
            raise OptionError(
                f"`devices` must be the number of GPUs in `device` ({hardware.device}), got {hardware.devices}",
                remedy="set only one of them",
            )
        return accelerator, list(numbers)
    # torchrun starts the processes itself and sets their number.
    processes = hardware.devices or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if accelerator == "cuda" and processes > torch.cuda.device_count():
        available = plural(torch.cuda.device_count(), "GPU")
        raise OptionError(f"`devices` must be at most the number of GPUs, got {processes} for {available}")
    return accelerator, processes


def resolve_precision(hardware: HardwareConfig, accelerator: str) -> Any:
    """Return Lightning's precision; "auto" is 16 bits on CUDA (bfloat16 if the device supports it), else 32 bits.

    Raises:
        OptionError: If the accelerator does not support the precision.

    Example:
        >>> resolve_precision(HardwareConfig(), "cpu")
        '32-true'
    """
    if hardware.precision == "16-mixed" and accelerator == "cpu":
        raise OptionError("`precision` must be bf16-mixed or 32-true on a CPU, got '16-mixed'")
    if hardware.precision != "auto":
        return hardware.precision
    if accelerator != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def count_processes(devices: int | list[int], nodes: int) -> int:
    """Return the number of processes on all machines."""
    return (devices if isinstance(devices, int) else len(devices)) * nodes


def is_first_process() -> bool:
    """Return whether this process writes files and logs, by the ranks that torchrun, Lightning, and Slurm set."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
