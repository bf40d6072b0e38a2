"""What computes: devices, precision and processes."""

from __future__ import annotations

import os
from typing import Any

import torch

from attendet.errors import OptionError
from attendet.training.config import HardwareConfig
from attendet.utils.devices import parse_device
from attendet.utils.text import plural


def accelerator_of(hardware: HardwareConfig) -> tuple[str, int | list[int]]:
    """Return Lightning's accelerator and devices for a device as users write it.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> accelerator_of(HardwareConfig(device="cpu", devices=2))
        ('cpu', 2)
    """
    kind, numbers = parse_device(hardware.device)
    if numbers:
        if hardware.devices not in (None, len(numbers)):
            named = f"--device {hardware.device} beside --devices {hardware.devices}"
            raise OptionError(named, remedy="give one of them")
        return kind, list(numbers)
    # torchrun starts the processes itself and says how many.
    processes = hardware.devices or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if kind == "cuda" and processes > torch.cuda.device_count():
        there = plural(torch.cuda.device_count(), "GPU")
        raise OptionError(f"{processes} processes would share {there}", remedy="use fewer devices")
    return kind, processes


def precision_of(hardware: HardwareConfig, accelerator: str) -> Any:
    """Return Lightning's precision: `auto` is bf16 on CUDA devices that have it.

    Raises:
        OptionError: If the accelerator does not have it.
    """
    if hardware.precision == "16-mixed" and accelerator == "cpu":
        raise OptionError("16-mixed needs CUDA", remedy="write bf16-mixed or 32-true")
    if hardware.precision != "auto":
        return hardware.precision
    if accelerator != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def processes_of(devices: int | list[int], nodes: int) -> int:
    """Return the number of processes on all machines."""
    return (devices if isinstance(devices, int) else len(devices)) * nodes


def is_first_process() -> bool:
    """Return whether this is the process that tells and writes, by what torchrun, Lightning and Slurm tell it."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
