"""What computes: devices, precision and processes."""

from __future__ import annotations

import os
from typing import Any

import torch

from attendet.engine.config import HardwareConfig
from attendet.errors import OptionError


def accelerator_of(hardware: HardwareConfig) -> tuple[str, int | list[int]]:
    """Return Lightning's accelerator and devices for a device as users write it.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> accelerator_of(HardwareConfig(device="cpu", devices=2))
        ('cpu', 2)
    """
    device = hardware.device.strip().lower()
    # torchrun starts the processes itself and says how many.
    processes = hardware.devices or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    numbers = device.removeprefix("cuda:").split(",")
    if all(number.strip().isdigit() for number in numbers):
        chosen = [int(number) for number in numbers]
        if max(chosen) >= torch.cuda.device_count():
            remedy = f"there are {torch.cuda.device_count()}; --device cpu computes without"
            raise OptionError(f"there is no CUDA device {max(chosen)}", remedy=remedy)
        if hardware.devices not in (None, len(chosen)):
            raise OptionError(f"--device {device} beside --devices {hardware.devices}", remedy="give one of them")
        return "cuda", chosen
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if device not in available:
        raise OptionError(f"there is no device {hardware.device!r}", remedy="write cpu, cuda, 0, 0,1 or auto")
    if not available[device]:
        raise OptionError(f"{device} is not available here", remedy="--device cpu computes without")
    return device, processes


def device_of(device: str) -> str:
    """Return the torch device for a device as users write it; of several, the first.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> device_of("cpu")
        'cpu'
    """
    accelerator, devices = accelerator_of(HardwareConfig(device=device))
    return f"{accelerator}:{devices[0]}" if isinstance(devices, list) else accelerator


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
